//! Thousands of tokens that must not be believed, at a server that believes an issuer's keys and at
//! one that shares a secret.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use duto_definition::{Auth, Limits, Role, Tokens};
use duto_http::auth::Guard;
use duto_http::routes::Routes;
use duto_servers::ScratchFolder;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::wait_for;

const LEAST: usize = 10_000;
const SECRET: &str = "what both sides know, and nobody else";
const ISSUER: &str = "https://login.example/realms/shop";

/// Numbers that look random and are the same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(*self.of(alphabet))).collect()
    }
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encoded(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).replace('+', "-").replace('/', "_").replace('=', "")
}

/// Whoever can sign.
struct Signers {
    rsa: PKey<Private>,
    ec: PKey<Private>,
    /// Of nobody.
    stranger: PKey<Private>,
}

impl Signers {
    fn create() -> Self {
        let rsa = || PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let ec = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        Self { rsa: rsa(), ec, stranger: rsa() }
    }

    /// What the issuer publishes.
    fn key_set(&self) -> Value {
        json!({ "keys": [of_rsa(&self.rsa, "rsa"), self.of_ec()] })
    }

    fn of_ec(&self) -> Value {
        let ec = self.ec.ec_key().expect("a key");
        let (mut x, mut y) = (BigNum::new().expect("x"), BigNum::new().expect("y"));
        let mut context = BigNumContext::new().expect("a context");
        let point = ec.public_key();
        point.affine_coordinates(ec.group(), &mut x, &mut y, &mut context).expect("a point");
        json!({"kid": "ec", "kty": "EC", "crv": "P-256", "x": encoded(&x.to_vec()), "y": encoded(&y.to_vec())})
    }

    /// A token as its issuer would make it, of this algorithm.
    fn good(&self, algorithm: &str, claims: &Value) -> String {
        let header = match algorithm {
            "ES256" => json!({"alg": "ES256", "kid": "ec"}),
            "HS256" => json!({"alg": "HS256"}),
            other => json!({"alg": other, "kid": "rsa"}),
        };
        let signed = signed(&header, claims);
        let signature = match algorithm {
            "ES256" => sign_ec(&self.ec, &signed),
            "HS256" => hmac(MessageDigest::sha256(), SECRET.as_bytes(), &signed),
            "PS256" => sign_rsa(&self.rsa, Padding::PKCS1_PSS, &signed),
            _ => sign_rsa(&self.rsa, Padding::PKCS1, &signed),
        };
        format!("{signed}.{}", encoded(&signature))
    }
}

fn of_rsa(key: &PKey<Private>, kid: &str) -> Value {
    let rsa = key.rsa().expect("a key");
    json!({"kid": kid, "kty": "RSA", "n": encoded(&rsa.n().to_vec()), "e": encoded(&rsa.e().to_vec())})
}

fn signed(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn sign_rsa(key: &PKey<Private>, padding: Padding, text: &str) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
    signer.set_rsa_padding(padding).expect("a padding");
    if padding == Padding::PKCS1_PSS {
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).expect("a length");
    }
    signer.sign_oneshot_to_vec(text.as_bytes()).expect("a signature")
}

fn sign_ec(key: &PKey<Private>, text: &str) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
    let der = signer.sign_oneshot_to_vec(text.as_bytes()).expect("a signature");
    let pair = EcdsaSig::from_der(&der).expect("a signature");
    [pair.r(), pair.s()].map(|part| part.to_vec_padded(32).expect("32 bytes")).concat()
}

fn hmac(digest: MessageDigest, secret: &[u8], text: &str) -> Vec<u8> {
    let key = PKey::hmac(secret).expect("a secret");
    let mut signer = Signer::new(digest, &key).expect("a signer");
    signer.sign_oneshot_to_vec(text.as_bytes()).expect("a signature")
}

fn good_claims() -> Value {
    json!({"iss": ISSUER, "aud": ["duto", "shop"], "sub": "ana", "exp": 4_000_000_000_u64, "scope": "read"})
}

