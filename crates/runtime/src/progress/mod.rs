//! What a worker did and how it is, for the logs, `/metrics`, `/health` and `duto status`.

pub mod recent; // how much of it was rejected

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duto_ground::changes::Changes;
use duto_ground::reject::Stage;
use duto_stages::prepared::{Outcome, Prepared};

use duto_stages::StageSeconds;
use recent::{Counts, Recent};

/// The counters of one pipeline in this process, from its start.
pub struct Progress {
    pub records: AtomicU64,
    pub stored: AtomicU64,
    pub repeated: AtomicU64,
    pub filtered: AtomicU64,
    /// One a stage, in the order of [`STAGES`].
    pub rejected: [AtomicU64; 5],
    /// Calls of `deliver:` that were made, and those that were not answered as they should.
    pub calls: AtomicU64,
    pub calls_failed: AtomicU64,
    pub batches: AtomicU64,
    pub bytes: AtomicU64,
    /// Messages that relays of this process sent.
    pub published: AtomicU64,
    /// Connections over which the partitions are spread at the moment.
    pub load_connections: AtomicU64,
    pub batch_records: Histogram,
    pub decode_seconds: Histogram,
    pub transform_seconds: Histogram,
    pub commit_seconds: Histogram,
    condition: Mutex<Condition>,
    recent: Mutex<Recent>,
    /// What was committed, for those who show it.
    pub changes: Arc<Changes>,
}

/// More rows than these are not counted: it would cost more than the figure is worth.
pub const MOST_COUNTED: i64 = 100_000;

/// What is not sent yet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Waiting {
    /// Counted up to [`MOST_COUNTED`].
    pub rows: i64,
    /// How long ago the oldest was written.
    pub oldest_seconds: f64,
}

/// The stages that reject, in the order in which a record meets them.
pub const STAGES: [Stage; 5] =
    [Stage::Decode, Stage::Check, Stage::Transform, Stage::Load, Stage::Deliver];

/// How the worker is.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Lanes that wait for an operator, and for what.
    pub paused: BTreeMap<usize, String>,
    /// Why partitions that the group gave us are not claimed yet.
    pub claim_trouble: Option<String>,
    /// Rollups that do not count what was there before them, and why not yet.
    pub fill_trouble: Option<String>,
    /// Partitions that are not read until an operator decides.
    pub halted: BTreeMap<i32, String>,
    /// Partitions whose next record cannot be opened, and why: they are tried again by themselves.
    pub unreadable: BTreeMap<i32, String>,
    /// The last trouble with the database, until the next commit.
    pub database_trouble: Option<String>,
    /// By partition: the last stable offset less the position.
    pub lag: BTreeMap<i32, i64>,
    pub last_commit: Option<Instant>,
    /// Partitions that this worker has.
    pub partitions: Vec<i32>,
    /// By name: the endpoints that this process reads.
    pub pulls: BTreeMap<String, PullCondition>,
    /// By partition: what waits in the outbox.
    pub publish_waiting: BTreeMap<i32, Waiting>,
    /// Partitions whose messages cannot be published at the moment, and why.
    pub publish_trouble: BTreeMap<i32, String>,
    /// By the name of a `deliver:`, why its calls are not answered.
    pub deliveries: BTreeMap<String, String>,
    /// The worker ended by itself, and why.
    pub ended: Option<String>,
    /// Most of the last records were rejected.
    pub mostly_rejected: Option<String>,
}

/// How the reading of one endpoint is.
#[derive(Debug, Clone, Default)]
pub struct PullCondition {
    /// Records that it gave, from the start of this process.
    pub records: u64,
    /// When the last answer was in the log.
    pub read_at: Option<Instant>,
    /// Another process reads it.
    pub stands_by: bool,
    /// Why it cannot be read at the moment.
    pub trouble: Option<String>,
}

