//! `batch:`, the upper bounds of a batch. A batch goes out as soon as the database is free.

use std::time::Duration;

use super::Pipeline;
use super::keys::{Key, Keys, Presence, Value, milliseconds};
use super::parse::Section;
use super::walk::Fields;

/// How much one transaction may hold, and how many load connections there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Batching {
    pub max_records: usize,
    /// Bytes of payload that one batch may hold.
    pub max_bytes: usize,
    /// Load connections; each owns partitions of its own.
    pub workers: usize,
    /// A batch that is not full goes out so long after the one before it.
    pub linger: Duration,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "batch",
        about: "upper bounds of a batch, which is one transaction; a batch goes out as soon as the \
            database is free",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "batch",
    keys: &[
        Key {
            name: "max_records",
            about: "at most so many records in one batch",
            presence: Presence::Default("10000"),
            value: Value::Integer { minimum: 1, maximum: 1_000_000 },
        },
        Key {
            name: "max_bytes",
            about: "at most so many bytes of payload in one batch",
            presence: Presence::Default("16 MiB"),
            // A batch addresses its bytes with 32 bits.
            value: Value::Bytes { minimum: 1024, maximum: 1 << 30 },
        },
        Key {
            name: "workers",
            about: "load connections; each owns partitions of its own",
            presence: Presence::Default("2"),
            value: Value::Integer { minimum: 1, maximum: 256 },
        },
        Key {
            name: "linger",
            about: "a batch that is not full goes out so long after the one before it; a record \
                that comes alone never waits",
            presence: Presence::Default("2ms"),
            value: Value::Duration { minimum: milliseconds(0), maximum: milliseconds(10_000) },
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(fields) = file.section("batch") else { return };
    pipeline.batch = Batching {
        max_records: fields.integer("max_records").unwrap_or_default(),
        max_bytes: fields.bytes("max_bytes").unwrap_or_default(),
        workers: fields.integer("workers").unwrap_or_default(),
        linger: fields.duration("linger").unwrap_or_default(),
    };
}
