//! `source:`, the topic that a pipeline reads.

mod kafka; // settings that are passed on
mod security; // TLS and logging in

use std::time::Duration;

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value, hours, milliseconds};
use super::parse::Section;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// Where records come from.
#[derive(Clone, Default, PartialEq)]
pub struct Source {
    pub topic: String,
    pub group: String,
    /// Partitions that the topic gets when it is created.
    pub partitions: i32,
    /// How long the topic keeps records when it is created; None leaves it to the log.
    pub retention: Option<Duration>,
    /// The record's field whose value keys a message that ingestion or the generator sends.
    pub key: Option<String>,
    pub format: Format,
    /// A record that is a JSON string is read as the JSON that the string holds.
    pub unwrap_strings: bool,
    /// A longer record is a reject that keeps its first 64 KiB and its digest.
    pub max_record_bytes: usize,
    /// Deeper nesting is a reject.
    pub max_depth: usize,
    /// `instance:`, the static group member's name; None leaves it to the worker to find one, see
    /// `worker/membership.rs`.
    pub instance_id: Option<String>,
    /// Without a heartbeat for so long, the group gives the partitions to others.
    pub session_timeout: Duration,
    /// librdkafka settings passed through: `security.protocol`, `sasl.*`, `ssl.*` and others. One
    /// whose value is empty is left out.
    pub kafka: Vec<(String, String)>,
}

/// What a record's bytes are; `stages/src/decode/formats` reads each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
}

impl Format {
    /// The words of the file.
    const WORDS: &[&str] = &["json"];

    fn of_word(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Source {
    /// Without the values of the Kafka settings, which may hold passwords: secrets are never
    /// printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("topic", &self.topic)
            .field("group", &self.group)
            .field("partitions", &self.partitions)
            .field("kafka", &self.kafka.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "source",
        about: "the topic that the pipeline reads, and how it reads it",
        presence: Presence::Required,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "source",
    keys: &[
        Key {
            name: "topic",
            about: "the topic's name",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "group",
            about: "the consumer group's name; without it, the pipeline's name",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "partitions",
            about: "how many partitions the topic gets when it is created",
            presence: Presence::Default("4"),
            value: Value::Integer { minimum: 1, maximum: 10_000 },
        },
        Key {
            name: "retention",
            about: "how long the topic keeps its records when it is created, such as 7d; without \
                it the log decides",
            presence: Presence::Optional,
            value: Value::Duration { minimum: milliseconds(1000), maximum: hours(24 * 36_500) },
        },
        Key {
            name: "key",
            about: "the record's field whose value keys a message that ingestion or the generator \
                sends, so that its records keep their order",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "format",
            about: "what a record's bytes are",
            presence: Presence::Default("json"),
            value: Value::Word(Format::WORDS),
        },
        Key {
            name: "unwrap_strings",
            about: "a record that is a JSON string is read as the JSON that the string holds",
            presence: Presence::Default("false"),
            value: Value::Boolean,
        },
        Key {
            name: "max_record_bytes",
            about: "a longer record is a reject that keeps its first 64 KiB and its digest",
            presence: Presence::Default("1 MiB"),
            value: Value::Bytes { minimum: 64, maximum: 100 << 20 },
        },
        Key {
            name: "max_depth",
            about: "a record whose objects and lists nest deeper is a reject",
            presence: Presence::Default("64"),
            value: Value::Integer { minimum: 1, maximum: 256 },
        },
        Key {
            name: "instance",
            about: "this process's own name in the group: it keeps its partitions over any restart \
                that is shorter than `session_timeout`, also a clean one; without it duto finds a \
                name, and a clean stop hands the partitions over",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "session_timeout",
            about: "without a heartbeat for so long, the group gives the partitions to others; \
                without it 9 s, or 45 s with `instance`",
            presence: Presence::Optional,
            value: Value::Duration { minimum: milliseconds(1000), maximum: hours(1) },
        },
        Key {
            name: "kafka",
            about: "librdkafka settings, such as security.protocol, sasl.mechanism or \
                ssl.ca.location; one whose value is empty is left out, and those of TLS and SASL \
                that contradict each other are refused",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } }),
            ),
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("source") else { return };
    let topic = fields.text("topic");
    check_topic(&fields, "topic");
    let instance_id = fields.text("instance");
    pipeline.source = Source {
        topic: topic.unwrap_or_default(),
        group: fields.text("group").unwrap_or_else(|| pipeline.name.clone()),
        partitions: fields.integer("partitions").unwrap_or_default(),
        retention: fields.duration("retention"),
        key: fields.text("key"),
        format: fields.word("format").and_then(Format::of_word).unwrap_or_default(),
        unwrap_strings: fields.boolean("unwrap_strings").unwrap_or_default(),
        max_record_bytes: fields.bytes("max_record_bytes").unwrap_or_default(),
        max_depth: fields.integer("max_depth").unwrap_or_default(),
        session_timeout: fields
            .duration("session_timeout")
            .unwrap_or_else(|| session_timeout(instance_id.is_some())),
        instance_id,
        kafka: kafka::read(&fields),
    };
}

/// Others have a dead worker's partitions after this time, less than a heartbeat of it, and the
/// rebalance: ten seconds in all. Who gives a process a name of its own wants it to be waited for.
fn session_timeout(has_own_name: bool) -> Duration {
    Duration::from_secs(if has_own_name { 45 } else { 9 })
}

/// Reports a topic's name that Kafka would not take, behind this key.
pub(super) fn check_topic(fields: &Fields<'_, '_>, key: &'static str) {
    if let (Some(topic), Some(node)) = (fields.text(key), fields.value(key))
        && !is_topic(&topic)
    {
        let message = format!("{} is not a name for a topic", fields.walk().quote(node.span));
        let problem = Problem::new("source.topic.invalid", node.span, message);
        fields.walk().report(problem.help(
            "letters, digits, `.`, `_` and `-`, at most 249, and neither `.` nor `..` alone",
        ));
    }
}

/// Kafka's own rule.
fn is_topic(topic: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    topic.len() <= 249 && topic != "." && topic != ".." && topic.bytes().all(allowed)
}
