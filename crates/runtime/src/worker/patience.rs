//! How often and how long the database is waited for.

use std::time::{Duration, Instant};

use duto_definition::Database;
use duto_ground::backoff;

/// The longest pause after something that only an operator can change.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is in the way of a transaction is told after so many tries, and not before it was there for
/// so long: a deadlock passes sooner.
const LASTING_CONFLICTS: u32 = 3;
const LASTING_FOR: Duration = Duration::from_secs(2);

/// Counts the failures of one batch. A success ends its life.
pub struct Patience {
    max_losses: Option<u32>,
    backoff: Duration,
    backoff_max: Duration,
    losses: u32,
    conflicts: u32,
    conflicts_since: Option<Instant>,
    pauses: u32,
}

impl Patience {
    pub fn new(database: &Database) -> Self {
        Self {
            max_losses: database.max_retries,
            backoff: database.retry_backoff,
            backoff_max: database.retry_backoff_max,
            losses: 0,
            conflicts: 0,
            conflicts_since: None,
            pauses: 0,
        }
    }

    /// How often the connection was lost so far.
    pub fn losses(&self) -> u32 {
        self.losses
    }

    /// The pause before the next try, doubled each time; None when the retries are used up.
    pub fn after_loss(&mut self) -> Option<Duration> {
        if self.max_losses.is_some_and(|most| self.losses >= most) {
            return None;
        }
        self.losses += 1;
        Some(backoff::pause(self.backoff, self.backoff_max, self.losses - 1))
    }

    /// At once the first time, then with backoff. Another transaction is in the way: it ends by
    /// itself, so there is no limit.
    pub fn after_conflict(&mut self) -> Duration {
        self.conflicts += 1;
        self.conflicts_since.get_or_insert_with(Instant::now);
        if self.conflicts == 1 {
            Duration::ZERO
        } else {
            backoff::pause(Duration::from_millis(20), Duration::from_secs(5), self.conflicts - 2)
        }
    }

    /// Whether the same transaction was kept away for so long that somebody should know.
    pub fn conflict_lasts(&self) -> bool {
        self.conflicts >= LASTING_CONFLICTS
            && self.conflicts_since.is_some_and(|since| since.elapsed() >= LASTING_FOR)
    }

    /// Something that an operator has to mend: now and then, for ever.
    pub fn after_pause(&mut self) -> Duration {
        self.pauses += 1;
        backoff::pause(Duration::from_secs(1), PAUSE_MAX, self.pauses - 1)
    }
}
