//! Reads one endpoint for as long as the process runs: request, append, pause. Nothing that an
//! endpoint answers ends it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::note::Note;
use super::owner::{HEARTBEAT, NotOurs, Owner};
use super::request::{Failed, Fetched, Requests};
use super::take::{Taken, take};
use crate::progress::Progress;
use duto_definition::{Pipeline, Pull, Repeat};
use duto_ground::backoff;
use duto_log::{Log, OutgoingRecord};
use duto_stages::Stages;
use duto_stages::decode::key_of;

/// So quickly a stop is noticed.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks of one that stands by.
const STAND_BY_INTERVAL: Duration = Duration::from_secs(5);

/// One endpoint and where its items go.
pub struct Puller {
    pipeline: String,
    topic: String,
    /// The field whose value keys a record.
    key: Option<String>,
    pull: Pull,
    /// Whether a record that comes twice leaves the tables as they are.
    repeats_are_harmless: bool,
    requests: Requests,
    owner: Owner,
    stages: Arc<Stages>,
    log: Arc<dyn Log>,
    progress: Arc<Progress>,
}

/// What one turn came to.
enum Turn {
    /// There may be more already.
    GoesOn,
    /// Nothing new.
    Rests,
    /// Another process reads it.
    StandsBy,
}

/// Why a turn came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Request(#[from] Failed),
    #[error("the answer {0}")]
    Answer(String),
    #[error("{0}")]
    Log(NotOurs),
}

impl Puller {
    pub fn new(
        pipeline: &Pipeline,
        pull: &Pull,
        stages: Arc<Stages>,
        log: Arc<dyn Log>,
        progress: Arc<Progress>,
    ) -> anyhow::Result<Puller> {
        Ok(Puller {
            pipeline: pipeline.name.clone(),
            topic: pipeline.source.topic.clone(),
            key: pipeline.source.key.clone(),
            pull: pull.clone(),
            repeats_are_harmless: pipeline.once.is_some()
                || pipeline.tables.iter().all(|table| table.repeat != Repeat::Append),
            requests: Requests::new(pull)?,
            owner: Owner::new(&pipeline.name, &pipeline.source.topic, pull),
            stages,
            log,
            progress,
        })
    }

    /// Runs until `stop` is set. A turn that panics is shown, and reading begins again from the
    /// journal.
    pub async fn run(mut self, stop: Arc<AtomicBool>) {
        let mut panics = 0;
        while AssertUnwindSafe(self.turns(&stop)).catch_unwind().await.is_err() {
            let pause =
                backoff::pause(self.pull.retry_backoff, self.pull.retry_backoff_max, panics);
            panics = panics.saturating_add(1);
            let reason = "reading it panicked, see the message above; this is a fault of duto, \
                please report it";
            tracing::error!(pipeline = self.pipeline, pull = self.pull.name, retry_in = ?pause, "{reason}; it begins again");
            self.progress.pull_trouble(&self.pull.name, reason);
            self.owner.let_go();
            sleep(pause, &stop).await;
        }
    }

    async fn turns(&mut self, stop: &AtomicBool) {
        let mut failures = 0;
        while !stop.load(Ordering::Relaxed) {
            let pause = match self.turn().await {
                Ok(turn) => {
                    failures = 0;
                    self.progress.pull_works(&self.pull.name, matches!(turn, Turn::StandsBy));
                    match turn {
                        Turn::GoesOn => continue,
                        Turn::Rests => self.pull.interval,
                        Turn::StandsBy => STAND_BY_INTERVAL,
                    }
                }
                Err(trouble) => {
                    let wished = if let Trouble::Request(failed) = &trouble {
                        failed.retry_after
                    } else {
                        None
                    };
                    let pause = backoff::pause_at_least(
                        wished,
                        self.pull.retry_backoff,
                        self.pull.retry_backoff_max,
                        failures,
                    );
                    failures = failures.saturating_add(1);
                    tracing::warn!(pipeline = self.pipeline, pull = self.pull.name, reason = %trouble, retry_in = ?pause, "reading waits");
                    // The first may be no more than a connection that was closed.
                    if failures > 1 {
                        self.progress.pull_trouble(&self.pull.name, &trouble.to_string());
                    }
                    pause
                }
            };
            self.pause(pause, stop).await;
        }
    }

