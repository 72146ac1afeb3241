//! Whether rollups hold what their base tables do, in one snapshot.

use super::connect::Connection;
use super::rollups::RollupTarget;
use duto_ground::quoting::quote;

/// A group whose figures differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `rollup` or `base`: where the row stands that the other lacks.
    pub side: String,
    /// The row, as JSON.
    pub row: String,
}

/// Of a rollup so many differences are told.
const TOLD: usize = 20;

/// Begins the snapshot in which [`differences`] compares; loads go on meanwhile.
pub async fn begin(on: &Connection) -> anyhow::Result<()> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";
    Ok(on.client.batch_execute(begin).await?)
}

/// Recomputes a rollup from its base table, its windows grain by grain, and answers what differs,
/// the first few.
pub async fn differences(
    on: &Connection,
    rollup: &RollupTarget,
) -> anyhow::Result<Vec<Difference>> {
    let whole = (format!("SELECT * FROM {}", quote(&rollup.name)), rollup.recompute.clone());
    let mut differences = Vec::new();
    for (kept, recompute) in std::iter::once(&whole).chain(&rollup.grains) {
        let statement = format!(
            "SELECT 'rollup', row_to_json(r.*)::text FROM ({kept} EXCEPT ALL {recompute}) r
             UNION ALL SELECT 'base', row_to_json(b.*)::text FROM ({recompute} EXCEPT ALL {kept}) b
             ORDER BY 2, 1 LIMIT {TOLD}"
        );
        let rows = on.client.query(&statement, &[]).await?;
        differences.extend(rows.iter().map(|row| Difference { side: row.get(0), row: row.get(1) }));
    }
    differences.truncate(TOLD);
    Ok(differences)
}
