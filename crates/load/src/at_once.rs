//! The exactly-once transaction of a few rows as one statement.
//!
//! A transaction is a dozen messages. Of a few rows these are the cost, with the processes that
//! each of them wakes on either side. Where nothing that is written depends on an answer of the
//! database, one statement does all of it: it moves the positions, writes the rows and the ledger,
//! and fails as a whole unless every one of them is as it must be. That is a transaction by itself,
//! and commits with its end.

use std::collections::HashMap;

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::failure::{Failure, Scope};
use super::few::{self, Column};
use super::position::{ADVANCE, Moves};
use super::rows::Path;
use super::session::LoadSession;
use super::target::Target;
use super::transaction::Committed;
use duto_definition::ColumnType;
use duto_stages::prepared::{Outcome, Prepared};

/// How the statement begins, by which it is known among others.
pub const BEGINNING: &str = "WITH moved AS";

/// The statement and the types of its parameters: [`OWN`], and an array for each column of each
/// table.
#[derive(Debug, Clone)]
pub struct AtOnce {
    sql: String,
    types: Vec<Type>,
}

/// What [`ADVANCE`] takes, the worker, and the number of records of each partition.
const OWN: [Type; 9] = [
    Type::TEXT,
    Type::TEXT,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::INT4_ARRAY,
    Type::UUID_ARRAY,
    Type::TEXT,
    Type::INT4_ARRAY,
];

/// Every record was stored: any other outcome goes another way.
const LEDGER: &str = "ledger AS (
     INSERT INTO duto.batch (pipeline, topic, partition, kind, from_offset, to_offset, records, \
    stored, repeated, rejected, filtered, not_stored,
       outcomes, worker)
     SELECT $1, $2, partition, 'load', low, high, records, records, 0, 0, 0, '{}', '', $8
     FROM unnest($3, $4, $5, $9) AS r (partition, low, high, records) RETURNING 1)";

/// Behind the last reject of a partition that is on record.
const BEHIND_REJECTS: &str = r#"SELECT coalesce(max("offset") + 1, 0) FROM duto.reject
     WHERE pipeline = $1 AND cluster_id = $2 AND topic = $3 AND topic_id = $4 AND partition = $5"#;

impl AtOnce {
    /// Of these tables: their names, and the names and types of the columns that their rows hold.
    pub fn new<'a>(tables: impl Iterator<Item = (&'a str, Vec<(&'a str, ColumnType)>)>) -> Self {
        let mut types = OWN.to_vec();
        let (mut writes, mut checks) = (String::new(), String::new());
        for (index, (table, columns)) in tables.enumerate() {
            let first = types.len() + 1;
            let (insert, arrays) = few::insert_of(table, &columns, first);
            types.extend(arrays);
            writes += &format!("stored_{index} AS ({insert} RETURNING 1),\n");
            checks +=
                &format!("AND (SELECT count(*) FROM stored_{index}) = cardinality(${first})\n");
        }
        // CASE looks at one condition after the other, and what WITH names is done when it is first
        // looked at: positions first. A division by zero ends the statement, where no row would let
        // it commit.
        let sql = format!(
            "{BEGINNING} ({ADVANCE} RETURNING 1),
             {writes}{LEDGER}
             SELECT 1 / CASE WHEN (SELECT count(*) FROM moved) = cardinality($3)
             {checks}AND (SELECT count(*) FROM ledger) = cardinality($3) THEN 1 ELSE 0 END"
        );
        Self { sql, types }
    }
}

/// What became of a batch that was to be loaded at once.
#[derive(Debug)]
pub enum Shortcut {
    Taken(Committed),
    /// Nothing was written: the transaction of several statements has another way for the batch, or
    /// says what is wrong with it.
    NotTaken,
}

/// Loads a connection's batches at once where that will do.
#[derive(Debug, Default)]
pub struct AtOnceLoader {
    /// Below which offset a partition may have rejects on record, and under which fence that was
    /// asked: only who holds it adds any.
    rejects_below: HashMap<i32, (Uuid, i64)>,
}

