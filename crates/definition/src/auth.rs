//! `auth:`, who may send records, and who may ask.

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// What the `Authorization` header must hold. Where nothing is configured it is accepted and not looked at.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// `Authorization: Bearer KEY` with any of these.
    pub keys: Vec<String>,
    /// Or a token of this issuer, whose keys it publishes as OpenID Connect says.
    pub issuer: Option<String>,
    /// That the token must be meant for.
    pub audience: Option<String>,
    /// Whether `endpoints:` are protected too, not only `ingest:`.
    pub reads: bool,
}

impl Auth {
    /// Whether anything is checked.
    pub fn is_configured(&self) -> bool {
        !self.keys.is_empty() || self.issuer.is_some()
    }
}

impl std::fmt::Debug for Auth {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("keys", &self.keys.len()).field("issuer", &self.issuer).field("reads", &self.reads).finish()
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "auth",
        about: "who may send records: a key or a token in the Authorization header; where neither is configured the header is not looked at",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "auth",
    keys: &[
        Key {
            name: "keys",
            about: "keys of which a request must bring one, as Authorization: Bearer KEY; empty ones are left out",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "items": { "type": ["string", "number", "null"] } })),
        },
        Key {
            name: "issuer",
            about: "the address of an issuer of tokens (JWT); its keys are looked up as OpenID Connect says; empty means none",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "audience",
            about: "whom a token must be meant for (aud); empty means that it is not looked at",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "reads",
            about: "whether endpoints that answer are protected too",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("auth") else { return };
    let walk = fields.walk();
    let items = fields.value("keys").and_then(|node| walk.list("auth.keys", node)).unwrap_or_default();
    let keys = items.iter().filter(|item| !item.is_unset()).filter_map(|item| walk.scalar("a key of auth.keys", item));
    let keys = keys.map(|scalar| scalar.value.text.trim().to_owned()).filter(|key| !key.is_empty()).collect();
    let issuer = fields.text("issuer").filter(|issuer| !issuer.is_empty());
    if let (Some(issuer), Some(span)) = (&issuer, fields.span("issuer"))
        && !issuer.starts_with("https://")
        && !issuer.starts_with("http://")
    {
        let problem = Problem::new("auth.issuer", span, "auth.issuer is not an address");
        walk.report(problem.help("for example https://login.example/realms/shop, exactly as the tokens have it in `iss`"));
    }
    let audience = fields.text("audience").filter(|audience| !audience.is_empty());
    pipeline.auth = Auth { keys, issuer, audience, reads: fields.boolean("reads").unwrap_or_default() };
}
