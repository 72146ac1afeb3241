//! What keeps the file in bounds: checkpoints of the write-ahead log, and retention. A thread of
//! its own, so that no send waits for it longer than one small transaction takes.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::bell::Bell;
use super::checkpoint::Checkpoints;
use super::file;
use duto_ground::supervised;

/// How often the write-ahead log's size and the retention are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
const RETENTION_INTERVAL: Duration = Duration::from_secs(5);

/// Records that one transaction deletes at most.
const CHUNK_RECORDS: i64 = 1000;

/// Runs until `stop` rings.
pub fn run(path: &Path, stop: &Bell, checkpoints: &Checkpoints) {
    let mut connection = None;
    let mut last_retention = None::<Instant>;
    while stop.wait_beyond(0, LOOK_INTERVAL) == 0 {
        if connection.is_none() {
            connection = file::connect(path).ok();
        }
        let Some(open) = connection.as_mut() else { continue };
        let retention_due = last_retention.is_none_or(|last| last.elapsed() > RETENTION_INTERVAL);
        let outcome = checkpoints.copy(open).and_then(|()| {
            if retention_due {
                last_retention = Some(Instant::now());
                delete_expired(open, now_ms(), stop)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            tracing::warn!("maintain the embedded log {}: {error}", path.display());
            connection = None;
        }
    }
}

/// Starts the thread.
pub fn start(
    path: &Path,
    stop: &Arc<Bell>,
    checkpoints: &Arc<Checkpoints>,
) -> std::io::Result<thread::JoinHandle<()>> {
    let (path, stop, checkpoints) = (path.to_owned(), Arc::clone(stop), Arc::clone(checkpoints));
    thread::Builder::new().name("log-maintenance".to_owned()).spawn(move || {
        let work = || run(&path, &stop, &checkpoints);
        supervised::run("the thread that keeps the embedded log in bounds", work, |_, pause| {
            stop.wait_beyond(0, pause);
        });
    })
}

pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Deletes what is older than its topic keeps, from each partition's beginning, and moves the first
/// offset in the same transaction.
pub fn delete_expired(
    connection: &mut Connection,
    now_ms: i64,
    stop: &Bell,
) -> rusqlite::Result<()> {
    let partitions: Vec<(i64, i32, i64)> = connection
        .prepare_cached(
            "SELECT topic_id, partition, retention_ms FROM partition JOIN topic ON id = topic_id
                WHERE retention_ms IS NOT NULL",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (topic_id, partition, retention_ms) in partitions {
        let keep_from_ms = now_ms.saturating_sub(retention_ms);
        while stop.rings() == 0 && delete_chunk(connection, topic_id, partition, keep_from_ms)? {}
    }
    Ok(())
}

/// Answers whether there may be more.
fn delete_chunk(
    connection: &mut Connection,
    topic_id: i64,
    partition: i32,
    keep_from_ms: i64,
) -> rusqlite::Result<bool> {
    // Most looks find nothing: they take no write lock.
    let oldest_ms: Option<i64> = connection
        .prepare_cached(
            "SELECT timestamp_ms FROM record WHERE topic_id = ?1 AND partition = ?2
            ORDER BY \"offset\" LIMIT 1",
        )?
        .query_row(params![topic_id, partition], |row| row.get(0))
        .optional()?;
    if oldest_ms.is_none_or(|oldest_ms| oldest_ms >= keep_from_ms) {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some((first, next)) = file::partition_ends(&transaction, topic_id, partition)? else {
        return Ok(false);
    };
    // Offsets may be left out, so records are counted and not offsets.
    let expired: i64 = transaction
        .prepare_cached(
            "SELECT \"offset\" FROM record WHERE topic_id = ?1 AND partition = ?2
             AND \"offset\" >= ?3 ORDER BY \"offset\" LIMIT 1 OFFSET ?4",
        )?
        .query_row(params![topic_id, partition, first, CHUNK_RECORDS], |row| row.get(0))
        .optional()?
        .unwrap_or(next);
    let kept: Option<i64> = transaction
        .prepare_cached(
            "SELECT \"offset\" FROM record WHERE topic_id = ?1 AND partition = ?2
             AND \"offset\" >= ?3 AND \"offset\" < ?4
             AND timestamp_ms >= ?5 ORDER BY \"offset\" LIMIT 1",
        )?
        .query_row(params![topic_id, partition, first, expired, keep_from_ms], |row| row.get(0))
        .optional()?;
    let new_first = kept.unwrap_or(expired);
    transaction
        .prepare_cached(
            "DELETE FROM record WHERE topic_id = ?1 AND partition = ?2 AND \"offset\" < ?3",
        )?
        .execute(params![topic_id, partition, new_first])?;
    transaction
        .prepare_cached(
            "UPDATE partition SET first_offset = ?3 WHERE topic_id = ?1 AND partition = ?2",
        )?
        .execute(params![topic_id, partition, new_first])?;
    transaction.commit()?;
    Ok(kept.is_none() && new_first < next)
}
