//! Rollups and views become the database's. A rollup that is new, or another than before, is made
//! while no load can commit: from then on every load counts its rows, and what was there before is
//! counted from a snapshot of that moment, see [`super::fill`].

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Row, Transaction};

use super::connect::{Connection, Connector};
use super::ensure::ADVISORY_LOCK;
use super::rollups::{RollupTarget, RollupTargets, windows};
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
    // What was refused may be made by now, but by its owner alone.
    let may_make_views = views::may_make(&transaction, pipeline).await?;
    if same_rollups && known.views == views && !(known.lacks_views && may_make_views) {
        return Ok(None);
    }
    // Who may not make them finds them as they are declared, or would not have come here.
    let kept_views = match may_make_views {
        true => views::drop_all(&transaction, pipeline).await?,
        false => BTreeMap::new(),
    };
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
    if may_make_views {
        views::make_all(&transaction, pipeline, declared, &kept_views).await?;
    }
    let write = "INSERT INTO duto.pipeline VALUES ($1, $2, $3) ON CONFLICT (pipeline) DO UPDATE
        SET rollups = $2, views = $3";
    transaction.execute(write, &[&pipeline.name, &declared.digest, &views]).await?;
    transaction.commit().await.context("making the rollups")?;
    Ok(fill)
}

/// What a start would change of the rollups and views.
pub(super) struct Changes {
    /// Tables of counters are to be made or dropped.
    pub makes_tables: bool,
    /// Views are to be made or dropped.
    pub makes_views: bool,
    /// The role owns the tables that are to be dropped.
    pub owns_tables: bool,
    /// The role owns the views that are there.
    pub owns_views: bool,
    /// What is to be made, for people.
    pub names: Vec<String>,
}

impl Changes {
    /// Nothing is there yet.
    pub fn all(pipeline: &Pipeline, declared: &RollupTargets) -> Self {
        let rollups = declared.rollups.iter().map(|rollup| format!("rollup {}", rollup.name));
        let views = pipeline.views.iter().map(|view| format!("view {}", view.name));
        Self {
            makes_tables: !declared.rollups.is_empty(),
            makes_views: !declared.rollups.is_empty() || !pipeline.views.is_empty(),
            owns_tables: true,
            owns_views: true,
            names: rollups.chain(views).collect(),
        }
    }

    pub fn are_none(&self) -> bool {
        !self.makes_tables && !self.makes_views
    }
}

/// Compares what is registered with what is declared. Only reads.
pub(super) async fn changes(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    declared: &RollupTargets,
) -> anyhow::Result<Changes> {
    let known = Known::read(transaction, pipeline).await?;
    let statement = "SELECT name, definition, tables FROM duto.rollup WHERE pipeline = $1";
    let rows = transaction.query(statement, &[&pipeline.name]).await?;
    let is_same = |row: &Row, rollup: &RollupTarget| {
        row.get::<_, &str>(0) == rollup.name && row.get::<_, &str>(1) == rollup.definition
    };
    let is_declared = |row: &&Row| declared.rollups.iter().any(|rollup| is_same(row, rollup));
    let gone: Vec<Vec<String>> =
        rows.iter().filter(|row| !is_declared(row)).map(|row| row.get(2)).collect();
    let is_there = |rollup: &&RollupTarget| rows.iter().any(|row| is_same(row, rollup));
    let missing = declared.rollups.iter().filter(|rollup| !is_there(rollup));
    let names: Vec<String> = missing.map(|rollup| format!("rollup {}", rollup.name)).collect();
    let makes_tables = !names.is_empty() || !gone.is_empty();
    let owns_tables = may_drop(transaction, &gone.concat()).await?;
    let (views, owns_views) = views::there(transaction, pipeline).await?;
    let declares_views = !declared.rollups.is_empty() || !pipeline.views.is_empty();
    let is_other = known.views != views::digest(pipeline, declared) || makes_tables;
    let makes_views = is_other && (declares_views || views > 0);
    let made = pipeline.views.iter().filter(|_| makes_views);
    let names = names.into_iter().chain(made.map(|view| format!("view {}", view.name))).collect();
    Ok(Changes { makes_tables, makes_views, owns_tables, owns_views, names })
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
    let (mut kept, mut emptied): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
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
        let is_unfilled = declared
            .rollups
            .iter()
            .any(|rollup| rollup.name == name && rollup.definition == definition);
        if is_unfilled && !may_drop(transaction, &tables).await? {
            // The next worker that fills it begins anew: whoever owns the tables need not be here.
            // How far back the buckets of a grain are kept stays: what is counted anew goes by it.
            for table in tables.iter().filter(|table| **table != windows::grains_table(&name)) {
                let empty = format!("DELETE FROM {table}");
                transaction.batch_execute(&empty).await.context("emptying an unfilled rollup")?;
            }
            emptied.push(name);
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
    let mut unfilled: Vec<RollupTarget> =
        declared.rollups.iter().filter(|rollup| emptied.contains(&rollup.name)).cloned().collect();
    kept.extend(emptied);
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

/// Whether this role owns all of the tables.
async fn may_drop(transaction: &Transaction<'_>, tables: &[String]) -> anyhow::Result<bool> {
    let statement = "SELECT coalesce(bool_and(pg_has_role(c.relowner, 'USAGE')), true)
        FROM unnest($1::text[]) name JOIN pg_class c ON c.oid = to_regclass(name)";
    Ok(transaction.query_one(statement, &[&tables]).await?.get(0))
}
