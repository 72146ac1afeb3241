//! The SQL of a pipeline's load, written once when the worker starts.

use super::at_once::AtOnce;
use super::few::{self, FewRows};
use super::rollups::RollupTargets;
use duto_definition::{ColumnType, Encryption, Pipeline, Repeat, Table};
use duto_ground::quoting::quote;
use duto_stages::rollup::Rollups;

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
    /// What seals the rows that duto keeps for itself.
    pub encryption: Encryption,
}

/// The statements of one table.
#[derive(Debug, Clone)]
pub struct TableTarget {
    pub name: String,
    /// The names of all columns that the file declares, also those that its rows leave to the
    /// database.
    pub declared: Vec<String>,
    /// The names of those that its rows hold.
    pub written: Vec<String>,
    pub repeat: Repeat,
    /// The temporary table's name, quoted.
    pub stage: String,
    /// COPY straight into the table.
    pub copy: String,
    /// INSERT of a few rows straight into the table.
    pub insert_few: FewRows,
    /// A temporary table with the written columns, the row's number in the batch, and its place in
    /// the order of writing.
    pub create_stage: String,
    pub copy_stage: String,
    /// From the stage into the table, unless the key is there. Returns the numbers of the rows that
    /// were stored.
    pub insert: String,
    /// The number of rows of the stage that are in no way in the table: none, unless something
    /// swallowed them.
    pub swallowed: String,
    /// The same two statements for a few rows, without a stage.
    pub store_few: FewRows,
    pub swallowed_few: FewRows,
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
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; SET LOCAL \
                statement_timeout = {}; SET LOCAL synchronous_commit = on; SET LOCAL TimeZone = \
                'UTC';",
            database.lock_timeout.as_millis(),
            database.statement_timeout.as_millis(),
        );
        let tables = (0..)
            .zip(pipeline.tables.iter().zip(written))
            .map(|(place, (table, written))| TableTarget::new(place, table, written))
            .collect();
        let written_columns = pipeline
            .tables
            .iter()
            .zip(written)
            .map(|(table, written)| (table.name.as_str(), columns_of(table, written)));
        let has_once = pipeline.once.is_some();
        Self {
            rollups: RollupTargets::new(rollups),
            publish: pipeline
                .publish
                .iter()
                .map(|publish| (publish.name.clone(), publish.topic.clone()))
                .collect(),
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
            encryption: pipeline.encryption.clone(),
        }
    }
}

impl TableTarget {
    /// `place` is the table's among the pipeline's.
    fn new(place: usize, table: &Table, written: &[usize]) -> Self {
        let name = quote(&table.name);
        // Not by the table's name: two long ones would be cut to the same.
        let stage = quote(&format!("duto_stage_{place}"));
        // What WITH names hides a table of that name.
        let few = if table.name == "duto_few" { "duto_few_rows" } else { "duto_few" };
        let columns: Vec<String> =
            written.iter().map(|index| quote(&table.columns[*index].name)).collect();
        let written = columns_of(table, written);
        let list = columns.join(", ");
        let keys: Vec<String> = table.key().iter().map(|column| quote(&column.name)).collect();
        let statements =
            General { name: &name, repeat: table.repeat, columns: &columns, keys: &keys };
        let (few_select, types) = few::rows_of(&columns, &written);
        let few_rows = |sql: String| FewRows {
            sql: format!("WITH {few} AS MATERIALIZED ({few_select}){sql}"),
            types: types.clone(),
        };
        Self {
            insert_few: few::insert_of_few(&table.name, &written),
            copy: format!("COPY {name} ({list}) FROM STDIN (FORMAT binary)"),
            create_stage: format!(
                "CREATE TEMP TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS
                 SELECT {list}, 0::integer AS duto_row, 0::integer AS duto_place
                 FROM {name} WITH NO DATA"
            ),
            copy_stage: format!(
                "COPY {stage} ({list}, duto_row, duto_place) FROM STDIN (FORMAT \
                binary)"
            ),
            insert: format!("WITH {}", statements.store(&stage)),
            swallowed: statements.swallowed(&stage),
            store_few: few_rows(format!(", {}", statements.store(few))),
            swallowed_few: few_rows(format!(" {}", statements.swallowed(few))),
            stage,
            name: table.name.clone(),
            declared: table.columns.iter().map(|column| column.name.clone()).collect(),
            written: written.iter().map(|(name, _)| (*name).to_owned()).collect(),
            repeat: table.repeat,
        }
    }
}

/// The way of rows into a table that always works, from a relation that has its columns, `duto_row`
/// and `duto_place`.
struct General<'a> {
    name: &'a str,
    repeat: Repeat,
    columns: &'a [String],
    keys: &'a [String],
}

impl General<'_> {
    /// Behind WITH. Rows are written in the order of their places: all writers of a table have one
    /// order, whatever collation its key has.
    fn store(&self, from: &str) -> String {
        let Self { name, columns, keys, .. } = self;
        let (list, key_list) = (columns.join(", "), keys.join(", "));
        // As COPY does, into an identity column too.
        let insert = format!(
            "INSERT INTO {name} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM {from} s"
        );
        match self.repeat {
            Repeat::Append => format!(
                "stored AS ({insert} ORDER BY duto_place RETURNING 1)
                 SELECT duto_row FROM {from} WHERE (SELECT count(*) FROM stored) = (SELECT \
                    count(*) FROM {from})"
            ),
            Repeat::Ignore | Repeat::Keep => format!(
                "stored AS ({insert} WHERE NOT EXISTS (SELECT 1 FROM {name} t WHERE {there}) ORDER \
                    BY duto_place
                   ON CONFLICT ({key_list}) DO NOTHING RETURNING {key_list})
                 SELECT s.duto_row FROM stored JOIN {from} s ON {joined}",
                there = self.same_key("t", "s"),
                joined = self.same_key("stored", "s"),
            ),
            Repeat::Update => {
                let set: Vec<String> = columns
                    .iter()
                    .filter(|column| !keys.contains(column))
                    .map(|column| format!("{column} = excluded.{column}"))
                    .collect();
                // A table of nothing but its key still has to count the row as stored.
                let set = if set.is_empty() {
                    format!(
                        "{0} = \
                    excluded.{0}",
                        keys[0]
                    )
                } else {
                    set.join(", ")
                };
                format!(
                    "stored AS ({insert} ORDER BY duto_place ON CONFLICT ({key_list}) DO UPDATE \
                        SET {set} RETURNING {key_list})
                     SELECT s.duto_row FROM stored JOIN {from} s ON {joined}",
                    joined = self.same_key("stored", "s"),
                )
            }
        }
    }

    fn swallowed(&self, from: &str) -> String {
        if self.keys.is_empty() {
            return format!("SELECT 0::bigint FROM (SELECT count(*) FROM {from}) AS rows_sent");
        }
        format!(
            "SELECT count(*) FROM {from} s WHERE NOT EXISTS (SELECT 1 FROM {} t WHERE {})",
            self.name,
            self.same_key("t", "s")
        )
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        self.keys
            .iter()
            .map(|key| format!("{left}.{key} = {right}.{key}"))
            .collect::<Vec<_>>()
            .join(" AND ")
    }
}

fn columns_of<'a>(table: &'a Table, written: &[usize]) -> Vec<(&'a str, ColumnType)> {
    written
        .iter()
        .map(|index| &table.columns[*index])
        .map(|column| (column.name.as_str(), column.column_type))
        .collect()
}
