//! `ingest:`, HTTP endpoints that put a body on a topic.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::keys::{Key, Keys, Presence, Value, hours, milliseconds};
use super::parse::Section;
use super::record::{read_record, record_schema};
use super::schema::keys_schema;
use super::source::check_topic;
use super::suggest::{did_you_mean, did_you_mean_or_list};
use super::walk::{Fields, Walk, sql};
use super::yaml::Entry;
use super::{Kind, Pipeline, Problem, RecordDefinition, Span, SqlText};

/// An endpoint that takes records.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestEndpoint {
    /// Upper case, for example `POST`.
    pub method: String,
    pub path: String,
    /// What it is for, for its documentation.
    pub description: Option<String>,
    /// Another topic than the pipeline's own.
    pub topic: Option<String>,
    /// What a body must look like, where it is not the pipeline's own record.
    pub record: Option<RecordDefinition>,
    /// The field whose value keys the message; without it the pipeline's own key, if the record is
    /// its own.
    pub key: Option<String>,
    /// Of the answer to a body of one record that is accepted.
    pub status: u16,
    /// A SELECT from the record, whose columns are the answer's keys, or one expression.
    pub answer: Option<SqlText>,
    /// Answered when the record is in the tables, not when it is in the log.
    pub stored: bool,
    /// How long a request waits to be answered.
    pub timeout: Duration,
    pub max_body_bytes: Option<usize>,
    pub span: Span,
}

