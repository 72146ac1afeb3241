//! Keeping the write-ahead log in bounds.
//!
//! A passive checkpoint copies it into the file and holds up nobody; the maintenance thread makes
//! those. They alone would not do: under steady sends there is always something left to copy, so
//! the write-ahead log is never begun anew. The writer copies the little that is left when it is
//! large, between two of its transactions: another thread would wait in vain for a lock that the
//! writer always has again already. Its next transaction then overwrites the write-ahead log from
//! its beginning. The file keeps its size meanwhile: giving the blocks back to the file system and
//! taking them again held up every sender for 50 to 80 ms (ext4 with discard).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file::BUSY_TIMEOUT;

/// Pages of 4 KiB with which the write-ahead log should begin anew: 16 MiB.
const LARGE_FRAMES: i64 = 4096;
/// With so many it must, also if its readers have to be waited for: 64 MiB.
const MOST_FRAMES: i64 = 4 * LARGE_FRAMES;

/// How long readers are waited for then, and when it is tried again if one of them (a person's,
/// with an open transaction) does not end.
const READERS_PATIENCE: Duration = Duration::from_millis(250);
const NEXT_TRY: Duration = Duration::from_secs(1);

/// The write-ahead log as the threads of one process share it.
#[derive(Default)]
pub struct Checkpoints {
    /// One checkpoint at a time: SQLite would answer "busy" to the second.
    turn: Mutex<Turn>,
    /// The writer should see to it.
    is_large: AtomicBool,
}

#[derive(Default)]
struct Turn {
    frames: i64,
    not_before: Option<Instant>,
}

impl Checkpoints {
    /// Copies what was committed. By the maintenance thread.
    pub fn copy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.frames = checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")?.frames;
        self.is_large.store(turn.frames >= LARGE_FRAMES, Ordering::Relaxed);
        Ok(())
    }

    /// Copies the rest of one that is large, so that it begins anew. By the writer, between two
    /// transactions.
    pub fn begin_anew(&self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.is_large.load(Ordering::Relaxed) {
            return Ok(());
        }
        // While the maintenance thread copies there is more left than a sender should wait for.
        let Ok(mut turn) = self.turn.try_lock() else { return Ok(()) };
        self.is_large.store(false, Ordering::Relaxed);
        if turn.frames < MOST_FRAMES || turn.not_before.is_some_and(|time| Instant::now() < time) {
            return checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)").map(drop);
        }
        connection.busy_timeout(READERS_PATIENCE)?;
        let outcome = checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
        connection.busy_timeout(BUSY_TIMEOUT)?;
        turn.not_before = outcome?.is_busy.then(|| Instant::now() + NEXT_TRY);
        Ok(())
    }
}

struct Outcome {
    /// A reader or another checkpoint was in the way.
    is_busy: bool,
    /// Pages in the write-ahead log.
    frames: i64,
}

fn checkpoint(connection: &Connection, statement: &str) -> rusqlite::Result<Outcome> {
    connection.query_row(statement, [], |row| {
        Ok(Outcome { is_busy: row.get::<_, i64>(0)? != 0, frames: row.get(1)? })
    })
}

#[cfg(test)]
mod tests {
    use duto_servers::ScratchFolder;

    use super::super::file::connect;
    use super::*;

    #[test]
    fn the_write_ahead_log_begins_anew_also_while_it_is_written() {
        let folder = ScratchFolder::create("checkpoint").unwrap();
        let path = folder.path().join("log");
        let [writer, maintenance, reader] = [(); 3].map(|()| connect(&path).unwrap());
        writer.execute_batch("CREATE TABLE filler (bytes BLOB)").unwrap();
        let checkpoints = Checkpoints::default();
        let mut most = 0;
        for round in 0..30 {
            // What comes after a reader's look is not copied while it lasts: so something is left
            // each time.
            reader.execute_batch("BEGIN").unwrap();
            let _: i64 =
                reader.query_row("SELECT count(*) FROM filler", [], |row| row.get(0)).unwrap();
            writer.execute_batch("BEGIN").unwrap();
            for _ in 0..500 {
                writer.execute("INSERT INTO filler VALUES (randomblob(3000))", []).unwrap();
            }
            writer.execute_batch("COMMIT").unwrap();
            checkpoints.copy(&maintenance).unwrap();
            reader.execute_batch("COMMIT").unwrap();
            checkpoints.begin_anew(&writer).unwrap();
            most = most.max(checkpoints.turn.lock().unwrap().frames);
            assert!(most < 2 * LARGE_FRAMES, "{most} frames in round {round}");
        }
        assert!(most >= LARGE_FRAMES, "it was never large: {most} frames");
        let bytes = std::fs::metadata(folder.path().join("log-wal")).unwrap().len();
        assert!(bytes > 16 << 20 && bytes < 64 << 20, "{bytes} bytes");
    }
}
