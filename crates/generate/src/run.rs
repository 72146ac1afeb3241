//! Sends records at a rate, many in flight at once: no send waits for another one's outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::Generator;
use super::pace::Pace;
use super::retry::Retry;
use super::tally::{Message, Tally};
use duto_ground::backoff;
use duto_log::{LogError, OutgoingRecord, Producer, Sent};

/// How often the observer hears, and how soon a shutdown is noticed.
const OBSERVED_EVERY: Duration = Duration::from_millis(200);
/// How long to wait before a full queue is tried again, unless an outcome comes first.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// What to send, and how patiently.
#[derive(Debug, Clone)]
pub struct GenerateSettings {
    /// None is as fast as the log takes them.
    pub rate_per_second: Option<f64>,
    /// None goes on until the shutdown.
    pub count: Option<u64>,
    /// The share of bad records, 0 to 1.
    pub bad_fraction: f64,
    /// The share of records that repeat an earlier one under the same key, 0 to 1.
    pub repeat_fraction: f64,
    /// Payload bytes that may wait for their outcome.
    pub max_in_flight_bytes: usize,
    /// How often a failed send is tried again. A send whose outcome was lost may have been stored:
    /// its retry is then a repeat.
    pub max_retries: u32,
    /// The pause before the first retry; it doubles with each, up to `retry_backoff_max`, less a
    /// random part.
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    /// How long the outcomes of what is in flight are waited for after the shutdown.
    pub drain_timeout: Duration,
    /// Once true, nothing new is sent.
    pub shutdown: Arc<AtomicBool>,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            rate_per_second: None,
            count: None,
            bad_fraction: 0.0,
            repeat_fraction: 0.0,
            max_in_flight_bytes: 16 << 20,
            max_retries: 5,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            shutdown: Arc::default(),
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Acknowledged by the log, bad and repeated ones included.
    pub sent: u64,
    pub bad: u64,
    pub repeated: u64,
    pub failed: u64,
    /// Sends that were tried again.
    pub retried: u64,
    pub in_flight: u64,
    pub seconds: f64,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateReport {
    /// Acknowledged by the log, bad and repeated ones included.
    pub sent: u64,
    pub bad: u64,
    pub repeated: u64,
    /// Given up after the retries, or without outcome when the run ended.
    pub failed: u64,
    pub retried: u64,
    pub seconds: f64,
    /// From a record's first send to its acknowledgement, retries included.
    pub send_latency_p50_ms: f64,
    pub send_latency_p99_ms: f64,
    pub send_latency_max_ms: f64,
    /// Each error that a send had, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// Sends until the count is reached or the shutdown is asked for, then waits for what is in flight.
/// The observer is called a few times a second and once at the end.
pub fn run(
    generator: &mut Generator,
    producer: &dyn Producer,
    topic: &str,
    settings: &GenerateSettings,
    observer: &mut dyn FnMut(Progress),
) -> GenerateReport {
    let (outcomes_in, outcomes) = channel();
    let mut run = Run { producer, topic, settings, outcomes_in, outcomes, tally: Tally::new() };
    let mut pace = Pace::new(Instant::now(), settings.rate_per_second);
    let mut made = 0;
    let mut draining_since = None;
    loop {
        run.take_outcomes(Duration::ZERO);
        run.send_due_retries();
        run.tally.observe(observer, OBSERVED_EVERY);

        let stopping = settings.shutdown.load(Ordering::Relaxed);
        if stopping || settings.count.is_some_and(|count| made >= count) {
            let since = *draining_since.get_or_insert_with(Instant::now);
            if run.tally.is_idle() || (stopping && since.elapsed() >= settings.drain_timeout) {
                break;
            }
            run.take_outcomes(run.next_retry().min(OBSERVED_EVERY));
            continue;
        }
        let wait = pace.wait(Instant::now());
        if wait.is_zero() && run.has_room() {
            let message = run.tally.next_message(generator, settings);
            run.attempt(Arc::new(message), 0);
            pace.take();
            made += 1;
        } else {
            let wait = if wait.is_zero() { OBSERVED_EVERY } else { wait };
            run.take_outcomes(wait.min(run.next_retry()).min(OBSERVED_EVERY));
        }
    }
    run.tally.observe(observer, Duration::ZERO);
    run.tally.report()
}

/// The outcome of one attempt, with the attempts before it.
type Outcome = (Arc<Message>, u32, Result<Sent, LogError>);

struct Run<'a> {
    producer: &'a dyn Producer,
    topic: &'a str,
    settings: &'a GenerateSettings,
    outcomes_in: Sender<Outcome>,
    outcomes: Receiver<Outcome>,
    tally: Tally,
}

impl Run<'_> {
    fn has_room(&self) -> bool {
        !self.tally.queue_full && self.tally.in_flight_bytes < self.settings.max_in_flight_bytes
    }

    /// Hands a record to the producer. A full queue is no failure: the record waits its turn
    /// without spending a retry.
    fn attempt(&mut self, message: Arc<Message>, attempts: u32) {
        let (outcomes, kept) = (self.outcomes_in.clone(), Arc::clone(&message));
        let report = Box::new(move |result| {
            // Nobody listens any more once the run has ended: then the record counts as failed
            // already.
            let _ = outcomes.send((kept, attempts, result));
        });
        let record = OutgoingRecord {
            topic: self.topic,
            partition: None,
            key: message.key.as_deref(),
            payload: Some(&message.payload),
            headers: &[],
        };
        match self.producer.send(record, report) {
            Ok(()) => self.tally.queue_full = false,
            Err(LogError::QueueFull) => {
                self.tally.queue_full = true;
                self.tally.retry_at(Instant::now() + QUEUE_FULL_PAUSE, attempts, message);
            }
            Err(error) => {
                self.tally.queue_full = false;
                self.failed(message, attempts, error);
            }
        }
    }

    /// Waits at most so long for one outcome, then takes all that are there.
    fn take_outcomes(&mut self, wait: Duration) {
        let first = if wait.is_zero() {
            self.outcomes.try_recv().ok()
        } else {
            self.outcomes.recv_timeout(wait).ok()
        };
        let mut next = first;
        while let Some((message, attempts, result)) = next {
            match result {
                Ok(_) => self.tally.succeeded(&message),
                Err(error) => self.failed(message, attempts, error),
            }
            next = self.outcomes.try_recv().ok();
        }
    }

    fn failed(&mut self, message: Arc<Message>, attempts: u32, error: LogError) {
        let may_help = matches!(error, LogError::Unreachable { .. } | LogError::QueueFull);
        *self.tally.errors.entry(error.to_string()).or_default() += 1;
        if may_help && attempts < self.settings.max_retries {
            let pause = backoff::pause(
                self.settings.retry_backoff,
                self.settings.retry_backoff_max,
                attempts,
            );
            self.tally.retry_at(Instant::now() + pause, attempts + 1, message);
            self.tally.progress.retried += 1;
        } else {
            self.tally.gave_up(&message);
        }
    }

    fn send_due_retries(&mut self) {
        let now = Instant::now();
        while self.tally.retries.peek().is_some_and(|retry| retry.due <= now) {
            let Some(Retry { attempts, message, .. }) = self.tally.retries.pop() else { break };
            self.attempt(message, attempts);
            if self.tally.queue_full {
                break;
            }
        }
    }

    /// How long until a retry is due.
    fn next_retry(&self) -> Duration {
        self.tally
            .retries
            .peek()
            .map_or(Duration::MAX, |retry| retry.due.saturating_duration_since(Instant::now()))
    }
}
