//! The exactly-once transaction: position, rows, rejects and ledger change together, or not at all.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, join};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connect::{Connection, Connector};
use super::failure::{Failure, Scope};
use super::prepared::{Outcome, Prepared, PreparedTable};
use super::rejects::KnownRejects;
use super::target::{TableTarget, Target};
use super::{ledger, position, rejects};

/// How rows get into their tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// COPY straight into the table: fails with [`Failure::Repeat`] when a key is there already.
    Direct,
    /// COPY into a temporary table, and from there what is not there yet.
    Staged,
}

/// What a committed batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One a record of the batch.
    pub outcomes: Vec<Outcome>,
}

/// Loads one batch. The fence is compared and the position moved first, in the same transaction as everything that follows, so that a
/// worker that lost its partitions writes nothing. After [`Failure::Lost`] the outcome is unknown: ask [`position::resolve`].
/// After any other failure nothing was written and the connection is ready for the next transaction.
pub async fn load(
    on: &mut Connection,
    by: &Connector,
    target: &Target,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
    path: Path,
) -> Result<Committed, Failure> {
    let attempt = async {
        let known = begin_at_position(on, by, target, batch, fences).await?;
        batch.excludes(&known.resolved)?;
        let mut outcomes = batch.outcomes.clone();
        for (table, rows) in target.tables.iter().zip(&batch.tables) {
            match path {
                Path::Direct => write_direct(on, by, table, rows).await?,
                Path::Staged => write_staged(on, by, table, rows, &mut outcomes).await?,
            }
        }
        rejects::write(on, by, target, batch).await?;
        rejects::close_passed(on, by, &known.open, batch, &outcomes).await?;
        ledger::write_and_commit(on, by, target, &ledger::of_load(batch, &outcomes)).await?;
        Ok(Committed { outcomes })
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

async fn write_direct(on: &Connection, by: &Connector, table: &TableTarget, rows: &PreparedTable) -> Result<(), Failure> {
    if rows.rows.is_empty() {
        return Ok(());
    }
    let written = copy(on, by, &table.copy, rows.encode(false)).await.map_err(|failure| match failure {
        Failure::Poison(refusal) if refusal.sqlstate == "23505" => Failure::Repeat,
        other => other,
    })?;
    expect_rows(table, written, rows.rows.len() as u64)
}

/// Stores what is not there yet; a record none of whose rows was stored is a repeat.
pub(super) async fn write_staged(
    on: &Connection,
    by: &Connector,
    table: &TableTarget,
    rows: &PreparedTable,
    outcomes: &mut [Outcome],
) -> Result<(), Failure> {
    if rows.rows.is_empty() {
        return Ok(());
    }
    by.within(on.client.batch_execute(&table.create_stage)).await?;
    let staged = copy(on, by, &table.copy_stage, rows.encode(true)).await?;
    expect_rows(table, staged, rows.rows.len() as u64)?;
    let stored = by.within_scope(Scope::Data, on.client.query(&table.insert, &[])).await?;
    let stored: HashSet<u32> = stored.iter().map(|row| row.get::<_, i32>(0) as u32).collect();
    let swallowed: i64 = by.within(on.client.query_one(&table.swallowed, &[])).await?.get(0);
    let expected_all = table.repeat != crate::definition::Repeat::Ignore;
    if swallowed > 0 || (expected_all && stored.len() < rows.rows.len()) {
        return expect_rows(table, stored.len() as u64, rows.rows.len() as u64);
    }
    for row in &rows.rows {
        let record = rows.record[*row as usize];
        outcomes[record as usize] = if stored.contains(&record) { Outcome::Stored } else { Outcome::Repeated };
    }
    Ok(())
}

pub(super) async fn copy(on: &Connection, by: &Connector, statement: &str, rows: Vec<u8>) -> Result<u64, Failure> {
    by.within_scope(Scope::Data, async {
        let sink = on.client.copy_in::<_, Bytes>(&on.prepared(statement).await?).await?;
        futures_util::pin_mut!(sink);
        sink.send(Bytes::from(rows)).await?;
        sink.finish().await
    })
    .await
}

/// A trigger that swallows rows would lose them without a word.
fn expect_rows(table: &TableTarget, written: u64, sent: u64) -> Result<(), Failure> {
    if written == sent {
        return Ok(());
    }
    Err(Failure::Pause(format!(
        "table {}: {sent} rows were sent but {written} were written: a trigger or a rule of the table swallows rows; remove it, or let it raise an error",
        table.name
    )))
}
