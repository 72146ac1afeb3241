//! Finds the records whose rows PostgreSQL refuses. Only they become rejects; their neighbours are stored.

use std::collections::HashSet;

use super::connect::{Connection, Connector};
use super::failure::{Failure, Refusal, Scope};
use super::prepared::{Outcome, Prepared, PreparedTable};
use super::rows::copy;
use super::target::{TableTarget, Target};
use crate::reject::{Reject, Stage};

/// A batch of more records than this, all refused by the same constraint, is not the data's fault.
const FEW_RECORDS: usize = 8;

/// Tries the batch's rows in halves, inside a transaction that is rolled back whatever comes, until each refused record is alone.
/// Answers the rejects, one a record; none when everything passed this time.
pub async fn find(on: &Connection, by: &Connector, target: &Target, batch: &Prepared) -> Result<Vec<Reject>, Failure> {
    by.within(on.client.batch_execute(&target.begin)).await?;
    let found = probe_tables(on, by, target, batch).await;
    match found {
        Err(Failure::Lost(reason)) => return Err(Failure::Lost(reason)),
        _ => by.within(on.client.batch_execute("ROLLBACK")).await?,
    }
    let refused = found?;
    let alike = |one: &Refusal, other: &Refusal| {
        (&one.sqlstate, &one.table, &one.column, &one.constraint) == (&other.sqlstate, &other.table, &other.column, &other.constraint)
    };
    let mut asked: Vec<&Refusal> = Vec::new();
    for (_, refusal) in &refused {
        if !asked.iter().any(|other| alike(refusal, other)) {
            owned_by_data(on, by, target, refusal).await?;
            asked.push(refusal);
        }
    }
    if let Some((_, refusal)) = refused.first() {
        let records = batch.tables.iter().map(|table| table.rows.len()).max().unwrap_or(0);
        let all_alike = refused.iter().all(|(_, other)| other.constraint == refusal.constraint && other.sqlstate == refusal.sqlstate);
        if records > FEW_RECORDS && refused.len() >= records && all_alike {
            return Err(Failure::Pause(format!(
                "every one of {records} records is refused alike, so it is not the data: {}",
                refusal.reason
            )));
        }
    }
    Ok(refused.into_iter().map(|(record, refusal)| reject(record, refusal)).collect())
}

