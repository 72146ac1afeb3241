//! The statements of rollups, and writing what a batch adds to them in its own transaction.
//!
//! A rollup is a table `duto.rollup_<name>` with a row for each group and shard. A shard is a
//! source partition: its position's lock is held while it is written, so no two writers ever meet
//! at one counter. A distinct count has a table `duto.set_<name>_<measure>` with each value once,
//! whichever partition brought it, and counts what was new. The view of the rollup's name adds the
//! shards up. A rollup with windows has such rows for each bucket of time too, see [`windows`].

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;

use super::failure::{Failure, Scope};
use super::session::LoadSession;
use duto_definition::{Measure, Operation};
use duto_ground::index::RowIndex;
use duto_ground::quoting::quote;
use duto_stages::prepared::Prepared;
use duto_stages::rollup::{Columns, Rollups};

mod sql;
pub mod windows;

pub use sql::{FILES_SHARD, FILLED_SETS_SHARD, RollupTarget, SetTarget};

/// All rollups of a pipeline, and what tells them from others.
#[derive(Debug, Clone, Default)]
pub struct RollupTargets {
    pub rollups: Vec<RollupTarget>,
    /// The digest of all definitions: only workers of one digest load a pipeline.
    pub digest: String,
}

impl RollupTargets {
    pub fn new(rollups: &Rollups) -> Self {
        let rollups: Vec<RollupTarget> = rollups.plans.iter().map(RollupTarget::new).collect();
        let mut hash = Sha256::new();
        rollups.iter().for_each(|rollup| hash.update(format!("{}\0", rollup.definition)));
        let digest = if rollups.is_empty() { String::new() } else { hex::encode(hash.finalize()) };
        Self { rollups, digest }
    }
}

/// Adds what the stored rows count. The statements leave in one round trip, in one order for all
/// writers.
pub async fn write(
    session: LoadSession<'_>,
    rollups: &Rollups,
    batch: &Prepared,
    stored: &[Vec<RowIndex>],
) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let Some(shard) = target.shard.or_else(|| batch.shard()) else { return Ok(()) };
    let mut statements: Vec<(&str, Columns)> = Vec::new();
    for ((plan, evaluated), rollup) in
        rollups.plans.iter().zip(&batch.rollups).zip(&target.rollups.rollups)
    {
        let delta = plan
            .delta(evaluated, &stored[plan.table])
            .map_err(|error| Failure::Pause(format!("rollup {}: {error}", plan.rollup.name)))?;
        let Some(delta) = delta else { continue };
        statements.push((&rollup.upsert, delta.counters));
        let sets = rollup.sets.iter().map(|set| set.insert.as_str()).zip(delta.sets);
        statements.extend(
            sets.filter(|(_, values)| values.first().is_some_and(|column| !column.is_empty())),
        );
    }
    on.within_scope(Scope::Counters, async {
        let mut prepared = Vec::with_capacity(statements.len());
        for (statement, _) in &statements {
            prepared.push(on.prepared(statement).await?);
        }
        let sent = prepared.iter().zip(&statements).map(|(statement, (_, columns))| async move {
            let values: Vec<&(dyn ToSql + Sync)> = std::iter::once(&shard as &(dyn ToSql + Sync))
                .chain(columns.iter().map(|column| column as &(dyn ToSql + Sync)))
                .collect();
            on.client.execute(statement, &values).await
        });
        // The first poll of each sends it, so they leave in this order.
        join_all(sent).await.into_iter().collect::<Result<Vec<u64>, _>>().map(|_| ())
    })
    .await
}

fn is_distinct(measure: &Measure) -> bool {
    matches!(measure.operation, Operation::CountDistinct(_))
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(quote).collect()
}
