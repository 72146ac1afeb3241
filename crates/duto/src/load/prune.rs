//! Rows of the schema `duto` that are no longer needed: old ranges of the ledger, answers that nobody can ask for any more, and fine
//! counters of windows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::connect::{Connection, Connector};
use super::failure::Failure;
use super::grains;
use crate::definition::Pipeline;

/// Between two times.
const INTERVAL: Duration = Duration::from_secs(600);
const FIRST_AFTER: Duration = Duration::from_secs(30);
const STOP_LOOK: Duration = Duration::from_millis(500);
/// So many rows in one statement, so that nothing waits long for it.
const ROWS: i64 = 10_000;

/// The last range of a partition stays, whatever its age: the next one follows it.
const LEDGER: &str = "DELETE FROM duto.batch WHERE id IN (
     SELECT b.id FROM duto.batch b WHERE b.pipeline = $1 AND b.committed_at < now() - make_interval(secs => $2)
       AND EXISTS (SELECT 1 FROM duto.batch l WHERE l.pipeline = b.pipeline AND l.topic = b.topic AND l.partition = b.partition AND l.id > b.id)
     ORDER BY b.id LIMIT $3)";
const ANSWERS: &str = "DELETE FROM duto.answer WHERE (pipeline, idempotency_key) IN (
     SELECT pipeline, idempotency_key FROM duto.answer WHERE pipeline = $1 AND answered_at < now() - make_interval(secs => $2)
     ORDER BY answered_at LIMIT $3)";

/// Prunes now and then until it is told to stop. What fails is tried again the next time.
pub async fn run(by: &Connector, pipeline: &Pipeline, stop: &AtomicBool) {
    let mut due = Instant::now() + FIRST_AFTER;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(STOP_LOOK).await;
        if Instant::now() < due {
            continue;
        }
        due = Instant::now() + INTERVAL;
        match prune(by, pipeline, stop).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(pipeline = pipeline.name, rows, "pruned the ledger, the answers and the windows of rollups"),
            Err(failure) => tracing::debug!(pipeline = pipeline.name, %failure, "pruning failed; it is tried again"),
        }
    }
}

/// Deletes all that is too old; answers how many rows.
pub async fn prune(by: &Connector, pipeline: &Pipeline, stop: &AtomicBool) -> Result<u64, Failure> {
    let connection = by.connect().await?;
    let database = &pipeline.database;
    let mut rows = 0;
    for (statement, keep) in [(LEDGER, database.keep_ledger), (ANSWERS, database.keep_answers)] {
        loop {
            let deleted = delete(&connection, by, statement, &pipeline.name, keep).await?;
            rows += deleted;
            if deleted < ROWS as u64 || stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    Ok(rows + grains::prune(&connection, by, &pipeline.rollups, stop).await?)
}

async fn delete(on: &Connection, by: &Connector, statement: &str, pipeline: &str, keep: Duration) -> Result<u64, Failure> {
    by.within(on.client.execute(statement, &[&pipeline, &keep.as_secs_f64(), &ROWS])).await
}
