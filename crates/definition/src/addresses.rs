//! What `deliver:` and `pull:` declare alike: an address, and headers whose values no message
//! quotes, as they may be secrets.

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::Problem;
use super::keys::Value;
use super::walk::Fields;

/// The value of a `headers` key.
pub const HEADERS: Value = Value::Other(
    || json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } }),
);

/// Reports an address that is none.
pub fn check_url(fields: &Fields<'_, '_>) {
    if let (Some(url), Some(node)) = (fields.text("url"), fields.value("url"))
        && !is_http(&url)
    {
        let message = format!("{} is not an http:// or https:// address", fields.named("url"));
        let problem = fields.walk().value_problem("http.url.invalid", node, message);
        let has_help = problem.help.is_some();
        fields.walk().report(if has_help {
            problem
        } else {
            problem.help("for example http://127.0.0.1:8000/produto/scheduler")
        });
    }
}

/// The headers that have a value. `own` are those that a request sets by itself, in lower case.
pub fn read_headers(fields: &Fields<'_, '_>, own: &[&str]) -> Vec<(String, String)> {
    let walk = fields.walk();
    let entries = fields
        .value("headers")
        .and_then(|node| walk.entries(&fields.named("headers"), node))
        .unwrap_or_default();
    let invalid = "http.header.invalid";
    let mut headers = Vec::new();
    for entry in entries {
        let named = fields.named(&format!("headers.{}", entry.key));
        if own.contains(&entry.key.to_ascii_lowercase().as_str()) {
            walk.report(Problem::new(
                "http.header.reserved",
                entry.key_span,
                format!("{named}: a request sets this one itself"),
            ));
            continue;
        }
        if HeaderName::from_bytes(entry.key.as_bytes()).is_err() {
            walk.report(Problem::new(
                invalid,
                entry.key_span,
                format!("{} is not a header's name", walk.quote(entry.key_span)),
            ));
            continue;
        }
        if entry.value.is_unset() {
            continue;
        }
        let Some(scalar) = walk.scalar(&named, &entry.value) else { continue };
        let text = scalar.value.text.trim();
        match HeaderValue::from_str(text) {
            Ok(_) if text.is_empty() => {}
            Ok(_) => headers.push((entry.key.clone(), text.to_owned())),
            Err(_) => walk.report(walk.value_problem(
                invalid,
                &entry.value,
                format!("{named} is not a header's value"),
            )),
        }
    }
    headers
}

/// The library mends what it reads (`http:///x` becomes the host `x`, a blank `%20`): what needs
/// mending is a slip of the pen here.
fn is_http(url: &str) -> bool {
    let has_host =
        url.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\', '?', '#']));
    has_host
        && !url.contains(char::is_whitespace)
        && Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::is_http;

    #[test]
    fn addresses() {
        for url in [
            "http://127.0.0.1:8000/produto/scheduler",
            "https://api.example",
            "http://[::1]/x",
            "http://a/b?from=file:///c",
            "HTTP://a",
        ] {
            assert!(is_http(url), "{url}");
        }
        for url in [
            "127.0.0.1:8000",
            "http://",
            "http:///x",
            "http:a",
            "http://?x",
            "ftp://x",
            "http://a b",
            "http://a/b c",
            " http://a",
            "",
        ] {
            assert!(!is_http(url), "{url}");
        }
    }
}
