//! Writes a batch's rows into their tables, and tells which of them were really stored.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::SinkExt;

use super::connect::Connection;
use super::failure::{Blame, Failure, Refusal, Scope};
use super::few::{self, is_few};
use super::session::LoadSession;
use super::target::TableTarget;
use duto_definition::Repeat;
use duto_ground::index::RowIndex;
use duto_stages::prepared::{Prepared, PreparedTable};

/// How rows get into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// COPY, or INSERT of a few rows, straight into the table: fails with [`Failure::Repeat`] when
    /// a key is there already.
    Direct,
    /// COPY into a temporary table, and from there what is not there yet.
    Staged,
}

/// For each table, the rows of [`PreparedTable`] that are in it now and were not before, or took
/// the place of another.
pub type StoredRows = Vec<Vec<RowIndex>>;

/// COPY data is sent in pieces of this size: PostgreSQL ends a connection that sends a message of 1
/// GiB (its `MaxAllocSize`).
const COPY_PIECE_BYTES: usize = 1 << 20;

/// Writes all tables in their order. `paths` has one path a table. Where the pipeline has a `once`
/// table, which stands first, the records whose row there is a repeat write nothing into the
/// others.
pub async fn write(
    session: LoadSession<'_>,
    batch: &Prepared,
    paths: &[Path],
) -> Result<StoredRows, Failure> {
    let LoadSession { on, target } = session;
    let mut stored: StoredRows = Vec::with_capacity(batch.tables.len());
    for (index, (table, rows)) in target.tables.iter().zip(&batch.tables).enumerate() {
        let chosen = match stored.first() {
            Some(first) if target.has_once => batch.rows_of_admitted(index, first),
            _ => rows.rows.clone(),
        };
        let written = match paths.get(index) {
            _ if chosen.is_empty() => Ok(chosen),
            Some(Path::Direct) => write_direct(on, index, table, rows, chosen).await,
            _ => store(on, table, rows, chosen).await,
        };
        stored.push(written.map_err(|failure| into_table(failure, index))?);
    }
    Ok(stored)
}

/// Says of a refusal whose rows were written.
pub(super) fn into_table(failure: Failure, index: usize) -> Failure {
    match failure {
        Failure::Poison(refusal) => {
            Failure::Poison(Box::new(Refusal { into: Some(index), ..*refusal }))
        }
        other => other,
    }
}

async fn write_direct(
    on: &Connection,
    index: usize,
    table: &TableTarget,
    rows: &PreparedTable,
    chosen: Vec<RowIndex>,
) -> Result<Vec<RowIndex>, Failure> {
    let written = if is_few(rows, chosen.len()) {
        few::insert(on, table, rows, &chosen).await
    } else {
        copy(on, &table.copy, rows.encode(&chosen, false)).await
    };
    let written = written.map_err(|failure| match failure {
        Failure::Poison(refusal) if refusal.has_code("23505") => Failure::Repeat(index),
        other => other,
    })?;
    expect_rows(table, written, chosen.len() as u64)?;
    Ok(chosen)
}

/// Stores what is not there yet, by the way that always works. Returns the rows that were stored.
/// An attempt that fails leaves nothing in the stage once its transaction or savepoint is rolled
/// back; one that passes leaves the rows there, see [`clear_stage`].
pub(super) async fn store(
    on: &Connection,
    table: &TableTarget,
    rows: &PreparedTable,
    chosen: Vec<RowIndex>,
) -> Result<Vec<RowIndex>, Failure> {
    let is_few = is_few(rows, chosen.len());
    let stored = if is_few {
        few::query(on, &table.store_few, rows, &chosen).await?
    } else {
        on.within(on.client.batch_execute(&table.create_stage)).await?;
        let staged = copy(on, &table.copy_stage, rows.encode(&chosen, true)).await?;
        expect_rows(table, staged, chosen.len() as u64)?;
        on.within_scope(Scope::Data, on.client.query(&table.insert, &[])).await?
    };
    if stored.len() == chosen.len() {
        return Ok(chosen);
    }
    let stored: HashSet<RowIndex> =
        stored.iter().map(|row| RowIndex::new(row.get::<_, i32>(0) as u32)).collect();
    let swallowed: i64 = if is_few {
        few::query(on, &table.swallowed_few, rows, &chosen)
            .await?
            .first()
            .map_or(0, |row| row.get(0))
    } else {
        on.within(on.client.query_one(&table.swallowed, &[])).await?.get(0)
    };
    // A row of an update table that was not written, and whose key is there, was held back by a
    // trigger that lets nothing older or equal through: a repeat.
    if swallowed > 0 || table.repeat == Repeat::Append {
        expect_rows(table, stored.len() as u64, chosen.len() as u64)?;
    }
    Ok(chosen.into_iter().filter(|row| stored.contains(row)).collect())
}

/// Empties the stage after [`store`] of these rows, for the next ones of the same transaction.
pub(super) async fn clear_stage(
    on: &Connection,
    table: &TableTarget,
    rows: &PreparedTable,
    sent: usize,
) -> Result<(), Failure> {
    if is_few(rows, sent) {
        return Ok(());
    }
    on.within(on.client.batch_execute(&format!("TRUNCATE {}", table.stage))).await
}

/// Sends rows by a COPY statement; answers how many the table took.
async fn copy(on: &Connection, statement: &str, rows: Vec<u8>) -> Result<u64, Failure> {
    on.within_scope(Scope::Data, async {
        let sink = on.client.copy_in::<_, Bytes>(&on.prepared(statement).await?).await?;
        futures_util::pin_mut!(sink);
        let mut rows = Bytes::from(rows);
        while !rows.is_empty() {
            sink.send(rows.split_to(rows.len().min(COPY_PIECE_BYTES))).await?;
        }
        sink.finish().await
    })
    .await
}

/// A trigger that swallows rows would lose them without a word.
fn expect_rows(table: &TableTarget, written: u64, sent: u64) -> Result<(), Failure> {
    if written == sent {
        return Ok(());
    }
    Err(Failure::Poison(Box::new(Refusal {
        sqlstate: None,
        blame: Blame::ByNeighbours,
        into: None,
        constraint: None,
        schema: None,
        table: Some(table.name.clone()),
        column: None,
        reason: format!(
            "table {}: {sent} rows were sent but {written} were written: a trigger or a rule of \
                the table swallows rows; remove it, or let it raise an error",
            table.name
        ),
    })))
}
