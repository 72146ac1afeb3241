//! The file: its tables, which a person may open with any SQLite, and how a connection to it is set
//! up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::super::LogError;
use super::backup;

/// How long a statement waits for another process's write.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `next_offset` is stored, never derived from the records that are left, so that no offset is used
/// twice after retention.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS topic (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    uuid TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    retention_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS partition (
    topic_id INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_id, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    topic_id INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    \"offset\" INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    \"key\" BLOB,
    payload BLOB,
    headers BLOB,
    PRIMARY KEY (topic_id, partition, \"offset\")
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_position (
    topic_id INTEGER NOT NULL,
    group_name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_id, group_name, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    note BLOB
) STRICT;
";

/// A topic's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRow {
    pub id: i64,
    pub uuid: String,
    pub partitions: i32,
}

/// Where the file of a folder stands.
pub fn path_in(folder: &Path) -> PathBuf {
    folder.join("log.db")
}

/// Opens the file, and makes it and its tables where they are missing.
pub fn create(path: &Path) -> Result<Connection, LogError> {
    let doing = || format!("open the embedded log {}", path.display());
    let run = || -> rusqlite::Result<Connection> {
        let mut connection = connect(path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        let id = Uuid::new_v4().to_string();
        transaction.execute(
            "INSERT INTO setting VALUES ('cluster_id', ?1) ON CONFLICT DO NOTHING",
            [id],
        )?;
        let backup = backup::leave_offsets_out(&transaction)?;
        transaction.commit()?;
        if let Some(taken_at) = backup {
            tracing::warn!(
                log = %path.display(),
                taken_at,
                "the embedded log goes on from a backup: what it took since then is gone where no \
                    table has it, and its new records have offsets far beyond"
            );
        }
        Ok(connection)
    };
    run().map_err(|error| describe(&doing(), &error))
}

/// A connection whose commits are on the disk when they return. Checkpoints are made by
/// `checkpoint`, not by whoever commits.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = \
            67108864; PRAGMA cache_size = -16384",
    )?;
    Ok(connection)
}

pub fn cluster_id(connection: &Connection) -> rusqlite::Result<String> {
    connection
        .query_row("SELECT value FROM setting WHERE name = 'cluster_id'", [], |row| row.get(0))
}

pub fn topic(connection: &Connection, name: &str) -> rusqlite::Result<Option<TopicRow>> {
    connection
        .prepare_cached("SELECT id, uuid, partitions FROM topic WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(TopicRow { id: row.get(0)?, uuid: row.get(1)?, partitions: row.get(2)? })
        })
        .optional()
}

/// Makes the topic with its partitions if it is missing.
pub fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    retention_ms: Option<i64>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if topic(&transaction, name)?.is_none() {
        let uuid = Uuid::new_v4().to_string();
        transaction.execute(
            "INSERT INTO topic (name, uuid, partitions, retention_ms) VALUES (?1, ?2, ?3, ?4)",
            params![name, uuid, partitions, retention_ms],
        )?;
        let id = transaction.last_insert_rowid();
        for partition in 0..partitions {
            transaction
                .execute("INSERT INTO partition VALUES (?1, ?2, 0, 0)", params![id, partition])?;
        }
    }
    transaction.commit()
}

/// A partition's first and next offset; None if there is no such partition, or its topic is gone.
pub fn partition_ends(
    connection: &Connection,
    topic_id: i64,
    partition: i32,
) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached(
            "SELECT first_offset, next_offset FROM partition WHERE topic_id = ?1
            AND partition = ?2",
        )?
        .query_row(params![topic_id, partition], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Makes `holder` the one who may append to the journal; answers its note.
pub fn take_over_journal(
    connection: &Connection,
    name: &str,
    holder: &str,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "INSERT INTO journal (name, holder) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder RETURNING note",
        )?
        .query_row([name, holder], |row| row.get(0))
}

/// The journal's note; None if there never was one.
pub fn journal_note(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached("SELECT note FROM journal WHERE name = ?1")?;
    select.query_row([name], |row| row.get(0)).optional().map(Option::flatten)
}

/// Writes the journal's note if `holder` still has it; answers whether it does.
pub fn note_in_journal(
    connection: &Connection,
    name: &str,
    holder: &str,
    note: &[u8],
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE journal SET note = ?3 WHERE name = ?1 AND holder = ?2")?
        .execute(params![name, holder, note])?;
    Ok(changed == 1)
}

/// SQLite's errors as the caller should take them.
pub fn describe(doing: &str, error: &rusqlite::Error) -> LogError {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::QueueFull,
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen,
        ) => LogError::Unreachable { doing: doing.to_owned(), reason },
        _ => LogError::Refused { doing: doing.to_owned(), reason },
    }
}
