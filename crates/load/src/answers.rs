//! `duto.answer`: what requests that wait for their record are told, kept in the record's own
//! transaction.

use std::borrow::Cow;

use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::sealed::{answer_place, cannot_seal};
use super::session::LoadSession;
use duto_ground::index::RecordIndex;
use duto_stages::answers::Answer;
use duto_stages::prepared::Prepared;

const INSERT: &str = "INSERT INTO duto.answer (pipeline, idempotency_key, \"offset\", status, body)
     SELECT $1, a.key, a.\"offset\", a.status, a.body
     FROM unnest($2::text[], $3::bigint[], $4::integer[], $5::bytea[]) WITH ORDINALITY AS a (key,
     \"offset\", status, body, place)
     ORDER BY a.place ON CONFLICT (pipeline, idempotency_key) DO NOTHING RETURNING idempotency_key";

/// Keeps the answers. A record whose key has one already is a repeat, whatever it holds:
/// [`Failure::Resolved`] names it, and the batch is prepared again without it.
pub(super) async fn write(session: LoadSession<'_>, batch: &Prepared) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    if batch.answers.is_empty() {
        return Ok(());
    }
    let head = |record: RecordIndex| &batch.batch.records[record.place()];
    let keys: Vec<&str> = batch.answers.iter().map(|answer| answer.key.as_str()).collect();
    let offsets: Vec<i64> = batch.answers.iter().map(|answer| head(answer.record).offset).collect();
    let statuses: Vec<i32> = batch.answers.iter().map(|answer| answer.status).collect();
    let sealed = |answer: &Answer| {
        let place = answer_place(&target.pipeline, &answer.key);
        let body = target.encryption.keyring.seal(&place, answer.body.as_bytes());
        body.map(Cow::into_owned).map_err(cannot_seal("an answer"))
    };
    let bodies: Vec<Vec<u8>> = batch.answers.iter().map(sealed).collect::<Result<_, _>>()?;
    let values: [&(dyn ToSql + Sync); 5] = [&target.pipeline, &keys, &offsets, &statuses, &bodies];
    let kept =
        on.within(async { on.client.query(&on.prepared(INSERT).await?, &values).await }).await?;
    if kept.len() == keys.len() {
        return Ok(());
    }
    let kept: std::collections::HashSet<&str> = kept.iter().map(|row| row.get(0)).collect();
    let repeated = batch.answers.iter().filter(|answer| !kept.contains(answer.key.as_str()));
    Err(Failure::Resolved(
        repeated
            .map(|answer| (head(answer.record).partition, head(answer.record).offset))
            .collect(),
    ))
}