/// The same with some of them changed; null takes one away.
fn claims(changes: Value) -> Value {
    let mut all = good_claims();
    let fields = all.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    all
}

fn server(secret: Option<&str>, key_set: Option<&str>) -> Router {
    let tokens = Tokens {
        issuer: Some(ISSUER.to_owned()),
        key_set: key_set.map(str::to_owned),
        secret: secret.map(str::to_owned),
        audience: Some("duto".to_owned()),
        leeway: std::time::Duration::from_secs(60),
        roles_claim: None,
        roles: [Role::Read].into_iter().collect(),
    };
    let auth = Auth { tokens: Some(tokens), ..Auth::default() };
    let guard = Guard::new([&auth]).expect("rules");
    let routes: Routes<()> = Routes::new().get(Role::Read, "/figures", || async { "figures" });
    routes.into_router(guard.as_ref(), &Limits::default()).with_state(())
}

enum By {
    Header,
    Cookie,
}

/// What the server answers to this token.
async fn asked(server: &Router, token: &str, by: &By) -> StatusCode {
    let request = Request::get("/figures");
    let request = match by {
        // What no header can hold does not reach the server.
        By::Header => match HeaderValue::from_str(&format!("Bearer {token}")) {
            Ok(value) => request.header(header::AUTHORIZATION, value),
            Err(_) => return StatusCode::UNAUTHORIZED,
        },
        By::Cookie => {
            request.header(header::COOKIE, format!("duto-session={}", hex::encode(token)))
        }
    };
    let request = request.body(Body::empty()).expect("a request");
    server.clone().oneshot(request).await.expect("an answer").status()
}

/// Signed by nobody, or by what everybody knows.
fn not_signed(signers: &Signers, chance: &mut Chance) -> Vec<String> {
    let none = ["none", "None", "NONE", "nOnE", "", "null", "RS256", "HS256", "ES256"];
    let public = signers.rsa.rsa().expect("a key");
    let keys: Vec<Vec<u8>> = vec![
        signers.rsa.public_key_to_pem().expect("PEM"),
        public.public_key_to_pem_pkcs1().expect("PEM"),
        signers.rsa.public_key_to_der().expect("DER"),
        public.n().to_vec(),
        encoded(&public.n().to_vec()).into_bytes(),
        of_rsa(&signers.rsa, "rsa").to_string().into_bytes(),
        signers.ec.public_key_to_pem().expect("PEM"),
        signers.key_set().to_string().into_bytes(),
        b"secret".to_vec(),
        b"\0".to_vec(),
        ISSUER.as_bytes().to_vec(),
    ];
    let mut tokens = Vec::new();
    for kid in [json!("rsa"), json!("ec"), json!(null), json!("../../dev/null"), json!(7)] {
        for algorithm in none {
            let signed = signed(&json!({"alg": algorithm, "kid": kid}), &good_claims());
            tokens.push(format!("{signed}."));
            tokens.push(signed.clone());
            for length in [1, 2, 32, 43, 64, 86, 256, 342, 512] {
                tokens.push(format!("{signed}.{}", chance.text(BASE64, length)));
            }
            // A signature of zeros is good for any text where nobody looks for it.
            for zeros in [64, 96, 132, 256] {
                tokens.push(format!("{signed}.{}", encoded(&vec![0; zeros])));
            }
        }
        for key in &keys {
            for (algorithm, digest) in [
                ("HS256", MessageDigest::sha256()),
                ("HS384", MessageDigest::sha384()),
                ("HS512", MessageDigest::sha512()),
                ("RS256", MessageDigest::sha256()),
                ("ES256", MessageDigest::sha256()),
            ] {
                let signed = signed(&json!({"alg": algorithm, "kid": kid}), &good_claims());
                let signature = encoded(&hmac(digest, key, &signed));
                tokens.push(format!("{signed}.{signature}"));
            }
        }
    }
    tokens
}

