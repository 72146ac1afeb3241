//! The relays of a worker: one a partition that it has claimed, each a thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::KEEP_SENT;
use super::files;
use super::outbox::Position;
use super::relay::{self, Surroundings};
use super::signal::Signal;
use crate::progress::Progress;
use duto_definition::Pipeline;
use duto_ground::supervised;
use duto_load::connect::Connector;
use duto_load::pool::Pool;
use duto_log::Log;

/// With which the messages of loaded files go.
const FIRST_PARTITION: i32 = 0;
/// The server ends a statement of theirs that takes longer: each looks at few rows.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// None of these does anything where the pipeline publishes nothing.
pub struct Relays {
    /// None where nothing is published.
    surroundings: Option<Surroundings>,
    /// Files may be loaded, whose messages go with the first partition.
    takes_files: bool,
    pipeline: String,
    topic: String,
    running: Mutex<BTreeMap<i32, Vec<Arc<Signal>>>>,
}

impl Relays {
    /// Those of a pipeline. `runtime` serves their questions to the database; its threads must be
    /// others than those that wait for the relays.
    pub fn of(
        pipeline: &Pipeline,
        connector: &Connector,
        log: &Arc<dyn Log>,
        progress: &Arc<Progress>,
        runtime: Handle,
    ) -> anyhow::Result<Relays> {
        let surroundings = match pipeline.publishes() {
            false => None,
            true => {
                let connector = connector.clone().named(&format!(
                    "{} publish {}",
                    pipeline.name,
                    std::process::id()
                ));
                let pool = Pool::of_relays(connector.bounded(STATEMENT_TIMEOUT))?;
                let source_topic = pipeline.source.topic.clone();
                Some(Surroundings {
                    log: log.clone(),
                    pool,
                    progress: progress.clone(),
                    runtime,
                    source_topic,
                    keep_sent: KEEP_SENT,
                    keyring: pipeline.encryption.keyring.clone(),
                })
            }
        };
        Ok(Self::new(
            surroundings,
            &pipeline.name,
            &pipeline.source.topic,
            pipeline.files.is_some(),
        ))
    }

    pub fn new(
        surroundings: Option<Surroundings>,
        pipeline: &str,
        topic: &str,
        takes_files: bool,
    ) -> Relays {
        Relays {
            surroundings,
            takes_files,
            pipeline: pipeline.to_owned(),
            topic: topic.to_owned(),
            running: Mutex::default(),
        }
    }

    /// Starts the partition's relay, if it does not run already.
    pub fn start(&self, partition: i32) {
        let Some(surroundings) = self.surroundings.clone() else { return };
        let mut running = self.lock();
        if running.contains_key(&partition) {
            return;
        }
        let position =
            Position { pipeline: self.pipeline.clone(), topic: self.topic.clone(), partition };
        let relay = move |surroundings: &Surroundings, signal: &Signal| {
            relay::run(surroundings.clone(), position.clone(), signal)
        };
        let mut threads = vec![spawn(&surroundings, partition, relay)];
        if partition == FIRST_PARTITION && self.takes_files {
            let pipeline = self.pipeline.clone();
            threads.push(spawn(&surroundings, partition, move |surroundings, signal| {
                files::run(surroundings, &pipeline, signal)
            }));
        }
        running.insert(partition, threads.into_iter().flatten().collect());
    }

    /// A load of this partition was committed.
    pub fn wake(&self, partition: i32) {
        self.lock().get(&partition).into_iter().flatten().for_each(|signal| signal.ring());
    }

    /// Stops relays and waits until they settled what was in flight, but no longer than `patience`:
    /// whoever has the partition next fences one that goes on.
    pub fn stop(&self, partitions: &[i32], patience: Duration) {
        let stopped: Vec<(i32, Arc<Signal>)> = {
            let mut running = self.lock();
            let all = partitions
                .iter()
                .filter_map(|partition| Some((*partition, running.remove(partition)?)));
            all.flat_map(|(partition, signals)| {
                signals.into_iter().map(move |signal| (partition, signal))
            })
            .collect()
        };
        stopped.iter().for_each(|(_, signal)| signal.stop());
        let deadline = Instant::now() + patience;
        for (partition, signal) in stopped {
            if !signal.wait_until_ended(deadline.saturating_duration_since(Instant::now()))
                && !patience.is_zero()
            {
                tracing::warn!(
                    pipeline = self.pipeline,
                    partition,
                    "publishing does not end in time; whoever has the partition next takes over"
                );
            }
        }
    }

    pub fn stop_all(&self, patience: Duration) {
        let partitions: Vec<i32> = self.lock().keys().copied().collect();
        self.stop(&partitions, patience);
    }

    /// Whether nothing was left to send when the last load of each partition was told.
    pub fn are_drained(&self) -> bool {
        self.lock()
            .values()
            .all(|signals| signals.first().is_some_and(|signal| signal.is_drained()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Vec<Arc<Signal>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that runs until its signal stops it. One that panics is shown, and begins again from
/// the journal.
fn spawn(
    surroundings: &Surroundings,
    partition: i32,
    run: impl Fn(&Surroundings, &Signal) + Send + 'static,
) -> Option<Arc<Signal>> {
    let signal = Arc::<Signal>::default();
    let (theirs, their_signal) = (surroundings.clone(), signal.clone());
    let started = std::thread::Builder::new().name("duto-relay".to_owned()).spawn(move || {
        let what = format!("the relay of partition {partition}");
        supervised::run(
            &what,
            || run(&theirs, &their_signal),
            |reason, pause| {
                theirs.progress.publish_trouble(partition, reason);
                their_signal.wait_for_stop(pause);
            },
        );
        their_signal.ended();
    });
    match started {
        Ok(_) => Some(signal),
        Err(error) => {
            surroundings
                .progress
                .publish_trouble(partition, &format!("starting a thread: {error}"));
            None
        }
    }
}
