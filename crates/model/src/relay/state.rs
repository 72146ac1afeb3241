//! One moment of the relay.

use super::MESSAGES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RelayState {
    pub database: Outbox,
    pub backup: Option<Outbox>,
    /// How often the backup was restored: what is inserted afterwards has other tokens.
    pub restores: u8,
    pub kafka: Kafka,
    pub processes: [Process; 2],
}

/// A row's place in the outbox. Id 0 stands for no row, or for nothing sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mark {
    pub id: u8,
    /// Random in truth; here the number of restores before it was drawn, which is as different as
    /// it needs to be.
    pub token: u8,
}

/// What PostgreSQL holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Outbox {
    /// The row of each message; none before it is loaded and after it is pruned.
    pub rows: [Mark; MESSAGES as usize],
    /// Messages whose load is committed, as bits: the position.
    pub loaded: u8,
    /// The identity's last value; other positions draw from it too.
    pub last_id: u8,
    /// An id that was drawn for the message before the last one, in a transaction that is still
    /// open; used by one mutation only.
    pub drawn_id: u8,
    /// The progress, kept here by one mutation only.
    pub progress: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kafka {
    /// What a read-committed consumer sees, oldest first; 0 behind the end.
    pub published: [u8; 8],
    pub overflows: bool,
    /// The last committed progress.
    pub progress: Mark,
    /// What can be read of it below the last stable offset while another position's transaction is
    /// open.
    pub held_back: Option<Mark>,
}

/// A relay process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Process {
    pub phase: Phase,
    /// Its producer has not been fenced since its `init_transactions`.
    pub is_current: bool,
    /// The last row sent, as it knows it.
    pub progress: Mark,
    /// The messages of the open transaction, as bits, and the progress behind them.
    pub batch: u8,
    pub batch_end: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    #[default]
    Down,
    /// Knows the progress, and has not fenced the other yet; used by one mutation only.
    ReadTooEarly,
    /// Has called `init_transactions`.
    Initialized,
    /// Knows the progress.
    Ready,
    /// Has read rows from PostgreSQL.
    HasRows,
    /// Has sent them, not committed.
    Sent,
    /// Has sent the progress too, not committed.
    ProgressSent,
    CommitSent,
    /// Kafka committed, and the answer is on its way.
    Committed,
}

impl Outbox {
    /// The rows that are there, by their ids, as (mark, message).
    pub fn by_id(&self) -> Vec<(Mark, u8)> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .zip(1..)
            .filter(|(row, _)| row.id > 0)
            .map(|(row, message)| (*row, message))
            .collect();
        rows.sort_by_key(|(row, _)| row.id);
        rows
    }

    pub fn has(&self, mark: Mark) -> bool {
        self.rows.contains(&mark)
    }
}

impl Kafka {
    pub fn publish(&mut self, message: u8) {
        match self.published.iter_mut().find(|place| **place == 0) {
            Some(place) => *place = message,
            None => self.overflows = true,
        }
    }
}
