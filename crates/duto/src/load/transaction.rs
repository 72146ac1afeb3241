//! The exactly-once transaction: position, rows, rejects and ledger change together, or not at all.

use std::collections::HashMap;

use futures_util::future::join_all;
use futures_util::join;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connect::{Connection, Connector};
use super::failure::Failure;
use super::prepared::{Outcome, Prepared};
use super::rejects::KnownRejects;
use super::rows::{self, Path, StoredRows};
use super::target::Target;
use super::{answers, ledger, outbox, position, rejects, rollups};
use crate::rollup::Rollups;

/// What a committed batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One a record of the batch.
    pub outcomes: Vec<Outcome>,
    pub stored: StoredRows,
}

/// Loads one batch. The fence is compared and the position moved first, in the same transaction as everything that follows, so that a
/// worker that lost its partitions writes nothing. After [`Failure::Lost`] the outcome is unknown: ask [`position::resolve`].
/// After any other failure nothing was written and the connection is ready for the next transaction.
pub async fn load(
    on: &mut Connection,
    by: &Connector,
    target: &Target,
    counters: &Rollups,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
    paths: &[Path],
) -> Result<Committed, Failure> {
    let attempt = async {
        let known = begin_at_position(on, by, target, batch, fences).await?;
        batch.excludes(&known.resolved)?;
        answers::write(on, by, target, batch).await?;
        let stored = rows::write(on, by, target, batch, paths).await?;
        let outcomes = batch.outcomes_of(&stored);
        rollups::write(on, by, target, counters, batch, &stored).await?;
        rejects::write(on, by, target, batch).await?;
        rejects::close_passed(on, by, &known.open, batch, &outcomes).await?;
        outbox::write(on, by, target, batch, &stored).await?;
        ledger::write_and_commit(on, by, target, &ledger::of_load(batch, &outcomes)).await?;
        Ok(Committed { outcomes, stored })
    };
    let result = attempt.await;
    match &result {
        Err(Failure::Lost(_)) | Ok(_) => result,
        Err(_) => by.within(on.client.batch_execute("ROLLBACK")).await.and(result),
    }
}

/// BEGIN, then every position forward, in partition order, if it is where we left it and still ours. One round trip: what follows BEGIN
/// does nothing without it, see [`position::ADVANCE`]. COMMIT is never sent before the positions' row counts are in.
async fn begin_at_position(
    on: &Connection,
    by: &Connector,
    target: &Target,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
) -> Result<KnownRejects, Failure> {
    let fences: Vec<Uuid> =
        batch.ranges.iter().map(|range| fences.get(&range.partition).copied().ok_or(Failure::Fenced)).collect::<Result<_, _>>()?;
    let mark = Uuid::new_v4().to_string();
    let begin = format!("{} SET LOCAL duto.batch = '{mark}'", target.begin);
    let (partitions, lows): (Vec<i32>, Vec<i64>) = batch.ranges.iter().map(|range| (range.partition, range.from)).unzip();
    let highs: Vec<i64> = batch.ranges.iter().map(|range| range.to).collect();
    let Target { pipeline, topic, cluster_id, topic_id, .. } = target;
    let (moved, known) = by
        .within(async {
            let (advance, select_known) = (&on.prepared(position::ADVANCE).await?, on.prepared(rejects::SELECT_KNOWN).await?);
            let mark = &mark;
            let advances = batch.ranges.iter().zip(&fences).map(|(range, fence)| async move {
                let values: [&(dyn ToSql + Sync); 8] =
                    [&range.to, &range.leader_epoch, pipeline, topic, &range.partition, fence, &range.from, mark];
                on.client.execute(advance, &values).await
            });
            let values: [&(dyn ToSql + Sync); 7] = [pipeline, cluster_id, topic, topic_id, &partitions, &lows, &highs];
            // The first poll of each sends it, so they leave in this order.
            let (begun, moved, known) = join!(on.client.batch_execute(&begin), join_all(advances), on.client.query(&select_known, &values));
            begun?;
            Ok((moved.into_iter().collect::<Result<Vec<u64>, _>>()?, known?))
        })
        .await
        .map_err(|failure| match failure {
            // REPEATABLE READ as the database's default answers so where READ COMMITTED answers no row.
            Failure::Serialization(_) => Failure::Fenced,
            other => other,
        })?;
    if moved.iter().all(|rows| *rows == 1) { Ok(KnownRejects::read(&known)) } else { Err(Failure::Fenced) }
}
