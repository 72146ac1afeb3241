//! Settles one prepared batch: it is committed, fenced, or given up; whatever fails in between is
//! waited out. The workers' lanes and the loads of files do it alike.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::paths::Paths;
use super::patience::Patience;
use crate::deliver::Deliverer;
use crate::progress::Progress;
use crate::progress::recent::Counts;
use duto_definition::Database;
use duto_ground::batch::Batch;
use duto_ground::index::{RecordIndex, RowIndex};
use duto_ground::reject::Stage;
use duto_load::at_once::{AtOnceLoader, Shortcut};
use duto_load::connect::{Connection, Connector};
use duto_load::failure::{Failure, Refusal};
use duto_load::ledger;
use duto_load::partitions::Partitions;
use duto_load::poison::{Doubt, Search};
use duto_load::position::{self, Resolution};
use duto_load::rows::StoredRows;
use duto_load::session::LoadSession;
use duto_load::target::Target;
use duto_load::transaction;
use duto_stages::Stages;
use duto_stages::prepared::{OffsetRange, Outcome, Prepared, Verdicts};

/// A batch whose statement took longer than it may so many times goes in halves.
const SLOW_TRIES: u32 = 2;
/// A row whose table may be at fault, and takes no other row meanwhile, holds up the others for
/// this long.
const DOUBT_PATIENCE: Duration = Duration::from_secs(60);

/// How a batch ended.
pub enum Settled {
    /// With what was stored, unless that is not known any more: the connection was lost after the
    /// COMMIT.
    Committed(Vec<Outcome>, Option<StoredRows>),
    /// Somebody else has a partition of it.
    Fenced,
    GaveUp(String),
}

/// What one try came to.
enum Attempt {
    Committed(Vec<Outcome>, Option<StoredRows>),
    /// A transaction whose outcome was unknown is known not to be in the database.
    NotThere,
}

/// Where batches go, and by which stages they are prepared again.
#[derive(Clone)]
pub struct Way {
    pub stages: Arc<Stages>,
    pub target: Target,
    pub connector: Connector,
    pub progress: Arc<Progress>,
    pub deliverer: Arc<Deliverer>,
    /// How patient to be with it.
    pub database: Database,
    /// Must hold at each BEGIN: the source is the one that the positions count.
    pub confirm: Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>,
}

/// A connection for one batch after the other, and what it learnt about their data.
pub struct Settler {
    way: Way,
    /// By which the progress knows it.
    lane: usize,
    connection: Option<Connection>,
    paths: Paths,
    partitions: Partitions,
    at_once: AtOnceLoader,
    /// Records that come behind the batch in hand, as far as they are known: what passes of them
    /// tells whose fault a refusal is.
    neighbours: Arc<dyn Fn() -> Batch + Send + Sync>,
}

impl Settler {
    pub fn new(way: Way, lane: usize, partitions: Partitions) -> Self {
        let (paths, at_once) = (Paths::new(way.target.tables.len()), AtOnceLoader::default());
        Self {
            way,
            lane,
            connection: None,
            paths,
            partitions,
            at_once,
            neighbours: Arc::new(Batch::default),
        }
    }

    /// The same, for one that can see what comes behind its batches.
    pub fn with_neighbours(self, neighbours: Arc<dyn Fn() -> Batch + Send + Sync>) -> Self {
        Self { neighbours, ..self }
    }

    /// Connects beforehand; if that fails, the first batch says so.
    pub async fn connect(&mut self) {
        self.connection = self.way.connector.connect().await.ok();
    }

    /// Ends whatever is in flight: only closing the connection does.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// A batch was committed with these outcomes: counts it and learns from it.
    pub fn committed(
        &mut self,
        batch: &Prepared,
        outcomes: &[Outcome],
        stored: Option<&[Vec<RowIndex>]>,
        took: Duration,
    ) {
        self.way.progress.batch_committed(batch, outcomes, took);
        if let Some(stored) = stored {
            self.paths.learn(batch, stored);
        }
    }

    /// Returns when there is nothing more to try. `batch` is then what was written, or would have
    /// been.
    pub async fn settle(&mut self, batch: &mut Prepared, fences: &HashMap<i32, Uuid>) -> Settled {
        self.settle_after(batch, fences, 0).await
    }

