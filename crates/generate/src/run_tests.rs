//! A run against a producer that fails and delays as the case has it: what is under test is the
//! pace and the patience, not the log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tests::{generator, sales};
use super::{GenerateReport, GenerateSettings, Progress, run};
use duto_log::{LogError, OutgoingRecord, Producer, Sent};

type Outcome = Box<dyn FnOnce(Result<Sent, LogError>) + Send>;
type Script = Box<dyn Fn(u64) -> Answer + Send + Sync>;
/// When, what, and how many payload bytes it frees.
type Due = (Instant, Outcome, Result<Sent, LogError>, usize);

/// A key and a payload.
type Stored = (Option<Vec<u8>>, Vec<u8>);

/// What the producer does with one call.
enum Answer {
    Stored,
    FailedLater(LogError),
    RefusedAtOnce(LogError),
    Never,
}

/// Gives each outcome after the same delay, from a thread of its own.
struct Scripted {
    script: Script,
    delay: Duration,
    calls: AtomicU64,
    waiting_bytes: Arc<AtomicUsize>,
    most_waiting_bytes: AtomicUsize,
    stored: Mutex<Vec<Stored>>,
    forgotten: Mutex<Vec<Outcome>>,
    due: Option<Sender<Due>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    fn new(delay: Duration, script: impl Fn(u64) -> Answer + Send + Sync + 'static) -> Self {
        let (due, outcomes) = channel::<Due>();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::clone(&waiting_bytes);
        let thread = std::thread::spawn(move || {
            for (at, outcome, result, bytes) in outcomes {
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                waiting.fetch_sub(bytes, Ordering::SeqCst);
                outcome(result);
            }
        });
        Self {
            script: Box::new(script),
            delay,
            calls: AtomicU64::new(0),
            waiting_bytes,
            most_waiting_bytes: AtomicUsize::new(0),
            stored: Mutex::default(),
            forgotten: Mutex::default(),
            due: Some(due),
            thread: Some(thread),
        }
    }

    fn stored(&self) -> Vec<Stored> {
        self.stored.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.due = None;
        self.thread.take().map(JoinHandle::join);
    }
}

impl Producer for Scripted {
    fn send(&self, record: OutgoingRecord<'_>, outcome: Outcome) -> Result<(), LogError> {
        assert_eq!(record.topic, "sales");
        let bytes = record.payload.map_or(0, <[u8]>::len);
        let result = match (self.script)(self.calls.fetch_add(1, Ordering::SeqCst)) {
            Answer::Stored => {
                let mut stored = self.stored.lock().unwrap();
                stored.push((
                    record.key.map(<[u8]>::to_vec),
                    record.payload.unwrap_or_default().to_vec(),
                ));
                Ok(Sent { partition: 0, offset: stored.len() as i64 - 1 })
            }
            Answer::FailedLater(error) => Err(error),
            Answer::RefusedAtOnce(error) => return Err(error),
            Answer::Never => {
                self.forgotten.lock().unwrap().push(outcome);
                return Ok(());
            }
        };
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most_waiting_bytes.fetch_max(waiting, Ordering::SeqCst);
        self.due
            .as_ref()
            .unwrap()
            .send((Instant::now() + self.delay, outcome, result, bytes))
            .unwrap();
        Ok(())
    }