    /// A pause that the endpoint asked for may be long: nobody else should come meanwhile and ask
    /// in our place.
    async fn pause(&mut self, pause: Duration, stop: &AtomicBool) {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            sleep(left.min(HEARTBEAT), stop).await;
            if left <= HEARTBEAT || stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::task::block_in_place(|| self.owner.keep(self.log.as_ref()));
        }
    }

    /// One request, and its new items into the log together with how far it was read.
    async fn turn(&mut self) -> Result<Turn, Trouble> {
        let note = match tokio::task::block_in_place(|| self.owner.note(self.log.as_ref())) {
            Ok(note) => note,
            Err(NotOurs::StandBy) => return Ok(Turn::StandsBy),
            Err(error) => return Err(Trouble::Log(error)),
        };
        let (bytes, etag, links) = match self.requests.fetch(&note).await? {
            Fetched::Body { bytes, etag, links } => (bytes, etag, links),
            Fetched::NotModified => {
                return tokio::task::block_in_place(|| self.append(&[], note)).map(|_| Turn::Rests);
            }
        };
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let answer =
            Answer::read(&self.pull, &bytes, etag.as_deref(), &links).map_err(Trouble::Answer)?;
        let Taken { items, note, goes_on } =
            take(&self.pull, &note, answer, self.repeats_are_harmless).map_err(Trouble::Answer)?;
        let owns = tokio::task::block_in_place(|| {
            self.report_bad(&items);
            self.append(&items, note)
        })?;
        Ok(match (owns, goes_on) {
            (false, _) => Turn::StandsBy,
            (true, true) => Turn::GoesOn,
            (true, false) => Turn::Rests,
        })
    }

    /// Answers whether the journal is still ours.
    fn append(&mut self, items: &[&RawValue], note: Note) -> Result<bool, Trouble> {
        let payloads = items.iter().map(|item| item.get().as_bytes());
        let keys: Vec<Option<Vec<u8>>> = payloads
            .clone()
            .map(|payload| self.key.as_deref().and_then(|field| key_of(payload, field)))
            .collect();
        let record = |(payload, key)| {
            let key: &Option<Vec<u8>> = key;
            OutgoingRecord {
                topic: &self.topic,
                partition: None,
                key: key.as_deref(),
                payload: Some(payload),
                headers: &[],
            }
        };
        let records: Vec<OutgoingRecord<'_>> = payloads.zip(&keys).map(record).collect();
        match self.owner.append(self.log.as_ref(), &records, note) {
            Ok(()) => {
                self.progress.pulled(&self.pull.name, items.len() as u64);
                Ok(true)
            }
            Err(NotOurs::StandBy) => Ok(false),
            Err(error) => Err(Trouble::Log(error)),
        }
    }

    /// A bad item goes to the log as well, where it becomes a reject with its reason: nothing is
    /// lost. Here it is only told.
    fn report_bad(&self, items: &[&RawValue]) {
        let mut bad = 0;
        let mut first = None;
        for item in items {
            let problems = self.stages.problems(item.get().as_bytes());
            if let Some(problem) = problems.into_iter().next() {
                bad += 1;
                first.get_or_insert(format!("{}: {}", problem.path, problem.reason));
            }
        }
        if let Some(first) = first {
            let of = items.len();
            tracing::warn!(
                pipeline = self.pipeline,
                pull = self.pull.name,
                bad,
                of,
                first,
                "items are not as the file declares them; each becomes a reject"
            );
        }
    }
}

/// Ends early where `stop` is set.
async fn sleep(pause: Duration, stop: &AtomicBool) {
    let until = Instant::now() + pause;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(STOP_INTERVAL)).await;
    }
}
