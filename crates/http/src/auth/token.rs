//! A signed token (JWT, RFC 7519) against a published key (JWK, RFC 7517). The cryptography is
//! OpenSSL's.

use std::time::{SystemTime, UNIX_EPOCH};

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use serde::Deserialize;
use serde_json::Value;

use duto_definition::{Role, Roles, Tokens};

/// A longer text is no token: nobody's header or cookie holds it.
const MOST_BYTES: usize = 8 * 1024;

/// By what a signature is known.
pub(super) enum SignedBy<'k> {
    /// One of these public keys.
    Published(&'k KeySet),
    /// What both sides know.
    Shared(&'k [u8]),
}

/// The keys that an issuer publishes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone, Deserialize)]
struct Key {
    kid: Option<String>,
    kty: String,
    alg: Option<String>,
    /// `sig`, where it says so at all: one that is for encryption signs nothing.
    #[serde(rename = "use")]
    purpose: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A token, taken apart. Nothing of it is to be believed before [`Token::verify`].
pub(super) struct Token<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: String,
    pub kid: Option<String>,
    claims: Value,
}

impl KeySet {
    /// Whether it has a key of this name.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The key of this name; without a name, the only one.
    fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match kid {
            Some(kid) => self.keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            None => self.keys.first().filter(|_| self.keys.len() == 1),
        }
    }
}

impl<'t> Token<'t> {
    /// None where it is no token.
    pub fn parse(text: &'t str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
        // What it names has to be understood (RFC 7515), and nothing of the kind is.
        if header.get("crit").is_some() {
            return None;
        }
        let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
        let kid = header["kid"].as_str().map(str::to_owned);
        let algorithm = header["alg"].as_str()?.to_owned();
        Some(Self { signed, signature: decoded(signature)?, algorithm, kid, claims })
    }

