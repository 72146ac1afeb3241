//! `duto.outbox` as a relay reads and prunes it. Ids rise in commit order within a position,
//! because the load draws them under the position's lock: no row appears below one that was seen.

use std::borrow::Cow;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::mark::Mark;
use crate::files::TOPIC_PREFIX;
use crate::progress::{MOST_COUNTED, Waiting};
use duto_ground::seal::{Keyring, SealFault};
use duto_load::connect::Connection;
use duto_load::failure::Failure;
use duto_load::sealed::outbox_place;

/// Whose rows: those of records of this partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub pipeline: String,
    pub topic: String,
    pub partition: i32,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub mark: Mark,
    /// The topic that it goes to.
    pub target: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// See [`duto_ground::batch::encode_headers`].
    pub headers: Option<Vec<u8>>,
    pub message_id: Uuid,
}

impl OutboxRow {
    /// With the key and the value as they are to be sent.
    pub fn opened(self, keyring: &Keyring) -> Result<Self, SealFault> {
        let open = |column, kept: Option<&[u8]>| {
            let opened = keyring.open_some(&outbox_place(&self.message_id, column), kept)?;
            Ok(opened.map(Cow::into_owned))
        };
        let key = open("key", self.key.as_deref())?;
        let value = open("value", self.value.as_deref())?;
        Ok(Self { key, value, ..self })
    }
}

/// What one append takes at most: rows, and bytes of all but the last.
const MOST_ROWS: i64 = 1_000;
const MOST_BYTES: i64 = 1 << 20;

/// Rows that one statement looks at to prune them: it holds few locks, and not for long, and what
/// is kept costs nothing.
const PRUNE_ROWS: i64 = 1_000;

/// The first row is the last one sent, without its bytes, if it is there at all.
const READ: &str = "SELECT id, token, target, key, value, headers, message_id FROM (
    SELECT id, token, target, key, value, headers, message_id, (sum(bytes) OVER (ORDER BY
    id))::bigint - bytes AS bytes_before FROM (
        SELECT id, token, target, CASE WHEN id > $4 THEN key END AS key, CASE WHEN id > $4 THEN
    value END AS value,
               CASE WHEN id > $4 THEN headers END AS headers, message_id,
               CASE WHEN id > $4 THEN coalesce(octet_length(key), 0)::bigint +
    coalesce(octet_length(value), 0) + coalesce(octet_length(headers), 0)
                    ELSE 0 END AS bytes
        FROM duto.outbox WHERE pipeline = $1 AND topic = $2 AND partition = $3 AND id >= $4
    ORDER BY id LIMIT $5
    ) AS kept) AS sized WHERE bytes_before < $6 ORDER BY id";

/// In one statement with the look for the last row sent: after a restore, smaller ids may be rows
/// that were never sent.
const PRUNE: &str = "DELETE FROM duto.outbox WHERE id = ANY (ARRAY(
        SELECT id FROM (
            SELECT id, written_at FROM duto.outbox WHERE pipeline = $1 AND topic = $2
        AND partition = $3 AND id < $4 ORDER BY id LIMIT $7) AS oldest
        WHERE written_at < now() - make_interval(secs => $6)))
    AND EXISTS (SELECT 1 FROM duto.outbox WHERE pipeline = $1 AND topic = $2 AND partition = $3
        AND id = $4 AND token = $5)";

const FORGET: &str = "DELETE FROM duto.outbox o WHERE pipeline = $1 AND topic = $2
    AND partition = $3 AND id = $4 AND token = $5
    AND NOT EXISTS (SELECT 1 FROM duto.outbox b WHERE b.pipeline = $1 AND b.topic = $2
    AND b.partition = $3 AND b.id < $4)";

/// From one to the next along the index, so that a million rows of one position cost one look.
const POSITIONS: &str = "WITH RECURSIVE found AS (
    (SELECT topic, partition FROM duto.outbox WHERE pipeline = $1 ORDER BY topic, partition LIMIT 1)
    UNION ALL
    SELECT behind.topic, behind.partition FROM found CROSS JOIN LATERAL (
        SELECT o.topic, o.partition FROM duto.outbox o WHERE o.pipeline = $1
    AND (o.topic, o.partition) > (found.topic, found.partition)
        ORDER BY o.topic, o.partition LIMIT 1) AS behind
    ) SELECT topic, partition FROM found";

const WAITING: &str = "SELECT count(*), coalesce(extract(epoch
    FROM clock_timestamp() - min(written_at)), 0)::float8 FROM (
    SELECT written_at FROM duto.outbox WHERE pipeline = $1 AND topic = $2 AND partition = $3
    AND id > $4 ORDER BY id LIMIT $5) AS waiting";

