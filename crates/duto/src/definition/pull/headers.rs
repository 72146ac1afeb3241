//! `headers:` of a pull. No message quotes a value: it may be a secret.

use reqwest::header::{HeaderName, HeaderValue};

use crate::definition::Problem;
use crate::definition::walk::Fields;

/// Headers that a request has by itself.
const RESERVED: [&str; 5] = ["host", "content-length", "if-none-match", "connection", "transfer-encoding"];

/// Those that have a value.
pub fn read(pull: &Fields<'_, '_>, title: &str) -> Vec<(String, String)> {
    let walk = pull.walk();
    let entries = pull.value("headers").and_then(|node| walk.entries(&format!("{title}.headers"), node)).unwrap_or_default();
    let mut headers = Vec::new();
    for entry in entries {
        let named = format!("{title}.headers.{}", entry.key);
        if RESERVED.contains(&entry.key.to_ascii_lowercase().as_str()) {
            walk.report(Problem::new("pull.header.reserved", entry.key_span, format!("{named}: a request sets this one itself")));
            continue;
        }
        if HeaderName::from_bytes(entry.key.as_bytes()).is_err() {
            walk.report(Problem::new(
                "pull.header.invalid",
                entry.key_span,
                format!("{} is not a header's name", walk.quote(entry.key_span)),
            ));
            continue;
        }
        if entry.value.is_unset() {
            continue;
        }
        let Some(scalar) = walk.scalar(&named, &entry.value) else { continue };
        match HeaderValue::from_str(&scalar.value.text) {
            Ok(_) => headers.push((entry.key.clone(), scalar.value.text.clone())),
            Err(_) => walk.report(walk.value_problem("pull.header.invalid", &entry.value, format!("{named} is not a header's value"))),
        }
    }
    headers
}