    /// The roles of a token that is signed as it must be and claims what is asked for. An error is
    /// the rest of a sentence.
    pub fn verify(&self, by: &SignedBy<'_>, wanted: &Tokens) -> Result<Roles, &'static str> {
        match by {
            SignedBy::Published(keys) => {
                let key =
                    keys.find(self.kid.as_deref()).ok_or("its key is not one of the issuer's")?;
                if key.purpose.as_ref().is_some_and(|purpose| purpose != "sig") {
                    return Err("its key is not for signatures");
                }
                if key.alg.as_ref().is_some_and(|algorithm| *algorithm != self.algorithm) {
                    return Err("its key is for another algorithm");
                }
                if !self.is_signed_by(key).ok_or("its algorithm is not one of RS, PS and ES")? {
                    return Err("its signature is wrong");
                }
            }
            SignedBy::Shared(secret) => {
                if self.algorithm != "HS256" {
                    return Err("its algorithm is not HS256");
                }
                if !self.is_signed_with(secret).unwrap_or(false) {
                    return Err("its signature is wrong");
                }
            }
        }
        let leeway = wanted.leeway.as_secs_f64();
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let time = |claim: &str| self.claims[claim].as_f64();
        let meant_for = |audience: &str| match &self.claims["aud"] {
            Value::String(one) => one == audience,
            Value::Array(several) => several.iter().any(|one| one == audience),
            _ => false,
        };
        match () {
            () if wanted
                .issuer
                .as_ref()
                .is_some_and(|issuer| self.claims["iss"].as_str() != Some(issuer)) =>
            {
                Err("another issuer made it")
            }
            () if time("exp").is_none_or(|until| now > until + leeway) => Err("it has expired"),
            () if self.claims.get("nbf").is_some()
                && time("nbf").is_none_or(|from| now < from - leeway) =>
            {
                Err("it is not valid yet")
            }
            () if wanted.audience.as_deref().is_some_and(|audience| !meant_for(audience)) => {
                Err("it is meant for another audience")
            }
            () => Ok(wanted.roles_claim.as_ref().map_or(wanted.roles, |claim| self.roles(claim))),
        }
    }

    /// Whose it is, for the log.
    pub fn subject(&self) -> &str {
        self.claims["sub"].as_str().unwrap_or("a token")
    }

    /// The words of a claim that are roles: a list, or a text with blanks between, as `scope` is.
    fn roles(&self, claim: &str) -> Roles {
        match &self.claims[claim] {
            Value::String(words) => words.split_whitespace().filter_map(Role::named).collect(),
            Value::Array(words) => {
                words.iter().filter_map(Value::as_str).filter_map(Role::named).collect()
            }
            _ => Roles::default(),
        }
    }

    fn is_signed_with(&self, secret: &[u8]) -> Result<bool, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &*PKey::hmac(secret)?)?;
        let made = signer.sign_oneshot_to_vec(self.signed.as_bytes())?;
        Ok(made.len() == self.signature.len() && memcmp::eq(&made, &self.signature))
    }

    /// None where the algorithm is not known, or does not suit the key. An issuer's published keys
    /// are no secrets, so HS is none.
    fn is_signed_by(&self, key: &Key) -> Option<bool> {
        let digest = match self.algorithm.get(2..)? {
            "256" => MessageDigest::sha256(),
            "384" => MessageDigest::sha384(),
            "512" => MessageDigest::sha512(),
            _ => return None,
        };
        let verified = match (self.algorithm.get(..2)?, key.kty.as_str()) {
            ("RS", "RSA") => {
                self.verified(&rsa_key(key)?, digest, Some(Padding::PKCS1), &self.signature)
            }
            ("PS", "RSA") => {
                self.verified(&rsa_key(key)?, digest, Some(Padding::PKCS1_PSS), &self.signature)
            }
            ("ES", "EC") => {
                let (curve, bytes) = match self.algorithm.as_str() {
                    "ES256" => ("P-256", 32),
                    "ES384" => ("P-384", 48),
                    _ => ("P-521", 66),
                };
                if key.crv.as_deref() != Some(curve) {
                    return None;
                }
                match der_of(&self.signature, bytes) {
                    Some(der) => self.verified(&ec_key(key)?, digest, None, &der),
                    None => Ok(false),
                }
            }
            _ => return None,
        };
        // OpenSSL calls a signature of a wrong form an error.
        Some(verified.unwrap_or(false))
    }

    fn verified(
        &self,
        key: &PKey<Public>,
        digest: MessageDigest,
        padding: Option<Padding>,
        signature: &[u8],
    ) -> Result<bool, ErrorStack> {
        let mut verifier = Verifier::new(digest, key)?;
        if let Some(padding) = padding {
            verifier.set_rsa_padding(padding)?;
            if padding == Padding::PKCS1_PSS {
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            }
        }
        verifier.verify_oneshot(signature, self.signed.as_bytes())
    }
}

fn rsa_key(key: &Key) -> Option<PKey<Public>> {
    let key =
        Rsa::from_public_components(number(key.n.as_ref()?)?, number(key.e.as_ref()?)?).ok()?;
    PKey::from_rsa(key).ok()
}

fn ec_key(key: &Key) -> Option<PKey<Public>> {
    let curve = match key.crv.as_deref()? {
        "P-256" => Nid::X9_62_PRIME256V1,
        "P-384" => Nid::SECP384R1,
        "P-521" => Nid::SECP521R1,
        _ => return None,
    };
    let group = EcGroup::from_curve_name(curve).ok()?;
    let (x, y) = (number(key.x.as_ref()?)?, number(key.y.as_ref()?)?);
    PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&group, &x, &y).ok()?).ok()
}

/// A token has the two numbers of a signature side by side, each of so many bytes; OpenSSL has them
/// in DER. None where it has something else.
fn der_of(signature: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(bytes).filter(|(_, s)| s.len() == bytes)?;
    EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?)
        .ok()?
        .to_der()
        .ok()
}

