//! Looking at the embedded log: short reads on a connection of its own, so that nobody waits for
//! them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{LogError, Look, Sealing, Span, TopicListing, Watermarks};
use super::file;
use super::opening::{ReadError, Topic};
use duto_ground::batch::{Batch, Place};

pub struct EmbeddedLook {
    connection: Connection,
    sealing: Arc<Sealing>,
}

impl EmbeddedLook {
    pub fn new(path: &Path, sealing: Arc<Sealing>) -> Result<EmbeddedLook, LogError> {
        let connection = file::connect(path)
            .map_err(|error| file::describe("open the embedded log to look at it", &error))?;
        Ok(EmbeddedLook { connection, sealing })
    }
}

impl Look for EmbeddedLook {
    fn read(
        &mut self,
        topic: &str,
        spans: &[Span],
        into: &mut Batch,
        most_bytes: usize,
        _patience: Duration,
    ) -> Result<Vec<i64>, LogError> {
        let doing = || format!("look at the topic {topic}");
        let describe = |error: rusqlite::Error| file::describe(&doing(), &error);
        let row = file::topic(&self.connection, topic).map_err(describe)?;
        let row = row.ok_or_else(|| LogError::Refused {
            doing: doing(),
            reason: "there is no such topic".to_owned(),
        })?;
        let topic = Topic { id: row.id, name: topic, sealing: &self.sealing };
        let mut read = |span: &Span| read_span(&self.connection, &topic, span, into, most_bytes);
        spans
            .iter()
            .map(|span| {
                read(span).map_err(|error| match error {
                    ReadError::File(error) => describe(error),
                    ReadError::Seal(reason) => LogError::Refused { doing: doing(), reason },
                })
            })
            .collect()
    }
}

/// Answers the offset up to which the span is read.
fn read_span(
    connection: &Connection,
    topic: &Topic<'_>,
    span: &Span,
    into: &mut Batch,
    most_bytes: usize,
) -> Result<i64, ReadError> {
    let mut select = connection.prepare_cached(
        "SELECT \"offset\", timestamp_ms, \"key\", payload, headers FROM record
         WHERE topic_id = ?1 AND partition = ?2 AND \"offset\" >= ?3 AND \"offset\" < ?4
         ORDER BY \"offset\"",
    )?;
    let mut next = span.from;
    if into.bytes.len() >= most_bytes {
        return Ok(next);
    }
    let mut rows = select.query(params![topic.id, span.partition, span.from, span.to])?;
    while let Some(row) = rows.next()? {
        let (offset, timestamp_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        let place = Place { partition: span.partition, offset, leader_epoch: -1, timestamp_ms };
        topic.push(row, place, into)?;
        next = offset + 1;
        if into.bytes.len() >= most_bytes {
            return Ok(next);
        }
    }
    Ok(span.to.max(next))
}

pub fn topics(connection: &Connection) -> rusqlite::Result<Vec<TopicListing>> {
    connection
        .prepare_cached("SELECT name, partitions FROM topic ORDER BY name")?
        .query_map([], |row| Ok(TopicListing { name: row.get(0)?, partitions: row.get(1)? }))?
        .collect()
}

/// In the order of what was asked; None for a partition that is gone.
pub fn ends(
    connection: &Connection,
    partitions: &[(String, i32)],
) -> rusqlite::Result<Vec<Option<Watermarks>>> {
    let one = |(topic, partition): &(String, i32)| -> rusqlite::Result<Option<Watermarks>> {
        let Some(row) = file::topic(connection, topic)? else { return Ok(None) };
        let ends = file::partition_ends(connection, row.id, *partition)?;
        Ok(ends.map(|(low, high)| Watermarks { low, high, last_stable: high }))
    };
    partitions.iter().map(one).collect()
}

/// The first offset of a time, found by halving: there is no index on times, and they rise with the
/// offsets but for the few milliseconds by which senders overtake each other.
pub fn offset_at(
    connection: &Connection,
    topic: &str,
    partition: i32,
    time_ms: i64,
) -> rusqlite::Result<Option<i64>> {
    let Some(row) = file::topic(connection, topic)? else { return Ok(None) };
    let Some((low, high)) = file::partition_ends(connection, row.id, partition)? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached(
        "SELECT \"offset\", timestamp_ms FROM record WHERE topic_id = ?1 AND partition = ?2
            AND \"offset\" >= ?3 ORDER BY \"offset\" LIMIT 1",
    )?;
    let (mut from, mut to) = (low, high);
    while from < to {
        let middle = from + (to - from) / 2;
        let found: Option<(i64, i64)> = select
            .query_row(params![row.id, partition, middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((offset, timestamp_ms)) if timestamp_ms < time_ms => from = offset + 1,
            _ => to = middle,
        }
    }
    Ok((from < high).then_some(from))
}
