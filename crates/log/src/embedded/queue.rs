//! Records between `send` and the transaction that stores them: bounded in bytes, taken all at
//! once.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::{LogError, Sent};

/// Called once, from the writer's thread.
pub type Answer<T> = Box<dyn FnOnce(Result<T, LogError>) + Send>;

pub type Outcome = Answer<Sent>;

/// What waits at most beside the transaction that runs.
pub const MOST_QUEUED_BYTES: usize = 32 << 20;

/// SQLite's own limit is above this. A record that it refused would take its whole transaction with
/// it.
pub const MOST_RECORD_BYTES: usize = 256 << 20;

/// Counted for a record beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// A record with its place among the group's bytes.
pub struct Queued {
    pub topic_id: i64,
    pub partition: i32,
    pub timestamp_ms: i64,
    pub key: Option<Range<usize>>,
    pub payload: Option<Range<usize>>,
    pub headers: Option<Range<usize>>,
    pub outcome: Outcome,
}

/// A group's position, for lag tools.
pub struct GroupPosition {
    pub topic_id: i64,
    pub group: String,
    pub partition: i32,
    pub next_offset: i64,
}

/// What is asked of a journal.
pub struct JournalTurn {
    pub name: String,
    pub holder: String,
    pub wish: Wish,
    pub outcome: Answer<Option<Vec<u8>>>,
}

pub enum Wish {
    /// The holder becomes the one who may append. Answered with the note.
    TakeOver,
    /// Records and a note, if the holder is still the one.
    Append { records: Vec<OwnedRecord>, note: Vec<u8> },
}

/// A record with bytes of its own.
pub struct OwnedRecord {
    pub topic_id: i64,
    pub partition: i32,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Option<Vec<u8>>,
}

/// What one transaction stores.
#[derive(Default)]
pub struct Group {
    pub records: Vec<Queued>,
    pub bytes: Vec<u8>,
    pub positions: Vec<GroupPosition>,
    pub journal_turns: Vec<JournalTurn>,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.positions.is_empty() && self.journal_turns.is_empty()
    }
}

#[derive(Default)]
struct State {
    group: Group,
    /// Records and turns of the transaction that runs.
    running: usize,
    lost_topics: u64,
    stopping: bool,
}

/// The queue of one process.
#[derive(Default)]
pub struct SendQueue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

/// A record's bytes, as they are put into the queue.
pub struct Parts<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: Option<&'a [u8]>,
}

impl SendQueue {
    /// Queues a record, or answers that there is no room. One that is larger than the whole queue
    /// goes when nothing else waits.
    pub fn push(
        &self,
        topic_id: i64,
        partition: i32,
        timestamp_ms: i64,
        parts: &Parts<'_>,
        outcome: Outcome,
    ) -> Result<(), LogError> {
        let size = [parts.key, parts.payload, parts.headers]
            .iter()
            .flatten()
            .map(|bytes| bytes.len())
            .sum::<usize>();
        if size > MOST_RECORD_BYTES {
            return Err(refused(format!(
                "the record has {size} bytes, and the log takes {MOST_RECORD_BYTES}"
            )));
        }
        let mut state = self.lock();
        let queued = state.group.bytes.len() + state.group.records.len() * RECORD_OVERHEAD_BYTES;
        if queued > 0 && queued + size + RECORD_OVERHEAD_BYTES > MOST_QUEUED_BYTES {
            return Err(LogError::QueueFull);
        }
        if state.stopping {
            return Err(refused("it is being closed".to_owned()));
        }
        let group = &mut state.group;
        let mut put = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| {
                let start = group.bytes.len();
                group.bytes.extend_from_slice(bytes);
                start..group.bytes.len()
            })
        };
        let (key, payload, headers) = (put(parts.key), put(parts.payload), put(parts.headers));
        group.records.push(Queued {
            topic_id,
            partition,
            timestamp_ms,
            key,
            payload,
            headers,
            outcome,
        });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Queues copies of positions. They are not worth a transaction of their own, but for the first
    /// of a quiet time.
    pub fn push_positions(&self, positions: Vec<GroupPosition>) {
        let mut state = self.lock();
        state.group.positions.extend(positions);
        drop(state);
        self.filled.notify_one();
    }

    /// Queues what is asked of a journal. Its holder waits for the outcome before it asks for more,
    /// so that these need no bound of their own.
    pub fn push_journal_turn(&self, turn: JournalTurn) -> Result<(), LogError> {
        let mut state = self.lock();
        if state.stopping {
            return Err(refused("it is being closed".to_owned()));
        }
        state.group.journal_turns.push(turn);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for something to store; None when the queue is stopped and empty. While a transaction
    /// runs the next group gathers, so nothing waits on purpose: a lone record is stored at once,
    /// many share a sync.
    pub fn take(&self) -> Option<Group> {
        let mut state = self.lock();
        loop {
            if !state.group.is_empty() {
                let group = std::mem::take(&mut state.group);
                state.running = group.records.len() + group.journal_turns.len();
                return Some(group);
            }
            if state.stopping {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A record found its topic gone. Noted before its sender hears of it, who may send again at
    /// once.
    pub fn note_lost_topic(&self) {
        self.lock().lost_topics += 1;
    }

    /// The group that was taken has its outcomes.
    pub fn finished(&self) {
        self.lock().running = 0;
        self.emptied.notify_all();
    }

    /// Grows when a record found its topic gone: what is known of topics must be asked for again.
    pub fn lost_topics(&self) -> u64 {
        self.lock().lost_topics
    }

    /// Waits until nothing is queued or running; answers whether that was reached in time.
    pub fn wait_until_empty(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while state.running > 0
            || !state.group.records.is_empty()
            || !state.group.journal_turns.is_empty()
        {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state =
                self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// No more sends; what is queued is still stored.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(reason: String) -> LogError {
    LogError::Refused { doing: "send to the embedded log".to_owned(), reason }
}
