//! `ingest:`, HTTP endpoints that put a body on the topic.

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::suggest::did_you_mean;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// An endpoint that takes records.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestEndpoint {
    /// Upper case, for example `POST`.
    pub method: String,
    pub path: String,
}

const METHODS: [&str; 2] = ["POST", "PUT"];
/// Paths that the server answers itself.
const TAKEN: [&str; 3] = ["/", "/health", "/metrics"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "ingest",
        about: "HTTP endpoints that put a body on the topic, each `METHOD /path: {}`",
        presence: Presence::Optional,
        value: Value::Other(|| {
            json!({
                "type": "object",
                "patternProperties": { "^(POST|PUT) /": { "type": ["object", "null"], "additionalProperties": false } },
                "additionalProperties": false,
            })
        }),
    },
    read,
};

/// An endpoint has no settings yet.
static KEYS: Keys = Keys { of: "an endpoint", keys: &[], later: &["stored", "status", "answer"], note: "" };

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries = file.value("ingest").and_then(|node| walk.entries("ingest", node)).unwrap_or_default();
    for entry in entries {
        walk.fields(&format!("ingest.{}", entry.key), &KEYS, &entry.value, entry.key_span);
        match endpoint(&entry.key) {
            Ok(endpoint) if pipeline.ingest.contains(&endpoint) => {
                let message = format!("the endpoint {} {} stands twice", endpoint.method, endpoint.path);
                walk.report(Problem::new("ingest.endpoint.duplicate", entry.key_span, message));
            }
            Ok(endpoint) => pipeline.ingest.push(endpoint),
            Err((message, help)) => walk.report(Problem::new("ingest.endpoint.invalid", entry.key_span, message).help(help)),
        }
    }
}

fn endpoint(key: &str) -> Result<IngestEndpoint, (String, String)> {
    let example = || "an endpoint is a method and a path, such as `POST /orders`".to_string();
    let Some((method, path)) = key.split_once(' ') else { return Err((format!("\"{key}\" is not an endpoint"), example())) };
    let path = path.trim_start();
    if !METHODS.contains(&method) {
        let help = did_you_mean(method, METHODS).unwrap_or_else(|| format!("records are taken by {}", METHODS.join(" or ")));
        return Err((format!("\"{method}\" is not a method that takes records"), help));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if !path.starts_with('/') || !path.bytes().all(allowed) {
        return Err((format!("\"{path}\" is not a path"), example()));
    }
    if TAKEN.contains(&path) {
        return Err((format!("the path {path} belongs to duto itself"), format!("taken are {}", TAKEN.join(", "))));
    }
    Ok(IngestEndpoint { method: method.to_string(), path: path.to_string() })
}
