//! `pull:`, HTTP endpoints that are read, each item of an answer a record.

mod cursor;

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::addresses;
use super::keys::{Key, Keys, Presence, Value, hours, milliseconds};
use super::parse::Section;
use super::schema::keys_schema;
use super::walk::{Fields, Walk};
use super::yaml::Entry;
use super::{Pipeline, Problem, Repeat};
pub use cursor::Cursor;

/// An endpoint that is read.
#[derive(Clone, PartialEq)]
pub struct Pull {
    /// Its cursor and its metrics are kept under it.
    pub name: String,
    /// None switches it off: a variable that the address came from is empty.
    pub url: Option<String>,
    /// Sent with each request. They may hold secrets.
    pub headers: Vec<(String, String)>,
    /// Where the list of items stands in an answer, key by key; nothing means that the answer is
    /// the list, or one item.
    pub items: Vec<String>,
    /// How the next request knows what the answers so far held; None reads the whole answer each
    /// time.
    pub cursor: Option<Cursor>,
    /// The pause behind an answer with nothing new.
    pub interval: Duration,
    /// How long an answer may take, to its last byte.
    pub timeout: Duration,
    /// The first pause behind a failed request; it doubles up to `retry_backoff_max`.
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    /// A longer answer is refused.
    pub max_answer_bytes: usize,
}

impl std::fmt::Debug for Pull {
    /// Without the URL and the headers' values, which may hold secrets: they are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull")
            .field("name", &self.name)
            .field("items", &self.items)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// Headers that a request has by itself.
const OWN_HEADERS: [&str; 5] =
    ["host", "content-length", "if-none-match", "connection", "transfer-encoding"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "pull",
        about: "HTTP endpoints that are read, at an interval or page by page, each item a record \
            of the topic; the cursor is kept with the items",
        presence: Presence::Optional,
        value: Value::Other(schema),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "a pull",
    keys: &[
        Key {
            name: "url",
            about: "the address to read; one that is empty, because its variable is, switches the \
                pull off",
            presence: Presence::Optional,
            value: Value::Secret,
        },
        Key {
            name: "headers",
            about: "headers of each request, such as authorization; one whose value is empty is \
                left out",
            presence: Presence::Optional,
            value: addresses::HEADERS,
        },
        Key {
            name: "items",
            about: "where the list of items stands in an answer, such as data.events; without it \
                the answer itself is the list, or one item",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "cursor",
            about: "how the next request knows what was read; without it the whole answer is read \
                each time that its ETag is another",
            presence: Presence::Optional,
            value: Value::Keys(&cursor::KEYS),
        },
        Key {
            name: "interval",
            about: "the pause behind an answer with nothing new",
            presence: Presence::Default("30s"),
            value: Value::Duration { minimum: milliseconds(100), maximum: hours(24) },
        },
        Key {
            name: "timeout",
            about: "how long an answer may take, to its last byte",
            presence: Presence::Default("30s"),
            value: Value::Duration { minimum: milliseconds(100), maximum: hours(1) },
        },
        Key {
            name: "retry_backoff",
            about: "the first pause behind a request that failed; it doubles with each, less a \
                random part, unless the answer names one in Retry-After",
            presence: Presence::Default("1s"),
            value: Value::Duration { minimum: milliseconds(10), maximum: hours(1) },
        },
        Key {
            name: "retry_backoff_max",
            about: "the longest pause behind a request that failed",
            presence: Presence::Default("5m"),
            value: Value::Duration { minimum: milliseconds(10), maximum: hours(24) },
        },
        Key {
            name: "max_answer_bytes",
            about: "a longer answer is refused",
            presence: Presence::Default("16 MiB"),
            value: Value::Bytes { minimum: 1024, maximum: 256 << 20 },
        },
    ],
    later: &[],
    note: "",
};

fn schema() -> Json {
    json!({ "type": "object", "additionalProperties": keys_schema(&KEYS) })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    for entry in file.value("pull").and_then(|node| walk.entries("pull", node)).unwrap_or_default()
    {
        if let Some(problem) = problem_of_name(walk, entry) {
            walk.report(problem);
        }
        let Some(pull) = read_pull(walk, entry) else { continue };
        // Without a cursor that stays, an item is read again whenever the answer changes.
        let appended = pipeline.tables.iter().find(|table| table.repeat == Repeat::Append);
        if pull.cursor.is_none()
            && pipeline.once.is_none()
            && let Some(table) = appended
        {
            let message = format!(
                "pull.{} has no cursor, and table {} keeps every row (repeat: append)",
                entry.key, table.name
            );
            let help = "whatever an answer repeats would be stored again: give it a `cursor`, or \
                name the item's key in `once`";
            walk.report(Problem::new("pull.repeats", entry.key_span, message).help(help));
        }
        pipeline.pull.push(pull);
    }
}

fn read_pull(walk: &Walk<'_>, entry: &Entry) -> Option<Pull> {
    let title = format!("pull.{}", entry.key);
    let fields = walk.fields(&title, &KEYS, &entry.value, entry.key_span)?;
    if fields.entry("url").is_none() {
        let problem =
            Problem::new("file.key.missing", entry.key_span, format!("{title} has no url"));
        walk.report(problem.help(
            "url: the address to read; one that is empty, because its \
            variable is, switches the pull off",
        ));
    }
    addresses::check_url(&fields);
    let (retry_backoff, retry_backoff_max) =
        (fields.duration("retry_backoff"), fields.duration("retry_backoff_max"));
    Some(Pull {
        name: entry.key.clone(),
        url: fields.text("url"),
        headers: addresses::read_headers(&fields, &OWN_HEADERS),
        items: cursor::path(&fields, "items").unwrap_or_default(),
        cursor: cursor::read(&fields),
        interval: fields.duration("interval")?,
        timeout: fields.duration("timeout")?,
        retry_backoff: retry_backoff?,
        retry_backoff_max: retry_backoff_max?,
        max_answer_bytes: fields.bytes("max_answer_bytes")?,
    })
}

fn problem_of_name(walk: &Walk<'_>, entry: &Entry) -> Option<Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_good = !entry.key.is_empty() && entry.key.len() <= 63 && entry.key.bytes().all(allowed);
    let problem = || {
        let problem = Problem::new(
            "pull.name.invalid",
            entry.key_span,
            format!("{} is not a name for a pull", walk.quote(entry.key_span)),
        );
        problem.help("letters, digits, `_`, `-` and `.`, at most 63")
    };
    (!is_good).then(problem)
}
