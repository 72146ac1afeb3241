//! Everything that one moment consists of, in about 130 bytes.

use crate::bounds::{Bounds, PARTITIONS, Repeat, WORKERS};

/// One moment of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub log: Log,
    /// Whom the group's coordinator gave each partition to. A worker may not know it yet.
    pub owner: [u8; PARTITIONS],
    pub database: Database,
    pub backup: Option<Database>,
    pub workers: [Worker; WORKERS],
    /// Each worker's own connection.
    pub sessions: [Transaction; WORKERS],
    /// A connection whose worker is gone, with a COMMIT that may still land. (One without is
    /// aborted at once: until then it could only make others wait.)
    pub orphans: [Transaction; WORKERS],
    pub replays: [Transaction; 2],
    /// The definition was fixed, so that poison passes.
    pub fixed: bool,
    /// A worker called a batch stored that was not.
    pub told_wrongly: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Log {
    /// Another one after the topic was deleted and made anew.
    pub topic: u8,
    /// Made anew, and still without records.
    pub is_empty: bool,
    /// Kafka's own committed offsets, kept only where a mutation reads them.
    pub committed: [u8; PARTITIONS],
}

/// What is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Database {
    pub positions: [Position; PARTITIONS],
    /// How many rows each record has in the table.
    pub rows: Slots,
    /// How many rows the ledger says that each record has.
    pub ledger_stored: Slots,
    /// How many of the ledger's load ranges contain each record, since the last rewind before it.
    pub ledger_loads: Slots,
    /// One of [`OPEN`], [`REPLAYED`], [`DISCARDED`], or 0 for none.
    pub rejects: Slots,
    /// What the rollup counts, once it is defined.
    pub rollup: Slots,
    /// Which records a skip on record passed over, as bits.
    pub skipped: u8,
    pub has_rollup: bool,
    /// A load's range did not begin where the one before it, or a rewind or skip, ended.
    pub ledger_is_torn: bool,
}

pub const OPEN: u8 = 1;
pub const REPLAYED: u8 = 2;
pub const DISCARDED: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    pub topic: u8,
    pub next: u8,
    pub fence: u8,
    /// Where the ledger's last range ends.
    pub ledger_end: u8,
}

/// A random value is only ever compared with the committed one, or after a restore with the
/// backup's: [`State::forget_fences`] keeps just that.
pub const NO_FENCE: u8 = 0;
pub const FRESH_FENCE: u8 = 7;

/// A worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Worker {
    /// The partitions that it believes to be its own, as bits.
    pub assigned: u8,
    /// Those that it stopped because the topic's id is another one.
    pub halted: u8,
    /// Those whose records are in the prepared batch.
    pub batch: u8,
    pub lane: Lane,
    pub held: [Held; PARTITIONS],
    pub queue_topic: u8,
    pub batch_topic: u8,
    /// It runs the definition with the rollup.
    pub knows_rollup: bool,
    /// Resolved rejects as seen when the batch was decoded; used by one mutation only.
    pub resolved_when_decoding: u8,
}

/// What a worker holds of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Held {
    /// [`NO_FENCE`] until it is claimed.
    pub fence: u8,
    pub topic: u8,
    /// The position's `next` as this worker knows it: a batch's `from`.
    pub expected: u8,
    /// Records read and not yet in a batch: these offsets, the end excluded; nothing if both are
    /// equal.
    pub queue: (u8, u8),
    /// The first record of the batch, and its `to`.
    pub batch: (u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lane {
    #[default]
    Idle,
    /// A batch is decoded; BEGIN comes next.
    Prepared,
    /// The positions of the batch are being moved, in partition order.
    Moving,
    Written,
    CommitSent,
    /// The connection was lost: whether the batch is stored is not known.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    #[default]
    None,
    /// One statement that is a transaction by itself is on its way to the server: it holds nothing
    /// yet.
    Sent,
    Open,
    CommitSent,
    /// Committed, and the answer is on its way.
    Committed,
}

/// A transaction and what it will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Transaction {
    pub phase: Phase,
    /// Positions whose row it has locked.
    pub locks: u8,
    /// Positions that it moves: a subset of the locks.
    pub moves: u8,
    /// For each of them, the range.
    pub ranges: [(u8, u8); PARTITIONS],
    /// What becomes of each record.
    pub outcomes: Slots,
    pub counts_rollup: bool,
    /// Of one statement alone: the fence that it asks for at each of its positions. The others ask
    /// before they lock.
    pub fences: [u8; PARTITIONS],
}