impl AtOnceLoader {
    /// Loads a batch of a few rows if nothing but its rows is to be written.
    pub async fn load(
        &mut self,
        session: LoadSession<'_>,
        batch: &Prepared,
        fences: &HashMap<i32, Uuid>,
        paths: &[Path],
    ) -> Result<Shortcut, Failure> {
        let LoadSession { on: _, target } = session;
        if !fits(target, batch, paths) {
            return Ok(Shortcut::NotTaken);
        }
        let moves = Moves::new(&batch.ranges, fences)?;
        for (partition, fence, begin) in moves.begins() {
            if begin < self.rejects_below(session, partition, fence).await? {
                return Ok(Shortcut::NotTaken);
            }
        }
        load(session, batch, &moves).await
    }

    async fn rejects_below(
        &mut self,
        session: LoadSession<'_>,
        partition: i32,
        fence: Uuid,
    ) -> Result<i64, Failure> {
        let LoadSession { on, target } = session;
        if let Some((_, below)) =
            self.rejects_below.get(&partition).filter(|(asked_under, _)| *asked_under == fence)
        {
            return Ok(*below);
        }
        let Target { pipeline, topic, cluster_id, topic_id, .. } = target;
        let row = on
            .within(
                on.client.query_one(
                    BEHIND_REJECTS,
                    &[pipeline, cluster_id, topic, topic_id, &partition],
                ),
            )
            .await?;
        self.rejects_below.insert(partition, (fence, row.get(0)));
        Ok(row.get(0))
    }
}

async fn load(
    session: LoadSession<'_>,
    batch: &Prepared,
    moves: &Moves,
) -> Result<Shortcut, Failure> {
    let LoadSession { on, target } = session;
    let records_of = |partition: &i32| {
        batch.batch.records.iter().filter(|head| head.partition == *partition).count() as i32
    };
    let records: Vec<i32> = moves.partitions.iter().map(records_of).collect();
    let columns: Vec<Column<'_>> =
        batch.tables.iter().flat_map(|table| Column::all_of(&table.columns, &table.rows)).collect();
    let AtOnce { sql, types } = &target.at_once;
    let mut values = [&moves.values(target)[..], &[&target.worker, &records]].concat();
    values.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
    let done = on
        .within_scope(Scope::Data, async {
            on.client.execute(&on.prepared_typed(sql, types).await?, &values).await
        })
        .await;
    match done {
        Ok(_) => {
            let stored = batch.tables.iter().map(|table| table.rows.clone()).collect();
            Ok(Shortcut::Taken(Committed { outcomes: batch.outcomes.clone(), stored }))
        }
        Err(
            failure @ (Failure::Lost(_)
            | Failure::Locked(_)
            | Failure::Again(_)
            | Failure::Slow(_)
            | Failure::Serialization(_)),
        ) => Err(failure),
        Err(Failure::Poison(refusal)) if refusal.has_code("23505") => {
            let table =
                target.tables.iter().position(|table| refusal.table.as_ref() == Some(&table.name));
            table.map_or(Ok(Shortcut::NotTaken), |table| Err(Failure::Repeat(table)))
        }
        Err(failure) => {
            tracing::debug!(pipeline = target.pipeline, %failure, "a batch is not stored at once");
            Ok(Shortcut::NotTaken)
        }
    }
}

/// Whether what is written is known before anything is. Rows of several tables are not: within one
/// statement a function of a trigger, a constraint or a default does not see the rows of the tables
/// before, as it does within the transaction.
fn fits(target: &Target, batch: &Prepared, paths: &[Path]) -> bool {
    target.rollups.rollups.is_empty()
        && target.publish.is_empty()
        && batch.answers.is_empty()
        && batch.outcomes.iter().all(|outcome| *outcome == Outcome::Stored)
        && paths.iter().all(|path| *path == Path::Direct)
        && batch.tables.iter().all(|table| few::is_few(table, table.rows.len()))
        && batch.tables.iter().filter(|table| !table.rows.is_empty()).count() <= 1
}
