//! The embedded log's file, written and read as a person with SQLite would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use duto_ground::seal::{Keyring, Keys};
use rusqlite::{Connection, params};

use crate::walk::Record;

/// Seals what pipelines with `encryption` write. Walks themselves append plain records.
pub const WALK_KEY: &str = "walk:d2Fsa3dhbGt3YWxrd2Fsa3dhbGt3YWxrd2Fsa3dhbGs=";

pub struct LogFile {
    path: PathBuf,
}

/// A record as it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    pub partition: i32,
    pub offset: i64,
    pub payload: Vec<u8>,
    pub headers: Vec<u8>,
}

impl LogFile {
    pub fn of(folder: &Path) -> LogFile {
        LogFile { path: folder.join("log.db") }
    }

    fn open(&self) -> Result<Connection> {
        let connection =
            Connection::open(&self.path).with_context(|| self.path.display().to_string())?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute_batch("PRAGMA synchronous = OFF")?;
        Ok(connection)
    }

    /// Appends records in one transaction.
    pub fn append(&self, topic: &str, records: &[Record]) -> Result<()> {
        let mut connection = self.open()?;
        let transaction = connection.transaction()?;
        let topic: i64 =
            transaction
                .query_row("SELECT id FROM topic WHERE name = ?1", [topic], |row| row.get(0))?;
        for record in records {
            let select = "SELECT next_offset FROM partition WHERE topic_id = ?1 AND partition = ?2";
            let offset: i64 =
                transaction
                    .query_row(select, params![topic, record.partition], |row| row.get(0))?;
            transaction.execute(
                "INSERT INTO record (topic_id, partition, \"offset\", timestamp_ms, payload)
                    VALUES (?1, ?2, ?3, 1700000000000, ?4)",
                params![topic, record.partition, offset, record.bytes()],
            )?;
            transaction.execute(
                "UPDATE partition SET next_offset = ?3 WHERE topic_id = ?1 AND partition = ?2",
                params![topic, record.partition, offset + 1],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// All records of a topic, by partition and offset; none of a topic that is not there.
    pub fn read(&self, topic: &str) -> Result<Vec<Logged>> {
        let connection = self.open()?;
        let mut select = connection.prepare(
            "SELECT partition, \"offset\", payload, headers FROM record WHERE topic_id = (SELECT id
                FROM topic WHERE name = ?1) ORDER BY 1, 2",
        )?;
        let keyring = Keyring::given(Keys::parse(WALK_KEY)?);
        let open = |part: &str, kept: Option<Vec<u8>>| -> Result<Vec<u8>> {
            let place = [&b"log"[..], topic.as_bytes(), part.as_bytes()];
            let opened = keyring.open_some(&place, kept.as_deref())?;
            Ok(opened.map(|opened| opened.into_owned()).unwrap_or_default())
        };
        let mut rows = select.query([topic])?;
        let mut logged = Vec::new();
        while let Some(row) = rows.next()? {
            logged.push(Logged {
                partition: row.get(0)?,
                offset: row.get(1)?,
                payload: open("payload", row.get(2)?)?,
                headers: open("headers", row.get(3)?)?,
            });
        }
        Ok(logged)
    }
}
