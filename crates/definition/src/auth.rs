//! `auth:`, who may do what over HTTP.

mod role;

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::keys::{Key, Keys, Presence, Value, milliseconds};
use super::parse::Section;
use super::walk::{Fields, Walk};
use super::yaml::{Content, Node};
use super::{Pipeline, Problem, Span};

pub use role::{Role, Roles};

/// Who is let in. Where nothing is configured everybody is, and duto listens on this host alone
/// unless it is told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// `Authorization: Bearer KEY` with any of these.
    pub keys: Vec<ApiKey>,
    /// Or a token that somebody signed whom we believe.
    pub tokens: Option<Tokens>,
    /// What everybody may do, with or without a key.
    pub anonymous: Roles,
}

/// A key that callers bring.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose it is, for the log and the audit.
    pub name: String,
    /// SHA-256 of the key. A key is random and long, so that a slow hash would protect nothing.
    pub hash: [u8; 32],
    pub roles: Roles,
}

/// Tokens (JWT) that are believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// `iss` of a token; whose keys are looked up as OpenID Connect says, unless `key_set` is set.
    pub issuer: Option<String>,
    /// A file of the issuer's public keys (JWKS).
    pub key_set: Option<String>,
    /// What both sides know, for HS256.
    pub secret: Option<String>,
    /// That the token must be meant for; None accepts those for others too, which a file with an
    /// issuer has to say (`any_audience`).
    pub audience: Option<String>,
    /// So far may clocks differ.
    pub leeway: Duration,
    /// The claim that names the roles; without it every good token has `roles`.
    pub roles_claim: Option<String>,
    pub roles: Roles,
}

impl Auth {
    /// Whether anything is checked.
    pub fn is_configured(&self) -> bool {
        !self.keys.is_empty() || self.tokens.is_some()
    }
}

