//! `source.kafka:`, settings of librdkafka: which are not the file's to choose.

use super::security;
use crate::Problem;
use crate::walk::Fields;

/// librdkafka settings that are not the file's to choose: the delivery promise rests on the values
/// that duto gives them. A name that ends in `*` stands for all that begin so.
const RESERVED: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.*",
    "auto.offset.reset",
    "consume.callback.max.messages",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.*",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.poll.interval.ms",
    "offset.store.*",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "session.timeout.ms",
    "transactional.id",
];

pub(super) fn read(fields: &Fields<'_, '_>) -> Vec<(String, String)> {
    let walk = fields.walk();
    let entries = fields
        .value("kafka")
        .and_then(|node| walk.entries("source.kafka", node))
        .unwrap_or_default();
    let mut settings = Vec::new();
    for entry in entries {
        if is_reserved(&entry.key) {
            let problem = Problem::new(
                "source.kafka.reserved",
                entry.key_span,
                format!("{} is not the file's to choose", entry.key),
            );
            walk.report(problem.help(
                "the delivery promise rests on the value that duto gives it; take the line away",
            ));
        }
        if entry.value.is_unset() {
            continue;
        }
        if let Some(scalar) = walk.scalar(&format!("source.kafka.{}", entry.key), &entry.value) {
            settings.push((entry.key.clone(), scalar.value.text.clone()));
        }
    }
    security::check(walk, entries);
    settings
}

fn is_reserved(setting: &str) -> bool {
    RESERVED.iter().any(|reserved| match reserved.strip_suffix('*') {
        Some(beginning) => setting.starts_with(beginning),
        None => setting == *reserved,
    })
}
