//! What one transaction of the writer's does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, TransactionBehavior, params};

use super::super::{LogError, Sent};
use super::file;
use super::queue::{Group, JournalTurn, Wish};

pub const DOING: &str = "store in the embedded log";

/// What came of a group: a result a record and one a turn, in their order.
pub struct Stored {
    pub records: Vec<Result<Sent, LogError>>,
    pub journal_turns: Vec<Result<Option<Vec<u8>>, LogError>>,
}

/// A record as it is stored.
struct Row<'a> {
    topic_id: i64,
    partition: i32,
    timestamp_ms: i64,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    headers: Option<&'a [u8]>,
}

/// The transaction. The next offsets are read in it, since other processes write too, and stored by
/// it.
pub fn store(connection: &mut Connection, group: &Group) -> rusqlite::Result<Stored> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut offsets = Offsets { connection: &transaction, next: HashMap::new() };
    let mut stored =
        Stored { records: Vec::with_capacity(group.records.len()), journal_turns: Vec::new() };
    for record in &group.records {
        let bytes = |range: &Option<std::ops::Range<usize>>| {
            range.clone().and_then(|range| group.bytes.get(range))
        };
        let row = Row {
            topic_id: record.topic_id,
            partition: record.partition,
            timestamp_ms: record.timestamp_ms,
            key: bytes(&record.key),
            payload: bytes(&record.payload),
            headers: bytes(&record.headers),
        };
        stored.records.push(offsets.insert(&row)?.ok_or_else(|| gone(record.partition)));
    }
    for turn in &group.journal_turns {
        stored.journal_turns.push(take_turn(&mut offsets, turn)?);
    }
    offsets.write()?;
    let mut note = transaction
        .prepare_cached("INSERT OR REPLACE INTO group_position VALUES (?1, ?2, ?3, ?4)")?;
    for position in &group.positions {
        note.execute(params![
            position.topic_id,
            position.group,
            position.partition,
            position.next_offset
        ])?;
    }
    drop(note);
    transaction.commit()?;
    Ok(stored)
}

/// All of an append or nothing: whether it can be is known before its first row.
fn take_turn(
    offsets: &mut Offsets<'_>,
    turn: &JournalTurn,
) -> rusqlite::Result<Result<Option<Vec<u8>>, LogError>> {
    let JournalTurn { name, holder, wish, .. } = turn;
    let (records, note) = match wish {
        Wish::TakeOver => return file::take_over_journal(offsets.connection, name, holder).map(Ok),
        Wish::Append { records, note } => (records, note),
    };
    for record in records {
        if offsets.next(record.topic_id, record.partition)?.is_none() {
            return Ok(Err(gone(record.partition)));
        }
    }
    if !file::note_in_journal(offsets.connection, name, holder, note)? {
        return Ok(Err(LogError::Locked(format!(
            "append to the journal {name}: another process took it over"
        ))));
    }
    for record in records {
        offsets.insert(&Row {
            topic_id: record.topic_id,
            partition: record.partition,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            payload: record.payload.as_deref(),
            headers: record.headers.as_deref(),
        })?;
    }
    Ok(Ok(None))
}

/// The next offsets of the partitions that this transaction writes to; None where there is no such
/// partition.
struct Offsets<'a> {
    connection: &'a Connection,
    next: HashMap<(i64, i32), Option<i64>>,
}

impl Offsets<'_> {
    fn next(&mut self, topic_id: i64, partition: i32) -> rusqlite::Result<&mut Option<i64>> {
        match self.next.entry((topic_id, partition)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let ends = file::partition_ends(self.connection, topic_id, partition)?;
                Ok(unknown.insert(ends.map(|(_, next)| next)))
            }
        }
    }

    /// None where there is no such partition.
    fn insert(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<Sent>> {
        let connection = self.connection;
        let next = self.next(row.topic_id, row.partition)?;
        let Some(offset) = *next else { return Ok(None) };
        *next = Some(offset + 1);
        let mut insert =
            connection.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        insert.execute(params![
            row.topic_id,
            row.partition,
            offset,
            row.timestamp_ms,
            row.key,
            row.payload,
            row.headers
        ])?;
        Ok(Some(Sent { partition: row.partition, offset }))
    }

    fn write(&self) -> rusqlite::Result<()> {
        let mut advance = self.connection.prepare_cached(
            "UPDATE partition SET next_offset = ?3 WHERE topic_id = ?1 AND partition = ?2",
        )?;
        for ((topic_id, partition), next) in &self.next {
            if let Some(next) = next {
                advance.execute(params![topic_id, partition, next])?;
            }
        }
        Ok(())
    }
}

fn gone(partition: i32) -> LogError {
    LogError::Refused {
        doing: DOING.to_owned(),
        reason: format!("the topic was deleted, or has no partition {partition}"),
    }
}
