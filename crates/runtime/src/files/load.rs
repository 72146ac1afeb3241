//! A file from its position to its end, by the exactly-once transaction of the workers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use uuid::Uuid;

use super::bad_file::BadFile;
use super::read::{PreparedPortion, Source};
use super::{CLUSTER, PARTITION, pipeline_of};
use crate::deliver::Deliverer;
use crate::progress::Progress;
use crate::worker::filling::Filling;
use crate::worker::settle::{Settled, Settler, Way};
use crate::worker::{TRIES_TO_FILL, WorkerError, connect_patiently, worker_name};
use duto_definition::{Files, Pipeline, Repeat};
use duto_load::audit::Actor;
use duto_load::connect::{Connection, Connector};
use duto_load::failure::Failure;
use duto_load::move_position::{Move, move_position};
use duto_load::partitions::Partitions;
use duto_load::position::{self, Position};
use duto_load::rollups::{FILES_SHARD, RollupTargets};
use duto_load::session::LoadSession;
use duto_load::target::Target;
use duto_stages::Stages;

/// The line before the first one.
const BEGINNING: i64 = 1;
/// What is in flight when a load is to stop may finish, but not for ever.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What to load, and how.
pub struct FileLoad<'l> {
    pub pipeline: &'l Pipeline,
    pub files: &'l Files,
    pub path: &'l Path,
    /// From the first line, though it was loaded before: what is stored counts as repeated.
    pub again: bool,
    /// Who loads it.
    pub actor: &'l Actor,
    pub stop: Arc<AtomicBool>,
    /// Is told what happens: bytes of the first reading, then bytes of the file that are stored.
    pub watch: &'l dyn Watch,
}

/// Shows how far a load is.
pub trait Watch {
    fn looked_at(&self, more_bytes: u64);
    fn stored_up_to(&self, bytes: u64, of_bytes: u64);
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Loaded,
    /// Everything was stored before; nothing was changed.
    LoadedBefore,
    /// It was told to stop before this line.
    Stopped(i64),
    /// Another load of the same content took over before this line.
    TakenOver(i64),
}

/// Why a load could not come to its end. What was stored stays, and the same again goes on behind
/// it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    File(#[from] BadFile),
    /// Somebody wrote the file when its first lines were stored already. Each of these is as it was
    /// when the load began.
    #[error("it changed while it was loaded: the lines before line {before} are stored as they \
        were. {}", advice(*.before, .appends.as_deref()))]
    Changed { before: i64, appends: Option<String> },
    /// The database did not come back within the retry limit.
    #[error("gave up: {0}; nothing is lost, the same command goes on from there")]
    GaveUp(String),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A load that ended, and a connection to ask for its figures.
pub struct Done {
    pub ended: Ended,
    pub sha256: String,
    pub target: Target,
    pub connection: Connection,
}

/// Loads what is not stored yet.
pub async fn run(load: &FileLoad<'_>) -> Result<Done, LoadError> {
    let FileLoad { pipeline, files, path, .. } = load;
    let source = tokio::task::block_in_place(|| {
        Source::open(path, pipeline, files, &mut |bytes| load.watch.looked_at(bytes))
    })?;
    let sha256 = source.scanned.sha256.clone();
    let pipeline = &pipeline_of(pipeline, &sha256);
    let planned = Stages::plan(pipeline).map_err(|problems| {
        anyhow::anyhow!(
            "planning: {}",
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
        )
    })?;
    let stages = Arc::new(planned.of_lines(source.layout.clone()));
    let connector = Connector::new(
        &pipeline.database,
        &format!("{} file {}", pipeline.name, std::process::id()),
    )?;
    let progress = Arc::new(Progress::default());
    let rollups = RollupTargets::new(stages.rollups());
    let (mut connection, fill) =
        connect_patiently(&connector, pipeline, &rollups, &progress, &load.stop)
            .await
            .map_err(of_worker)?;
    let filling = fill.is_some().then(|| {
        let filling = Filling {
            connector: connector.clone(),
            pipeline: pipeline.clone(),
            rollups,
            progress: progress.clone(),
            stop: load.stop.clone(),
        };
        tokio::spawn(filling.run(fill, Some(TRIES_TO_FILL)))
    });
    let (written, cluster) = (stages.written(), CLUSTER.to_owned());
    let mut target =
        Target::new(pipeline, written, stages.rollups(), cluster, sha256.clone(), worker_name());
    target.shard = Some(FILES_SHARD);
    if load.again {
        go_back(&mut connection, pipeline, &target, load.actor).await?;
    }
    let position = claim(LoadSession::new(&connection, &target)).await.map_err(of_failure)?;
    let ended = if position.next >= source.end() {
        Ended::LoadedBefore
    } else {
        let way = Way {
            stages: stages.clone(),
            target: target.clone(),
            connector: connector.for_loads(pipeline),
            progress,
            deliverer: Arc::new(Deliverer::new(pipeline)?),
            database: pipeline.database.clone(),
            confirm: Arc::new(|| Ok(())),
        };
        let settler = Settler::new(way, 0, Partitions::new(pipeline, stages.written()));
        store(load, source, pipeline, &stages, &position, settler).await?
    };
    if let Some(filling) = filling {
        let _ = filling.await;
    }
    // The one that claimed may be gone after a long load.
    let connection = if connection.client.is_closed() {
        connector.connect().await.map_err(of_failure)?
    } else {
        connection
    };
    Ok(Done { ended, sha256, target, connection })
}

