//! Fine counters of rollups with windows, whose time is over.

use std::sync::atomic::{AtomicBool, Ordering};

use super::connect::Connection;
use super::failure::Failure;
use super::rollups::windows::{counters_table, grains_table};
use duto_definition::{Grain, Rollup};

/// The number of rows that one statement deletes, so that nothing waits long for it.
const ROWS: i64 = 10_000;

/// Deletes the buckets that are older than their grain is kept; returns their number. Several
/// processes may do it at once.
///
/// First it is said, and committed, from when on the buckets are there: whoever reads counters
/// reads that in the same snapshot, and refuses a window that needs older ones.
pub async fn prune(on: &Connection, rollups: &[Rollup], stop: &AtomicBool) -> Result<u64, Failure> {
    let mut deleted = 0;
    for rollup in rollups {
        for grain in rollup
            .windows
            .iter()
            .flat_map(|windows| &windows.grains)
            .filter(|grain| grain.kept.is_some())
        {
            let statements = Statements::new(rollup, grain);
            on.within(on.client.batch_execute(&statements.mark)).await?;
            loop {
                let rows = on.within(on.client.execute(&statements.delete, &[&ROWS])).await?;
                deleted += rows;
                if rows < ROWS as u64 || stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
    Ok(deleted)
}

struct Statements {
    mark: String,
    /// $1 is the number of rows.
    delete: String,
}

impl Statements {
    /// How long a grain is kept is read from the database: a process of an older file does not
    /// prune what a newer one keeps.
    fn new(rollup: &Rollup, grain: &Grain) -> Self {
        let (counters, grains) = (counters_table(&rollup.name), grains_table(&rollup.name));
        let (seconds, unit) = (grain.unit.seconds(), grain.unit.as_str());
        Self {
            mark: format!(
                "UPDATE {grains} SET kept_from = greatest(kept_from, date_trunc('{unit}',
                    timezone('UTC', now()) - kept)) WHERE duto_grain = {seconds}"
            ),
            // A row that a load is writing is left for the next time.
            delete: format!(
                "DELETE FROM {counters} WHERE ctid = ANY (ARRAY(
                     SELECT c.ctid FROM {counters} c WHERE c.duto_grain = {seconds}
                       AND c.duto_start < (SELECT max(k.kept_from) FROM {grains} k
                     WHERE k.duto_grain = {seconds})
                     ORDER BY c.duto_start LIMIT $1 FOR UPDATE SKIP LOCKED))"
            ),
        }
    }
}