pub const STORED: u8 = 1;
pub const REPEATED: u8 = 2;
pub const REJECTED: u8 = 3;

/// Two bits for each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Slots(pub u16);

impl Slots {
    pub fn get(self, slot: u8) -> u8 {
        (self.0 >> (slot * 2)) as u8 & 3
    }

    pub fn set(&mut self, slot: u8, value: u8) {
        self.0 = self.0 & !(3 << (slot * 2)) | u16::from(value) << (slot * 2);
    }

    /// Counts one more; three stands for "too many".
    pub fn count(&mut self, slot: u8) {
        self.set(slot, (self.get(slot) + 1).min(3));
    }
}

impl State {
    pub fn initial() -> Self {
        let mut state = Self {
            log: Log::default(),
            owner: [0, 1],
            database: Database::default(),
            backup: None,
            workers: Default::default(),
            sessions: Default::default(),
            orphans: Default::default(),
            replays: Default::default(),
            fixed: false,
            told_wrongly: false,
        };
        state.database.positions.iter_mut().for_each(|position| position.fence = 1);
        state
    }

    /// The offset behind a partition's last entry.
    pub fn log_end(&self, bounds: &Bounds, partition: usize) -> u8 {
        if self.log.is_empty { 0 } else { bounds.log(self.log.topic, partition).len() as u8 }
    }

    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.sessions.iter().chain(&self.orphans).chain(&self.replays)
    }

    /// Whether somebody holds the lock of a position's row: whoever wants it waits.
    pub fn is_locked(&self, partition: usize) -> bool {
        self.transactions().any(|transaction| transaction.holds() & 1 << partition != 0)
    }

    /// Whether the table has, or `own` is about to write, a row that makes this key a repeat.
    pub fn has_key(&self, bounds: &Bounds, key: u8, own: Slots) -> bool {
        bounds.repeat == Repeat::Ignore
            && bounds.all_records().any(|(topic, partition, offset, other, _)| {
                let slot = bounds.slot(topic, partition, offset);
                other == key && (self.database.rows.get(slot) > 0 || own.get(slot) == STORED)
            })
    }

    /// Names fences by what they can still be equal to: 1 the committed one, 2 the backup's if it
    /// is another, 3 neither, ever again.
    pub fn forget_fences(&mut self) {
        for partition in 0..PARTITIONS {
            let current = self.database.positions[partition].fence;
            let backup = self.backup.map_or(current, |backup| backup.positions[partition].fence);
            let rename = |fence: &mut u8| {
                *fence = match *fence {
                    NO_FENCE => NO_FENCE,
                    fence if fence == current => 1,
                    fence if fence == backup => 2,
                    _ => 3,
                }
            };
            self.workers.iter_mut().for_each(|worker| rename(&mut worker.held[partition].fence));
            self.sessions
                .iter_mut()
                .chain(&mut self.orphans)
                .for_each(|transaction| rename(&mut transaction.fences[partition]));
            rename(&mut self.database.positions[partition].fence);
            self.backup
                .iter_mut()
                .for_each(|backup| rename(&mut backup.positions[partition].fence));
        }
    }
}

impl Transaction {
    /// Whether it may be committed whatever becomes of its worker.
    pub fn may_land(&self) -> bool {
        matches!(self.phase, Phase::Sent | Phase::CommitSent)
    }

    /// The locks that it holds at this moment.
    pub fn holds(&self) -> u8 {
        if matches!(self.phase, Phase::Open | Phase::CommitSent) { self.locks } else { 0 }
    }
}
