//! `deliver:`, an HTTP call for each record.

use std::time::Duration;

use serde_json::json;

use super::addresses;
use super::keys::{Key, Keys, Presence, Value, hours, milliseconds};
use super::parse::Section;
use super::schema::keys_schema;
use super::walk::{Fields, Walk, sql};
use super::yaml::Entry;
use super::{Pipeline, Span, SqlText};

/// One call a record, or one a row of its SELECT.
#[derive(Clone, PartialEq)]
pub struct Deliver {
    /// The calls' Idempotency-Keys are made with it: another name calls anew.
    pub name: String,
    pub url: String,
    /// Upper case, for example `POST`.
    pub method: String,
    /// Beside Content-Type and Idempotency-Key; one whose value is empty is left out.
    pub headers: Vec<(String, String)>,
    /// A SELECT from the record, whose columns are the body's keys, or one expression over the
    /// record.
    pub body: SqlText,
    /// Calls that may be open at once, for each load connection. Those of one key follow each
    /// other.
    pub concurrency: usize,
    /// How long one call may take.
    pub timeout: Duration,
    /// The first pause between tries; it doubles up to `retry_backoff_max`.
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub span: Span,
}

impl std::fmt::Debug for Deliver {
    /// Without the URL and the headers' values, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliver")
            .field("name", &self.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Headers that every call gets from duto itself.
const OWN_HEADERS: [&str; 4] = ["idempotency-key", "content-type", "content-length", "host"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "deliver",
        about: "HTTP calls: each a name and the call that every record makes; the position moves \
            only past what was answered 2xx or rejected",
        presence: Presence::Optional,
        value: Value::Other(
            || json!({ "type": "object", "additionalProperties": keys_schema(&KEYS) }),
        ),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "a call",
    keys: &[
        Key {
            name: "url",
            about: "where the call goes, http:// or https://",
            presence: Presence::Required,
            value: Value::Secret,
        },
        Key {
            name: "method",
            about: "the call's method",
            presence: Presence::Default("POST"),
            value: Value::Word(&["POST", "PUT", "PATCH"]),
        },
        Key {
            name: "headers",
            about: "headers of the call, such as Authorization; one whose value is empty is left \
                out",
            presence: Presence::Optional,
            value: addresses::HEADERS,
        },
        Key {
            name: "body",
            about: "a SELECT from the record whose columns are the body's keys; a nested SELECT \
                without FROM is an object",
            presence: Presence::Required,
            value: Value::Sql,
        },
        Key {
            name: "concurrency",
            about: "calls that may be open at once, for each of batch.workers; those of one \
                message key follow each other",
            presence: Presence::Default("16"),
            value: Value::Integer { minimum: 1, maximum: 1024 },
        },
        Key {
            name: "timeout",
            about: "how long one call may take before it is tried again",
            presence: Presence::Default("10s"),
            value: Value::Duration { minimum: milliseconds(1), maximum: hours(1) },
        },
        Key {
            name: "retry_backoff",
            about: "the first pause before a call is tried again; it doubles each time, with \
                jitter",
            presence: Presence::Default("500ms"),
            value: Value::Duration { minimum: milliseconds(1), maximum: hours(1) },
        },
        Key {
            name: "retry_backoff_max",
            about: "the longest pause; Retry-After is honoured beyond it",
            presence: Presence::Default("30s"),
            value: Value::Duration { minimum: milliseconds(1), maximum: hours(24) },
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("deliver").and_then(|node| walk.entries("deliver", node)).unwrap_or_default();
    for entry in entries {
        pipeline.deliver.extend(read_one(walk, entry));
    }
}

fn read_one(walk: &Walk<'_>, entry: &Entry) -> Option<Deliver> {
    let title = format!("deliver.{}", entry.key);
    let fields = walk.fields(&title, &KEYS, &entry.value, entry.key_span)?;
    addresses::check_url(&fields);
    let body = fields
        .entry("body")
        .filter(|entry| !entry.value.is_unset())
        .and_then(|entry| sql(walk, &fields.named("body"), entry));
    Some(Deliver {
        name: entry.key.clone(),
        url: fields.text("url")?,
        method: fields.word("method").unwrap_or("POST").to_owned(),
        headers: addresses::read_headers(&fields, &OWN_HEADERS),
        body: body?,
        concurrency: fields.integer("concurrency").unwrap_or(1),
        timeout: fields.duration("timeout").unwrap_or_default(),
        retry_backoff: fields.duration("retry_backoff").unwrap_or_default(),
        retry_backoff_max: fields.duration("retry_backoff_max").unwrap_or_default(),
        span: entry.key_span,
    })
}