impl IngestEndpoint {
    /// `POST /orders`, as the file calls it.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

const METHODS: [&str; 2] = ["POST", "PUT"];
/// Paths that the server answers itself.
const TAKEN: [&str; 3] = ["/", "/health", "/metrics"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "ingest",
        about: "HTTP endpoints that put a body on a topic, each `METHOD /path: {}`",
        presence: Presence::Optional,
        value: Value::Other(schema),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "an endpoint",
    keys: &[
        Key {
            name: "description",
            about: "what it is for, for its documentation",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "topic",
            about: "the topic that gets the bodies; without it the one that the pipeline reads",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "record",
            about: "what a body must look like, where it goes to another topic; without it the \
                pipeline's own record",
            presence: Presence::Optional,
            value: Value::Other(record_schema),
        },
        Key {
            name: "key",
            about: "the field whose value keys the message; without it source.key",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "status",
            about: "the status of the answer to one record that is accepted: 200, 201 or 202; 202 \
                unless `stored` makes it 200",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 200, maximum: 202 },
        },
        Key {
            name: "answer",
            about: "a SELECT from the record whose columns are the answer's keys; a nested SELECT \
                without FROM is an object",
            presence: Presence::Optional,
            value: Value::Sql,
        },
        Key {
            name: "stored",
            about: "answer when the record is in the tables: a repeat of an Idempotency-Key gets \
                the first answer and writes nothing",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
        Key {
            name: "timeout",
            about: "how long a request waits before it is told to come back",
            presence: Presence::Default("30s"),
            value: Value::Duration { minimum: milliseconds(1), maximum: hours(1) },
        },
        Key {
            name: "max_body",
            about: "a longer body is refused with 413; without it 64 times source.max_record_bytes",
            presence: Presence::Optional,
            value: Value::Bytes { minimum: 64, maximum: 1 << 30 },
        },
    ],
    later: &[],
    note: "",
};

fn schema() -> Json {
    let mut endpoint = keys_schema(&KEYS);
    endpoint["type"] = json!(["object", "null"]);
    json!({ "type": "object", "patternProperties": { "^(POST|PUT) \
        /": endpoint }, "additionalProperties": false })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("ingest").and_then(|node| walk.entries("ingest", node)).unwrap_or_default();
    for entry in entries {
        let Some(fields) =
            walk.fields(&format!("ingest.{}", entry.key), &KEYS, &entry.value, entry.key_span)
        else {
            continue;
        };
        match method_and_path(&entry.key) {
            Ok((method, path)) => {
                let is_same = |other: &IngestEndpoint| other.method == method && other.path == path;
                if pipeline.ingest.iter().any(is_same) {
                    let message = format!("the endpoint {method} {path} stands twice");
                    walk.report(Problem::new("ingest.endpoint.duplicate", entry.key_span, message));
                }
                let endpoint = read_endpoint(&fields, entry, method, path, pipeline);
                pipeline.ingest.push(endpoint);
            }
            Err((message, help)) => walk.report(
                Problem::new("ingest.endpoint.invalid", entry.key_span, message).help(help),
            ),
        }
    }
}

fn read_endpoint(
    fields: &Fields<'_, '_>,
    entry: &Entry,
    method: String,
    path: String,
    pipeline: &Pipeline,
) -> IngestEndpoint {
    let walk = fields.walk();
    let (topic, stored) = (fields.text("topic"), fields.boolean("stored").unwrap_or_default());
    check_topic(fields, "topic");
    let elsewhere = topic.as_ref().is_some_and(|topic| *topic != pipeline.source.topic);
    let record =
        fields.value("record").and_then(|node| read_record(walk, &fields.named("record"), node));
    if let Some(span) = fields.span("record").filter(|_| !elsewhere) {
        let problem = Problem::new(
            "ingest.record.own",
            span,
            "what goes to the pipeline's own topic has the pipeline's own record",
        );
        walk.report(problem.help("take it away, or name another topic"));
    }
    if let Some(span) = fields.span("stored").filter(|_| stored && elsewhere) {
        let problem = Problem::new(
            "ingest.stored.elsewhere",
            span,
            "only what the pipeline itself reads can be answered when it is stored",
        );
        walk.report(problem.help("take the endpoint's topic away, or stored"));
    }
    let key = fields.text("key");
    check_key(fields, key.as_deref(), record.as_ref().unwrap_or(&pipeline.record), walk);
    let answer = fields
        .entry("answer")
        .filter(|entry| !entry.value.is_unset())
        .and_then(|entry| sql(walk, &fields.named("answer"), entry));
    IngestEndpoint {
        method,
        path,
        description: fields.text("description"),
        topic: topic.filter(|_| elsewhere),
        key: key.or_else(|| pipeline.source.key.clone().filter(|_| record.is_none())),
        record,
        status: fields.integer("status").unwrap_or(if stored { 200 } else { 202 }),
        answer,
        stored,
        timeout: fields.duration("timeout").unwrap_or_default(),
        max_body_bytes: fields.bytes("max_body"),
        span: entry.key_span,
    }
}

fn check_key(
    fields: &Fields<'_, '_>,
    key: Option<&str>,
    record: &RecordDefinition,
    walk: &Walk<'_>,
) {
    let (Some(key), Some(span)) = (key, fields.span("key")) else { return };
    let is_single = record
        .fields
        .iter()
        .find(|field| field.name == key)
        .map(|field| matches!(field.kind, Kind::Scalar(_)));
    if is_single == Some(true) || record.fields.is_empty() {
        return;
    }
    let names = record.fields.iter().map(|field| field.name.as_str());
    walk.report(match is_single {
        Some(_) => Problem::new("ingest.key", span, format!("{key} is not a single value")),
        None => Problem::new("ingest.key", span, format!("unknown field \"{key}\""))
            .help(did_you_mean_or_list(key, "the fields are", names)),
    });
}

fn method_and_path(key: &str) -> Result<(String, String), (String, String)> {
    let example = || "an endpoint is a method and a path, such as `POST /orders`".to_string();
    let Some((method, path)) = key.split_once(' ') else {
        return Err((format!("\"{key}\" is not an endpoint"), example()));
    };
    let path = path.trim_start();
    if !METHODS.contains(&method) {
        let help = did_you_mean(method, METHODS)
            .unwrap_or_else(|| format!("records are taken by {}", METHODS.join(" or ")));
        return Err((format!("\"{method}\" is not a method that takes records"), help));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if !path.starts_with('/') || !path.bytes().all(allowed) {
        return Err((format!("\"{path}\" is not a path"), example()));
    }
    if TAKEN.contains(&path) {
        return Err((
            format!("the path {path} belongs to duto itself"),
            format!("taken are {}", TAKEN.join(", ")),
        ));
    }
    Ok((method.to_string(), path.to_string()))
}
