//! The worker: reads the log, runs the stages, loads the batches, and keeps its place in the group.
//!
//! Threads: one reader, who owns the membership; a preparer for each lane; one that watches the log
//! from the side. The committers are tasks.

pub mod reader; // the log into the lanes, and the group's wishes
pub mod membership; // its place in the group
pub mod claims; // the fence before the first record
pub mod lane; // a connection, its partitions, and what waits
pub mod committer; // one batch after the other
pub mod settle; // until it is committed, fenced or given up
pub mod paths; // straight, or by a stage
pub mod patience; // retries
pub mod shared; // what the threads share
pub(crate) mod filling; // rollups that are younger than their tables
pub mod watch; // the topic's id, the lag, the line every ten seconds

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::runtime::Handle;

use crate::deliver::Deliverer;
use crate::progress::Progress;
use crate::publish::relays::Relays;
use duto_definition::Pipeline;
use duto_load::connect::{Connection, Connector};
use duto_load::ensure;
use duto_load::failure::{Failure, Scope};
use duto_load::fill;
use duto_load::position;
use duto_load::prune;
use duto_load::register::{Fill, register};
use duto_load::rollups::RollupTargets;
use duto_load::session::LoadSession;
use duto_load::target::Target;
use duto_load::views;
use duto_log::{Log, NewTopic};
use duto_stages::Stages;
use filling::Filling;
use lane::{Lane, Limits};
use membership::Membership;
use patience::Patience;
use reader::{Ended, Reader};
use shared::Shared;

/// How long the log may take to answer at the start.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);
/// How often rollups are tried to be filled where somebody waits for the end.
pub(crate) const TRIES_TO_FILL: u32 = 3;
/// How long a stop waits for messages that are being published.
const RELAY_PATIENCE: Duration = Duration::from_secs(10);

/// Everything a worker needs.
pub struct Worker {
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
    pub log: Arc<dyn Log>,
    pub progress: Arc<Progress>,
    /// With a seat for each lane; its connections are shared with the other parts of the process.
    pub connector: Connector,
    /// Ends when everything is stored that was in the log when the worker started.
    pub until_caught_up: bool,
}

