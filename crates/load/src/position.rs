//! `duto.position`: how far each partition is in the tables, and whose turn it is.
//!
//! The position is the only truth about progress. Whoever loads a partition has claimed it, that
//! is, has put a random fence into its row; a transaction moves the position only while the fence
//! is still the one it claimed.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connect::load_application_name;
use super::failure::Failure;
use super::session::LoadSession;
use super::target::Target;
use duto_stages::prepared::OffsetRange;

/// A row of `duto.position`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub partition: i32,
    pub cluster_id: String,
    pub topic_id: String,
    /// Of the last record that was loaded; -1 where none is known.
    pub leader_epoch: i32,
    /// The offset of the next record to load.
    pub next: i64,
    pub fence: Uuid,
}

/// What [`resolve`] found after a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The transaction was committed.
    Committed,
    /// It was not: the same again.
    NotCommitted,
    /// Somebody else has the partitions.
    Fenced,
}

const COLUMNS: &str = "partition, cluster_id, topic_id, leader_epoch, next, fence";
/// How long a claim waits for the holder of the row before it looks who that is.
const CLAIM_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it looks, where it could end a holder.
const CLAIM_TRIES: u32 = 3;
/// A replay that holds a position and waits for its client may be ended after so long: it changed
/// nothing, and can be made again.
const STALLED_REPLAY: Duration = Duration::from_secs(60);

/// Moves positions, an element of the arrays for each: see [`Moves`]. One whose fence or place is
/// another stays as it is.
pub const ADVANCE: &str =
    "UPDATE duto.position p SET next = r.high, leader_epoch = greatest(p.leader_epoch, r.epoch),
     updated_at = clock_timestamp()
     FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::uuid[]) AS r (partition, low,
     high, epoch, fence)
     WHERE p.pipeline = $1 AND p.topic = $2 AND p.partition = r.partition AND p.fence = r.fence
     AND p.next = r.low";

/// What a batch does to the positions, an element a partition.
#[derive(Debug)]
pub struct Moves {
    pub partitions: Vec<i32>,
    pub lows: Vec<i64>,
    pub highs: Vec<i64>,
    epochs: Vec<i32>,
    fences: Vec<Uuid>,
}

impl Moves {
    /// Fails where a partition was not claimed.
    pub fn new(ranges: &[OffsetRange], fences: &HashMap<i32, Uuid>) -> Result<Self, Failure> {
        let fence_of =
            |range: &OffsetRange| fences.get(&range.partition).copied().ok_or(Failure::Fenced);
        Ok(Self {
            partitions: ranges.iter().map(|range| range.partition).collect(),
            lows: ranges.iter().map(|range| range.from).collect(),
            highs: ranges.iter().map(|range| range.to).collect(),
            epochs: ranges.iter().map(|range| range.leader_epoch).collect(),
            fences: ranges.iter().map(fence_of).collect::<Result<_, _>>()?,
        })
    }

    /// For each partition, its fence and the position before the batch.
    pub fn begins(&self) -> impl Iterator<Item = (i32, Uuid, i64)> {
        self.partitions
            .iter()
            .zip(&self.fences)
            .zip(&self.lows)
            .map(|((partition, fence), low)| (*partition, *fence, *low))
    }

    /// The parameters of [`ADVANCE`].
    pub fn values<'a>(&'a self, target: &'a Target) -> [&'a (dyn ToSql + Sync); 7] {
        [
            &target.pipeline,
            &target.topic,
            &self.partitions,
            &self.lows,
            &self.highs,
            &self.epochs,
            &self.fences,
        ]
    }
}

