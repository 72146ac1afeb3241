//! The thread that stores what was sent: one transaction, one sync, for all that gathered while the
//! one before ran.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::super::LogError;
use super::bell::Bell;
use super::checkpoint::Checkpoints;
use super::file;
use super::queue::{Answer, Group, SendQueue};
use super::store::{DOING, Stored, store};
use duto_ground::supervised;

/// How long a group waits for other processes' writes before its senders hear of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until the queue is stopped and empty. Each record's outcome is called once its transaction
/// is synced, or given up.
pub fn run(path: &Path, queue: &SendQueue, committed: &Bell, checkpoints: &Checkpoints) {
    let mut connection = None;
    while let Some(group) = queue.take() {
        let results = store_patiently(path, &mut connection, &group);
        let found_no_topic = |stored: &Stored| {
            let turns = stored
                .journal_turns
                .iter()
                .any(|result| matches!(result, Err(LogError::Refused { .. })));
            turns || stored.records.iter().any(Result::is_err)
        };
        if results.as_ref().is_ok_and(found_no_topic) {
            queue.note_lost_topic();
        }
        committed.ring();
        hand_out(group, results);
        queue.finished();
        if let Some(connection) = &connection
            && let Err(error) = checkpoints.begin_anew(connection)
        {
            tracing::warn!("copy the embedded log's write-ahead log: {error}");
        }
    }
}

fn store_patiently(
    path: &Path,
    connection: &mut Option<Connection>,
    group: &Group,
) -> Result<Stored, LogError> {
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
        let busy = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        );
        if !busy || Instant::now() > deadline {
            // What SQLite keeps in memory may not fit a disk that failed: the next group begins
            // afresh.
            *connection = None;
            tracing::error!("{DOING}: {error}");
            return Err(file::describe(DOING, &error));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn hand_out(group: Group, stored: Result<Stored, LogError>) {
    let (records, turns) = match stored {
        Ok(stored) => (Ok(stored.records), Ok(stored.journal_turns)),
        Err(error) => (Err(error.clone()), Err(error)),
    };
    answer(group.records.into_iter().map(|record| record.outcome), records);
    answer(group.journal_turns.into_iter().map(|turn| turn.outcome), turns);
}

fn answer<T>(
    outcomes: impl Iterator<Item = Answer<T>>,
    results: Result<Vec<Result<T, LogError>>, LogError>,
) {
    let mut results = results.map(Vec::into_iter);
    for outcome in outcomes {
        let result = match &mut results {
            Ok(results) => results.next().unwrap_or_else(|| Err(gone_without_a_result())),
            Err(error) => Err(error.clone()),
        };
        // One sender's panic must not take the answers of the others.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outcome(result))).is_err() {
            tracing::error!("the answer to a send panicked");
        }
    }
}

fn gone_without_a_result() -> LogError {
    LogError::Refused {
        doing: DOING.to_owned(),
        reason: "the transaction answered nothing for this record".to_owned(),
    }
}

/// Starts the thread.
pub fn start(
    path: &Path,
    queue: &Arc<SendQueue>,
    committed: &Arc<Bell>,
    checkpoints: &Arc<Checkpoints>,
) -> std::io::Result<thread::JoinHandle<()>> {
    let (path, queue, committed, checkpoints) =
        (path.to_owned(), Arc::clone(queue), Arc::clone(committed), Arc::clone(checkpoints));
    thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
        // A group that it had in its hands is given up: its senders hear that nobody knows what
        // became of their records.
        supervised::run(
            "the thread that writes the embedded log",
            || run(&path, &queue, &committed, &checkpoints),
            |_, pause| thread::sleep(pause),
        );
    })
}