/// Why a worker ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database or the log did not come back within the retry limit. Nothing is lost: the log
    /// keeps what is not stored.
    #[error("gave up: {0}; nothing is lost, a new start goes on from the same position")]
    GaveUp(String),
    /// Partitions are halted, so the end of the log cannot be reached.
    #[error("halted: {0}")]
    Halted(String),
    /// A part of it panicked.
    #[error("{0}; nothing is lost, a new start goes on from the same position")]
    Failed(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Worker {
    /// Runs until `stop` is set, until caught up, or until it cannot go on.
    pub async fn run(&self, stop: Arc<AtomicBool>) -> Result<(), WorkerError> {
        let connector =
            self.connector.clone().named(&format!("{} {}", self.pipeline.name, std::process::id()));
        let rollups = RollupTargets::new(self.stages.rollups());
        let (connection, mut fill) =
            connect_patiently(&connector, &self.pipeline, &rollups, &self.progress, &stop).await?;
        // Both would take all connections away from the claims.
        let is_tight = connector.connections().shares().are_tight();
        let connection = Some(connection).filter(|_| !is_tight);
        if is_tight && let Some(fill) = fill.take() {
            tracing::info!(
                pipeline = self.pipeline.name,
                max_connections = connector.connections().most(),
                "rollups are filled before the load begins: for both at once there are too few \
                    connections"
            );
            // What fails is filled below, with its tries.
            if let Err(failure) = fill::run(&connector, &self.pipeline.name, fill).await {
                tracing::warn!(pipeline = self.pipeline.name, %failure, "rollups are not filled yet");
            }
        }
        let (cluster_id, topic_id, partitions) = tokio::task::block_in_place(|| self.find_topic())?;
        let target = Target::new(
            &self.pipeline,
            self.stages.written(),
            self.stages.rollups(),
            cluster_id,
            topic_id,
            worker_name(),
        );
        let goal = match self.until_caught_up {
            true => Some((tokio::task::block_in_place(|| self.goal(partitions))?, connection)),
            false => {
                drop(connection);
                None
            }
        };

        let deliverer = Arc::new(Deliverer::new(&self.pipeline)?);
        let relays =
            Relays::of(&self.pipeline, &connector, &self.log, &self.progress, Handle::current())?;
        let (pipeline, log, progress) =
            (self.pipeline.clone(), self.log.clone(), self.progress.clone());
        let (shared, inbox) = Shared::new(
            pipeline,
            self.stages.clone(),
            target,
            connector,
            log,
            progress,
            (deliverer, relays),
        );
        let filling = (!rollups.rollups.is_empty()).then(|| {
            let (connector, pipeline) = (shared.connector.clone(), self.pipeline.clone());
            let filling = Filling {
                connector,
                pipeline,
                rollups: rollups.clone(),
                progress: self.progress.clone(),
                stop: stop.clone(),
            };
            let (guard, tries) = (
                shared.guard("the filling of rollups".to_owned()),
                self.until_caught_up.then_some(TRIES_TO_FILL),
            );
            tokio::spawn(async move {
                let _guard = guard;
                filling.run(fill, tries).await
            })
        });
        let lane = |number| Arc::new(Lane::new(number, limits(&self.pipeline)));
        // The file's number, unless that many connections are not to be had.
        let lanes = shared.connector.connections().shares().lanes.max(1);
        let lanes: Vec<Arc<Lane>> = (0..lanes).map(lane).collect();
        let mut membership = Membership::new(
            &self.pipeline,
            self.log.clone(),
            shared.connector.clone(),
            Handle::current(),
            self.until_caught_up,
        );
        let consumer =
            tokio::task::block_in_place(|| membership.join()).context("joining the group")?;

        let committers: Vec<_> = lanes
            .iter()
            .map(|lane| tokio::spawn(committer::run(shared.clone(), lane.clone())))
            .collect();
        let preparers: Vec<_> =
            lanes.iter().map(|lane| spawn_preparer(&shared, lane)).collect::<Result<_, _>>()?;
        let reader = Reader::new(
            shared.clone(),
            lanes.clone(),
            (membership, consumer),
            inbox,
            Handle::current(),
            stop.clone(),
        );
        let reader = spawn_thread("reader", move || reader.run())?;
        // Not waited for at the end: it only looks, and may be in the middle of a question to the
        // log.
        spawn_thread("watch", {
            let (shared, lanes, stop) = (shared.clone(), lanes.clone(), stop.clone());
            move || {
                let _guard = shared.guard("the watch over the log".to_owned());
                watch::run(&shared, &lanes, &stop);
            }
        })?;

        let pruning = tokio::spawn({
            let (shared, stop) = (shared.clone(), stop.clone());
            async move {
                let _guard = shared.guard("the pruning of the ledger".to_owned());
                prune::run(&shared.connector, &shared.pipeline, &stop).await;
            }
        });
        let views = tokio::spawn({
            let (shared, rollups, stop) = (shared.clone(), rollups, stop.clone());
            async move {
                let _guard = shared.guard("the making of the views".to_owned());
                views::keep(&shared.connector, &shared.pipeline, &rollups, &stop).await;
            }
        });
        let mut caught_up = match goal {
            Some((goal, connection)) => {
                wait_until_caught_up(
                    &shared,
                    &lanes,
                    connection,
                    &goal,
                    (filling.as_ref(), &stop),
                    &reader,
                )
                .await
            }
            None => Ok(()),
        };
        let ended = tokio::task::spawn_blocking(move || reader.join())
            .await
            .map_err(|error| anyhow!(error))?;
        stop.store(true, Ordering::Relaxed);
        tokio::task::block_in_place(|| shared.relays.stop_all(RELAY_PATIENCE));
        pruning.abort();
        views.abort();
        lanes.iter().for_each(|lane| lane.close());
        for committer in committers {
            let _ = committer.await;
        }
        let _ = tokio::task::spawn_blocking(move || {
            preparers.into_iter().for_each(|preparer| drop(preparer.join()))
        })
        .await;
        if let Some(filling) = filling.as_ref().filter(|filling| !filling.is_finished()) {
            filling.abort();
        } else if let Some(filling) = filling {
            let filled = filling
                .await
                .unwrap_or_else(|error| Err(format!("filling rollups failed: {error}")));
            if let (Err(reason), Ok(())) = (filled, &caught_up) {
                caught_up = Err(WorkerError::Other(anyhow!(reason)));
            }
        }
        match ended.map_err(|_| anyhow!("the reader failed; please report this"))? {
            Ended::Stopped => caught_up,
            Ended::GaveUp(reason) => {
                shared.progress.ended(&reason);
                Err(WorkerError::GaveUp(reason))
            }
            Ended::Failed(reason) => {
                shared.progress.ended(&reason);
                Err(WorkerError::Failed(reason))
            }
        }
    }

    /// The topic, made if it is missing: the cluster's id, its own id and its partitions.
    fn find_topic(&self) -> anyhow::Result<(String, String, i32)> {
        let source = &self.pipeline.source;
        let wanted = NewTopic {
            name: source.topic.clone(),
            partitions: source.partitions,
            retention: source.retention,
        };
        let cluster_id = self.log.cluster_id(LOG_TIMEOUT).context("asking the log for its id")?;
        self.log
            .create_topic(&wanted, LOG_TIMEOUT)
            .with_context(|| format!("making topic {}", source.topic))?;
        let topic = self.log.topic(&source.topic, LOG_TIMEOUT)?.with_context(|| {
            format!("topic {} is not there, though it was just made", source.topic)
        })?;
        Ok((cluster_id, topic.id, topic.partitions))
    }

    /// What "caught up" means: the last stable offsets of now.
    fn goal(&self, partitions: i32) -> anyhow::Result<BTreeMap<i32, i64>> {
        let mark = |partition| {
            Ok((
                partition,
                self.log
                    .watermarks(&self.pipeline.source.topic, partition, LOG_TIMEOUT)?
                    .last_stable,
            ))
        };
        (0..partitions).map(mark).collect()
    }
}

/// Connects and makes the tables, within the retry limit of the file.
pub(crate) async fn connect_patiently(
    connector: &Connector,
    pipeline: &Pipeline,
    rollups: &RollupTargets,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<(Connection, Option<Fill>), WorkerError> {
    let mut patience = Patience::new(&pipeline.database);
    loop {
        let problem = match connect_and_ensure(connector, pipeline, rollups).await {
            Ok(done) => return Ok(done),
            Err(problem) => problem,
        };
        let pause = match transient(&problem) {
            Some(Failure::Lost(_)) => patience.after_loss(),
            // Others have them, and nobody knows for how long.
            Some(Failure::Full(_)) => Some(patience.after_pause()),
            Some(_) => Some(patience.after_conflict()),
            None => return Err(problem.into()),
        };
        progress.database_trouble(&format!("{problem:#}"));
        match pause {
            Some(pause) if !stop.load(Ordering::Relaxed) => {
                tracing::warn!(pipeline = pipeline.name, reason = %format!("{problem:#}"), retry_in = ?pause, "the database cannot be used yet");
                tokio::time::sleep(pause).await;
            }
            _ => return Err(WorkerError::GaveUp(format!("{problem:#}"))),
        }
    }
}

async fn connect_and_ensure(
    connector: &Connector,
    pipeline: &Pipeline,
    rollups: &RollupTargets,
) -> anyhow::Result<(Connection, Option<Fill>)> {
    let mut connection = connector
        .connect()
        .await
        .with_context(|| format!("connecting to {}", connector.target()))?;
    let limits = ensure::ensure(&mut connection, pipeline, Some(rollups)).await?;
    if connector.connections().limit_to(limits.most()) {
        tracing::warn!(
            pipeline = pipeline.name,
            connections = connector.connections().most(),
            "fewer connections than database.max_connections may be had, and fewer are opened: {}",
            limits.to_text()
        );
    }
    let fill = register(&mut connection, connector, pipeline, rollups).await?;
    Ok((connection, fill))
}

/// What passes by itself: a connection that is lost, a lock, a conflict.
fn transient(problem: &anyhow::Error) -> Option<Failure> {
    let failure = problem.chain().find_map(|cause| {
        let by_client = || {
            cause
                .downcast_ref::<tokio_postgres::Error>()
                .map(|error| Failure::of(error, Scope::Own))
        };
        cause.downcast_ref::<Failure>().cloned().or_else(by_client)
    });
    failure.filter(|failure| {
        matches!(
            failure,
            Failure::Lost(_)
                | Failure::Full(_)
                | Failure::Again(_)
                | Failure::Slow(_)
                | Failure::Locked(_)
                | Failure::Serialization(_)
        )
    })
}

/// Waits until every partition's position reached its goal, whoever loads it.
async fn wait_until_caught_up(
    shared: &Shared,
    lanes: &[Arc<Lane>],
    mut connection: Option<Connection>,
    goal: &BTreeMap<i32, i64>,
    (filling, stop): (Option<&tokio::task::JoinHandle<Result<(), String>>>, &AtomicBool),
    reader: &std::thread::JoinHandle<Ended>,
) -> Result<(), WorkerError> {
    let mut asked_at = std::time::Instant::now();
    while !stop.load(Ordering::Relaxed) && !reader.is_finished() {
        let own: BTreeMap<i32, i64> = lanes
            .iter()
            .flat_map(|lane| lane.positions())
            .map(|(partition, committed, _)| (partition, committed))
            .collect();
        let mut reached = goal
            .iter()
            .all(|(partition, offset)| own.get(partition).is_some_and(|at| at >= offset));
        if !reached && asked_at.elapsed() > Duration::from_millis(250) {
            asked_at = std::time::Instant::now();
            let condition = shared.progress.condition();
            let halted: Vec<String> =
                condition.halted.into_values().chain(condition.unreadable.into_values()).collect();
            if !halted.is_empty() {
                stop.store(true, Ordering::Relaxed);
                return Err(WorkerError::Halted(halted.join("; ")));
            }
            reached = reached_in_database(shared, &mut connection, goal).await;
        }
        if reached
            && shared.relays.are_drained()
            && filling.is_none_or(tokio::task::JoinHandle::is_finished)
        {
            stop.store(true, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn reached_in_database(
    shared: &Shared,
    connection: &mut Option<Connection>,
    goal: &BTreeMap<i32, i64>,
) -> bool {
    if connection.is_none() {
        *connection = shared.connector.connect().await.ok();
    }
    let Some(on) = connection.as_ref() else { return false };
    let read = position::read_all(LoadSession::new(on, &shared.target)).await;
    if shared.connector.connections().shares().are_tight() {
        *connection = None;
    }
    match read {
        Ok(positions) => {
            let at: BTreeMap<i32, i64> =
                positions.into_iter().map(|position| (position.partition, position.next)).collect();
            goal.iter().all(|(partition, offset)| {
                *offset == 0 || at.get(partition).is_some_and(|at| at >= offset)
            })
        }
        Err(_) => {
            *connection = None;
            false
        }
    }
}

fn spawn_preparer(
    shared: &Arc<Shared>,
    lane: &Arc<Lane>,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let (shared, lane) = (shared.clone(), lane.clone());
    spawn_thread("prepare", move || {
        let _guard = shared.guard(format!("the preparer of lane {}", lane.number));
        while let Some(taken) = lane.take() {
            let epoch = taken.epoch();
            let (prepared, seconds, rest) =
                shared.stages.prepare_fitting(taken.batch, taken.ranges);
            shared.progress.batch_prepared(seconds);
            if let Some(rest) = rest {
                lane.give_back(epoch, rest.batch, &rest.ranges);
            }
            lane.prepared(epoch, prepared);
        }
    })
}

fn spawn_thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new()
        .name(format!("duto-{name}"))
        .spawn(run)
        .with_context(|| format!("starting the thread {name}"))
}

fn limits(pipeline: &Pipeline) -> Limits {
    let batch = &pipeline.batch;
    Limits {
        batch_records: batch.max_records,
        batch_bytes: batch.max_bytes,
        pending_records: (2 * batch.max_records).max(2_000),
        pending_bytes: 2 * batch.max_bytes,
        linger: batch.linger,
    }
}

/// Host, process and a random word: tells the ledger's reader who wrote a batch.
pub(crate) fn worker_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let word = uuid::Uuid::new_v4().simple().to_string();
    format!("{}/{}/{}", host.trim(), std::process::id(), &word[..8])
}