/// Draws a new fence for a partition and answers where it stands; None where it has no position
/// yet. From here on no transaction of an earlier owner can commit. A load of this pipeline that
/// sits on the row (a stopped process, a connection that died in the middle of a COPY) is ended.
/// Where somebody else holds it, [`Failure::Locked`] names who: the caller has other things to do
/// than to wait here, and comes again.
pub async fn claim(session: LoadSession<'_>, partition: i32) -> Result<Option<Position>, Failure> {
    let LoadSession { on, target } = session;
    let fence = Uuid::new_v4();
    let statement = format!(
        "UPDATE duto.position SET fence = $4, updated_at = clock_timestamp() WHERE pipeline = $1
            AND topic = $2 AND partition = $3 AND rollups = $5 RETURNING {COLUMNS}"
    );
    for _ in 0..CLAIM_TRIES {
        on.within(
            on.client
                .batch_execute(&format!("SET lock_timeout = {}", CLAIM_LOCK_TIMEOUT.as_millis())),
        )
        .await?;
        match on
            .within(on.client.query_opt(
                &statement,
                &[&target.pipeline, &target.topic, &partition, &fence, &target.rollups.digest],
            ))
            .await
        {
            Ok(None) => return registered(session, partition).await.map(|()| None),
            Ok(row) => return Ok(row.map(|row| read(&row))),
            Err(Failure::Locked(_)) => end_holders(session, partition).await?,
            Err(failure) => return Err(failure),
        }
    }
    Err(still_held(partition))
}

/// Fails unless the partition, if it has a position, counts what this program's file declares: a
/// worker with other rollups would leave rows out of them.
pub async fn registered(session: LoadSession<'_>, partition: i32) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let statement = "SELECT coalesce((SELECT rollups FROM duto.position WHERE pipeline = $1
         AND topic = $2 AND partition = $3),
         (SELECT rollups FROM duto.pipeline WHERE pipeline = $1), $4) = $4";
    let same = on
        .within(on.client.query_one(
            statement,
            &[&target.pipeline, &target.topic, &partition, &target.rollups.digest],
        ))
        .await?;
    if same.get(0) {
        return Ok(());
    }
    Err(Failure::Pause(format!(
        "the pipeline {} was started with other rollups since: rows that this process stored would \
            be missing from them; start it again with the file of today",
        target.pipeline
    )))
}

/// Writes the first position of a partition, already claimed. Another worker may have been quicker:
/// then claim again.
pub async fn begin(
    session: LoadSession<'_>,
    partition: i32,
    next: i64,
) -> Result<Option<Position>, Failure> {
    let LoadSession { on, target } = session;
    let statement = format!(
        "WITH registered AS (SELECT 1 FROM duto.pipeline WHERE pipeline = $1
         AND rollups = $8 FOR SHARE)
         INSERT INTO duto.position (pipeline, topic, partition, cluster_id, topic_id, leader_epoch,
         next, fence, rollups)
         SELECT $1, $2, $3, $4, $5, -1, $6, $7, $8 FROM registered ON CONFLICT DO NOTHING
         RETURNING {COLUMNS}"
    );
    let fence = Uuid::new_v4();
    let row = on
        .within(on.client.query_opt(
            &statement,
            &[
                &target.pipeline,
                &target.topic,
                &partition,
                &target.cluster_id,
                &target.topic_id,
                &next,
                &fence,
                &target.rollups.digest,
            ],
        ))
        .await?;
    Ok(row.map(|row| read(&row)))
}

/// All positions of the pipeline's topic.
pub async fn read_all(session: LoadSession<'_>) -> Result<Vec<Position>, Failure> {
    let LoadSession { on, target } = session;
    let statement = format!(
        "SELECT {COLUMNS} FROM duto.position WHERE pipeline = $1 AND topic = $2 ORDER BY partition"
    );
    let rows = on.within(on.client.query(&statement, &[&target.pipeline, &target.topic])).await?;
    Ok(rows.iter().map(read).collect())
}