async fn store(
    load: &FileLoad<'_>,
    source: Source,
    pipeline: &Pipeline,
    stages: &Arc<Stages>,
    position: &Position,
    mut settler: Settler,
) -> Result<Ended, LoadError> {
    let (all_bytes, end) = (source.scanned.bytes, source.end());
    let fences: HashMap<i32, Uuid> = HashMap::from([(PARTITION, position.fence)]);
    let mut portions = source.start(position.next, pipeline, stages)?;
    let mut at = position.next;
    while let Some(portion) = portions.recv().await {
        let PreparedPortion { mut prepared, read_bytes } =
            portion.map_err(|problem| match problem {
                BadFile::Changed if at > BEGINNING => {
                    LoadError::Changed { before: at, appends: appends(pipeline) }
                }
                problem => LoadError::File(problem),
            })?;
        if load.stop.load(Ordering::Relaxed) {
            return Ok(Ended::Stopped(at));
        }
        let to = prepared.ranges.last().map_or(at, |range| range.to);
        let started = Instant::now();
        let settled = tokio::select! {
            settled = settler.settle(&mut prepared, &fences) => settled,
            () = overdue(&load.stop) => return Ok(Ended::Stopped(at)),
        };
        match settled {
            Settled::Committed(outcomes, stored) => {
                settler.committed(&prepared, &outcomes, stored.as_deref(), started.elapsed());
                at = to;
                load.watch.stored_up_to(read_bytes, all_bytes);
            }
            Settled::Fenced => return Ok(Ended::TakenOver(at)),
            Settled::GaveUp(reason) => return Err(LoadError::GaveUp(reason)),
        }
    }
    // The channel ends without a word where a thread before it panicked.
    if at < end {
        return Err(LoadError::Other(anyhow::anyhow!(
            "reading ended before line {at} of {end}, though the file goes on: this is a fault of \
                duto, please report it; the lines before are stored, and the same command goes on \
                from there"
        )));
    }
    Ok(Ended::Loaded)
}

/// The file's position, ours from now on: a load of the same content that is still running writes
/// nothing more.
async fn claim(session: LoadSession<'_>) -> Result<Position, Failure> {
    loop {
        if let Some(position) = position::claim(session, PARTITION).await? {
            return Ok(position);
        }
        if let Some(position) = position::begin(session, PARTITION, BEGINNING).await? {
            return Ok(position);
        }
    }
}

/// Back to the first line, on record.
async fn go_back(
    on: &mut Connection,
    pipeline: &Pipeline,
    target: &Target,
    actor: &Actor,
) -> anyhow::Result<()> {
    let is_known = "SELECT EXISTS (SELECT 1 FROM duto.position WHERE pipeline = $1 AND topic = $2)";
    if !on.client.query_one(is_known, &[&target.pipeline, &target.topic]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let appends = appends(pipeline);
    let wanted = Move {
        partition: PARTITION,
        to: BEGINNING,
        appends: appends.as_deref(),
        really: true,
        actor,
    };
    move_position(on, target, &wanted).await.map(|_| ()).context("going back to the first line")
}

/// A table in which every row is kept: it forbids to read anything twice.
fn appends(pipeline: &Pipeline) -> Option<String> {
    pipeline
        .tables
        .iter()
        .find(|table| table.repeat == Repeat::Append)
        .map(|table| table.name.clone())
}

/// What to do with a file that is another one now. Nothing that is advised stores a row twice.
fn advice(before: i64, appends: Option<&str>) -> String {
    match appends {
        None => "Load it again when nobody writes it any more: what is stored counts as repeated"
            .to_owned(),
        Some(table) => format!(
            "Do not load it again as it is now: table {table} keeps every row (`repeat: append`), \
                so that those lines would be stored twice. Bring the file back as it was, and the \
                same command goes on from line {before}; or load a file that holds, below the \
                heading, only the lines from line {before} on"
        ),
    }
}

/// Ends when a stop has waited long enough for what is in flight.
async fn overdue(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(STOP_PATIENCE).await;
}

fn of_failure(failure: Failure) -> LoadError {
    match failure {
        Failure::Lost(reason) | Failure::Locked(reason) => LoadError::GaveUp(reason),
        other => LoadError::Other(other.into()),
    }
}

fn of_worker(error: WorkerError) -> LoadError {
    match error {
        WorkerError::GaveUp(reason) => LoadError::GaveUp(reason),
        // It would tell its cause twice.
        WorkerError::Failed(reason) => LoadError::Other(anyhow::anyhow!(reason)),
        WorkerError::Other(cause) => LoadError::Other(cause),
        other => LoadError::Other(other.into()),
    }
}
