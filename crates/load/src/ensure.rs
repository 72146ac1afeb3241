//! Makes the tables fit the pipeline file before the first record: what is missing is made, what
//! differs, or may not be made, is an error that shows what to run.

use anyhow::{Context, bail};
use tokio_postgres::Transaction;

use super::connect::Connection;
use super::ddl;
use super::limits::Limits;
use super::roles::Part;
use super::rollups::RollupTargets;
use super::survey::{self, TableFindings};
use super::time_partition;
use duto_definition::{Pipeline, Table};
use duto_ground::quoting::quote;

/// The layout of the schema `duto` that this program knows.
pub(super) const SCHEMA_VERSION: i32 = 3;
/// All that duto keeps for itself.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// One at a time makes tables, whichever pipeline: an arbitrary number of ours.
pub(super) const ADVISORY_LOCK: i64 = 0x6475_746f;

/// Makes the schema `duto` and the pipeline's tables, or says all that stands in the way, as `duto
/// check --connect` says it. `rollups` are looked at where they are to be made too. Safe to run from
/// several workers at once. Answers how many connections there may be.
pub async fn ensure(
    on: &mut Connection,
    pipeline: &Pipeline,
    rollups: Option<&RollupTargets>,
) -> anyhow::Result<Limits> {
    let keeper = time_partition::keeper(on, pipeline).await?;
    let transaction = on.client.transaction().await.context("beginning to make the tables")?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await?;
    let survey = survey::look(&transaction, pipeline, rollups, &[Part::Loader], keeper).await?;
    if let Some(lacks) = survey.lacks() {
        bail!(lacks);
    }
    for note in &survey.notes {
        tracing::warn!(pipeline = pipeline.name, "{note}");
    }
    if survey.lacks_own {
        transaction.batch_execute(SCHEMA).await.context("making the schema duto")?;
    }
    let version = "INSERT INTO duto.schema (version) SELECT $1 WHERE NOT EXISTS (SELECT FROM
        duto.schema)";
    if survey.version.is_none() {
        transaction.execute(version, &[&SCHEMA_VERSION]).await?;
    }
    for (table, found) in pipeline.tables.iter().zip(&survey.tables) {
        own_table(&transaction, pipeline, table).await?;
        match &table.time_partition {
            Some(time) => time_partition::make(&transaction, table, time, keeper).await?,
            None if found.is_missing => {
                let making = || format!("making table {}", table.name);
                transaction.batch_execute(&ddl::create_table(table)).await.with_context(making)?;
            }
            None => {}
        }
        complete(&transaction, table, found).await?;
        tell_triggers(&transaction, table).await?;
    }
    transaction.commit().await.context("making the tables")?;
    Ok(survey.limits)
}

/// Adds the columns and indexes that the table lacks.
async fn complete(
    transaction: &Transaction<'_>,
    table: &Table,
    found: &TableFindings,
) -> anyhow::Result<()> {
    let missing = |name: &String| found.columns.contains(name);
    for column in table.columns.iter().filter(|column| missing(&column.name)) {
        transaction
            .batch_execute(&ddl::add_column(table, column))
            .await
            .with_context(|| format!("adding column {} to table {}", column.name, table.name))?;
        tracing::info!(
            table = table.name,
            column = column.name,
            "added a column that the table lacked"
        );
    }
    let missing = |name: &String| found.indexes.contains(name);
    for index in table.indexes.iter().filter(|index| missing(&index.name)) {
        transaction
            .batch_execute(&ddl::create_index(table, index))
            .await
            .with_context(|| format!("making index {}", index.name))?;
    }
    Ok(())
}

/// Two pipelines that write the same table would each see the other's rows as repeats.
async fn own_table(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    table: &Table,
) -> anyhow::Result<()> {
    let claim =
        "INSERT INTO duto.pipeline_table VALUES ($1, $2) ON CONFLICT (table_name) DO NOTHING";
    transaction.execute(claim, &[&table.name, &pipeline.name]).await?;
    let owner: String = transaction
        .query_one("SELECT pipeline FROM duto.pipeline_table WHERE table_name = $1", &[&table.name])
        .await?
        .get(0);
    if owner != pipeline.name {
        bail!(
            "table {} of this database belongs to the pipeline {owner}: give each pipeline a \
                database or a table of its own",
            table.name
        );
    }
    Ok(())
}

/// Rows are counted as they were sent.
async fn tell_triggers(transaction: &Transaction<'_>, table: &Table) -> anyhow::Result<()> {
    // Bits of tgtype: 1 for each row, 2 before, 4 insert (pg_trigger.h). A hypertable has one that
    // keeps rows out of the whole.
    let statement =
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal
         AND tgenabled <> 'D' AND tgtype & 7 = 7
         AND tgname <> 'ts_insert_blocker'";
    for row in transaction.query(statement, &[&quote(&table.name)]).await? {
        tracing::warn!(
            table = table.name,
            trigger = row.get::<_, String>(0),
            "a trigger may change rows, or put them elsewhere, before they are stored: rollups, \
                messages and repeats go by the rows as they were sent"
        );
    }
    Ok(())
}