/// Signed as it must be, and claiming something else than is asked for.
fn other_claims(signers: &Signers, chance: &mut Chance) -> Vec<String> {
    let mut changes: Vec<Value> = [
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": 1.5}),
        json!({"exp": "4000000000"}),
        json!({"exp": null}),
        json!({"exp": [4_000_000_000_u64]}),
        json!({"exp": true}),
        json!({"exp": {}}),
        json!({"exp": ""}),
        json!({"nbf": 3_999_999_999_u64}),
        json!({"nbf": "now"}),
        json!({"nbf": 1e300}),
        json!({"nbf": []}),
        json!({"aud": null}),
        json!({"aud": ""}),
        json!({"aud": []}),
        json!({"aud": "Duto"}),
        json!({"aud": "duto "}),
        json!({"aud": " duto"}),
        json!({"aud": "duto2"}),
        json!({"aud": "dut"}),
        json!({"aud": "shop"}),
        json!({"aud": ["shop", "other"]}),
        json!({"aud": {"duto": true}}),
        json!({"aud": [["duto"]]}),
        json!({"aud": 7}),
        json!({"aud": true}),
        json!({"aud": "*"}),
        json!({"aud": "duto,shop"}),
        json!({"iss": null}),
        json!({"iss": ""}),
        json!({"iss": "https://login.example/realms/shop/"}),
        json!({"iss": "https://login.example"}),
        json!({"iss": "http://login.example/realms/shop"}),
        json!({"iss": "https://login.example/realms/other"}),
        json!({"iss": [ISSUER]}),
        json!({"iss": "https://login.example/realms/shop#"}),
        json!({"iss": {"0": ISSUER}}),
        json!({"iss": 7}),
    ]
    .to_vec();
    for _ in 0..260 {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        changes.push(match chance.below(4) {
            0 => json!({"exp": now - 62 - chance.next() % 1_000_000_000}),
            1 => json!({"nbf": now + 3600 + chance.next() % 1_000_000_000}),
            2 => json!({"aud": chance.text(b"dutosh -", 4).replace("duto", "shop")}),
            _ => json!({"iss": format!("{ISSUER}{}", chance.text(BASE64, 3))}),
        });
    }
    let algorithms = ["RS256", "PS256", "ES256", "HS256"];
    let sign = |change: &Value| {
        algorithms.map(|algorithm| signers.good(algorithm, &claims(change.clone())))
    };
    changes.iter().flat_map(sign).collect()
}