/// Counts in buckets, each twice as wide as the one before.
pub struct Histogram {
    /// The first bucket's upper bound.
    first: f64,
    buckets: [AtomicU64; BUCKETS],
    /// In millionths of the unit.
    sum: AtomicU64,
}

/// From 100 microseconds to a minute and a half, or from one record to half a million.
pub const BUCKETS: usize = 20;

impl Default for Progress {
    fn default() -> Self {
        Self {
            records: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            rejected: Default::default(),
            calls: AtomicU64::new(0),
            calls_failed: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            published: AtomicU64::new(0),
            load_connections: AtomicU64::new(0),
            batch_records: Histogram::new(1.0),
            decode_seconds: Histogram::new(0.000_1),
            transform_seconds: Histogram::new(0.000_1),
            commit_seconds: Histogram::new(0.000_1),
            condition: Mutex::default(),
            recent: Mutex::default(),
            changes: Arc::default(),
        }
    }
}

impl Progress {
    /// A batch went through the pure stages.
    pub fn batch_prepared(&self, seconds: StageSeconds) {
        self.decode_seconds.observe(seconds.decode);
        self.transform_seconds.observe(seconds.transform);
    }

    /// A batch is in the database.
    pub fn batch_committed(&self, batch: &Prepared, outcomes: &[Outcome], took: Duration) {
        let count =
            |wanted: Outcome| outcomes.iter().filter(|outcome| **outcome == wanted).count() as u64;
        self.records.fetch_add(outcomes.len() as u64, Ordering::Relaxed);
        self.stored.fetch_add(count(Outcome::Stored), Ordering::Relaxed);
        self.repeated.fetch_add(count(Outcome::Repeated), Ordering::Relaxed);
        self.filtered.fetch_add(count(Outcome::Filtered), Ordering::Relaxed);
        for reject in &batch.rejects {
            self.rejected[reject.stage as usize].fetch_add(1, Ordering::Relaxed);
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(batch.batch.bytes.len() as u64, Ordering::Relaxed);
        self.batch_records.observe(outcomes.len() as f64);
        self.commit_seconds.observe(took.as_secs_f64());
        self.recent()
            .add(Counts::of(batch), batch.rejects.last().map(|reject| reject.reason.as_str()));
        let mut condition = self.lock();
        condition.last_commit = Some(Instant::now());
        condition.database_trouble = None;
        drop(condition);
        tracing::debug!(
            records = outcomes.len(),
            stored = count(Outcome::Stored),
            repeated = count(Outcome::Repeated),
            rejected = count(Outcome::Rejected),
            commit_ms = took.as_secs_f64() * 1e3,
            "batch"
        );
        self.trace_events(batch, outcomes, took);
    }

    fn trace_events(&self, batch: &Prepared, outcomes: &[Outcome], took: Duration) {
        if tracing::enabled!(tracing::Level::TRACE) {
            for (head, outcome) in batch.batch.records.iter().zip(outcomes) {
                tracing::trace!(
                    partition = head.partition,
                    offset = head.offset,
                    ?outcome,
                    commit_ms = took.as_secs_f64() * 1e3,
                    "event"
                );
            }
        }
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn condition(&self) -> Condition {
        let mostly_rejected = self.recent().trouble();
        Condition { mostly_rejected, ..self.lock().clone() }
    }

    /// The counts of the last records with this batch, if that many of them would be rejects.
    pub fn would_reject(&self, percent: u8, batch: &Prepared) -> Option<Counts> {
        self.recent().would_reach(percent, Counts::of(batch))
    }

    /// The lane waits for an operator.
    pub fn paused(&self, lane: usize, reason: &str) {
        self.lock().paused.insert(lane, reason.to_owned());
    }

    pub fn resumed(&self, lane: usize) {
        self.lock().paused.remove(&lane);
    }

    /// Partitions cannot be claimed, or (None) are.
    pub fn claim_trouble(&self, reason: Option<String>) {
        self.lock().claim_trouble = reason;
    }

    /// Rollups are not filled, or (None) are.
    pub fn fill_trouble(&self, reason: Option<String>) {
        self.lock().fill_trouble = reason;
    }

    /// The partition is not read until an operator decides.
    pub fn halted(&self, partition: i32, reason: &str) {
        self.lock().halted.insert(partition, reason.to_owned());
    }

    /// The partition's next record cannot be opened, or (None) can.
    pub fn unreadable(&self, partition: i32, reason: Option<String>) {
        let mut condition = self.lock();
        match reason {
            Some(reason) => condition.unreadable.insert(partition, reason),
            None => condition.unreadable.remove(&partition),
        };
    }

    pub fn unhalted(&self, partition: i32) {
        self.lock().halted.remove(&partition);
    }

    pub fn database_trouble(&self, reason: &str) {
        self.lock().database_trouble = Some(reason.to_owned());
    }

    pub fn call_made(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn call_failed(&self) {
        self.calls_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls are not answered, or (None) are again.
    pub fn delivery_trouble(&self, deliver: &str, reason: Option<&str>) {
        let mut condition = self.lock();
        match reason {
            Some(reason) => condition.deliveries.insert(deliver.to_owned(), reason.to_owned()),
            None => condition.deliveries.remove(deliver),
        };
    }

    pub fn set_lag(&self, lag: BTreeMap<i32, i64>) {
        self.lock().lag = lag;
    }

    pub fn set_partitions(&self, partitions: Vec<i32>) {
        self.lock().partitions = partitions;
    }

    pub fn set_publish_waiting(&self, partition: i32, waiting: Waiting) {
        self.lock().publish_waiting.insert(partition, waiting);
    }

    /// The partition's messages cannot be published at the moment.
    pub fn publish_trouble(&self, partition: i32, reason: &str) {
        self.lock().publish_trouble.insert(partition, reason.to_owned());
    }

    pub fn publish_works(&self, partition: i32) {
        self.lock().publish_trouble.remove(&partition);
    }

    /// The partition's relay ended: another worker may have it now.
    pub fn publish_ended(&self, partition: i32) {
        let mut condition = self.lock();
        condition.publish_trouble.remove(&partition);
        condition.publish_waiting.remove(&partition);
    }

    /// An endpoint's answer is in the log, with so many records.
    pub fn pulled(&self, name: &str, records: u64) {
        let mut condition = self.lock();
        let pull = condition.pulls.entry(name.to_owned()).or_default();
        pull.records += records;
        pull.read_at = Some(Instant::now());
    }

    pub fn pull_works(&self, name: &str, stands_by: bool) {
        let mut condition = self.lock();
        let pull = condition.pulls.entry(name.to_owned()).or_default();
        (pull.trouble, pull.stands_by) = (None, stands_by);
    }

    pub fn pull_trouble(&self, name: &str, reason: &str) {
        self.lock().pulls.entry(name.to_owned()).or_default().trouble = Some(reason.to_owned());
    }

    pub fn ended(&self, reason: &str) {
        self.lock().ended = Some(reason.to_owned());
    }

    /// The worker ended by itself, and goes on.
    pub fn started_again(&self) {
        self.lock().ended = None;
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(batch: &Prepared) -> Self {
        Self { records: batch.batch.len() as u64, rejected: batch.rejects.len() as u64 }
    }
}

impl Histogram {
    fn new(first: f64) -> Self {
        Self { first, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    pub fn observe(&self, value: f64) {
        let bucket = (value / self.first).log2().ceil().clamp(0.0, (BUCKETS - 1) as f64) as usize;
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    /// Each bucket's upper bound and its count, and the sum of all values. What is beyond the last
    /// bound counts in the last bucket.
    pub fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let buckets = self
            .buckets
            .iter()
            .enumerate()
            .map(|(power, count)| {
                (self.first * 2f64.powi(power as i32), count.load(Ordering::Relaxed))
            })
            .collect();
        (buckets, self.sum.load(Ordering::Relaxed) as f64 / 1e6)
    }
}
