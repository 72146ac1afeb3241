//! Looks at the log from the side: is the topic still the same, how far is its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::shared::Shared;

/// Between two looks at the topic's id: a topic deleted, made anew and refilled past our offset
/// within this time, at the same leader epoch, is outside the promise.
const TOPIC_INTERVAL: Duration = Duration::from_secs(1);
const LAG_INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(5);
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Runs until it is told to stop. Its own thread, because the log's answers block.
pub fn run(shared: &Arc<Shared>, lanes: &[Arc<Lane>], stop: &AtomicBool) {
    let mut topic_at = Instant::now();
    let mut lag_at = Instant::now();
    let mut report = Report::new();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(250));
        if topic_at.elapsed() >= TOPIC_INTERVAL {
            topic_at = Instant::now();
            look_at_topic(shared);
        }
        if lag_at.elapsed() >= LAG_INTERVAL {
            lag_at = Instant::now();
            look_at_lag(shared, lanes);
        }
        if report.at.elapsed() >= REPORT_INTERVAL {
            report.write(shared);
        }
    }
}

fn look_at_topic(shared: &Arc<Shared>) {
    if let Err(error) = shared.ask_about_topic() {
        // The consumer says so too, and goes on trying; another topic halts by itself.
        tracing::debug!(%error, "the topic cannot be looked at");
    }
}

fn look_at_lag(shared: &Arc<Shared>, lanes: &[Arc<Lane>]) {
    let positions: Vec<(i32, i64)> = lanes
        .iter()
        .flat_map(|lane| lane.positions())
        .map(|(partition, committed, _)| (partition, committed))
        .collect();
    let asked: Vec<(String, i32)> =
        positions.iter().map(|(partition, _)| (shared.target.topic.clone(), *partition)).collect();
    let ends = shared.log.ends(&asked, TIMEOUT).unwrap_or_default();
    let lag: BTreeMap<i32, i64> = positions
        .into_iter()
        .zip(ends)
        .filter_map(|((partition, committed), ends)| {
            Some((partition, (ends?.last_stable - committed).max(0)))
        })
        .collect();
    shared.progress.set_lag(lag);
}

/// The line every ten seconds: what happened since the one before.
struct Report {
    at: Instant,
    records: u64,
    rejected: u64,
    batches: u64,
    commit_seconds: f64,
}

impl Report {
    fn new() -> Self {
        Self { at: Instant::now(), records: 0, rejected: 0, batches: 0, commit_seconds: 0.0 }
    }

    fn write(&mut self, shared: &Shared) {
        let progress = &shared.progress;
        let seconds = self.at.elapsed().as_secs_f64();
        let (records, rejected, batches) = (
            progress.records.load(Ordering::Relaxed),
            progress.rejected_total(),
            progress.batches.load(Ordering::Relaxed),
        );
        let (_, commit_seconds) = progress.commit_seconds.read();
        if batches > self.batches {
            tracing::info!(
                pipeline = shared.pipeline.name,
                records_per_second = ((records - self.records) as f64 / seconds) as u64,
                lag = progress.condition().lag.values().sum::<i64>(),
                rejected = rejected - self.rejected,
                batches = batches - self.batches,
                commit_ms = ((commit_seconds - self.commit_seconds) * 1e3
                    / (batches - self.batches) as f64
                    * 10.0)
                    .round()
                    / 10.0,
                "loaded"
            );
        }
        *self = Self { at: Instant::now(), records, rejected, batches, commit_seconds };
    }
}