/// Signed by somebody, but not as their heads say.
fn swapped(signers: &Signers, good: &[String]) -> Vec<String> {
    let mut tokens = Vec::new();
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256",
        "HS384", "HS512", "none", "rs256", "RS256 ", "EdDSA", "RS1", "RS", "R", "ES256K", "ÄS256",
        "é", "RSA-OAEP", "dir", "A256GCM",
    ];
    let kids = ["rsa", "ec", "RSA", "", "other", "rsa\0", "0", "keys[0]"];
    let foreign = of_rsa(&signers.stranger, "rsa");
    for algorithm in algorithms {
        for kid in kids {
            let plain = json!({"alg": algorithm, "kid": kid});
            let embedded = json!({"alg": algorithm, "kid": kid, "jwk": foreign, "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/x"});
            for header in [plain, embedded] {
                let text = signed(&header, &good_claims());
                // What nobody published.
                let by = |padding| encoded(&sign_rsa(&signers.stranger, padding, &text));
                tokens.push(format!("{text}.{}", by(Padding::PKCS1)));
                tokens.push(format!("{text}.{}", by(Padding::PKCS1_PSS)));
                // What was published, for something else.
                if (algorithm, kid) != ("RS256", "rsa") {
                    let signature = sign_rsa(&signers.rsa, Padding::PKCS1, &text);
                    tokens.push(format!("{text}.{}", encoded(&signature)));
                }
                if (algorithm, kid) != ("ES256", "ec") {
                    tokens.push(format!("{text}.{}", encoded(&sign_ec(&signers.ec, &text))));
                }
            }
        }
    }
    // What a head asks for has to be understood.
    for header in [
        json!({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}),
        json!({"alg": "RS256", "kid": "rsa", "crit": [], "b64": false}),
        json!({"alg": "RS256", "kid": "rsa", "crit": ["http://openbanking.example/iat"]}),
    ] {
        let text = signed(&header, &good_claims());
        tokens.push(format!("{text}.{}", encoded(&sign_rsa(&signers.rsa, Padding::PKCS1, &text))));
    }
    // In DER, as it stands in certificates.
    let text = signed(&json!({"alg": "ES256", "kid": "ec"}), &good_claims());
    let mut signer = Signer::new(MessageDigest::sha256(), &signers.ec).expect("a signer");
    let der = signer.sign_oneshot_to_vec(text.as_bytes()).expect("a signature");
    tokens.push(format!("{text}.{}", encoded(&der)));
    // With zeros before its numbers.
    let pair = sign_ec(&signers.ec, &text);
    let (r, s) = pair.split_at(32);
    tokens.push(format!("{text}.{}", encoded(&[&[0], r, &[0], s].concat())));
    // The head of one, the claims of another, the signature of a third.
    let parts: Vec<Vec<&str>> = good.iter().map(|token| token.split('.').collect()).collect();
    for one in &parts {
        for other in &parts {
            for third in &parts {
                if one != other || other != third {
                    tokens.push(format!("{}.{}.{}", one[0], other[1], third[2]));
                }
            }
        }
    }
    let whole: std::collections::HashSet<&String> = good.iter().collect();
    tokens.retain(|token| !whole.contains(token));
    tokens
}

/// A good one that was cut, stretched or written in another way.
fn misshapen(good: &[String]) -> Vec<String> {
    let mut tokens: Vec<String> = [
        "",
        ".",
        "..",
        "...",
        "e30.e30.",
        "e30.e30.e30",
        "a.b.c",
        "null",
        "true",
        "[]",
        "{}",
        "Bearer",
        "undefined",
        "AAAA.AAAA.AAAA",
        "bnVsbA.bnVsbA.bnVsbA",
        "W10.W10.W10",
        "IiI.IiI.IiI",
        "MQ.MQ.MQ",
    ]
    .map(str::to_owned)
    .to_vec();
    let deep = encoded(("[".repeat(3000) + &"]".repeat(3000)).as_bytes());
    tokens.push(format!("{deep}.{deep}.AAAA"));
    for token in good {
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{token} has three parts") };
        for length in 0..signature.len() {
            tokens.push(format!("{head}.{claims}.{}", &signature[..length]));
        }
        for length in (0..token.len()).step_by(3) {
            tokens.push(token[..length].to_owned());
            tokens.push(token[length + 1..].to_owned());
        }
        for (before, after) in [
            ("", "="),
            ("", "=="),
            ("", "."),
            ("", ".x"),
            (".", ""),
            ("", "A"),
            ("", "AAAA"),
            ("", "\u{7f}"),
            ("=", ""),
            ("", ","),
            ("\"", "\""),
            ("'", "'"),
            ("", ";"),
            ("Bearer ", ""),
            ("", "%00"),
            ("", "\u{e9}"),
            ("", " x"),
        ] {
            tokens.push(format!("{before}{token}{after}"));
        }
        tokens.push(token.replace('-', "+").replace('_', "/") + "=");
        tokens.push(token.replace('.', ". "));
        tokens.push(token.replace('.', ".."));
        tokens.push(format!("{head}.{head}.{claims}.{signature}"));
        tokens.push(format!("{head}.{claims}.{signature}.{signature}.{signature}"));
        tokens.push(format!("{head}.{claims}.{}", signature.repeat(2)));
        // The last digit has bits that nothing is made of.
        for digit in BASE64 {
            let changed = format!("{}{}", &token[..token.len() - 1], char::from(*digit));
            if changed != *token {
                tokens.push(changed);
            }
        }
        for kilobytes in [8, 16, 64, 1024] {
            tokens.push(format!("{head}.{claims}.{}", "A".repeat(kilobytes * 1024)));
            tokens.push(format!("{head}.{}.{signature}", "A".repeat(kilobytes * 1024)));
            tokens.push(token.repeat(kilobytes));
        }
    }
    tokens
}