/// An id of this database that no other has: relays of two databases must not take each other's
/// place.
pub async fn database_id(on: &Connection) -> Result<Uuid, Failure> {
    Ok(on.within(on.client.query_one("SELECT database_id FROM duto.schema", &[])).await?.get(0))
}

/// The next rows to send, oldest first, none if all are sent. Where the last row sent is gone, or
/// has another token (a backup was restored), everything that is kept comes again.
pub async fn read(
    on: &Connection,
    position: &Position,
    sent: Option<Mark>,
) -> Result<Vec<OutboxRow>, Failure> {
    let first = sent.map_or(0, |mark| mark.id);
    let mut rows = read_from(on, position, first, MOST_ROWS + i64::from(sent.is_some())).await?;
    match sent {
        None => Ok(rows),
        Some(mark) if rows.first().is_some_and(|row| row.mark == mark) => Ok(rows.split_off(1)),
        Some(mark) => {
            let kept = read_from(on, position, 0, MOST_ROWS).await?;
            if !kept.is_empty() {
                let Position { pipeline, partition, .. } = position;
                tracing::warn!(
                    pipeline,
                    partition,
                    id = mark.id,
                    "the last message sent is not in the outbox any more, as after a restored \
                        backup: what is kept is published again, with the same ids"
                );
            }
            Ok(kept)
        }
    }
}

async fn read_from(
    on: &Connection,
    position: &Position,
    first: i64,
    most: i64,
) -> Result<Vec<OutboxRow>, Failure> {
    let Position { pipeline, topic, partition } = position;
    let values: [&(dyn ToSql + Sync); 6] = [pipeline, topic, partition, &first, &most, &MOST_BYTES];
    let rows = on
        .within(async {
            let statement = on.prepared(READ).await?;
            on.client.query(&statement, &values).await
        })
        .await?;
    Ok(rows.iter().map(outbox_row).collect())
}

/// Deletes rows that were sent, once they are older than `keep`, but never the last one sent.
/// Answers how many; there may be more until it is none.
pub async fn prune(
    on: &Connection,
    position: &Position,
    sent: Mark,
    keep: Duration,
) -> Result<u64, Failure> {
    let Position { pipeline, topic, partition } = position;
    let keep_seconds = keep.as_secs_f64();
    let values: [&(dyn ToSql + Sync); 7] =
        [pipeline, topic, partition, &sent.id, &sent.token, &keep_seconds, &PRUNE_ROWS];
    on.within(on.client.execute(PRUNE, &values)).await
}

/// Deletes the last row sent too, where no other of the position is left below it: whatever comes
/// then was never sent. Answers whether it did.
pub async fn forget(on: &Connection, position: &Position, sent: Mark) -> Result<bool, Failure> {
    let Position { pipeline, topic, partition } = position;
    let values: [&(dyn ToSql + Sync); 5] = [pipeline, topic, partition, &sent.id, &sent.token];
    Ok(on.within(on.client.execute(FORGET, &values)).await? == 1)
}

/// The positions of loaded files that have rows.
pub async fn files(on: &Connection, pipeline: &str) -> Result<Vec<Position>, Failure> {
    let rows = on.within(on.client.query(POSITIONS, &[&pipeline])).await?;
    let position = |row: &Row| Position {
        pipeline: pipeline.to_owned(),
        topic: row.get(0),
        partition: row.get(1),
    };
    Ok(rows
        .iter()
        .map(position)
        .filter(|position| position.topic.starts_with(TOPIC_PREFIX))
        .collect())
}

/// How much waits behind the last row sent.
pub async fn waiting(
    on: &Connection,
    position: &Position,
    sent: Option<Mark>,
) -> Result<Waiting, Failure> {
    let Position { pipeline, topic, partition } = position;
    let last = sent.map_or(0, |mark| mark.id);
    let values: [&(dyn ToSql + Sync); 5] = [pipeline, topic, partition, &last, &MOST_COUNTED];
    let row = on.within(on.client.query_one(WAITING, &values)).await?;
    Ok(Waiting { rows: row.get(0), oldest_seconds: row.get(1) })
}

fn outbox_row(row: &Row) -> OutboxRow {
    OutboxRow {
        mark: Mark { id: row.get(0), token: row.get(1) },
        target: row.get(2),
        key: row.get(3),
        value: row.get(4),
        headers: row.get(5),
        message_id: row.get(6),
    }
}
