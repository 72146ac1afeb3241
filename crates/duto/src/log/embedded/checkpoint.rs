//! Keeping the write-ahead log in bounds.
//!
//! A passive checkpoint copies it into the file and holds up nobody; the maintenance thread makes those. They alone would not do: under
//! steady sends there is always something left to copy, so the write-ahead log is never begun anew. The writer empties it when it is
//! large, between two of its transactions: another thread would wait in vain for a lock that the writer always has again already.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file::BUSY_TIMEOUT;

const COPY_BYTES: u64 = 16 << 20;
const EMPTY_BYTES: u64 = 64 << 20;

/// How long emptying waits for readers, and when it is tried again if one of them (a person's, with an open transaction) does not end.
const READERS_PATIENCE: Duration = Duration::from_millis(250);
const NEXT_TRY: Duration = Duration::from_secs(1);

/// The write-ahead log as the threads of one process share it.
pub struct Checkpoints {
    path: PathBuf,
    turn: Mutex<Turn>,
}

/// One checkpoint at a time: SQLite would answer "busy" to the second.
#[derive(Default)]
struct Turn {
    copied_bytes: u64,
    not_before: Option<Instant>,
}

impl Checkpoints {
    pub fn of(log: &Path) -> Checkpoints {
        let mut path = log.as_os_str().to_owned();
        path.push("-wal");
        Checkpoints { path: PathBuf::from(path), turn: Mutex::default() }
    }

    /// Copies when enough was written since the last time. Its file only shrinks when it is emptied, so growth counts, not size.
    pub fn copy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes();
        if bytes < turn.copied_bytes {
            turn.copied_bytes = 0;
        }
        if bytes - turn.copied_bytes >= COPY_BYTES {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            turn.copied_bytes = bytes;
        }
        Ok(())
    }

    /// Empties it when it is large.
    pub fn empty(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.bytes() < EMPTY_BYTES {
            return Ok(());
        }
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(());
        }
        connection.busy_timeout(READERS_PATIENCE)?;
        let busy: rusqlite::Result<i64> = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        connection.busy_timeout(BUSY_TIMEOUT)?;
        turn.not_before = (busy? != 0).then(|| Instant::now() + NEXT_TRY);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}
