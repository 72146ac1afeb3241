//! Tables that are kept in pieces of time: a hypertable where TimescaleDB is, else a partitioned
//! table with a default partition. The pieces themselves are made by [`super::partitions`], or by
//! TimescaleDB.

use anyhow::{Context, bail};
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::connect::Connection;
use super::ddl;
use super::ensure::ADVISORY_LOCK;
use duto_definition::{Pipeline, Table, TimePartition};
use duto_ground::quoting::quote;

/// What keeps the pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    TimescaleDb,
    PostgreSql,
}

/// How the database has a table.
struct Found {
    /// `r` for a table in one piece, also a hypertable; `p` for a partitioned one.
    kind: String,
    /// How it is partitioned: `RANGE (data_evento)`.
    key: Option<String>,
    has_default: bool,
    /// The column of a hypertable.
    dimension: Option<String>,
}

/// Who would keep the pieces, without installing anything.
pub async fn keeper_as_it_is(on: &Connection) -> anyhow::Result<Keeper> {
    let installed = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')";
    let is_installed = on.client.query_one(installed, &[]).await?.get(0);
    Ok(if is_installed { Keeper::TimescaleDb } else { Keeper::PostgreSql })
}

/// Who keeps the pieces in this database. TimescaleDB is installed where the server has it ready
/// and the role may; before any transaction.
pub async fn keeper(on: &Connection, pipeline: &Pipeline) -> anyhow::Result<Keeper> {
    if pipeline.tables.iter().all(|table| table.time_partition.is_none()) {
        return Ok(Keeper::PostgreSql);
    }
    let installed = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')";
    // Its loader sets this; without the loader CREATE EXTENSION would end the connection.
    let ready = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb')
        AND current_setting('timescaledb.disable_load', true) IS NOT NULL";
    if on.client.query_one(installed, &[]).await?.get(0) {
        return Ok(Keeper::TimescaleDb);
    }
    if !on.client.query_one(ready, &[]).await?.get::<_, bool>(0) {
        return Ok(Keeper::PostgreSql);
    }
    // IF NOT EXISTS alone does not keep two processes from making it at once.
    let install = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({ADVISORY_LOCK}); CREATE EXTENSION IF NOT EXISTS \
            timescaledb; COMMIT"
    );
    let Err(error) = on.client.batch_execute(&install).await else {
        return Ok(Keeper::TimescaleDb);
    };
    on.client.batch_execute("ROLLBACK").await?;
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return Err(error).context("installing TimescaleDB");
    }
    tracing::warn!(
        "this server has TimescaleDB, but this role may not install it: tables get PostgreSQL's \
            own partitions"
    );
    Ok(Keeper::PostgreSql)
}

/// How a table is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Missing,
    LacksDefault,
    Fits,
}

/// Makes the table if it is missing. One that is there and kept otherwise is an error that says
/// what to do: it is never changed silently.
pub async fn make(
    transaction: &Transaction<'_>,
    table: &Table,
    time: &TimePartition,
    keeper: Keeper,
) -> anyhow::Result<()> {
    let making = || format!("making table {}", table.name);
    let statements = match (look(transaction, table, time, keeper).await?, keeper) {
        (State::Fits, _) => return Ok(()),
        (State::LacksDefault, _) => ddl::create_default_partition(table),
        (State::Missing, Keeper::TimescaleDb) => {
            format!("{}; {}", ddl::create_table(table), ddl::create_hypertable(table, time))
        }
        (State::Missing, Keeper::PostgreSql) => format!(
            "{}; {}",
            ddl::create_partitioned(table, time),
            ddl::create_default_partition(table)
        ),
    };
    transaction.batch_execute(&statements).await.with_context(making)
}

