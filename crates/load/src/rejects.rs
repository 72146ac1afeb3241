//! `duto.reject`: the records that were not stored, as the bytes they came as, beside their
//! reasons.

use std::borrow::Cow;
use std::collections::HashMap;

use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::audit::{self, Action, Actor, Entry};
use super::connect::Connection;
use super::failure::Failure;
use super::pieces::{pieces, slices};
use super::sealed::{RejectColumn, RejectPlace, masked_reason};
use super::session::LoadSession;
use duto_ground::reject::Reject;
use duto_stages::prepared::{Outcome, Prepared};

/// Of a longer payload so much is kept, beside its length and its digest.
pub const KEPT_PAYLOAD_BYTES: usize = 64 * 1024;

const INSERT: &str = r#"
INSERT INTO duto.reject AS known (pipeline, cluster_id, topic, topic_id, partition, "offset", key, payload, headers, payload_bytes, payload_sha256,
    stage, path, rule, reason, sqlstate, sealed_reason)
SELECT $1, $2, $3, $4, r.*
FROM unnest($5::integer[], $6::bigint[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bigint[], $11::bytea[],
    $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::bytea[]) AS r
ON CONFLICT (pipeline, cluster_id, topic, topic_id, partition, "offset") DO UPDATE
SET last_at = now(), stage = excluded.stage, path = excluded.path, rule = excluded.rule, reason = excluded.reason, sqlstate = excluded.sqlstate,
    sealed_reason = excluded.sealed_reason
WHERE known.status = 'open'"#;

/// Writes the batch's rejects. A record that was rejected before and is still open keeps its row.
pub async fn write(session: LoadSession<'_>, batch: &Prepared) -> Result<(), Failure> {
    let LoadSession { on: _, target: _ } = session;
    let bytes_of =
        |reject: &Reject| batch.batch.get(reject.record.place()).payload.map_or(0, <[u8]>::len);
    for piece in pieces(batch.rejects.iter().map(bytes_of)) {
        write_piece(session, batch, &batch.rejects[piece]).await?;
    }
    Ok(())
}

async fn write_piece(
    session: LoadSession<'_>,
    batch: &Prepared,
    rejects: &[Reject],
) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let mut partitions = Vec::new();
    let mut offsets = Vec::new();
    let (mut keys, mut payloads, mut headers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lengths, mut digests) = (Vec::new(), Vec::new());
    let (mut stages, mut paths, mut rules, mut reasons, mut sqlstates) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sealed_reasons = Vec::new();
    let keyring = &target.encryption.keyring;
    for reject in rejects {
        let record = batch.batch.get(reject.record.place());
        let (partition, offset) = (record.head.partition, record.head.offset);
        let (pipeline, topic) = (&target.pipeline, &target.topic);
        let place = RejectPlace { pipeline, topic, partition, offset };
        partitions.push(partition);
        offsets.push(offset);
        keys.push(place.seal(keyring, RejectColumn::Key, record.key)?);
        headers.push(place.seal(keyring, RejectColumn::Headers, record.headers)?);
        let payload = record.payload.unwrap_or_default();
        let cut = payload.len() > KEPT_PAYLOAD_BYTES && reject.rule == "size";
        let kept = record
            .payload
            .map(|payload| if cut { &payload[..KEPT_PAYLOAD_BYTES] } else { payload });
        payloads.push(place.seal(keyring, RejectColumn::Payload, kept)?);
        lengths.push(cut.then_some(payload.len() as i64));
        let digest = cut.then(|| Sha256::digest(payload));
        let digest = place.seal(keyring, RejectColumn::PayloadSha256, digest.as_deref())?;
        digests.push(digest.map(Cow::into_owned));
        stages.push(reject.stage.as_str());
        let (path, rule, reason) =
            (storable(&reject.path), storable(&reject.rule), storable(&reject.reason));
        if keyring.seals() {
            let sealed =
                place.seal(keyring, RejectColumn::SealedReason, Some(reason.as_bytes()))?;
            sealed_reasons.push(sealed.map(Cow::into_owned));
            reasons.push(masked_reason(&path, &rule));
        } else {
            sealed_reasons.push(None);
            reasons.push(reason);
        }
        paths.push(path);
        rules.push(rule);
        sqlstates.push(reject.sqlstate.as_deref());
    }
    let (keys, payloads, headers) = (slices(&keys), slices(&payloads), slices(&headers));
    let written = on
        .within(on.client.execute(
            INSERT,
            &[
                &target.pipeline,
                &target.cluster_id,
                &target.topic,
                &target.topic_id,
                &partitions,
                &offsets,
                &keys,
                &payloads,
                &headers,
                &lengths,
                &digests,
                &stages,
                &paths,
                &rules,
                &reasons,
                &sqlstates,
                &sealed_reasons,
            ],
        ))
        .await?;
    if written == rejects.len() as u64 {
        return Ok(());
    }
    Err(Failure::Pause(format!(
        "{} rejects were sent but {written} were written: something changes duto.reject",
        rejects.len()
    )))
}

