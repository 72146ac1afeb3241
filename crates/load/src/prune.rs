//! Rows of the schema `duto` that are no longer needed: old ranges of the ledger, answers that
//! nobody can ask for any more, and fine counters of windows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;

use super::connect::{Connection, Connector};
use super::failure::Failure;
use super::grains;
use duto_definition::Pipeline;

/// Between two times.
const INTERVAL: Duration = Duration::from_secs(600);
const FIRST_AFTER: Duration = Duration::from_secs(30);
const STOP_LOOK: Duration = Duration::from_millis(500);
/// Rows that one statement looks at, so that it is short whatever is kept.
const ROWS: i64 = 5_000;
/// The server ends a statement that takes longer, also when nobody waits for it any more.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// From one to the next along the index, whatever each has.
const POSITIONS: &str = "WITH RECURSIVE found AS (
     (SELECT topic, partition FROM duto.batch WHERE pipeline = $1 ORDER BY topic, partition LIMIT 1)
     UNION ALL
     SELECT behind.topic, behind.partition FROM found CROSS JOIN LATERAL (
         SELECT b.topic, b.partition FROM duto.batch b WHERE b.pipeline = $1
     AND (b.topic, b.partition) > (found.topic, found.partition)
         ORDER BY b.topic, b.partition LIMIT 1) AS behind
     ) SELECT topic, partition FROM found";
/// Of one partition, those of the lowest ranges that are too old. After a rewind some of these are
/// young: then what is above them waits until they are old too. A range that has one behind it is
/// found by one step along the index. The last range stays, whatever its age: the next one follows
/// it.
const LEDGER: &str = "DELETE FROM duto.batch WHERE id = ANY (ARRAY(
     SELECT b.id FROM (
         SELECT id, from_offset, committed_at FROM duto.batch WHERE pipeline = $1 AND topic = $4
     AND partition = $5 ORDER BY from_offset LIMIT $3) b
     WHERE b.committed_at < now() - make_interval(secs => $2)
       AND (SELECT l.id FROM duto.batch l WHERE l.pipeline = $1 AND l.topic = $4
     AND l.partition = $5
            AND l.from_offset >= b.from_offset AND l.id > b.id ORDER BY l.from_offset
     LIMIT 1) IS NOT NULL))";
const ANSWERS: &str = "DELETE FROM duto.answer WHERE (pipeline, idempotency_key) IN (
     SELECT pipeline, idempotency_key FROM duto.answer WHERE pipeline = $1
     AND answered_at < now() - make_interval(secs => $2)
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
            Ok(rows) => tracing::debug!(
                pipeline = pipeline.name,
                rows,
                "pruned the ledger, the answers and the windows of rollups"
            ),
            Err(failure) => {
                tracing::warn!(pipeline = pipeline.name, %failure, "pruning failed; it is tried \
                    again")
            }
        }
    }
}

/// Deletes all that is too old; answers how many rows.
pub async fn prune(by: &Connector, pipeline: &Pipeline, stop: &AtomicBool) -> Result<u64, Failure> {
    let by = &by.bounded(STATEMENT_TIMEOUT);
    let connection = by.connect().await?;
    let (name, database) = (&pipeline.name, &pipeline.database);
    let mut rows = 0;
    for position in connection.within(connection.client.query(POSITIONS, &[name])).await? {
        let (topic, partition): (String, i32) = (position.get(0), position.get(1));
        let keep = database.keep_ledger.as_secs_f64();
        rows +=
            delete(&connection, LEDGER, &[name, &keep, &ROWS, &topic, &partition], stop).await?;
    }
    let keep = database.keep_answers.as_secs_f64();
    rows += delete(&connection, ANSWERS, &[name, &keep, &ROWS], stop).await?;
    Ok(rows + grains::prune(&connection, &pipeline.rollups, stop).await?)
}

/// Again until nothing is found: where some of the oldest stay, a statement deletes fewer than it
/// looks at.
async fn delete(
    on: &Connection,
    statement: &str,
    values: &[&(dyn ToSql + Sync)],
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let mut rows = 0;
    while !stop.load(Ordering::Relaxed) {
        match on
            .within(async { on.client.execute(&on.prepared(statement).await?, values).await })
            .await?
        {
            0 => break,
            deleted => rows += deleted,
        }
    }
    Ok(rows)
}
