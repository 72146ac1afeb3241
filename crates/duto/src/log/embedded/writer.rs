//! The thread that stores what was sent: one transaction, one sync, for all that gathered while the one before ran.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::super::{LogError, Sent};
use super::bell::Bell;
use super::checkpoint::Checkpoints;
use super::file;
use super::queue::{Group, Queued, SendQueue};

const DOING: &str = "store in the embedded log";

/// How long a group waits for other processes' writes before its senders hear of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until the queue is stopped and empty. Each record's outcome is called once its transaction is synced, or given up.
pub fn run(path: &Path, queue: &SendQueue, committed: &Bell, checkpoints: &Checkpoints) {
    let mut connection = None;
    while let Some(group) = queue.take() {
        let results = store_patiently(path, &mut connection, &group);
        if results.as_ref().is_ok_and(|results| results.iter().any(Result::is_err)) {
            queue.note_lost_topic();
        }
        committed.ring();
        hand_out(group, results);
        queue.finished();
        if let Some(connection) = &connection
            && let Err(error) = checkpoints.empty(connection)
        {
            tracing::warn!("empty the embedded log's write-ahead log: {error}");
        }
    }
}

/// The results stand in the order of the records.
fn store_patiently(path: &Path, connection: &mut Option<Connection>, group: &Group) -> Result<Vec<Result<Sent, LogError>>, LogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let attempt = match connection {
            Some(connection) => store(connection, group),
            None => file::connect(path).and_then(|fresh| store(connection.insert(fresh), group)),
        };
        let error = match attempt {
            Ok(results) => return Ok(results),
            Err(error) => error,
        };
        let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        if !busy || Instant::now() > deadline {
            // What SQLite keeps in memory may not fit a disk that failed: the next group begins afresh.
            *connection = None;
            tracing::error!("{DOING}: {error}");
            return Err(file::describe(DOING, &error));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The transaction. The next offsets are read in it, since other processes write too, and stored by it.
fn store(connection: &mut Connection, group: &Group) -> rusqlite::Result<Vec<Result<Sent, LogError>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(group.records.len());
    let mut next_offsets: HashMap<(i64, i32), Option<i64>> = HashMap::new();
    {
        let mut insert = transaction.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for record in &group.records {
            let place = (record.topic_id, record.partition);
            let next = match next_offsets.get_mut(&place) {
                Some(next) => next,
                None => {
                    let ends = file::partition_ends(&transaction, place.0, place.1)?;
                    next_offsets.entry(place).or_insert(ends.map(|(_, next)| next))
                }
            };
            let Some(offset) = *next else {
                results.push(Err(gone(record)));
                continue;
            };
            let bytes = |range: &Option<std::ops::Range<usize>>| range.clone().and_then(|range| group.bytes.get(range));
            insert.execute(params![
                record.topic_id,
                record.partition,
                offset,
                record.timestamp_ms,
                bytes(&record.key),
                bytes(&record.payload),
                bytes(&record.headers)
            ])?;
            *next = Some(offset + 1);
            results.push(Ok(Sent { partition: record.partition, offset }));
        }
        let mut advance = transaction.prepare_cached("UPDATE partition SET next_offset = ?3 WHERE topic_id = ?1 AND partition = ?2")?;
        for ((topic_id, partition), next) in &next_offsets {
            if let Some(next) = next {
                advance.execute(params![topic_id, partition, next])?;
            }
        }
        let mut note = transaction.prepare_cached("INSERT OR REPLACE INTO group_position VALUES (?1, ?2, ?3, ?4)")?;
        for position in &group.positions {
            note.execute(params![position.topic_id, position.group, position.partition, position.next_offset])?;
        }
    }
    transaction.commit()?;
    Ok(results)
}

fn gone(record: &Queued) -> LogError {
    LogError::Refused { doing: DOING.to_owned(), reason: format!("the topic was deleted, or has no partition {}", record.partition) }
}

fn hand_out(group: Group, results: Result<Vec<Result<Sent, LogError>>, LogError>) {
    let mut results = results.map(Vec::into_iter);
    for record in group.records {
        let result = match &mut results {
            Ok(results) => results.next().unwrap_or_else(|| Err(gone_without_a_result())),
            Err(error) => Err(error.clone()),
        };
        // One sender's panic must not take the answers of the others.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (record.outcome)(result))).is_err() {
            tracing::error!("the answer to a send panicked");
        }
    }
}

fn gone_without_a_result() -> LogError {
    LogError::Refused { doing: DOING.to_owned(), reason: "the transaction answered nothing for this record".to_owned() }
}

/// Starts the thread.
pub fn start(
    path: &Path,
    queue: &Arc<SendQueue>,
    committed: &Arc<Bell>,
    checkpoints: &Arc<Checkpoints>,
) -> std::io::Result<thread::JoinHandle<()>> {
    let (path, queue, committed, checkpoints) = (path.to_owned(), Arc::clone(queue), Arc::clone(committed), Arc::clone(checkpoints));
    thread::Builder::new().name("log-writer".to_owned()).spawn(move || run(&path, &queue, &committed, &checkpoints))
}
