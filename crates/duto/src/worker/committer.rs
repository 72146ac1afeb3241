//! Loads a lane's batches, one after the other, and settles each: committed, fenced, or given up.

use std::sync::Arc;
use std::time::Instant;

use super::lane::{Lane, Work};
use super::paths::Paths;
use super::patience::Patience;
use super::progress::Progress;
use super::shared::{Message, Shared};
use crate::load::connect::Connection;
use crate::load::failure::Failure;
use crate::load::ledger;
use crate::load::poison;
use crate::load::position::{self, Resolution};
use crate::load::prepared::{Outcome, Prepared, Verdicts};
use crate::load::rows::StoredRows;
use crate::load::transaction;

/// How a batch ended.
enum Settled {
    Committed(Vec<Outcome>, Option<StoredRows>),
    /// Somebody else has a partition of it, or the lane was reset.
    Fenced,
    GaveUp(String),
}

/// The connection of a lane, and what it learnt about its data.
struct Committer {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    connection: Option<Connection>,
    paths: Paths,
}

/// Runs until the lane closes. A batch that cannot be settled within the retry limit ends the worker.
pub async fn run(shared: Arc<Shared>, lane: Arc<Lane>) {
    let mut committer = Committer { paths: Paths::new(shared.target.tables.len()), shared, lane, connection: None };
    // While the group is joined; if it fails, the first batch says so.
    committer.connection = committer.shared.connector.connect().await.ok();
    while let Some(mut work) = committer.lane.next().await {
        let lane = committer.lane.clone();
        let epoch = work.epoch();
        let started = Instant::now();
        let settled = tokio::select! {
            settled = committer.settle(&mut work) => settled,
            () = lane.aborted(epoch) => {
                // The transaction may be anywhere: only closing the connection ends it.
                committer.connection = None;
                Settled::Fenced
            }
        };
        match settled {
            Settled::Committed(outcomes, stored) => {
                committer.shared.progress.batch_committed(&work.prepared, &outcomes, started.elapsed());
                committer.tell_changes(&work.prepared, stored.as_deref());
                // Before the lane knows: whoever sees the position there must not find the relay idle from before.
                work.prepared.ranges.iter().for_each(|range| committer.shared.relays.wake(range.partition));
                lane.committed(&work);
                if let Some(stored) = stored {
                    committer.paths.learn(&work.prepared, &stored);
                }
            }
            Settled::Fenced => {
                lane.dropped();
                committer.shared.tell(Message::Fenced { lane: lane.number, epoch });
            }
            Settled::GaveUp(reason) => {
                lane.dropped();
                committer.shared.tell(Message::GaveUp(reason));
                return;
            }
        }
    }
}