fn number(text: &str) -> Option<BigNum> {
    BigNum::from_slice(&decoded(text)?).ok()
}

/// Base64 with the alphabet of addresses, without padding, as it is written and in no other way: else
/// a token that was changed could still be good.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let standard: String = text
        .chars()
        .map(|digit| match digit {
            '-' => '+',
            '_' => '/',
            digit => digit,
        })
        .collect();
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let bytes = openssl::base64::decode_block(&format!("{standard}{padding}")).ok()?;
    (encoded(&bytes) == text).then_some(bytes)
}

fn encoded(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).replace('+', "-").replace('/', "_").replace('=', "")
}

#[cfg(test)]
mod tests {
    use openssl::pkey::Private;
    use serde_json::json;

    use super::*;

    fn token(key: &PKey<Private>, algorithm: &str, claims: &Value) -> String {
        let header = encoded(json!({"alg": algorithm, "kid": "k"}).to_string().as_bytes());
        let signed = format!("{header}.{}", encoded(claims.to_string().as_bytes()));
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        if algorithm.starts_with("PS") {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
        }
        let mut signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        if algorithm.starts_with("ES") {
            let pair = EcdsaSig::from_der(&signature).unwrap();
            signature =
                [pair.r().to_vec_padded(32).unwrap(), pair.s().to_vec_padded(32).unwrap()].concat();
        }
        format!("{signed}.{}", encoded(&signature))
    }

    fn wanted() -> Tokens {
        Tokens {
            issuer: Some("https://i".into()),
            key_set: None,
            secret: None,
            audience: Some("us".into()),
            leeway: std::time::Duration::from_secs(60),
            roles_claim: None,
            roles: [Role::Read].into_iter().collect(),
        }
    }

