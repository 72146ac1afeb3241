//! Writes a batch's rows into their tables, and tells which of them were really stored.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::SinkExt;

use super::connect::{Connection, Connector};
use super::failure::{Failure, Scope};
use super::few::{self, FEW_ROWS};
use super::prepared::{Prepared, PreparedTable};
use super::target::{TableTarget, Target};
use crate::definition::Repeat;

/// How rows get into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// COPY, or INSERT of a few rows, straight into the table: fails with [`Failure::Repeat`] when a key is there already.
    Direct,
    /// COPY into a temporary table, and from there what is not there yet.
    Staged,
}

/// For each table, the rows of [`PreparedTable`] that are in it now and were not before, or took the place of another.
pub type StoredRows = Vec<Vec<u32>>;

/// Writes all tables in their order. `paths` has one path a table. Where the pipeline has a `once` table, which stands first, only the
/// records whose row it stored write anything into the others.
pub async fn write(on: &Connection, by: &Connector, target: &Target, batch: &Prepared, paths: &[Path]) -> Result<StoredRows, Failure> {
    let mut stored: StoredRows = Vec::with_capacity(batch.tables.len());
    for (index, (table, rows)) in target.tables.iter().zip(&batch.tables).enumerate() {
        let chosen = match stored.first() {
            Some(first) if target.has_once => batch.rows_of_admitted(index, first),
            _ => rows.rows.clone(),
        };
        stored.push(match paths.get(index) {
            _ if chosen.is_empty() => chosen,
            Some(Path::Direct) => write_direct(on, by, index, table, rows, chosen).await?,
            _ => write_staged(on, by, table, rows, chosen).await?,
        });
    }
    Ok(stored)
}

async fn write_direct(
    on: &Connection,
    by: &Connector,
    index: usize,
    table: &TableTarget,
    rows: &PreparedTable,
    chosen: Vec<u32>,
) -> Result<Vec<u32>, Failure> {
    let written = if chosen.len() <= FEW_ROWS {
        few::insert(on, by, table, rows, &chosen).await
    } else {
        copy(on, by, &table.copy, rows.encode(&chosen, false)).await
    };
    let written = written.map_err(|failure| match failure {
        Failure::Poison(refusal) if refusal.sqlstate == "23505" => Failure::Repeat(index),
        other => other,
    })?;
    expect_rows(table, written, chosen.len() as u64)?;
    Ok(chosen)
}

/// Stores what is not there yet.
async fn write_staged(
    on: &Connection,
    by: &Connector,
    table: &TableTarget,
    rows: &PreparedTable,
    chosen: Vec<u32>,
) -> Result<Vec<u32>, Failure> {
    by.within(on.client.batch_execute(&table.create_stage)).await?;
    let staged = copy(on, by, &table.copy_stage, rows.encode(&chosen, true)).await?;
    expect_rows(table, staged, chosen.len() as u64)?;
    let stored = by.within_scope(Scope::Data, on.client.query(&table.insert, &[])).await?;
    let stored: HashSet<u32> = stored.iter().map(|row| row.get::<_, i32>(0) as u32).collect();
    let swallowed: i64 = by.within(on.client.query_one(&table.swallowed, &[])).await?.get(0);
    let expected_all = table.repeat != Repeat::Ignore;
    if swallowed > 0 || (expected_all && stored.len() < chosen.len()) {
        expect_rows(table, stored.len() as u64, chosen.len() as u64)?;
    }
    Ok(chosen.into_iter().filter(|row| stored.contains(row)).collect())
}

/// Sends rows by a COPY statement; answers how many the table took.
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
