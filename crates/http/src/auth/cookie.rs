//! The cookie of a person who signed in: the key or the token itself, out of reach of scripts.

use axum::http::{HeaderMap, HeaderValue, header};

const NAME: &str = "duto-session";
/// A day's work.
const MOST_AGE_S: u32 = 12 * 3600;
/// Browsers keep no more than 4 KiB of a cookie, and each byte is two digits.
pub const MOST_BYTES: usize = 1900;

/// What a request's cookie holds.
pub fn read(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let value = cookies
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))?;
    String::from_utf8(hex::decode(value).ok()?).ok().filter(|text| !text.is_empty())
}

/// `NAME=VALUE` of this credential, whatever characters it has.
pub fn pair(credential: &str) -> String {
    format!("{NAME}={}", hex::encode(credential))
}

/// Sets it. Over TLS it never leaves in clear text.
pub fn set(credential: &str, over_tls: bool) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{}; Max-Age={MOST_AGE_S}{}",
        pair(credential),
        attributes(over_tls)
    ))
    .ok()
}

/// Takes it away.
pub fn clear(over_tls: bool) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}=; Max-Age=0{}", attributes(over_tls))).ok()
}

fn attributes(over_tls: bool) -> String {
    format!("; Path=/; HttpOnly; SameSite=Lax{}", if over_tls { "; Secure" } else { "" })
}