impl std::fmt::Debug for ApiKey {
    /// Without the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tokens {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "auth",
        about: "who may do what over HTTP: a key or a token in the Authorization header; where \
            neither is configured the header is not looked at",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

/// SHA-256 in hexadecimal digits, behind this word.
const HASH_PREFIX: &str = "sha256:";
/// A secret that is shorter can be guessed: RFC 7518 asks for as many bits as the hash has.
const LEAST_SECRET_BYTES: usize = 32;

static KEYS: Keys = Keys {
    of: "auth",
    keys: &[
        Key {
            name: "keys",
            about: "keys of which a request must bring one, as Authorization: Bearer KEY. A \
                mapping has names, each with hash and roles; a list has keys in clear \
                    text, each of all roles, empty ones left out",
            presence: Presence::Optional,
            value: Value::Other(|| {
                json!({ "oneOf": [
                    { "type": "array", "items": { "type": ["string", "number", "null"] } },
                    { "type": "object", "additionalProperties": crate::schema::keys_schema(&API_KEY) },
                ] })
            }),
        },
        Key {
            name: "issuer",
            about: "the address of an issuer of tokens (JWT), their iss; its keys are looked up as \
                OpenID Connect says; empty means none",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "key_set",
            about: "a file of the issuer's public keys (JWKS), read again when it changes, instead \
                of looking them up",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "secret",
            about: "what both sides know, for tokens signed by HS256: 32 bytes or more",
            presence: Presence::Optional,
            value: Value::Secret,
        },
        Key {
            name: "audience",
            about: "whom a token must be meant for, one of its aud: as the issuer calls this \
                service; an issuer's tokens of other services are not accepted",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "any_audience",
            about: "instead of an audience: a token that the issuer made for any other service is \
                good here too",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
        Key {
            name: "leeway",
            about: "how far the clocks of the issuer and ours may differ",
            presence: Presence::Default("60s"),
            value: Value::Duration { minimum: milliseconds(0), maximum: Duration::from_secs(3600) },
        },
        Key {
            name: "roles_claim",
            about: "the claim of a token that has its roles, as a list or a text of words, such as \
                scope; words that are none of ours are left out",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "roles",
            about: "the roles of every good token, where roles_claim is not set: read, ingest, \
                operate",
            presence: Presence::Optional,
            value: Value::Other(roles_schema),
        },
        Key {
            name: "anonymous",
            about: "the roles of those who bring nothing; [read] leaves pages, endpoints and \
                metrics open",
            presence: Presence::Optional,
            value: Value::Other(roles_schema),
        },
    ],
    later: &[],
    note: "; reads is gone: all routes are guarded, and anonymous: [read] leaves reading open",
};

static API_KEY: Keys = Keys {
    of: "a key of auth.keys",
    keys: &[
        Key {
            name: "hash",
            about: "sha256: and the digest of the key, as `duto auth key` prints it; empty leaves \
                the key out",
            presence: Presence::Required,
            value: Value::Secret,
        },
        Key {
            name: "roles",
            about: "what its holder may do: read, ingest, operate",
            presence: Presence::Required,
            value: Value::Other(roles_schema),
        },
    ],
    later: &[],
    note: "",
};

fn roles_schema() -> serde_json::Value {
    json!({ "type": "array", "items": { "enum": ["read", "ingest", "operate"] } })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("auth") else { return };
    let walk = fields.walk();
    let keys = fields.value("keys").map(|node| read_keys(walk, node)).unwrap_or_default();
    let roles = |name| fields.value(name).map(|node| read_roles(walk, &fields.named(name), node));
    let text = |name| fields.text(name).filter(|text| !text.is_empty());
    let tokens = Tokens {
        issuer: text("issuer"),
        key_set: text("key_set"),
        secret: text("secret"),
        audience: text("audience"),
        leeway: fields.duration("leeway").unwrap_or_default(),
        roles_claim: text("roles_claim"),
        roles: roles("roles").unwrap_or_else(|| [Role::Read, Role::Ingest].into_iter().collect()),
    };
    check(&fields, &tokens);
    check_audience(&fields, &tokens);
    let is_believed =
        tokens.issuer.is_some() || tokens.key_set.is_some() || tokens.secret.is_some();
    let anonymous = roles("anonymous").unwrap_or_default();
    pipeline.auth = Auth { keys, tokens: is_believed.then_some(tokens), anonymous };
}

fn check(fields: &Fields<'_, '_>, tokens: &Tokens) {
    let walk = fields.walk();
    let at = |name| fields.span(name).unwrap_or_default();
    if let Some(issuer) = &tokens.issuer
        && !issuer.starts_with("https://")
        && !issuer.starts_with("http://")
    {
        let problem = Problem::new("auth.issuer", at("issuer"), "auth.issuer is not an address");
        walk.report(problem.help(
            "for example https://login.example/realms/shop, exactly as the tokens have it in `iss`",
        ));
    }
    if tokens.secret.as_ref().is_some_and(|secret| secret.len() < LEAST_SECRET_BYTES) {
        let problem = Problem::new(
            "auth.secret",
            at("secret"),
            format!("auth.secret is shorter than {LEAST_SECRET_BYTES} bytes, so it can be guessed"),
        );
        walk.report(problem.help("for example what `openssl rand -base64 48` prints"));
    }
    if tokens.secret.is_some() && tokens.key_set.is_some() {
        let problem = Problem::new(
            "auth.contradiction",
            at("secret"),
            "auth.secret and auth.key_set name two ways to know a signature",
        );
        walk.report(problem.help(
            "HS256 has a secret that both sides know, RS256 and ES256 have \
            public keys: keep the issuer's way",
        ));
    }
}

/// An issuer makes tokens for many services, each of which has those of its users: without an
/// audience every one of these services could use them here.
fn check_audience(fields: &Fields<'_, '_>, tokens: &Tokens) {
    let walk = fields.walk();
    let any = fields.boolean("any_audience").unwrap_or_default();
    let published = [("issuer", &tokens.issuer), ("key_set", &tokens.key_set)];
    let named = published.into_iter().find(|(_, value)| value.is_some());
    if let (Some((name, _)), None, false) = (named, &tokens.audience, any) {
        let place = fields.span("audience").or(fields.span(name)).unwrap_or_default();
        let problem = Problem::new(
            "auth.audience",
            place,
            format!(
                "auth.{name} needs an audience beside it: a token that was made for another \
                    service would be let in"
            ),
        );
        walk.report(problem.help(
            "for example audience: duto, as the tokens for this service have it in `aud`; where \
                the issuer makes none for others, any_audience: true",
        ));
    }
    if let (true, Some(_)) = (any, &tokens.audience) {
        let problem = Problem::new(
            "auth.contradiction",
            fields.span("any_audience").unwrap_or_default(),
            "auth.audience is not looked at with any_audience: true",
        );
        walk.report(problem.help("take one of the two away"));
    }
}

/// Names with hashes and roles, or keys in clear text.
fn read_keys(walk: &Walk<'_>, node: &Node) -> Vec<ApiKey> {
    let Content::Mapping(entries) = &node.content else {
        let items = walk.list("auth.keys", node).unwrap_or_default();
        let keys = items
            .iter()
            .filter(|item| !item.is_unset())
            .filter_map(|item| walk.scalar("a key of auth.keys", item));
        let keys = keys.map(|scalar| scalar.value.text.trim()).filter(|key| !key.is_empty());
        let named = keys.enumerate().map(|(place, key)| (format!("key {}", place + 1), key));
        return named
            .map(|(name, key)| ApiKey { name, hash: sha256(key.as_bytes()), roles: Roles::all() })
            .collect();
    };
    let mut keys = Vec::new();
    for entry in entries {
        let title = format!("auth.keys.{}", entry.key);
        let Some(fields) = walk.fields(&title, &API_KEY, &entry.value, entry.key_span) else {
            continue;
        };
        let roles = fields
            .value("roles")
            .map(|node| read_roles(walk, &fields.named("roles"), node))
            .unwrap_or_default();
        let Some(written) = fields.text("hash").filter(|hash| !hash.is_empty()) else { continue };
        match hash_of(&written) {
            Some(hash) => keys.push(ApiKey { name: entry.key.clone(), hash, roles }),
            None => walk.report(no_hash(fields.span("hash").unwrap_or(entry.key_span), &title)),
        }
    }
    keys
}

/// Of a key.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn no_hash(span: Span, title: &str) -> Problem {
    let problem = Problem::new("auth.key.hash", span, format!("{title}.hash is no hash of a key"));
    problem
        .help("`duto auth key` makes a key and prints its hash: sha256: and 64 hexadecimal digits")
}

fn hash_of(written: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(written.strip_prefix(HASH_PREFIX)?, &mut hash).ok()?;
    Some(hash)
}

/// The hash of a key as a file has it.
pub fn written_hash(key: &str) -> String {
    HASH_PREFIX.to_owned() + &hex::encode(sha256(key.as_bytes()))
}

fn read_roles(walk: &Walk<'_>, title: &str, node: &Node) -> Roles {
    let mut roles = Vec::new();
    for item in walk.list(title, node).unwrap_or_default() {
        let Some(scalar) = walk.scalar(title, item) else { continue };
        match Role::named(&scalar.value.text) {
            Some(role) => roles.push(role),
            None => {
                let message = format!("{} is no role", walk.quote(item.span));
                walk.report(
                    Problem::new("auth.role", item.span, message)
                        .help("the roles are read, ingest and operate"),
                );
            }
        }
    }
    roles.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_hash_is_read_again() {
        let written = written_hash("a key");
        assert_eq!(hash_of(&written), Some(sha256(b"a key")));
        for wrong in [
            "",
            "sha256:",
            "sha256:00",
            &written[..written.len() - 1],
            &written[7..],
            &format!("{written}0"),
        ] {
            assert_eq!(hash_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn roles_are_kept_apart() {
        let roles: Roles = [Role::Read, Role::Operate].into_iter().collect();
        assert!(roles.has(Role::Read) && !roles.has(Role::Ingest));
        assert_eq!(format!("{roles:?}"), "[Read, Operate]");
        assert!(Roles::default().is_empty() && Roles::all().iter().eq(Role::ALL));
    }
}
