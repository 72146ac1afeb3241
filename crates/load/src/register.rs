//! Rollups and views become the database's. A rollup that is new, or another than before, is made
//! while no load can commit: from then on every load counts its rows, and what was there before is
//! counted from a snapshot of that moment, see [`super::fill`].

use anyhow::{Context, anyhow};
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::connect::{Connection, Connector};
use super::ensure::ADVISORY_LOCK;
use super::rollups::{RollupTarget, RollupTargets};
use super::views;
use duto_definition::Pipeline;

/// Rollups that must be filled from rows that were there before them.
pub struct Fill {
    pub rollups: Vec<RollupTarget>,
    /// In a transaction whose snapshot holds exactly the rows that no load counted.
    pub snapshot: Connection,
}

/// How long a load in flight may hold its position.
const LOCK_TIMEOUT: &str = "10s";
/// Keeps two processes from filling one pipeline: an arbitrary class of ours, beside the pipeline's
/// hash.
const FILLER_LOCK: i32 = 0x6475_7466;

/// Makes what is missing and drops what is no longer declared. None when every rollup is filled, or
/// another process fills it.
pub async fn register(
    on: &mut Connection,
    by: &Connector,
    pipeline: &Pipeline,
    declared: &RollupTargets,
) -> anyhow::Result<Option<Fill>> {
    let transaction = on.client.transaction().await.context("beginning to make the rollups")?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await?;
    let known = Known::read(&transaction, pipeline).await?;
    let views = views::digest(pipeline, declared);
    let snapshot = match known.fills && known.rollups == declared.digest {
        true => filler(by, pipeline).await?,
        false => None,
    };
    let same_rollups = known.rollups == declared.digest && snapshot.is_none();
    if same_rollups && known.views == views && !known.lacks_views {
        return Ok(None);
    }
    let kept_views = views::drop_all(&transaction, pipeline).await?;
    let mut fill = None;
    if !same_rollups {
        take_positions(&transaction, pipeline, declared).await?;
        let unfilled = make_rollups(&transaction, pipeline, declared).await?;
        if !unfilled.is_empty() {
            let connection = match snapshot {
                Some(connection) => Some(connection),
                None => filler(by, pipeline).await?,
            };
            let connection = connection.context(
                "another process is filling rollups of this pipeline: start again when it is done",
            )?;
            // The first statement takes the snapshot, and it must be taken before the positions are
            // free.
            connection
                .client
                .batch_execute(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ;
                     SET LOCAL statement_timeout = 0;
                     SET LOCAL idle_in_transaction_session_timeout = 0;
                     SELECT 1",
                )
                .await?;
            fill = Some(Fill { rollups: unfilled, snapshot: connection });
        }
    }
    views::make_all(&transaction, pipeline, declared, &kept_views).await?;
    let write = "INSERT INTO duto.pipeline VALUES ($1, $2, $3) ON CONFLICT (pipeline) DO UPDATE
        SET rollups = $2, views = $3";
    transaction.execute(write, &[&pipeline.name, &declared.digest, &views]).await?;
    transaction.commit().await.context("making the rollups")?;
    Ok(fill)
}

/// What the database has of the pipeline.
#[derive(Default)]
struct Known {
    rollups: String,
    views: String,
    /// A rollup is not filled: another process does it, or one that did it is gone.
    fills: bool,
    /// A view could not be made, and may be by now, or somebody dropped one.
    lacks_views: bool,
}

impl Known {
    async fn read(transaction: &Transaction<'_>, pipeline: &Pipeline) -> anyhow::Result<Self> {
        let statement = "SELECT rollups, views, EXISTS (SELECT 1 FROM duto.rollup r
             WHERE r.pipeline = p.pipeline AND state = 'filling'),
             EXISTS (SELECT 1 FROM duto.view v WHERE v.pipeline = p.pipeline
             AND (refused IS NOT NULL OR to_regclass(quote_ident(name)) IS NULL))
             FROM duto.pipeline p WHERE pipeline = $1";
        let row = transaction.query_opt(statement, &[&pipeline.name]).await?;
        Ok(row.map_or_else(
            // Never what a worker would have: it must be registered, if only with no rollup.
            || Self { rollups: "none".to_owned(), ..Self::default() },
            |row| Self {
                rollups: row.get(0),
                views: row.get(1),
                fills: row.get(2),
                lacks_views: row.get(3),
            },
        ))
    }
}