/// The rejects that an earlier reading of these ranges left behind: usually none. $5 to $7 are the
/// ranges.
pub const SELECT_KNOWN: &str = r#"SELECT r.id, r.partition, r."offset", r.status = 'open'
     FROM unnest($5::integer[], $6::bigint[], $7::bigint[]) AS range (partition, low, high)
     JOIN duto.reject r ON r.partition = range.partition AND r."offset" >= range.low AND r."offset" < range.high
     WHERE r.pipeline = $1 AND r.cluster_id = $2 AND r.topic = $3 AND r.topic_id = $4"#;

/// Rejects of a range that are on record.
#[derive(Debug, Default)]
pub struct KnownRejects {
    /// Their ids, by partition and offset.
    pub open: HashMap<(i32, i64), i64>,
    pub resolved: Vec<(i32, i64)>,
}

impl KnownRejects {
    /// Reads the rows of [`SELECT_KNOWN`].
    pub fn read(rows: &[Row]) -> Self {
        let mut known = Self::default();
        for row in rows {
            let place = (row.get(1), row.get(2));
            if row.get(3) {
                known.open.insert(place, row.get(0));
            } else {
                known.resolved.push(place);
            }
        }
        known
    }

    /// Fails when the batch still holds a record whose reject was resolved meanwhile: it must count
    /// as repeated.
    pub fn are_left_out_of(&self, batch: &Prepared) -> Result<(), Failure> {
        let included = |(partition, offset): &&(i32, i64)| {
            let mut records = batch.batch.records.iter().zip(&batch.outcomes);
            records.any(|(head, outcome)| {
                head.partition == *partition
                    && head.offset == *offset
                    && *outcome != Outcome::Repeated
            })
        };
        let included: Vec<(i32, i64)> = self.resolved.iter().filter(included).copied().collect();
        if included.is_empty() { Ok(()) } else { Err(Failure::Resolved(included)) }
    }
}

/// A record that was an open reject and passes now closes it.
pub async fn close_passed(
    on: &Connection,
    open: &HashMap<(i32, i64), i64>,
    batch: &Prepared,
    outcomes: &[Outcome],
) -> Result<(), Failure> {
    if open.is_empty() {
        return Ok(());
    }
    let passed: Vec<i64> = batch
        .batch
        .records
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome != Outcome::Rejected)
        .filter_map(|(head, _)| open.get(&(head.partition, head.offset)).copied())
        .collect();
    if passed.is_empty() {
        return Ok(());
    }
    let close = "WITH closed AS (UPDATE duto.reject SET status = 'replayed', last_at = now()
         WHERE id = ANY($1) AND status = 'open' RETURNING id)
         INSERT INTO duto.replay (reject_id, outcome, reason) SELECT id, 'stored',
         'the record was read again and passed' FROM closed";
    on.within(on.client.execute(close, &[&passed])).await.map(|_| ())
}

