//! Rejects come again: after the pipeline file, the table or the data around them was mended. In
//! one transaction under the position's lock, so that the partition's load, a rewind and a second
//! replay wait for each other.

use std::time::Duration;

use tokio_postgres::Row;

use crate::deliver::Deliverer;
use crate::progress::Progress;
use duto_definition::{Pipeline, Repeat};
use duto_ground::batch::{Batch, Place};
use duto_ground::quoting::literal;
use duto_load::audit::{self, Action, Actor, Entry};
use duto_load::connect::Connection;
use duto_load::failure::Failure;
use duto_load::poison::{Doubt, Search};
use duto_load::rows::{self, Path};
use duto_load::sealed::{RejectColumn, RejectPlace};
use duto_load::session::LoadSession;
use duto_load::target::Target;
use duto_load::{ledger, outbox, position, rejects, rollups};
use duto_stages::Stages;
use duto_stages::prepared::{Outcome, Prepared, Verdicts};

/// Calls that are not answered within this time end the replay: its transaction holds the position.
const CALLS_WITHIN: Duration = Duration::from_secs(45);

/// Which rejects of a partition.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Only these; empty means all that are open.
    pub ids: Vec<i64>,
    /// At most so many in one transaction.
    pub limit: i64,
    /// Only those behind this id: where the transaction before ended.
    pub after: i64,
    /// Who replays them.
    pub actor: Actor,
}

/// What one transaction of a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    pub stored: usize,
    /// Their rows were there already.
    pub repeated: usize,
    pub filtered: usize,
    /// They stay open, with the reason of today.
    pub rejected: usize,
    /// Their payload was too long to be kept whole, so it cannot come again.
    pub cut: usize,
    /// The last reject that was looked at.
    pub last: Option<i64>,
}

/// A pipeline for replays: a key that is already in a `repeat: update` table stays, for it may be
/// younger, unless it is forced.
pub fn for_replay(pipeline: &Pipeline, force: bool) -> Pipeline {
    let mut pipeline = pipeline.clone();
    for table in pipeline.tables.iter_mut().filter(|table| !force && table.repeat == Repeat::Update)
    {
        table.repeat = Repeat::Keep;
    }
    pipeline
}

/// Replays open rejects of one partition. After [`Failure::Lost`] nobody knows whether it happened:
/// the rejects' status tells, and the same again is safe.
pub async fn replay(
    on: &mut Connection,
    target: &Target,
    (stages, deliverer): (&Stages, &Deliverer),
    partition: i32,
    choice: &Choice,
) -> Result<Replayed, Failure> {
    let on: &Connection = on;
    let session = LoadSession::new(on, target);
    let mut verdicts = Verdicts::default();
    loop {
        match attempt(session, (stages, deliverer), partition, choice, &verdicts).await {
            Err((Failure::Lost(reason), _)) => return Err(Failure::Lost(reason)),
            Err((failure, batch)) => {
                on.within(on.client.batch_execute("ROLLBACK")).await?;
                let (Failure::Poison(_), Some(batch)) = (&failure, batch) else {
                    return Err(failure);
                };
                let search = Search {
                    session,
                    counters: stages.rollups(),
                    doubt: Doubt::Rejects,
                    neighbours: &|| None,
                };
                let found = search.find(&batch).await?;
                if found.is_empty() {
                    return Err(failure);
                }
                verdicts.rejects.extend(found);
            }
            Ok(replayed) => return Ok(replayed),
        }
    }
}

async fn attempt(
    session: LoadSession<'_>,
    (stages, deliverer): (&Stages, &Deliverer),
    partition: i32,
    choice: &Choice,
    verdicts: &Verdicts,
) -> Result<Replayed, (Failure, Option<Prepared>)> {
    let LoadSession { on, target } = session;
    let early = |failure| (failure, None);
    on.within(on.client.batch_execute(&lock_statements(target, partition))).await.map_err(early)?;
    position::registered(session, partition).await.map_err(early)?;
    let rows = read_open(session, partition, choice).await.map_err(early)?;
    let whole: Vec<&Row> = rows.iter().filter(|row| !row.get::<_, bool>(5)).collect();
    let mut replayed = Replayed {
        cut: rows.len() - whole.len(),
        last: rows.last().map(|row| row.get(0)),
        ..Replayed::default()
    };
    if whole.is_empty() {
        on.within(on.client.batch_execute("ROLLBACK")).await.map_err(early)?;
        return Ok(replayed);
    }
    let (mut batch, mut ids) = (Batch::default(), Vec::new());
    for row in &whole {
        push_opened(target, partition, row, &mut batch).map_err(early)?;
        ids.push(row.get::<_, i64>(0));
    }
    let (mut prepared, _) =
        tokio::task::block_in_place(|| stages.prepare(batch, Vec::new(), verdicts));
    if !prepared.calls.is_empty() {
        let progress = Progress::default();
        let calls =
            tokio::time::timeout(CALLS_WITHIN, deliverer.deliver(target, &prepared, &progress));
        let unanswered = |_| {
            let reasons: Vec<String> = progress
                .condition()
                .deliveries
                .into_iter()
                .map(|(name, reason)| format!("{name}: {reason}"))
                .collect();
            early(Failure::Pause(format!(
                "calls are not answered, so nothing is replayed: {}",
                reasons.join("; ")
            )))
        };
        let refused = calls.await.map_err(unanswered)?;
        if !refused.is_empty() {
            let mut verdicts = verdicts.clone();
            verdicts.rejects.extend(refused);
            (prepared, _) = tokio::task::block_in_place(|| {
                stages.prepare(prepared.batch, Vec::new(), &verdicts)
            });
        }
    }
    let outcomes = match write_all(session, stages, &prepared, (&ids, &choice.actor)).await {
        Err(failure) => return Err((failure, Some(prepared))),
        Ok(outcomes) => outcomes,
    };
    replayed.count(&outcomes);
    Ok(replayed)
}

