//! What a run knows: the records without outcome, and the sums.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use super::Generator;
use super::latency::Latencies;
use super::retry::Retry;
use super::run::{GenerateReport, GenerateSettings, Progress};

/// How many earlier records a repeat is drawn from.
const REMEMBERED: usize = 1000;

/// One record until its outcome.
#[derive(Debug)]
pub struct Message {
    pub payload: Vec<u8>,
    pub key: Option<Vec<u8>>,
    nature: Nature,
    first_sent: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Good,
    Bad,
    Repeated,
}

/// The state of a run.
#[derive(Debug)]
pub struct Tally {
    pub progress: Progress,
    pub errors: BTreeMap<String, u64>,
    pub retries: BinaryHeap<Retry>,
    pub in_flight_bytes: usize,
    /// The producer refused the last attempt for lack of room.
    pub queue_full: bool,
    start: Instant,
    observed: Instant,
    latencies: Latencies,
    /// Good records, each with its key.
    remembered: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Tally {
    pub fn new() -> Self {
        let start = Instant::now();
        Self {
            progress: Progress::default(),
            errors: BTreeMap::new(),
            retries: BinaryHeap::new(),
            in_flight_bytes: 0,
            queue_full: false,
            start,
            observed: start,
            latencies: Latencies::default(),
            remembered: Vec::new(),
        }
    }

    /// The next record to send, good, bad or repeated as the settings' shares have it. It counts as
    /// in flight from here on.
    pub fn next_message(
        &mut self,
        generator: &mut Generator,
        settings: &GenerateSettings,
    ) -> Message {
        let lot: f64 = generator.random().random();
        let (payload, key, nature) = if lot < settings.bad_fraction {
            let (payload, _) = generator.next_bad_payload();
            let key = generator.key(&payload);
            (payload, key, Nature::Bad)
        } else if lot < settings.bad_fraction + settings.repeat_fraction
            && !self.remembered.is_empty()
        {
            let choice = generator.random().random_range(0..self.remembered.len());
            let (payload, key) = self.remembered.get(choice).cloned().unwrap_or_default();
            (payload, key, Nature::Repeated)
        } else {
            let payload = generator.next_payload();
            let key = generator.key(&payload);
            if settings.repeat_fraction > 0.0 {
                self.remember(generator.random(), &payload, key.as_ref());
            }
            (payload, key, Nature::Good)
        };
        self.progress.in_flight += 1;
        self.in_flight_bytes += payload.len();
        Message { payload, key, nature, first_sent: Instant::now() }
    }

    pub fn succeeded(&mut self, message: &Message) {
        self.latencies.record(message.first_sent.elapsed());
        self.progress.sent += 1;
        match message.nature {
            Nature::Good => {}
            Nature::Bad => self.progress.bad += 1,
            Nature::Repeated => self.progress.repeated += 1,
        }
        self.leave(message);
    }

    /// The record is given up.
    pub fn gave_up(&mut self, message: &Message) {
        self.progress.failed += 1;
        self.leave(message);
    }

    /// The record waits for its next attempt.
    pub fn retry_at(&mut self, due: Instant, attempts: u32, message: Arc<Message>) {
        self.retries.push(Retry { due, attempts, message });
    }

    pub fn is_idle(&self) -> bool {
        self.progress.in_flight == 0
    }

    /// Tells the observer, unless it heard less than `every` ago.
    pub fn observe(&mut self, observer: &mut dyn FnMut(Progress), every: Duration) {
        if self.observed.elapsed() >= every {
            self.observed = Instant::now();
            self.progress.seconds = self.start.elapsed().as_secs_f64();
            observer(self.progress);
        }
    }

    /// The end of the run; what has no outcome yet failed.
    pub fn report(self) -> GenerateReport {
        let Progress { sent, bad, repeated, failed, retried, in_flight, .. } = self.progress;
        GenerateReport {
            sent,
            bad,
            repeated,
            failed: failed + in_flight,
            retried,
            seconds: self.start.elapsed().as_secs_f64(),
            send_latency_p50_ms: self.latencies.quantile_ms(0.5),
            send_latency_p99_ms: self.latencies.quantile_ms(0.99),
            send_latency_max_ms: self.latencies.max_ms(),
            errors: self.errors,
        }
    }

    fn leave(&mut self, message: &Message) {
        self.progress.in_flight = self.progress.in_flight.saturating_sub(1);
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(message.payload.len());
    }

    /// Once there are enough, a new one takes the place of any other.
    fn remember(&mut self, random: &mut StdRng, payload: &[u8], key: Option<&Vec<u8>>) {
        let record = (payload.to_vec(), key.cloned());
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(record);
        } else if let Some(place) = self.remembered.get_mut(random.random_range(0..REMEMBERED)) {
            *place = record;
        }
    }
}
