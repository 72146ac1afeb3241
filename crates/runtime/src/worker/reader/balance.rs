//! Over how many lanes the partitions are spread: over all under load, over one when little comes.
//!
//! Two connections that commit a few records each cost the log and the database twice the
//! transactions of one, and their records wait for each other's syncs (measured at 1,000 records a
//! second on two cores: half of the latency with one). A backlog is another matter: there one
//! connection decodes and sends while the other one waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Reader;

/// A lane that is behind for so long needs help.
const SPREAD_AFTER: Duration = Duration::from_millis(100);
/// When no lane was behind for so long, one is enough.
const GATHER_AFTER: Duration = Duration::from_secs(1);
/// How long a lane under load may take to finish what is in flight, before its partitions move.
const SPREAD_PATIENCE: Duration = Duration::from_secs(1);
/// The same where little comes: more means that the database does not answer.
const GATHER_PATIENCE: Duration = Duration::from_millis(50);
/// After a move that did not come off.
const PAUSE: Duration = Duration::from_secs(5);

/// What should change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Gather,
    Spread,
}

/// Remembers how the lanes did lately.
#[derive(Debug)]
pub(super) struct Balance {
    pub is_gathered: bool,
    behind_since: Option<Instant>,
    last_behind: Instant,
    not_before: Instant,
}

impl Balance {
    /// Spread, as a worker may begin with a backlog.
    pub fn new(now: Instant) -> Self {
        Self { is_gathered: false, behind_since: None, last_behind: now, not_before: now }
    }

    /// What to do after a look at the lanes.
    pub fn look(&mut self, now: Instant, is_any_behind: bool) -> Option<Move> {
        if is_any_behind {
            self.last_behind = now;
        }
        self.behind_since = is_any_behind.then(|| self.behind_since.unwrap_or(now));
        let wanted = match self.is_gathered {
            true => {
                self.behind_since.filter(|since| now - *since >= SPREAD_AFTER).map(|_| Move::Spread)
            }
            false => (now - self.last_behind >= GATHER_AFTER).then_some(Move::Gather),
        };
        wanted.filter(|_| now >= self.not_before)
    }

    /// The move did not come off.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = now + PAUSE;
    }
}

impl Reader {
    /// Not where an API is called for each record: its slowness is not the database's.
    pub(super) fn balance(&mut self) {
        if self.lanes.len() < 2 || !self.shared.pipeline.deliver.is_empty() {
            return;
        }
        let is_any_behind = self.lanes.iter().any(|lane| lane.is_behind());
        let Some(wanted) = self.balance.look(Instant::now(), is_any_behind) else { return };
        let (places, patience) = match wanted {
            Move::Gather => (1, GATHER_PATIENCE),
            Move::Spread => (self.lanes.len(), SPREAD_PATIENCE),
        };
        if self.place(places, patience) {
            self.balance.is_gathered = wanted == Move::Gather;
            self.tell_connections();
            tracing::debug!(
                pipeline = self.shared.pipeline.name,
                connections = places,
                "partitions moved"
            );
        } else {
            self.balance.failed(Instant::now());
        }
    }

    pub(super) fn tell_connections(&self) {
        let used: BTreeSet<usize> = self.lane_of.values().copied().collect();
        self.shared.progress.load_connections.store(used.len() as u64, Ordering::Relaxed);
    }

    /// Moves the partitions in turn into the first lanes; answers whether all went.
    fn place(&mut self, places: usize, patience: Duration) -> bool {
        let mut leaving: BTreeMap<(usize, usize), Vec<i32>> = BTreeMap::new();
        for (index, (partition, lane)) in self.lane_of.iter().enumerate() {
            if index % places != *lane {
                leaving.entry((*lane, index % places)).or_default().push(*partition);
            }
        }
        for ((from, to), partitions) in leaving {
            let Some(given) = self.lanes[from].hand_over(&partitions, patience) else {
                return false;
            };
            self.lanes[to].take_in(given);
            self.lane_of.extend(partitions.into_iter().map(|partition| (partition, to)));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_traffic_is_gathered_and_a_backlog_spread() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut balance = Balance::new(start);
        assert_eq!(balance.look(at(500), true), None, "spread from the start");
        assert_eq!(balance.look(at(1_499), false), None);
        assert_eq!(
            balance.look(at(1_500), false),
            Some(Move::Gather),
            "a second after the last backlog"
        );
        balance.is_gathered = true;
        assert_eq!(balance.look(at(1_600), true), None, "one look says little");
        assert_eq!(balance.look(at(1_650), false), None);
        assert_eq!(balance.look(at(1_700), true), None, "behind since now only");
        assert_eq!(balance.look(at(1_800), true), Some(Move::Spread));
        balance.failed(at(1_800));
        assert_eq!(balance.look(at(6_799), true), None, "not at once again");
        assert_eq!(balance.look(at(6_800), true), Some(Move::Spread));
    }
}
