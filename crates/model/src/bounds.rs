//! What a run of the model contains: the records, the faults that may happen, the wrong step if
//! any.

use crate::mutation::Mutation;

pub const PARTITIONS: usize = 2;
pub const WORKERS: usize = 2;

/// Offsets that one partition may have.
pub const OFFSETS: u8 = 4;

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// No record: a transaction's marker, or compacted away.
    Gap,
    Record {
        key: u8,
    },
    /// Breaks a constraint until the definition is fixed.
    Poison {
        key: u8,
    },
}

use Entry::{Gap, Poison, Record};

/// What a table does with a key that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Ignore,
    /// There are no keys: a record that is loaded twice is there twice.
    Append,
}

/// Bounds of one exploration. A fault that is switched on may happen at any moment, any number of
/// times.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The entries of each partition; with `topic_anew`, of the one partition before and after.
    pub logs: &'static [&'static [Entry]],
    pub partitions: usize,
    pub repeat: Repeat,
    /// Records that one fetch may bring.
    pub fetched_records: usize,
    /// Whether the client reads ahead while a transaction is open.
    pub prefetch: bool,
    /// Worker crashes and lost connections.
    pub crashes: bool,
    /// Whether the coordinator may move a partition, at any moment, without a word to its reader.
    pub rebalances: bool,
    pub rewinds: bool,
    pub skips: bool,
    /// The definition may be fixed, so that poison passes from then on.
    pub fix: bool,
    /// How many replays of rejects may run at once; 0, 1 or 2.
    pub replays: usize,
    /// Open rejects may be discarded.
    pub discards: bool,
    pub restored_backup: bool,
    pub topic_anew: bool,
    /// Whether a worker whose last answer about the topic's id is old (it was stopped, say) asks
    /// again before BEGIN. A restored backup brings back old fences, so that a zombie's may be
    /// valid again: then only this keeps it from storing what it read of the new topic.
    pub topic_lease: bool,
    pub backfill: bool,
    /// A batch of which every record will be stored may go as one statement, which is a transaction
    /// by itself.
    pub at_once: bool,
    /// The two workers are lanes of one process, which moves partitions between them under the
    /// fence that it has.
    pub hand_over: bool,
    pub mutation: Option<Mutation>,
}

/// Two partitions: one has a gap and a poison record, the other a repeat.
const TWO_PARTITIONS: &[&[Entry]] =
    &[&[Record { key: 1 }, Gap, Poison { key: 2 }], &[Record { key: 3 }, Record { key: 3 }]];

/// One partition with a repeat, a poison record and a trailing gap.
const ONE_PARTITION: &[&[Entry]] =
    &[&[Record { key: 1 }, Poison { key: 2 }, Record { key: 1 }, Gap]];

/// The same topic twice: the second is refilled past the first one's end.
const MADE_ANEW: &[&[Entry]] = &[
    &[Record { key: 1 }, Record { key: 2 }],
    &[Record { key: 3 }, Record { key: 4 }, Record { key: 5 }],
];

impl Bounds {
    /// Nothing but two workers, a group that moves partitions between them, crashes and lost
    /// connections.
    pub const fn one_partition() -> Self {
        Self {
            logs: ONE_PARTITION,
            partitions: 1,
            repeat: Repeat::Ignore,
            fetched_records: 2,
            prefetch: true,
            crashes: true,
            rebalances: true,
            rewinds: false,
            skips: false,
            fix: false,
            replays: 0,
            discards: false,
            restored_backup: false,
            topic_anew: false,
            topic_lease: false,
            backfill: false,
            at_once: false,
            hand_over: false,
            mutation: None,
        }
    }

    /// The same over two partitions, whose positions move in one transaction.
    pub const fn two_partitions() -> Self {
        Self { logs: TWO_PARTITIONS, partitions: 2, prefetch: false, ..Self::one_partition() }
    }

    pub const fn topic_anew() -> Self {
        Self { logs: MADE_ANEW, topic_anew: true, ..Self::one_partition() }
    }

    pub const fn with(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }

    pub fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// What stands in a partition of the topic with this id, first offset first.
    pub fn log(&self, topic: u8, partition: usize) -> &'static [Entry] {
        self.logs[topic as usize + partition]
    }

    /// The place of a record in [`crate::state::Slots`].
    pub fn slot(&self, topic: u8, partition: usize, offset: u8) -> u8 {
        (topic + partition as u8) * OFFSETS + offset
    }

    /// Every record of a partition: its offset, key, and whether it is poison.
    pub fn records(&self, topic: u8, partition: usize) -> impl Iterator<Item = (u8, u8, bool)> {
        self.log(topic, partition).iter().enumerate().filter_map(|(offset, entry)| match *entry {
            Gap => None,
            Record { key } => Some((offset as u8, key, false)),
            Poison { key } => Some((offset as u8, key, true)),
        })
    }

    /// Every record of every topic there ever is: topic, partition, offset, key, poison.
    pub fn all_records(&self) -> impl Iterator<Item = (u8, usize, u8, u8, bool)> {
        let places =
            (0..self.logs.len()).map(|log| if self.topic_anew { (log as u8, 0) } else { (0, log) });
        places.flat_map(|(topic, partition)| {
            self.records(topic, partition)
                .map(move |(offset, key, poison)| (topic, partition, offset, key, poison))
        })
    }
}