    /// Signed with HMAC by what a key is made of: a text that is public, where keys are published.
    fn shared(secret: &[u8], algorithm: &str, claims: &Value) -> String {
        let header = encoded(json!({"alg": algorithm, "kid": "k"}).to_string().as_bytes());
        let signed = format!("{header}.{}", encoded(claims.to_string().as_bytes()));
        let key = PKey::hmac(secret).unwrap();
        let signature = Signer::new(MessageDigest::sha256(), &key)
            .unwrap()
            .sign_oneshot_to_vec(signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", encoded(&signature))
    }

    #[test]
    fn a_shared_secret_signs_by_one_algorithm() {
        let secret = b"what both sides know, and nobody else";
        let claims = json!({"iss": "https://i", "aud": "us", "exp": 4_000_000_000_u64, "scope": "openid read operate"});
        let verify = |text: &str, wanted: &Tokens| {
            Token::parse(text).map(|token| token.verify(&SignedBy::Shared(secret), wanted))
        };
        let by_claim = Tokens { roles_claim: Some("scope".into()), ..wanted() };
        let roles: Roles = [Role::Read, Role::Operate].into_iter().collect();
        let good = shared(secret, "HS256", &claims);
        assert_eq!(verify(&good, &by_claim), Some(Ok(roles)));
        assert_eq!(
            verify(&good, &Tokens { roles_claim: Some("groups".into()), ..wanted() }),
            Some(Ok(Roles::default()))
        );
        assert_eq!(
            verify(&shared(b"another secret", "HS256", &claims), &by_claim),
            Some(Err("its signature is wrong"))
        );
        for algorithm in ["none", "HS512", "RS256", "hs256", ""] {
            assert_eq!(
                verify(&shared(secret, algorithm, &claims), &by_claim),
                Some(Err("its algorithm is not HS256")),
                "{algorithm}"
            );
        }
        // A public key is no secret, whatever the token says.
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let published = rsa.public_key_to_pem().unwrap();
        let of_rsa = rsa.rsa().unwrap();
        let keys = json!({ "keys": [{"kid": "k", "kty": "RSA", "n": encoded(&of_rsa.n().to_vec()), "e": encoded(&of_rsa.e().to_vec())}] });
        let keys: KeySet = serde_json::from_value(keys).unwrap();
        let confused = shared(&published, "HS256", &claims);
        let verified =
            Token::parse(&confused).unwrap().verify(&SignedBy::Published(&keys), &wanted());
        assert_eq!(verified, Err("its algorithm is not one of RS, PS and ES"));
        assert!(Token::parse(&format!("{good}{}", "A".repeat(MOST_BYTES))).is_none());
    }

    #[test]
    fn a_token_is_believed_when_a_published_key_signed_it() {
        let rsa = Rsa::generate(2048).unwrap();
        let of_rsa = json!({"kid": "k", "kty": "RSA", "n": encoded(&rsa.n().to_vec()), "e": encoded(&rsa.e().to_vec())});
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let ec = EcKey::generate(&group).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        ec.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let of_ec = json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": encoded(&x.to_vec()), "y": encoded(&y.to_vec())});
        let keys =
            |key: &Value| serde_json::from_value::<KeySet>(json!({ "keys": [key] })).unwrap();
        let (rsa, ec) = (PKey::from_rsa(rsa).unwrap(), PKey::from_ec_key(ec).unwrap());

        let good = json!({"iss": "https://i", "aud": ["us", "them"], "exp": 4_000_000_000_u64});
        for (key, published, algorithm) in
            [(&rsa, &of_rsa, "RS256"), (&rsa, &of_rsa, "PS256"), (&ec, &of_ec, "ES256")]
        {
            let text = token(key, algorithm, &good);
            let verify = |text: &str, published: &Value| {
                Token::parse(text)
                    .map(|token| token.verify(&SignedBy::Published(&keys(published)), &wanted()))
            };
            assert_eq!(verify(&text, published), Some(Ok(wanted().roles)), "{algorithm}");
            let (signed, signature) = text.rsplit_once('.').unwrap();
            let other = encoded(
                json!({"iss": "https://i", "aud": "us", "exp": 4_000_000_001_u64})
                    .to_string()
                    .as_bytes(),
            );
            let forged = format!("{}.{other}.{signature}", signed.split_once('.').unwrap().0);
            assert_eq!(verify(&forged, published), Some(Err("its signature is wrong")));
            let elsewhere =
                json!({"kid": "another", "kty": "RSA", "n": published["n"], "e": published["e"]});
            assert_eq!(verify(&text, &elsewhere), Some(Err("its key is not one of the issuer's")));
        }
        for (claims, expected) in [
            (
                json!({"iss": "https://j", "aud": "us", "exp": 4_000_000_000_u64}),
                "another issuer made it",
            ),
            (json!({"iss": "https://i", "aud": "us", "exp": 1}), "it has expired"),
            (json!({"iss": "https://i", "aud": "us"}), "it has expired"),
            (
                json!({"iss": "https://i", "aud": "us", "exp": 4_000_000_000_u64, "nbf": 3_999_999_000_u64}),
                "it is not valid yet",
            ),
            (
                json!({"iss": "https://i", "aud": "them", "exp": 4_000_000_000_u64}),
                "it is meant for another audience",
            ),
        ] {
            let text = token(&rsa, "RS256", &claims);
            assert_eq!(
                Token::parse(&text)
                    .unwrap()
                    .verify(&SignedBy::Published(&keys(&of_rsa)), &wanted()),
                Err(expected)
            );
        }
        // Signed with what everybody knows, or not at all.
        for algorithm in ["HS256", "none"] {
            let text = token(&rsa, algorithm, &good);
            assert!(
                Token::parse(&text)
                    .unwrap()
                    .verify(&SignedBy::Published(&keys(&of_rsa)), &wanted())
                    .is_err(),
                "{algorithm}"
            );
        }
        for broken in ["", "a.b", "a.b.c", "e30.e30.", "..", "e30.e30.e30"] {
            assert!(Token::parse(broken).is_none(), "{broken}");
        }
    }
}
