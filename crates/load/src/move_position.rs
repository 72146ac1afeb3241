//! An operator moves a position: deliberately, on record, and under a new fence, so that no worker
//! writes past it.

use anyhow::{Context, bail};
use uuid::Uuid;

use super::audit::{self, Action, Actor, Entry};
use super::connect::Connection;
use super::ensure::ADVISORY_LOCK;
use super::target::Target;

/// Where to.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    pub partition: i32,
    pub to: i64,
    /// A table in which every row is kept: it forbids to read anything twice.
    pub appends: Option<&'a str>,
    /// Without it nothing is changed.
    pub really: bool,
    pub actor: &'a Actor,
}

/// Moves the position and answers a sentence about it. A position of another topic or cluster
/// becomes one of this topic.
pub async fn move_position(
    on: &mut Connection,
    target: &Target,
    wanted: &Move<'_>,
) -> anyhow::Result<String> {
    let Move { partition, to, .. } = *wanted;
    let transaction = on.client.transaction().await?;
    transaction.batch_execute("SET LOCAL lock_timeout = '10s'").await?;
    // A registration of rollups must find the position among those that it locks, or be over: else
    // its rows would be missing from them.
    transaction
        .execute("SELECT pg_advisory_xact_lock_shared($1)", &[&ADVISORY_LOCK])
        .await
        .context("waiting for a worker that starts")?;
    let found = "SELECT next, topic_id = $4 AND cluster_id = $5 FROM duto.position
        WHERE pipeline = $1 AND topic = $2 AND partition = $3 FOR UPDATE";
    let row = transaction
        .query_opt(
            found,
            &[&target.pipeline, &target.topic, &partition, &target.topic_id, &target.cluster_id],
        )
        .await
        .context("waiting for the transaction that holds the position")?;
    let (from, same_topic) = row.map_or((0, false), |row| (row.get(0), row.get(1)));
    let goes_back = to < from || !same_topic;
    if let (true, Some(table)) = (goes_back && from > 0, wanted.appends) {
        bail!(
            "table {table} keeps every row (`repeat: append`), so records that are read again \
                would be stored twice: empty it first, or leave the position"
        );
    }
    let what = match () {
        () if to < from => {
            format!(
                "a rewind: {} records of partition {partition} are read again; those that are \
                    stored count as repeated",
                from - to
            )
        }
        () if to > from => {
            format!("a skip: {} offsets of partition {partition} are left out for good", to - from)
        }
        () => format!("partition {partition} stays at {from}"),
    };
    if !wanted.really {
        return Ok(format!("{what}. Nothing was changed: say --yes to do it"));
    }
    let write = "INSERT INTO duto.position (pipeline, topic, partition, cluster_id, topic_id,
         leader_epoch, next, fence, rollups)
         VALUES ($1, $2, $3, $4, $5, -1, $6, $7, coalesce((SELECT rollups FROM duto.pipeline
         WHERE pipeline = $1), ''))
         ON CONFLICT (pipeline, topic, partition) DO UPDATE
         SET cluster_id = $4, topic_id = $5, leader_epoch = -1, next = $6, fence = $7, updated_at =
         clock_timestamp()";
    transaction
        .execute(
            write,
            &[
                &target.pipeline,
                &target.topic,
                &partition,
                &target.cluster_id,
                &target.topic_id,
                &to,
                &Uuid::new_v4(),
            ],
        )
        .await?;
    let kind = if to < from { "rewind" } else { "skip" };
    let record = "INSERT INTO duto.batch (pipeline, topic, partition, kind, from_offset, to_offset,
         records, stored, repeated, rejected, filtered, not_stored, outcomes, worker)
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, '{}', '', $7)";
    transaction
        .execute(
            record,
            &[&target.pipeline, &target.topic, &partition, &kind, &from, &to, &target.worker],
        )
        .await?;
    let entry = Entry {
        actor: wanted.actor.clone(),
        action: Action::MovePosition,
        what: format!(
            "partition {partition} of {} moved from {from} to {to}: {what}",
            target.topic
        ),
    };
    audit::insert(&transaction, &target.pipeline, &entry).await?;
    transaction.commit().await?;
    Ok(format!("{what}. A running worker goes on from there within seconds"))
}