/// A good one with a few characters changed, put in, or taken out.
fn mutated(good: &[String], chance: &mut Chance, count: usize) -> Vec<String> {
    let visible: Vec<u8> = (0x21..0x7f).collect();
    (0..count)
        .filter_map(|_| {
            let token = chance.of(good).clone();
            let mut bytes = token.clone().into_bytes();
            for _ in 0..=chance.below(4) {
                let at = chance.below(bytes.len());
                match chance.below(5) {
                    0 => bytes[at] = *chance.of(BASE64),
                    1 => bytes[at] = *chance.of(&visible),
                    2 => bytes.insert(at, *chance.of(BASE64)),
                    3 => drop(bytes.remove(at)),
                    _ => {
                        let other = chance.below(bytes.len());
                        bytes.swap(at, other);
                    }
                }
            }
            let changed = String::from_utf8(bytes).expect("ASCII");
            (changed != token).then_some(changed)
        })
        .collect()
}

#[test]
fn no_token_gets_in_but_those_that_the_issuer_signed_for_us() {
    wait_for(async {
        let folder = ScratchFolder::create("tokens").expect("a folder");
        let signers = Signers::create();
        let file = folder.path().join("keys.json");
        std::fs::write(&file, signers.key_set().to_string()).expect("a file");
        let by_keys = server(None, Some(&file.display().to_string()));
        let by_secret = server(Some(SECRET), None);
        let published = ["RS256", "PS256", "ES256"];
        let good: Vec<String> = ["RS256", "PS256", "ES256", "HS256"]
            .iter()
            .map(|algorithm| signers.good(algorithm, &good_claims()))
            .collect();
        let good_ones_get_in = async || {
            for (token, algorithm) in good.iter().zip(["RS256", "PS256", "ES256", "HS256"]) {
                for by in [By::Header, By::Cookie] {
                    let is_published = published.contains(&algorithm);
                    let expected = |gets_in| {
                        if gets_in { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
                    };
                    let answers =
                        (asked(&by_keys, token, &by).await, asked(&by_secret, token, &by).await);
                    assert_eq!(
                        answers,
                        (expected(is_published), expected(!is_published)),
                        "{algorithm}"
                    );
                }
            }
        };
        good_ones_get_in().await;

        let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
        let mut tokens = not_signed(&signers, &mut chance);
        tokens.extend(other_claims(&signers, &mut chance));
        tokens.extend(swapped(&signers, &good));
        tokens.extend(misshapen(&good));
        tokens.extend(mutated(&good, &mut chance, 6000));
        assert!(tokens.len() > LEAST, "only {} tokens", tokens.len());
        for (number, token) in tokens.iter().enumerate() {
            let by = if number % 4 == 0 { By::Cookie } else { By::Header };
            for (server, name) in [(&by_keys, "published keys"), (&by_secret, "a secret")] {
                let status = asked(server, token, &by).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "by {name}: {token:.2000}");
            }
        }
        // Bytes that are no text.
        for byte in 0x80..=0xff {
            let value =
                HeaderValue::from_bytes(&[b"Bearer ", good[0].as_bytes(), &[byte]].concat());
            let request = Request::get("/figures")
                .header(header::AUTHORIZATION, value.expect("a header"))
                .body(Body::empty())
                .expect("a request");
            let answer = by_keys.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{byte:x}");
        }
        good_ones_get_in().await;
        println!("{} tokens, none got in", tokens.len());
    });
}
