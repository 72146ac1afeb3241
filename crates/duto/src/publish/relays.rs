//! The relays of a worker: one a partition that it has claimed, each a thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::outbox::Position;
use super::relay::{self, Surroundings};
use super::signal::Signal;
use super::{KEEP_SENT, publishes};
use crate::definition::Pipeline;
use crate::load::connect::Connector;
use crate::load::pool::Pool;
use crate::log::Log;
use crate::worker::progress::Progress;

/// None of these does anything where the pipeline publishes nothing.
pub struct Relays {
    /// None where nothing is published.
    surroundings: Option<Surroundings>,
    pipeline: String,
    topic: String,
    running: Mutex<BTreeMap<i32, Arc<Signal>>>,
}

impl Relays {
    /// Those of a pipeline. `runtime` serves their questions to the database; its threads must be others than those that wait for the relays.
    pub fn of(pipeline: &Pipeline, log: &Arc<dyn Log>, progress: &Arc<Progress>, runtime: Handle) -> anyhow::Result<Relays> {
        let surroundings = match publishes(pipeline) {
            false => None,
            true => {
                let connector = Connector::new(&pipeline.database, &format!("{} publish {}", pipeline.name, std::process::id()))?;
                let pool = Pool::of_relays(connector)?;
                Some(Surroundings { log: log.clone(), pool, progress: progress.clone(), runtime, keep_sent: KEEP_SENT })
            }
        };
        Ok(Self::new(surroundings, &pipeline.name, &pipeline.source.topic))
    }

    pub fn new(surroundings: Option<Surroundings>, pipeline: &str, topic: &str) -> Relays {
        Relays { surroundings, pipeline: pipeline.to_owned(), topic: topic.to_owned(), running: Mutex::default() }
    }

    /// Starts the partition's relay, if it does not run already.
    pub fn start(&self, partition: i32) {
        let Some(surroundings) = self.surroundings.clone() else { return };
        let mut running = self.lock();
        if running.contains_key(&partition) {
            return;
        }
        let signal = Arc::<Signal>::default();
        let position = Position { pipeline: self.pipeline.clone(), topic: self.topic.clone(), partition };
        let progress = surroundings.progress.clone();
        let started = std::thread::Builder::new().name("duto-relay".to_owned()).spawn({
            let signal = signal.clone();
            move || {
                relay::run(surroundings, position, &signal);
                signal.ended();
            }
        });
        match started {
            Ok(_) => drop(running.insert(partition, signal)),
            Err(error) => progress.publish_trouble(partition, &format!("starting a thread: {error}")),
        }
    }

    /// A load of this partition was committed.
    pub fn wake(&self, partition: i32) {
        if let Some(signal) = self.lock().get(&partition) {
            signal.ring();
        }
    }

    /// Stops relays and waits until they settled what was in flight, but no longer than `patience`: whoever has the partition next fences
    /// one that goes on.
    pub fn stop(&self, partitions: &[i32], patience: Duration) {
        let stopped: Vec<(i32, Arc<Signal>)> = {
            let mut running = self.lock();
            partitions.iter().filter_map(|partition| running.remove(partition).map(|signal| (*partition, signal))).collect()
        };
        stopped.iter().for_each(|(_, signal)| signal.stop());
        let deadline = Instant::now() + patience;
        for (partition, signal) in stopped {
            if !signal.wait_until_ended(deadline.saturating_duration_since(Instant::now())) && !patience.is_zero() {
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
        self.lock().values().all(|signal| signal.is_drained())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Arc<Signal>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