async fn probe_tables(on: &Connection, by: &Connector, target: &Target, batch: &Prepared) -> Result<Vec<(u32, Refusal)>, Failure> {
    let mut refused: Vec<(u32, Refusal)> = Vec::new();
    let mut repeated = HashSet::new();
    for (index, (table, rows)) in target.tables.iter().zip(&batch.tables).enumerate() {
        by.within(on.client.batch_execute(&table.create_stage)).await?;
        // Of a record that an earlier table refused, or that the `once` table knows, nothing is written here either.
        let is_refused = |record: u32| refused.iter().any(|(other, _)| *other == record);
        let remaining = match index {
            0 => rows.rows.clone(),
            _ => rows.rows_of(|record| may_write(batch, record) && !is_refused(record) && !repeated.contains(&record)),
        };
        let mut parts = vec![remaining];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match probe(on, by, table, rows, &part).await {
                Ok(stored) if index == 0 && target.has_once => {
                    repeated.extend(part.iter().filter(|row| !stored.contains(row)).map(|row| rows.record[*row as usize]));
                }
                Ok(_) => {}
                Err(Failure::Poison(refusal)) if part.len() == 1 => refused.push((rows.record[part[0] as usize], refusal)),
                Err(Failure::Poison(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second.to_vec());
                    parts.push(first.to_vec());
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    refused.sort_by_key(|(record, _)| *record);
    refused.dedup_by_key(|(record, _)| *record);
    Ok(refused)
}

/// Whether the record writes anything at all, as far as it was known before.
fn may_write(batch: &Prepared, record: u32) -> bool {
    batch.outcomes[record as usize] == Outcome::Stored
}

/// Writes some rows; they stay for the parts that follow if they pass, and those that the table did not have are answered. Deferred
/// constraints are asked at once.
async fn probe(on: &Connection, by: &Connector, table: &TableTarget, rows: &PreparedTable, part: &[u32]) -> Result<HashSet<u32>, Failure> {
    by.within(on.client.batch_execute("SAVEPOINT probe; SET CONSTRAINTS ALL IMMEDIATE")).await?;
    let attempt = async {
        copy(on, by, &table.copy_stage, rows.encode(part, true)).await?;
        by.within_scope(Scope::Data, on.client.query(&table.insert, &[])).await
    };
    match attempt.await {
        // The stage must not hold these rows when the next part comes.
        Ok(stored) => {
            by.within(on.client.batch_execute(&format!("TRUNCATE {}", table.stage))).await?;
            Ok(stored.iter().map(|row| row.get::<_, i32>(0) as u32).collect())
        }
        Err(Failure::Lost(reason)) => Err(Failure::Lost(reason)),
        Err(failure) => {
            by.within(on.client.batch_execute("ROLLBACK TO SAVEPOINT probe")).await?;
            Err(failure)
        }
    }
}

/// 23502 and 23505 are the data's only if every column of the constraint is declared and none is fed by a sequence: a sequence behind
/// its table, or what a trigger does to the operator's own columns or tables, would otherwise reject every record.
async fn owned_by_data(on: &Connection, by: &Connector, target: &Target, refusal: &Refusal) -> Result<(), Failure> {
    let columns: Vec<String> = match (refusal.sqlstate.as_str(), &refusal.constraint, &refusal.column) {
        ("23505", Some(constraint), _) => {
            let statement = "SELECT a.attname::text FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
                 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY(x.indkey) WHERE i.relname = $1";
            by.within(on.client.query(statement, &[constraint])).await?.iter().map(|row| row.get(0)).collect()
        }
        ("23502", _, Some(column)) => vec![column.clone()],
        _ => return Ok(()),
    };
    let Some(table) = &refusal.table else { return Ok(()) };
    // Of a partitioned table the error names the partition, the pipeline the whole.
    let statement = "SELECT coalesce((SELECT relname::text FROM pg_class WHERE oid = pg_partition_root(to_regclass(quote_ident($1)))), $1),
         (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attname = ANY($2)
            AND (attidentity <> '' OR pg_get_serial_sequence(quote_ident($1), attname) IS NOT NULL))";
    let row = by.within(on.client.query_one(statement, &[table, &columns])).await?;
    let (table, fed_by_sequence): (String, i64) = (row.get(0), row.get(1));
    if fed_by_sequence > 0 {
        return Err(Failure::Pause(format!(
            "{}: the column is fed by a sequence, which is behind its table: set it forward with setval",
            refusal.reason
        )));
    }
    let table = whole_of_chunk(on, by, target, table).await?;
    let declared = target.tables.iter().find(|known| known.name == table).map_or(&[][..], |known| &known.declared);
    match columns.iter().find(|column| !declared.contains(column)) {
        None => Ok(()),
        Some(column) => Err(Failure::Pause(format!(
            "{}: column {column} of table {table} is not declared in the pipeline file, so the record is not at fault",
            refusal.reason
        ))),
    }
}

/// Of a hypertable the error names a chunk.
async fn whole_of_chunk(on: &Connection, by: &Connector, target: &Target, table: String) -> Result<String, Failure> {
    let has_chunks = "SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL";
    if target.tables.iter().any(|known| known.name == table) || !by.within(on.client.query_one(has_chunks, &[])).await?.get::<_, bool>(0) {
        return Ok(table);
    }
    let statement = "SELECT hypertable_name::text FROM timescaledb_information.chunks WHERE chunk_name = $1::text::name";
    Ok(by.within(on.client.query_opt(statement, &[&table])).await?.map_or(table, |row| row.get(0)))
}

fn reject(record: u32, refusal: Refusal) -> Reject {
    Reject {
        record,
        stage: Stage::Load,
        path: refusal.column.unwrap_or_default(),
        rule: refusal.constraint.unwrap_or_else(|| refusal.sqlstate.clone()),
        reason: refusal.reason,
        sqlstate: Some(refusal.sqlstate),
    }
}