/// How the table is there; an error where it is kept otherwise.
pub(super) async fn look(
    transaction: &Transaction<'_>,
    table: &Table,
    time: &TimePartition,
    keeper: Keeper,
) -> anyhow::Result<State> {
    let Some(found) = find(transaction, table, keeper).await? else { return Ok(State::Missing) };
    let wanted = quote(&time.column);
    let is_wanted =
        |key: &str| [&wanted, &time.column].iter().any(|column| key == format!("RANGE ({column})"));
    match (&found.key, &found.dimension) {
        (_, Some(column)) if *column == time.column => Ok(State::Fits),
        (Some(key), _) if found.kind == "p" && is_wanted(key) => Ok(match found.has_default {
            true => State::Fits,
            false => State::LacksDefault,
        }),
        (Some(key), _) => bail!(
            "table {} is partitioned by {key}, but the pipeline file says by RANGE ({}): change \
                `time_partition`, or take it away",
            table.name,
            time.column
        ),
        (None, Some(column)) => bail!(
            "table {} is a hypertable by {column}, but the pipeline file says by {}: change \
                `time_partition`, or take it away",
            table.name,
            time.column
        ),
        (None, None) => bail!("{}", advice(table, time, keeper)),
    }
}

async fn find(
    transaction: &Transaction<'_>,
    table: &Table,
    keeper: Keeper,
) -> anyhow::Result<Option<Found>> {
    let statement = "SELECT c.relkind::text, pg_get_partkeydef(c.oid), coalesce(p.partdefid <> 0,
         false)
         FROM pg_class c LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
         WHERE c.oid = to_regclass($1)";
    let Some(row) = transaction.query_opt(statement, &[&quote(&table.name)]).await? else {
        return Ok(None);
    };
    let dimension = match keeper {
        Keeper::PostgreSql => None,
        Keeper::TimescaleDb => {
            let statement = "SELECT d.column_name::text FROM timescaledb_information.dimensions d
                 JOIN pg_class c ON c.relname = d.hypertable_name
                 JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = d.hypertable_schema
                 WHERE c.oid = to_regclass($1) AND d.dimension_number = 1";
            transaction.query_opt(statement, &[&quote(&table.name)]).await?.map(|row| row.get(0))
        }
    };
    Ok(Some(Found { kind: row.get(0), key: row.get(1), has_default: row.get(2), dimension }))
}

/// What makes pieces of a table that is there in one. The old rows stay where they are: as one
/// piece, or moved by TimescaleDB.
fn advice(table: &Table, time: &TimePartition, keeper: Keeper) -> String {
    let name = quote(&table.name);
    let statements = match keeper {
        Keeper::TimescaleDb => {
            vec![ddl::create_hypertable(table, time).replacen(
                "if_not_exists",
                "migrate_data => TRUE, if_not_exists",
                1,
            )]
        }
        Keeper::PostgreSql => {
            let before = quote(&format!("{}_before", table.name));
            let mut statements =
                vec!["BEGIN".to_owned(), format!("ALTER TABLE {name} RENAME TO {before}")];
            statements.extend(table.indexes.iter().map(|index| {
                format!(
                    "ALTER INDEX {} RENAME TO {}",
                    quote(&index.name),
                    quote(&format!("{}_before", index.name))
                )
            }));
            statements.push(ddl::create_partitioned(table, time).replace('\n', "\n  "));
            let end =
                format!("(date_trunc('{0}', now()) + interval '1 {0}')", time.interval.as_str());
            // A bound must be a constant, so that the moment is filled in by whoever runs it.
            statements.push(format!(
                "ALTER TABLE {name} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('...')"
            ));
            statements.push("COMMIT".to_owned());
            let list = statements.join(";\n  ");
            return format!(
                "table {} is there in one piece, but the pipeline file keeps it in pieces of time. \
                    Take `time_partition` away, or make the old table the first piece; \
                 '...' is a moment behind its last row, such as what SELECT {end} answers. Views \
                    over it must be made again:\n  {list};",
                table.name
            );
        }
    };
    format!(
        "table {} is there in one piece, but the pipeline file keeps it in pieces of time. Take \
            `time_partition` away, or run:\n  {};",
        table.name,
        statements.join(";\n  ")
    )
}