/// A connection that alone fills this pipeline's rollups; None while another does.
async fn filler(by: &Connector, pipeline: &Pipeline) -> anyhow::Result<Option<Connection>> {
    let connection = by.connect().await?;
    let lock = "SELECT pg_try_advisory_lock($1, hashtext($2))";
    let locked: bool =
        connection.client.query_one(lock, &[&FILLER_LOCK, &pipeline.name]).await?.get(0);
    Ok(locked.then_some(connection))
}

/// Waits for every load in flight and draws new fences: whoever claims from now on must count what
/// is declared here. The registration comes first: a worker of before begins a partition only under
/// a registration like its own, for whose row it waits here, and finds another one. What was begun
/// until then is among the positions that are locked next. The other way round a partition that is
/// begun in between would be in no lock and in no snapshot.
async fn take_positions(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    declared: &RollupTargets,
) -> anyhow::Result<()> {
    transaction.batch_execute(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")).await?;
    let registration = "INSERT INTO duto.pipeline VALUES ($1, $2, '')
        ON CONFLICT (pipeline) DO UPDATE SET rollups = $2";
    transaction
        .execute(registration, &[&pipeline.name, &declared.digest])
        .await
        .context("waiting for partitions that are begun")?;
    let lock =
        "SELECT 1 FROM duto.position WHERE pipeline = $1 ORDER BY topic, partition FOR UPDATE";
    transaction.query(lock, &[&pipeline.name]).await.context("waiting for loads in flight")?;
    let fence = "UPDATE duto.position SET fence = gen_random_uuid(), rollups = $2, updated_at =
        clock_timestamp() WHERE pipeline = $1";
    transaction.execute(fence, &[&pipeline.name, &declared.digest]).await?;
    Ok(())
}

/// Drops what is not declared any more or was not filled, makes what is missing; answers the
/// rollups whose tables hold rows already.
async fn make_rollups(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    declared: &RollupTargets,
) -> anyhow::Result<Vec<RollupTarget>> {
    let known = transaction
        .query(
            "SELECT name, definition, state = 'ready', tables FROM duto.rollup WHERE pipeline = $1",
            &[&pipeline.name],
        )
        .await?;
    let mut kept: Vec<String> = Vec::new();
    for row in &known {
        let (name, definition, ready, tables): (String, String, bool, Vec<String>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if ready
            && declared
                .rollups
                .iter()
                .any(|rollup| rollup.name == name && rollup.definition == definition)
        {
            kept.push(name);
            continue;
        }
        for table in tables {
            let dropped = transaction.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await;
            dropped.map_err(|error| match error.as_db_error() {
                // PostgreSQL's own advice is CASCADE, which would take somebody's view away.
                Some(refused) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => anyhow!(
                    "rollup {name} is another one in the file than in the database, and something \
                        of yours reads it: {}. Drop that first, and make it \
                     again when the rollup is there",
                    refused.detail().unwrap_or_default().replace('\n', "; ")
                ),
                _ => anyhow::Error::new(error).context(format!("dropping rollup {name}")),
            })?;
        }
        transaction
            .execute(
                "DELETE FROM duto.rollup WHERE pipeline = $1 AND name = $2",
                &[&pipeline.name, &name],
            )
            .await?;
    }
    let mut unfilled = Vec::new();
    for rollup in declared.rollups.iter().filter(|rollup| !kept.contains(&rollup.name)) {
        transaction.batch_execute(&rollup.create).await.map_err(|error| {
            let is_old = error.code() == Some(&SqlState::SYNTAX_ERROR);
            let hint = if is_old {
                " (rollups need PostgreSQL 15 or newer, for NULLS NOT DISTINCT)"
            } else {
                ""
            };
            anyhow::Error::new(error).context(format!("making rollup {}{hint}", rollup.name))
        })?;
        let has_rows: bool = transaction
            .query_one(&format!("SELECT EXISTS (SELECT 1 FROM {})", rollup.base), &[])
            .await?
            .get(0);
        let state = if has_rows { "filling" } else { "ready" };
        let write = "INSERT INTO duto.rollup (pipeline, name, definition, tables, state)
            VALUES ($1, $2, $3, $4, $5)";
        transaction
            .execute(
                write,
                &[&pipeline.name, &rollup.name, &rollup.definition, &rollup.tables, &state],
            )
            .await?;
        if has_rows {
            unfilled.push(rollup.clone());
        }
    }
    Ok(unfilled)
}
