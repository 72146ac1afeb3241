//! The vocabulary of the file as data. What is read and what the JSON Schema says come from the
//! same tables.

use std::time::Duration;

/// The keys of one mapping.
pub(super) struct Keys {
    /// What they are keys of, for messages: `source`.
    pub of: &'static str,
    pub keys: &'static [Key],
    /// Keys that belong to the language but not to this version: they are refused, so that nobody
    /// believes that they work.
    pub later: &'static [&'static str],
    /// What a message adds to the list of the keys.
    pub note: &'static str,
}

/// One key.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub name: &'static str,
    /// One sentence for the JSON Schema, and so for editors.
    pub about: &'static str,
    pub presence: Presence,
    pub value: Value,
}

#[derive(Clone, Copy)]
pub(super) enum Presence {
    Required,
    Optional,
    /// What stands for it when it is absent, as it would be written.
    Default(&'static str),
}

/// What may stand behind a key.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Text,
    /// A text that no message may quote.
    Secret,
    Boolean,
    Integer {
        minimum: i64,
        maximum: i64,
    },
    /// An integer, or this word in its place.
    IntegerOr {
        minimum: i64,
        maximum: i64,
        word: &'static str,
    },
    /// Any number, also with a fraction.
    Number,
    /// More than zero, at most `maximum`.
    PositiveNumber {
        maximum: u32,
    },
    Bytes {
        minimum: u64,
        maximum: u64,
    },
    Duration {
        minimum: Duration,
        maximum: Duration,
    },
    Word(&'static [&'static str]),
    Sql,
    /// A mapping of these keys.
    Keys(&'static Keys),
    /// Read by code of its own; this is its JSON Schema.
    Other(fn() -> serde_json::Value),
}

impl Keys {
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

pub(super) const fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}
