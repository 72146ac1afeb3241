//! What changed in the tables, and when: told by the worker of this process at its commit, and read
//! from the positions for the commits of others. An answer is as good as the version of its tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// How often the positions are read while somebody looks.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// In the place of a partition: files and whatever else is not the topic, as one. Theirs is the sum
/// of all positions.
pub const OTHER_SOURCES: i32 = -1;
/// Nobody looks any more when nothing was asked for so long.
const ATTENTION: Duration = Duration::from_secs(10);

/// The versions of a pipeline's tables.
pub struct Changes {
    state: Mutex<State>,
    /// Counts every change.
    bell: watch::Sender<u64>,
    /// Counts every move of a position, also one that changed no table.
    positions_bell: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    versions: HashMap<String, u64>,
    /// Counts as a change of every table.
    all: u64,
    /// By partition, the offset that is stored next.
    positions: BTreeMap<i32, i64>,
    /// By partition, what the database said last.
    read: BTreeMap<i32, (i64, SystemTime)>,
    /// When the positions were read last; None before the first time.
    read_at: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            bell: watch::channel(0).0,
            positions_bell: watch::channel(0).0,
        }
    }
}

impl Changes {
    /// The worker of this process committed: these tables have new rows, and these partitions stand
    /// here now.
    pub fn committed<'t>(
        &self,
        tables: impl Iterator<Item = &'t str>,
        positions: impl Iterator<Item = (i32, i64)>,
    ) {
        let mut state = self.lock();
        state.positions.extend(positions);
        let mut any = false;
        for table in tables {
            *state.versions.entry(table.to_owned()).or_default() += 1;
            any = true;
        }
        drop(state);
        self.positions_bell.send_modify(|count| *count += 1);
        if any {
            self.ring();
        }
    }

    /// A number that grows whenever one of these tables changed.
    pub fn version(&self, tables: &BTreeSet<String>) -> u64 {
        let state = self.lock();
        state.all + tables.iter().filter_map(|table| state.versions.get(table)).sum::<u64>()
    }

    /// By partition, the offset that is stored next, as far as it is known.
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        let mut positions = self.lock().positions.clone();
        positions.remove(&OTHER_SOURCES);
        positions
    }

    /// Wakes at every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Wakes whenever a position moved.
    pub fn subscribe_to_positions(&self) -> watch::Receiver<u64> {
        self.positions_bell.subscribe()
    }

    /// Somebody wants an answer: the positions are read from now on. Answers whether what is known
    /// may be too old to answer by.
    pub fn attend(&self) -> bool {
        let mut state = self.lock();
        state.asked_at = Some(Instant::now());
        state.read_at.is_none_or(|at| at.elapsed() > 2 * LOOK_INTERVAL)
    }

    /// What the database says of the positions; what moved by somebody else's hand counts as a
    /// change of every table.
    pub fn learn(&self, found: BTreeMap<i32, (i64, SystemTime)>) {
        let mut state = self.lock();
        let mut moved = false;
        for (partition, (next, updated_at)) in &found {
            let known = state.positions.get(partition).copied();
            let before = state.read.get(partition).copied();
            // A commit of our own was told before. A replay moves the time alone; a rewind and a
            // restored backup move the position back.
            let replayed = before.is_some_and(|(before, at)| before == *next && at != *updated_at);
            let went_back = before.is_some_and(|(before, _)| before > *next);
            moved |= known.is_none_or(|known| known < *next) || replayed || went_back;
            let known = state.positions.entry(*partition).or_insert(*next);
            *known = if went_back { *next } else { (*known).max(*next) };
        }
        state.read = found;
        state.read_at = Some(Instant::now());
        if moved {
            state.all += 1;
        }
        drop(state);
        if moved {
            self.positions_bell.send_modify(|count| *count += 1);
            self.ring();
        }
    }

    /// Whether somebody looks.
    pub fn wanted(&self) -> bool {
        self.bell.receiver_count() > 0
            || self.lock().asked_at.is_some_and(|at| at.elapsed() < ATTENTION)
    }

    fn ring(&self) {
        self.bell.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_commit_changes_its_own_tables_and_is_not_counted_twice() {
        let changes = Changes::default();
        let (events, products) =
            (BTreeSet::from(["events".to_owned()]), BTreeSet::from(["products".to_owned()]));
        changes.learn(BTreeMap::from([(0, (5, at(1)))]));
        let (before, other) = (changes.version(&events), changes.version(&products));
        changes.committed(["events"].into_iter(), [(0, 9)].into_iter());
        assert!(changes.version(&events) > before);
        assert_eq!(changes.version(&products), other);
        let after = changes.version(&events);
        changes.learn(BTreeMap::from([(0, (9, at(2)))]));
        assert_eq!(changes.version(&events), after);
    }

    #[test]
    fn what_others_did_changes_every_table() {
        let changes = Changes::default();
        let events = BTreeSet::from(["events".to_owned()]);
        changes.learn(BTreeMap::from([(0, (5, at(1)))]));
        let first = changes.version(&events);
        changes.learn(BTreeMap::from([(0, (6, at(2)))]));
        let loaded = changes.version(&events);
        changes.learn(BTreeMap::from([(0, (6, at(3)))]));
        let replayed = changes.version(&events);
        changes.learn(BTreeMap::from([(0, (2, at(4)))]));
        assert!(
            first < loaded && loaded < replayed,
            "a replay leaves the offset and moves the time"
        );
        assert!(changes.version(&events) > replayed, "a restored backup moves the offset back");
    }
}