impl Replayed {
    fn count(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::Stored => self.stored += 1,
                Outcome::Repeated => self.repeated += 1,
                Outcome::Filtered => self.filtered += 1,
                Outcome::Rejected => self.rejected += 1,
            }
        }
    }
}

async fn write_all(
    session: LoadSession<'_>,
    stages: &Stages,
    batch: &Prepared,
    (ids, actor): (&[i64], &Actor),
) -> Result<Vec<Outcome>, Failure> {
    let LoadSession { on, target } = session;
    let stored = rows::write(session, batch, &vec![Path::Staged; target.tables.len()]).await?;
    let outcomes = batch.outcomes_of(&stored);
    rollups::write(session, stages.rollups(), batch, &stored).await?;
    outbox::write(session, batch, &stored).await?;
    rejects::write(session, batch).await?;
    rejects::close_replayed(on, ids, &outcomes).await?;
    let mut counts = Replayed::default();
    counts.count(&outcomes);
    let Replayed { stored, repeated, filtered, rejected, .. } = counts;
    let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
    let what = format!(
        "rejects replayed: {}, of the ids from {first} to {last}: {stored} stored, {repeated} were \
            there already, {filtered} filtered, {rejected} refused still",
        ids.len()
    );
    let entry = Entry { actor: actor.clone(), action: Action::Replay, what };
    audit::write(on, &target.pipeline, &entry).await?;
    ledger::write_and_commit(session, &ledger::of_replay(batch, &outcomes)).await?;
    Ok(outcomes)
}

/// The position's row first: `next` stays, but nobody else may load, rewind or replay the partition
/// meanwhile.
fn lock_statements(target: &Target, partition: i32) -> String {
    format!(
        "{} UPDATE duto.position SET updated_at = clock_timestamp() WHERE pipeline = {} AND topic \
            = {} AND partition = {partition};",
        target.begin,
        literal(&target.pipeline),
        literal(&target.topic),
    )
}

/// The record of a row of [`read_open`].
fn push_opened(
    target: &Target,
    partition: i32,
    row: &Row,
    batch: &mut Batch,
) -> Result<(), Failure> {
    let (pipeline, topic) = (&target.pipeline, &target.topic);
    let of = RejectPlace { pipeline, topic, partition, offset: row.get(1) };
    let open = |column, kept| {
        let opened = of.open(&target.encryption.keyring, column, kept);
        opened.map_err(|fault| {
            let id: i64 = row.get(0);
            Failure::Pause(format!("the reject {id} cannot be opened: {fault}"))
        })
    };
    let key = open(RejectColumn::Key, row.get(2))?;
    let payload = open(RejectColumn::Payload, row.get(3))?;
    let headers = open(RejectColumn::Headers, row.get(4))?;
    let place = Place { partition, offset: of.offset, leader_epoch: -1, timestamp_ms: -1 };
    batch.push(place, key.as_deref(), payload.as_deref(), headers.as_deref());
    Ok(())
}

/// The open rejects, locked: they are listed only now that nobody else can resolve them.
async fn read_open(
    session: LoadSession<'_>,
    partition: i32,
    choice: &Choice,
) -> Result<Vec<Row>, Failure> {
    let LoadSession { on, target } = session;
    let statement = r#"SELECT id, "offset", key, payload, headers, payload_bytes IS NOT NULL FROM duto.reject
         WHERE pipeline = $1 AND cluster_id = $2 AND topic = $3 AND topic_id = $4 AND partition = $5 AND status = 'open'
           AND id > $6 AND (cardinality($7::bigint[]) = 0 OR id = ANY($7)) ORDER BY id LIMIT $8 FOR UPDATE"#;
    let Target { pipeline, cluster_id, topic, topic_id, .. } = target;
    on.within(on.client.query(
        statement,
        &[
            pipeline,
            cluster_id,
            topic,
            topic_id,
            &partition,
            &choice.after,
            &choice.ids,
            &choice.limit,
        ],
    ))
    .await
}