impl Committer {
    async fn settle(&mut self, work: &mut Work) -> Settled {
        let mut patience = Patience::new(&self.shared.pipeline.database);
        let mut verdicts = Verdicts::default();
        let mut unknown = false;
        loop {
            let failure = match self.attempt(work, unknown).await {
                Ok(Some((outcomes, stored))) => return Settled::Committed(outcomes, stored),
                Ok(None) => {
                    // The lost transaction is known not to be there: the same again.
                    unknown = false;
                    continue;
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Fenced => return Settled::Fenced,
                Failure::Repeat(table) => self.paths.repeated(table),
                Failure::Poison(refusal) => {
                    if let Err(failure) = self.find_poison(work, &mut verdicts, &refusal.reason).await {
                        match self.wait_out(failure, &mut patience, &mut unknown).await {
                            None => {}
                            Some(settled) => return settled,
                        }
                    }
                }
                Failure::Resolved(places) => {
                    let resolved =
                        work.prepared.batch.records.iter().enumerate().filter(|(_, head)| places.contains(&(head.partition, head.offset)));
                    verdicts.resolved.extend(resolved.map(|(index, _)| index as u32));
                    self.prepare_again(work, &verdicts);
                }
                failure => {
                    if let Some(settled) = self.wait_out(failure, &mut patience, &mut unknown).await {
                        return settled;
                    }
                }
            }
        }
    }

    /// One try. None means that a transaction whose outcome was unknown is not in the database.
    async fn attempt(&mut self, work: &Work, unknown: bool) -> Result<Option<(Vec<Outcome>, Option<StoredRows>)>, Failure> {
        let shared = self.shared.clone();
        if self.connection.is_none() {
            self.connection = Some(shared.connector.connect().await?);
        }
        let Some(connection) = &mut self.connection else { return Err(Failure::Lost("no connection".into())) };
        let target = &shared.target;
        if unknown {
            return match position::resolve(connection, &shared.connector, target, &work.prepared.ranges, &work.fences).await? {
                Resolution::Committed => ledger::read_outcomes(connection, &shared.connector, target, &work.prepared)
                    .await
                    .map(|outcomes| Some((outcomes, None))),
                Resolution::NotCommitted => Ok(None),
                Resolution::Fenced => Err(Failure::Fenced),
            };
        }
        if !shared.topic_is_confirmed() {
            tokio::task::block_in_place(|| shared.ask_about_topic()).map_err(|error| Failure::Again(error.to_string()))?;
        }
        let committed = transaction::load(
            connection,
            &shared.connector,
            target,
            shared.stages.rollups(),
            &work.prepared,
            &work.fences,
            self.paths.of_tables(),
        )
        .await?;
        Ok(Some((committed.outcomes, Some(committed.stored))))
    }

    /// Waits as the failure asks for; Some when there is nothing more to wait for.
    async fn wait_out(&mut self, failure: Failure, patience: &mut Patience, unknown: &mut bool) -> Option<Settled> {
        let progress: &Progress = &self.shared.progress;
        match failure {
            Failure::Fenced => return Some(Settled::Fenced),
            Failure::Lost(reason) => {
                self.connection = None;
                *unknown = true;
                progress.database_trouble(&reason);
                let Some(pause) = patience.after_loss() else { return Some(Settled::GaveUp(reason)) };
                tracing::warn!(pipeline = self.shared.pipeline.name, reason, retry_in = ?pause, attempt = patience.losses(), "the database connection was lost");
                tokio::time::sleep(pause).await;
            }
            Failure::Again(reason) | Failure::Locked(reason) | Failure::Serialization(reason) => {
                let pause = patience.after_conflict();
                tracing::debug!(pipeline = self.shared.pipeline.name, reason, retry_in = ?pause, "the transaction is tried again");
                tokio::time::sleep(pause).await;
            }
            other => {
                let reason = other.to_string();
                let pause = patience.after_pause();
                tracing::error!(pipeline = self.shared.pipeline.name, reason, retry_in = ?pause, "the load is paused; nothing is lost, it goes on by itself when the cause is gone");
                progress.paused(self.lane.number, &reason);
                tokio::time::sleep(pause).await;
                progress.resumed(self.lane.number);
            }
        }
        None
    }

    /// Tells those who show the tables which of them have new rows; where nobody knows, all.
    fn tell_changes(&self, batch: &Prepared, stored: Option<&[Vec<u32>]>) {
        let tables = self.shared.pipeline.tables.iter().enumerate();
        let changed =
            tables.filter(|(index, _)| stored.is_none_or(|stored| !stored[*index].is_empty())).map(|(_, table)| table.name.as_str());
        self.shared.progress.changes.committed(changed, batch.ranges.iter().map(|range| (range.partition, range.to)));
    }

    async fn find_poison(&mut self, work: &mut Work, verdicts: &mut Verdicts, reason: &str) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let Some(connection) = &self.connection else { return Err(Failure::Lost("no connection".into())) };
        let found = poison::find(connection, &shared.connector, &shared.target, &work.prepared).await?;
        if found.is_empty() {
            return Err(Failure::Again(format!("a row was refused, but not when it was tried again: {reason}")));
        }
        verdicts.rejects.extend(found);
        self.prepare_again(work, verdicts);
        Ok(())
    }

    fn prepare_again(&self, work: &mut Work, verdicts: &Verdicts) {
        let batch = std::mem::take(&mut work.prepared.batch);
        let ranges = std::mem::take(&mut work.prepared.ranges);
        let prepare = || self.shared.stages.prepare(batch, ranges, verdicts);
        (work.prepared, _) = tokio::task::block_in_place(prepare);
    }
}