    /// The same of records that took too long so many times.
    async fn settle_after(
        &mut self,
        batch: &mut Prepared,
        fences: &HashMap<i32, Uuid>,
        mut slow_tries: u32,
    ) -> Settled {
        let mut patience = Patience::new(&self.way.database);
        let mut verdicts = Verdicts::default();
        let mut unknown = false;
        let mut in_doubt_since = None;
        if !batch.calls.is_empty() {
            let refused =
                self.way.deliverer.deliver(&self.way.target, batch, &self.way.progress).await;
            if !refused.is_empty() {
                verdicts.rejects.extend(refused);
                self.prepare_again(batch, &verdicts);
            }
        }
        loop {
            if !unknown && let Some(reason) = self.too_many_rejects(batch) {
                if let Some(settled) =
                    self.wait_out(Failure::Pause(reason), &mut patience, &mut unknown).await
                {
                    return settled;
                }
                // The table may take today what it refused then.
                verdicts.rejects.retain(|reject| reject.stage != Stage::Load);
                self.prepare_again(batch, &verdicts);
                continue;
            }
            let failure = match self.attempt(batch, fences, unknown).await {
                Ok(Attempt::Committed(outcomes, stored)) => {
                    return Settled::Committed(outcomes, stored);
                }
                Ok(Attempt::NotThere) => {
                    unknown = false;
                    continue;
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Fenced => return Settled::Fenced,
                Failure::Repeat(table) => self.paths.repeated(table),
                Failure::Poison(refusal) => {
                    if let Err(failure) =
                        self.find_poison(batch, &mut verdicts, &refusal, &mut in_doubt_since).await
                        && let Some(settled) =
                            self.wait_out(failure, &mut patience, &mut unknown).await
                    {
                        return settled;
                    }
                }
                Failure::Resolved(places) => {
                    let resolved = RecordIndex::all()
                        .zip(&batch.batch.records)
                        .filter(|(_, head)| places.contains(&(head.partition, head.offset)));
                    verdicts.resolved.extend(resolved.map(|(index, _)| index));
                    self.prepare_again(batch, &verdicts);
                }
                failure => {
                    slow_tries += u32::from(matches!(failure, Failure::Slow(_)));
                    if slow_tries >= SLOW_TRIES && batch.batch.len() > 1 {
                        tracing::info!(pipeline = self.way.target.pipeline, records = batch.batch.len(), %failure, "the batch goes in halves");
                        return self.settle_in_halves(batch, &verdicts, fences).await;
                    }
                    if let Some(settled) = self.wait_out(failure, &mut patience, &mut unknown).await
                    {
                        return settled;
                    }
                }
            }
        }
    }

    /// Each half is a batch by itself, which moves the positions as far as its records reach. Where
    /// only the first is committed, whoever has the partitions next goes on behind it.
    async fn settle_in_halves(
        &mut self,
        batch: &Prepared,
        verdicts: &Verdicts,
        fences: &HashMap<i32, Uuid>,
    ) -> Settled {
        let mut first = batch.batch.clone();
        let rest = first.split_off(first.len() / 2);
        let (of_first, of_rest) = OffsetRange::divide(batch.ranges.clone(), &first);
        let (known_first, known_rest) = verdicts.divide(first.len() as u32);
        let mut outcomes = Vec::with_capacity(batch.batch.len());
        for (records, ranges, known) in
            [(first, of_first, known_first), (rest, of_rest, known_rest)]
        {
            let prepare = || self.way.stages.prepare(records, ranges, &known).0;
            let mut half = tokio::task::block_in_place(prepare);
            match Box::pin(self.settle_after(&mut half, fences, SLOW_TRIES - 1)).await {
                Settled::Committed(of_half, _) => outcomes.extend(of_half),
                other => return other,
            }
        }
        // Which rows were stored is known by halves only.
        Settled::Committed(outcomes, None)
    }

    /// One try; of a batch whose transaction's outcome is unknown, to learn it.
    async fn attempt(
        &mut self,
        batch: &Prepared,
        fences: &HashMap<i32, Uuid>,
        unknown: bool,
    ) -> Result<Attempt, Failure> {
        let Way { stages, target, connector, confirm, .. } = &self.way;
        if self.connection.is_none() {
            self.connection = Some(connector.connect().await?);
        }
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Lost("no connection".into()));
        };
        let session = LoadSession::new(connection, target);
        if unknown {
            return match position::resolve(session, &batch.ranges, fences).await? {
                Resolution::Committed => {
                    let outcomes = ledger::read_outcomes(session, batch).await?;
                    Ok(Attempt::Committed(outcomes, None))
                }
                Resolution::NotCommitted => Ok(Attempt::NotThere),
                Resolution::Fenced => Err(Failure::Fenced),
            };
        }
        self.partitions.make_for(connection, batch).await?;
        confirm()?;
        let paths = self.paths.of_tables();
        let committed = match self.at_once.load(session, batch, fences, paths).await? {
            Shortcut::Taken(committed) => committed,
            Shortcut::NotTaken => {
                transaction::load(connection, target, stages.rollups(), batch, fences, paths)
                    .await?
            }
        };
        Ok(Attempt::Committed(committed.outcomes, Some(committed.stored)))
    }

    /// Why the batch is not to be loaded, where the file sets a limit.
    fn too_many_rejects(&self, batch: &Prepared) -> Option<String> {
        let percent = self.way.stages.pipeline().rejects.pause_at_percent?;
        let Counts { records, rejected } = self.way.progress.would_reject(percent, batch)?;
        let reason = batch.rejects.last().map_or("", |reject| &reject.reason);
        Some(format!(
            "{rejected} of the last {records} records would be rejects, and rejects.pause_at is \
                {percent}%: mend what sends them, the table or the \
             file, or raise the limit; the last one's reason: {reason}"
        ))
    }

    /// Waits as the failure asks for; Some when there is nothing more to wait for. What lasts is in
    /// the health until the batch is settled.
    async fn wait_out(
        &mut self,
        failure: Failure,
        patience: &mut Patience,
        unknown: &mut bool,
    ) -> Option<Settled> {
        let progress: &Progress = &self.way.progress;
        let pipeline = self.way.target.pipeline.as_str();
        match failure {
            Failure::Fenced => return Some(Settled::Fenced),
            Failure::Lost(reason) => {
                self.connection = None;
                *unknown = true;
                progress.database_trouble(&reason);
                let Some(pause) = patience.after_loss() else {
                    return Some(Settled::GaveUp(reason));
                };
                tracing::warn!(pipeline, reason, retry_in = ?pause, attempt = patience.losses(), "the database connection was lost");
                tokio::time::sleep(pause).await;
            }
            Failure::Again(reason)
            | Failure::Slow(reason)
            | Failure::Locked(reason)
            | Failure::Serialization(reason) => {
                let pause = patience.after_conflict();
                if patience.conflict_lasts() {
                    tracing::warn!(pipeline, reason, retry_in = ?pause, "something keeps the load \
                        away; nothing is lost, it is tried again until that ends");
                    progress.paused(self.lane, &format!("something keeps the load away: {reason}"));
                } else {
                    tracing::debug!(pipeline, reason, retry_in = ?pause, "the transaction is tried \
                        again");
                }
                tokio::time::sleep(pause).await;
            }
            other => {
                let reason = other.to_string();
                let pause = patience.after_pause();
                tracing::error!(pipeline, reason, retry_in = ?pause, "the load is paused; nothing \
                    is lost, it goes on by itself when the cause is gone");
                progress.paused(self.lane, &reason);
                tokio::time::sleep(pause).await;
            }
        }
        None
    }

    /// Finds what PostgreSQL refuses and prepares the batch without it. Where nothing is found the
    /// shortcut was refused, not the rows.
    async fn find_poison(
        &mut self,
        batch: &mut Prepared,
        verdicts: &mut Verdicts,
        refusal: &Refusal,
        in_doubt_since: &mut Option<Instant>,
    ) -> Result<(), Failure> {
        let Some(connection) = &self.connection else {
            return Err(Failure::Lost("no connection".into()));
        };
        let Way { stages, target, .. } = &self.way;
        let neighbours = || {
            let behind = (self.neighbours)();
            if behind.is_empty() {
                return None;
            }
            let prepare = || stages.prepare(behind, Vec::new(), &Verdicts::default()).0;
            Some(tokio::task::block_in_place(prepare))
        };
        let doubt = match in_doubt_since {
            Some(since) if since.elapsed() > DOUBT_PATIENCE => Doubt::WaitsForOthers,
            _ => Doubt::Waits,
        };
        let search = Search {
            session: LoadSession::new(connection, target),
            counters: stages.rollups(),
            doubt,
            neighbours: &neighbours,
        };
        let found = match search.find(batch).await {
            Err(failure @ Failure::Pause(_)) => {
                in_doubt_since.get_or_insert_with(Instant::now);
                return Err(failure);
            }
            found => found?,
        };
        if found.is_empty() {
            return match self.paths.shortcut_failed(batch) {
                true => Ok(()),
                false => Err(Failure::Again(format!(
                    "rows were refused, but not when they were tried again: {}",
                    refusal.said()
                ))),
            };
        }
        let (refused, records) = (found.len(), batch.batch.len());
        tracing::warn!(
            pipeline = target.pipeline,
            records,
            refused,
            reason = found[0].reason,
            "PostgreSQL refuses records: they become rejects"
        );
        verdicts.rejects.extend(found);
        self.prepare_again(batch, verdicts);
        Ok(())
    }

    fn prepare_again(&self, batch: &mut Prepared, verdicts: &Verdicts) {
        let records = std::mem::take(&mut batch.batch);
        let ranges = std::mem::take(&mut batch.ranges);
        let prepare = || self.way.stages.prepare(records, ranges, verdicts);
        (*batch, _) = tokio::task::block_in_place(prepare);
    }
}