/// After a replay: what is in the tables now, or belongs in none, is closed; the rest stays open.
/// Each try is on record.
pub async fn close_replayed(
    on: &Connection,
    ids: &[i64],
    outcomes: &[Outcome],
) -> Result<(), Failure> {
    let words: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Stored => "stored",
            Outcome::Repeated => "repeated",
            Outcome::Filtered => "filtered",
            Outcome::Rejected => "rejected",
        })
        .collect();
    let close = "WITH tried AS (SELECT * FROM unnest($1::bigint[], $2::text[]) AS t (id, outcome)),
         closed AS (UPDATE duto.reject r SET status = 'replayed', last_at = now() FROM tried
         WHERE r.id = tried.id AND tried.outcome <> 'rejected' RETURNING r.id)
         INSERT INTO duto.replay (reject_id, outcome, reason)
         SELECT tried.id, tried.outcome, CASE WHEN tried.outcome = 'rejected' THEN r.reason END
         FROM tried JOIN duto.reject r ON r.id = tried.id";
    on.within(on.client.execute(close, &[&ids, &words])).await.map(|_| ())
}

/// Gives open rejects up: all of them, or those of these ids. Answers how many there were. Their
/// positions are locked as by a load, so that none of them is stored meanwhile.
pub async fn discard(
    on: &Connection,
    pipeline: &str,
    ids: Option<&[i64]>,
    actor: &Actor,
) -> Result<u64, Failure> {
    let lock = "SELECT 1 FROM duto.position WHERE pipeline = $1 AND (topic, partition) IN
            (SELECT topic, partition FROM duto.reject WHERE pipeline = $1 AND status = 'open')
        ORDER BY topic, partition FOR UPDATE";
    let give_up = "UPDATE duto.reject SET status = 'discarded', last_at = now()
        WHERE pipeline = $1 AND status = 'open' AND ($2::bigint[] IS NULL OR id = ANY($2))";
    on.within(on.client.batch_execute("BEGIN; SET LOCAL lock_timeout = '30s'")).await?;
    let work = async {
        on.within(on.client.query(lock, &[&pipeline])).await?;
        let given_up = on.within(on.client.execute(give_up, &[&pipeline, &ids])).await?;
        if given_up > 0 {
            let what = match ids {
                None => format!("rejects discarded: all {given_up} that were open"),
                Some(ids) => format!("rejects discarded: {given_up}, of the ids {ids:?}"),
            };
            let entry = Entry { actor: actor.clone(), action: Action::Discard, what };
            audit::write(on, pipeline, &entry).await?;
        }
        on.within(on.client.batch_execute("COMMIT")).await?;
        Ok(given_up)
    };
    let outcome = work.await;
    if outcome.is_err() {
        on.within(on.client.batch_execute("ROLLBACK")).await?;
    }
    outcome
}

/// How a statement reads `sealed_reason`, which a database lacks until this program has run in it;
/// None where there are no rejects at all.
pub async fn sealed_reason_of(on: &Connection) -> Result<Option<&'static str>, Failure> {
    let statement =
        "SELECT to_regclass('duto.reject') IS NOT NULL, EXISTS (SELECT 1 FROM pg_attribute
        WHERE attrelid = to_regclass('duto.reject') AND attname = 'sealed_reason')";
    let row = on.within(on.client.query_one(statement, &[])).await?;
    Ok(match (row.get(0), row.get(1)) {
        (false, _) => None,
        (true, true) => Some("duto.reject.sealed_reason"),
        (true, false) => Some("NULL::bytea"),
    })
}

/// PostgreSQL's text cannot hold a NUL: it is written as `\0`.
fn storable(text: &str) -> String {
    text.replace('\0', "\\0")
}