    fn flush(&self, _timeout: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

fn unreachable() -> LogError {
    LogError::Unreachable { doing: "sending".to_owned(), reason: "no answer".to_owned() }
}

fn refused() -> LogError {
    LogError::Refused { doing: "sending".to_owned(), reason: "too large".to_owned() }
}

fn quick(count: u64) -> GenerateSettings {
    GenerateSettings {
        count: Some(count),
        retry_backoff: Duration::from_millis(2),
        ..GenerateSettings::default()
    }
}

fn run_sales(producer: &Scripted, settings: &GenerateSettings) -> (GenerateReport, Vec<Progress>) {
    let mut heard = Vec::new();
    let report = run(&mut generator(&sales(), 1), producer, "sales", settings, &mut |progress| {
        heard.push(progress)
    });
    (report, heard)
}

fn sums(report: &GenerateReport) -> (u64, u64, u64) {
    (report.sent, report.failed, report.retried)
}

#[test]
fn sends_do_not_wait_for_each_other() {
    let producer = Scripted::new(Duration::from_millis(100), |_| Answer::Stored);
    let (report, heard) = run_sales(&producer, &quick(2000));
    assert_eq!(sums(&report), (2000, 0, 0));
    assert_eq!(producer.stored().len(), 2000);
    // One blocking send after the other would take 200 s.
    assert!(report.seconds < 20.0, "{report:?}");
    assert!(
        report.send_latency_p50_ms >= 100.0
            && report.send_latency_max_ms >= report.send_latency_p99_ms,
        "{report:?}"
    );
    assert_eq!(heard.last().map(|progress| (progress.sent, progress.in_flight)), Some((2000, 0)));
}

#[test]
fn what_is_in_flight_is_bounded_by_bytes() {
    let producer = Scripted::new(Duration::from_millis(1), |_| Answer::Stored);
    let settings = GenerateSettings { max_in_flight_bytes: 2000, ..quick(300) };
    let (report, _) = run_sales(&producer, &settings);
    assert_eq!(sums(&report), (300, 0, 0));
    // The last record that found room may reach beyond it.
    let most = producer.most_waiting_bytes.load(Ordering::SeqCst);
    assert!((1000..3000).contains(&most), "{most}");
}

#[test]
fn a_failed_send_is_tried_again_until_its_retries_are_spent() {
    let cases: [(Script, (u64, u64, u64)); 5] = [
        (
            Box::new(|call| {
                if call % 3 == 0 { Answer::FailedLater(unreachable()) } else { Answer::Stored }
            }),
            (100, 0, 49),
        ),
        (
            Box::new(
                |call| {
                    if call < 40 { Answer::RefusedAtOnce(unreachable()) } else { Answer::Stored }
                },
            ),
            (100, 0, 40),
        ),
        (Box::new(|_| Answer::FailedLater(unreachable())), (0, 100, 500)),
        (
            Box::new(
                |call| if call < 10 { Answer::FailedLater(refused()) } else { Answer::Stored },
            ),
            (90, 10, 0),
        ),
        (
            Box::new(
                |call| if call < 10 { Answer::RefusedAtOnce(refused()) } else { Answer::Stored },
            ),
            (90, 10, 0),
        ),
    ];
    for (case, (script, expected)) in cases.into_iter().enumerate() {
        let producer = Scripted::new(Duration::ZERO, script);
        let (report, _) = run_sales(&producer, &quick(100));
        assert_eq!(
            (report.sent, report.failed),
            (expected.0, expected.1),
            "case {case}: {report:?}"
        );
        assert!(report.retried.abs_diff(expected.2) <= 1, "case {case}: {report:?}");
        assert_eq!(
            report.errors.values().sum::<u64>(),
            report.retried + report.failed,
            "case {case}"
        );
        assert_eq!(producer.stored().len() as u64, expected.0, "case {case}");
    }
    let producer = Scripted::new(Duration::ZERO, |_| Answer::FailedLater(refused()));
    let (report, _) = run_sales(&producer, &quick(3));
    assert_eq!(report.errors, BTreeMap::from([("sending: too large".to_owned(), 3)]));
}

#[test]
fn a_full_queue_is_waited_for_and_costs_no_retry() {
    let producer = Scripted::new(Duration::ZERO, |call| {
        if call % 4 == 3 { Answer::RefusedAtOnce(LogError::QueueFull) } else { Answer::Stored }
    });
    let settings = GenerateSettings { max_retries: 0, ..quick(60) };
    let (report, _) = run_sales(&producer, &settings);
    assert_eq!(sums(&report), (60, 0, 0));
    assert_eq!(report.errors, BTreeMap::new());
    let numbers: std::collections::BTreeSet<_> =
        producer.stored().into_iter().map(|(key, _)| key).collect();
    assert_eq!(numbers.len(), 60, "none lost, none twice");
}

#[test]
fn the_pace_holds_over_the_whole_run_despite_delays() {
    // Every 10th call halts the sender for 40 ms, as a scheduler may: the mean rate stays.
    let producer = Scripted::new(Duration::from_millis(20), |call| {
        if call % 10 == 9 {
            std::thread::sleep(Duration::from_millis(40));
        }
        Answer::Stored
    });
    let settings = GenerateSettings { rate_per_second: Some(200.0), ..quick(200) };
    let (report, _) = run_sales(&producer, &settings);
    assert_eq!(sums(&report), (200, 0, 0));
    // 199 intervals of 5 ms and the last outcome's delay; halts that added up would make it 1.8 s.
    assert!((0.99..1.6).contains(&report.seconds), "{report:?}");
}

#[test]
fn the_shares_of_bad_and_repeated_records_are_kept() {
    let producer = Scripted::new(Duration::ZERO, |_| Answer::Stored);
    let settings = GenerateSettings { bad_fraction: 0.1, repeat_fraction: 0.2, ..quick(3000) };
    let (report, _) = run_sales(&producer, &settings);
    assert_eq!(report.sent, 3000);
    assert!(
        (200..400).contains(&report.bad) && (450..750).contains(&report.repeated),
        "{report:?}"
    );

    let stored = producer.stored();
    let mut seen: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    let mut repeated = 0;
    for (key, payload) in stored {
        if let Some(first_key) = seen.get(&payload) {
            assert_eq!(first_key, &key, "a repeat goes under the same key");
            repeated += u64::from(key.is_some() && payload.starts_with(b"{\"order_number\": "));
        }
        seen.insert(payload, key);
    }
    assert!(repeated >= report.repeated, "{repeated} of {}", report.repeated);
}

#[test]
fn a_shutdown_ends_the_run_and_counts_what_has_no_outcome() {
    let producer =
        Scripted::new(Duration::ZERO, |call| if call < 5 { Answer::Never } else { Answer::Stored });
    let settings = GenerateSettings {
        count: None,
        rate_per_second: Some(100.0),
        drain_timeout: Duration::from_millis(100),
        ..GenerateSettings::default()
    };
    let mut progress = Vec::new();
    let report =
        run(&mut generator(&sales(), 1), &producer, "sales", &settings, &mut |now: Progress| {
            progress.push(now);
            if now.sent >= 20 {
                settings.shutdown.store(true, Ordering::SeqCst);
            }
        });
    assert_eq!(report.failed, 5);
    assert!(report.sent >= 20 && report.seconds < 10.0, "{report:?}");
    assert!(
        progress
            .windows(2)
            .all(|pair| pair[0].sent <= pair[1].sent && pair[0].seconds <= pair[1].seconds)
    );
}
