//! The exactly-once transaction: position, rows, rejects and ledger change together, or not at all.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use super::connect::{Connection, Connector};
use super::failure::{Failure, Scope};
use super::prepared::{Outcome, Prepared, PreparedTable};
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
        // SELECT fails in a transaction that failed, where COMMIT alone would answer Ok and roll back.
        let end = format!("{} SELECT 1; COMMIT", ledger::insert_statements(target, batch, &outcomes));
        by.within(on.client.simple_query(&end)).await?;
        Ok(Committed { outcomes })
    };
    let result = attempt.await;
    match &result {
        Err(Failure::Lost(_)) | Ok(_) => result,
        Err(_) => by.within(on.client.batch_execute("ROLLBACK")).await.and(result),
    }
}

/// Rejects of this range that are on record from an earlier reading of it.
struct KnownRejects {
    /// Their ids, by partition and offset.
    open: HashMap<(i32, i64), i64>,
    resolved: Vec<(i32, i64)>,
}

/// BEGIN, then every position forward, in partition order, if it is where we left it and still ours.
async fn begin_at_position(
    on: &Connection,
    by: &Connector,
    target: &Target,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
) -> Result<KnownRejects, Failure> {
    let mut statements = target.begin.clone();
    let settings = statements.matches(';').count();
    for range in &batch.ranges {
        let fence = fences.get(&range.partition).ok_or(Failure::Fenced)?;
        statements.push_str(&position::advance_statement(target, range, *fence));
    }
    statements.push_str(&rejects::known_statement(target, &batch.ranges));
    let answers = by.within(on.client.simple_query(&statements)).await.map_err(|failure| match failure {
        // REPEATABLE READ as the database's default answers so where READ COMMITTED answers no row.
        Failure::Again(said) if said.contains("40001") => Failure::Fenced,
        other => other,
    })?;
    let mut completed = 0;
    let mut moved = 0;
    let mut known = KnownRejects { open: HashMap::new(), resolved: Vec::new() };
    for answer in answers {
        match answer {
            SimpleQueryMessage::CommandComplete(rows) => {
                if (settings..settings + batch.ranges.len()).contains(&completed) {
                    moved += rows;
                }
                completed += 1;
            }
            SimpleQueryMessage::Row(row) => rejects::read_known(&row, &mut known.open, &mut known.resolved),
            _ => {}
        }
    }
    if moved == batch.ranges.len() as u64 { Ok(known) } else { Err(Failure::Fenced) }
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