/// Whether a batch whose connection was lost is in the database. Waits for a commit that is still
/// running, and ends our own dead backend, which may wait for its client for hours. Where somebody
/// else holds the position, [`Failure::Locked`] names who: ask again.
pub async fn resolve(
    session: LoadSession<'_>,
    ranges: &[OffsetRange],
    fences: &HashMap<i32, Uuid>,
) -> Result<Resolution, Failure> {
    let LoadSession { on, target } = session;
    let statement = format!(
        "SELECT {COLUMNS} FROM duto.position WHERE pipeline = $1 AND topic = $2
            AND partition = $3 FOR UPDATE"
    );
    let mut committed = 0;
    for range in ranges {
        let mut tries = 0;
        let row =
            loop {
                // The connection's own timeout is another.
                on.within(on.client.batch_execute(&format!(
                    "BEGIN; SET LOCAL lock_timeout = {}",
                    CLAIM_LOCK_TIMEOUT.as_millis()
                )))
                .await?;
                let found = on
                    .within(on.client.query_opt(
                        &statement,
                        &[&target.pipeline, &target.topic, &range.partition],
                    ))
                    .await;
                on.within(on.client.batch_execute("ROLLBACK")).await?;
                match found {
                    Ok(row) => break row,
                    Err(Failure::Locked(_)) if tries < CLAIM_TRIES => {
                        tries += 1;
                        end_holders(session, range.partition).await?;
                    }
                    Err(failure) => return Err(failure),
                }
            };
        let Some(position) = row.map(|row| read(&row)) else { return Ok(Resolution::Fenced) };
        if fences.get(&range.partition) != Some(&position.fence) {
            return Ok(Resolution::Fenced);
        }
        match position.next {
            next if next == range.to && range.from != range.to => committed += 1,
            next if next == range.from => {}
            _ => return Ok(Resolution::Fenced),
        }
    }
    // One transaction moves them all, so they are all at one end of their ranges: anything mixed is
    // not our doing.
    Ok(match committed {
        0 => Resolution::NotCommitted,
        all if all == ranges.len() => Resolution::Committed,
        _ => Resolution::Fenced,
    })
}

/// Ends the backends that hold the partition's row, where they load this pipeline by their
/// application_name. Fails where it is another one: a registration or an operator's session ends by
/// itself, and a foreign one is not ours to end.
async fn end_holders(session: LoadSession<'_>, partition: i32) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    // The holder is in the tuple's xmax; who runs that transaction is in pg_locks.
    let statement = "SELECT a.pid, coalesce(a.application_name, ''), coalesce(extract(epoch
           FROM clock_timestamp() - a.xact_start), 0)::float8,
           CASE WHEN left(a.application_name, length($4::text)) = $4::text
                  OR a.application_name LIKE 'duto:replay%' AND a.wait_event = 'ClientRead'
           AND a.state_change < now() - make_interval(secs => $5)
                THEN pg_terminate_backend(a.pid) ELSE FALSE END
         FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'transactionid'
           AND l.granted
         WHERE a.pid <> pg_backend_pid()
           AND l.transactionid = (SELECT xmax FROM duto.position WHERE pipeline = $1 AND topic = $2
           AND partition = $3)";
    let loads = load_application_name(&target.pipeline);
    let values: [&(dyn ToSql + Sync); 5] =
        [&target.pipeline, &target.topic, &partition, &loads, &STALLED_REPLAY.as_secs_f64()];
    let holders = on.within(on.client.query(statement, &values)).await?;
    if holders.iter().any(|row| row.get(3)) {
        tracing::warn!(
            pipeline = target.pipeline,
            partition,
            "ended a stalled load of ours that held the position"
        );
        return Ok(());
    }
    // Whoever it was may just have ended.
    let Some(holder) = holders.first() else { return Ok(()) };
    let (pid, name, seconds): (i32, String, f64) = (holder.get(0), holder.get(1), holder.get(2));
    let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
    Err(Failure::Locked(format!(
        "the position of partition {partition} is locked by the session {pid}{name}, whose \
            transaction is {seconds:.0} s old: it is waited for; \
         `SELECT pg_terminate_backend({pid})` ends it"
    )))
}

/// Again and again, and not by a session that is found: the whole table may be locked.
fn still_held(partition: i32) -> Failure {
    Failure::Locked(format!("the position of partition {partition} is locked by somebody else"))
}

fn read(row: &Row) -> Position {
    Position {
        partition: row.get(0),
        cluster_id: row.get(1),
        topic_id: row.get(2),
        leader_epoch: row.get(3),
        next: row.get(4),
        fence: row.get(5),
    }
}
