//! The SQL of a pipeline's load, written once when the worker starts.

use super::at_once::AtOnce;
use super::few::InsertFew;
use super::rollups::RollupTargets;
use crate::definition::{ColumnType, Pipeline, Repeat, Table};
use crate::rollup::Rollups;

/// Everything that a load needs to know beside the batch.
#[derive(Debug, Clone)]
pub struct Target {
    pub pipeline: String,
    pub topic: String,
    pub cluster_id: String,
    pub topic_id: String,
    /// Who writes, for the ledger: host, process and a random word.
    pub worker: String,
    pub tables: Vec<TableTarget>,
    /// The transaction of a few rows as one statement.
    pub at_once: AtOnce,
    /// The first table decides which records are repeats.
    pub has_once: bool,
    pub rollups: RollupTargets,
    /// The name and the topic of each message to publish.
    pub publish: Vec<(String, String)>,
    /// The shard of the rows' counters where it is not that of their partition.
    pub shard: Option<i32>,
    /// The settings at the head of each transaction.
    pub begin: String,
}

/// The statements of one table.
#[derive(Debug, Clone)]
pub struct TableTarget {
    pub name: String,
    /// The names of all columns that the file declares, also those that its rows leave to the database.
    pub declared: Vec<String>,
    pub repeat: Repeat,
    /// The temporary table's name, quoted.
    pub stage: String,
    /// COPY straight into the table.
    pub copy: String,
    /// INSERT of a few rows straight into the table.
    pub insert_few: InsertFew,
    /// A temporary table with the written columns and the row's number in the batch.
    pub create_stage: String,
    pub copy_stage: String,
    /// From the stage into the table; answers the numbers of the rows that were stored.
    pub insert: String,
    /// How many rows of the stage are in no way in the table: none, unless something swallowed them.
    pub swallowed: String,
}

impl Target {
    /// `written` names, for each table, the columns that its rows hold.
    pub fn new(
        pipeline: &Pipeline,
        written: &[Vec<usize>],
        rollups: &Rollups,
        cluster_id: String,
        topic_id: String,
        worker: String,
    ) -> Self {
        let database = &pipeline.database;
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; SET LOCAL synchronous_commit = on; SET LOCAL TimeZone = 'UTC';",
            database.lock_timeout.as_millis(),
            database.statement_timeout.as_millis(),
        );
        let tables = pipeline.tables.iter().zip(written).map(|(table, written)| TableTarget::new(table, written)).collect();
        let written_columns = pipeline.tables.iter().zip(written).map(|(table, written)| (table.name.as_str(), columns_of(table, written)));
        let has_once = pipeline.once.is_some();
        Self {
            rollups: RollupTargets::new(rollups),
            publish: pipeline.publish.iter().map(|publish| (publish.name.clone(), publish.topic.clone())).collect(),
            shard: None,
            pipeline: pipeline.name.clone(),
            topic: pipeline.source.topic.clone(),
            cluster_id,
            topic_id,
            worker,
            at_once: AtOnce::new(written_columns),
            tables,
            has_once,
            begin,
        }
    }
}

impl TableTarget {
    fn new(table: &Table, written: &[usize]) -> Self {
        let name = quote(&table.name);
        let stage = quote(&format!("duto_stage_{}", table.name));
        let columns: Vec<String> = written.iter().map(|index| quote(&table.columns[*index].name)).collect();
        let written = columns_of(table, written);
        let list = columns.join(", ");
        let keys: Vec<String> = table.key().iter().map(|column| quote(&column.name)).collect();
        let key_list = keys.join(", ");
        let same_key =
            |left: &str, right: &str| keys.iter().map(|key| format!("{left}.{key} = {right}.{key}")).collect::<Vec<_>>().join(" AND ");
        let insert = match table.repeat {
            Repeat::Append => format!(
                "WITH stored AS (INSERT INTO {name} ({list}) SELECT {list} FROM {stage} ORDER BY duto_row RETURNING 1)
                 SELECT duto_row FROM {stage} WHERE (SELECT count(*) FROM stored) = (SELECT count(*) FROM {stage})"
            ),
            Repeat::Ignore => format!(
                "WITH stored AS (INSERT INTO {name} ({list}) SELECT {list} FROM {stage} s
                   WHERE NOT EXISTS (SELECT 1 FROM {name} t WHERE {there}) ORDER BY {key_list}
                   ON CONFLICT ({key_list}) DO NOTHING RETURNING {key_list})
                 SELECT s.duto_row FROM stored JOIN {stage} s ON {joined}",
                there = same_key("t", "s"),
                joined = same_key("stored", "s"),
            ),
            Repeat::Update => {
                let set: Vec<String> =
                    columns.iter().filter(|column| !keys.contains(column)).map(|column| format!("{column} = excluded.{column}")).collect();
                // A table of nothing but its key still has to count the row as stored.
                let set = if set.is_empty() { format!("{0} = excluded.{0}", keys[0]) } else { set.join(", ") };
                format!(
                    "WITH stored AS (INSERT INTO {name} ({list}) SELECT {list} FROM {stage} ORDER BY {key_list}
                       ON CONFLICT ({key_list}) DO UPDATE SET {set} RETURNING {key_list})
                     SELECT s.duto_row FROM stored JOIN {stage} s ON {joined}",
                    joined = same_key("stored", "s"),
                )
            }
        };
        let swallowed = if keys.is_empty() {
            "SELECT 0::bigint".to_owned()
        } else {
            format!("SELECT count(*) FROM {stage} s WHERE NOT EXISTS (SELECT 1 FROM {name} t WHERE {})", same_key("t", "s"))
        };
        Self {
            insert_few: InsertFew::new(&table.name, &written),
            copy: format!("COPY {name} ({list}) FROM STDIN (FORMAT binary)"),
            create_stage: format!(
                "CREATE TEMP TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS SELECT {list}, 0::integer AS duto_row FROM {name} WITH NO DATA"
            ),
            copy_stage: format!("COPY {stage} ({list}, duto_row) FROM STDIN (FORMAT binary)"),
            insert,
            swallowed,
            stage,
            name: table.name.clone(),
            declared: table.columns.iter().map(|column| column.name.clone()).collect(),
            repeat: table.repeat,
        }
    }
}

fn columns_of<'a>(table: &'a Table, written: &[usize]) -> Vec<(&'a str, ColumnType)> {
    written.iter().map(|index| &table.columns[*index]).map(|column| (column.name.as_str(), column.column_type)).collect()
}

/// An identifier in double quotes.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text in single quotes, safe whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
