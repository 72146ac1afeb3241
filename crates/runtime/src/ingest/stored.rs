//! Requests that are answered when their record is stored. Which process loads it does not matter:
//! the answer is in the database.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;

use super::Ingest;
use super::send::{Outgoing, SendFailure, send_all};
use duto_load::failure::Failure;
use duto_load::sealed::answer_place;
use duto_log::Sent;
use duto_stages::answers::{ENDPOINT_HEADER, KEY_HEADER};
use duto_stages::intake::Intake;

/// Between two looks where nothing is heard.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// An answer as it is kept, or why there is none yet.
pub type Answered = Result<Kept, SendFailure>;

/// The status and the body.
pub type Kept = (StatusCode, Vec<u8>);

/// A record under its key.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    pub key: &'a str,
    pub record: &'a [u8],
}

/// Appends records, each under its key, and waits until they are stored; the answers are in the
/// order of the records. They come into the log in that order too: where two have one key of a
/// table, it decides which of them is the repeat.
///
/// A key that has an answer already gets that one, and nothing is appended; one whose record is
/// still on its way gets the first record's answer.
pub async fn take_all(state: &Ingest, intake: &Intake, records: &[Keyed<'_>]) -> Vec<Answered> {
    let keys: Vec<&str> = records.iter().map(|record| record.key).collect();
    // Also where the keys are new: a request that could not be answered is not taken, so that it
    // does not come twice.
    let kept = match kept_of(state, &keys).await {
        Ok(kept) => kept,
        Err(failure) => return records.iter().map(|_| Err(away(&failure))).collect(),
    };
    let name = intake.endpoint.name();
    let headers: Vec<[(&str, &[u8]); 2]> = keys
        .iter()
        .map(|key| [(KEY_HEADER, key.as_bytes()), (ENDPOINT_HEADER, name.as_bytes())])
        .collect();
    let is_new = |record: &Keyed<'_>| !kept.contains_key(record.key);
    let fresh = records.iter().zip(&headers).filter(|(record, _)| is_new(record));
    let outgoing: Vec<Outgoing<'_>> = fresh
        .map(|(Keyed { key, record }, headers)| Outgoing {
            record,
            fallback_key: Some(key),
            headers,
        })
        .collect();
    let deadline = Instant::now() + intake.endpoint.timeout;
    let mut committed = Vec::with_capacity(outgoing.len());
    for sent in send_all(state, intake, &outgoing).await {
        committed.push(match sent {
            Ok(sent) => wait_until_committed(state, sent, deadline).await,
            Err(failure) => Err(failure),
        });
    }
    let settled: Vec<&str> = records
        .iter()
        .filter(|record| is_new(record))
        .zip(&committed)
        .filter(|(_, done)| done.is_ok())
        .map(|(record, _)| record.key)
        .collect();
    let answers = kept_of(state, &settled).await;
    let mut committed = committed.into_iter();
    let answer = |record: &Keyed<'_>| match kept.get(record.key) {
        Some(answer) => Ok(answer.clone()),
        None => {
            committed.next().unwrap_or_else(no_outcome)?;
            let answers = answers.as_ref().map_err(away)?;
            let missing =
                || SendFailure::Refused("the record is settled, but its answer is gone".into());
            answers.get(record.key).cloned().ok_or_else(missing)
        }
    };
    records.iter().map(answer).collect()
}

/// The same of one record.
pub async fn take(state: &Ingest, intake: &Intake, record: Keyed<'_>) -> Answered {
    take_all(state, intake, &[record]).await.pop().unwrap_or_else(no_outcome)
}

/// What a record is answered whose outcome is missing: a bug of ours.
pub fn no_outcome<T>() -> Result<T, SendFailure> {
    Err(SendFailure::Refused("no outcome".to_owned()))
}

/// The answers that are kept under these keys, as far as there are any yet.
pub async fn kept_of(state: &Ingest, keys: &[&str]) -> Result<HashMap<String, Kept>, Failure> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = "SELECT idempotency_key, status, body FROM duto.answer WHERE pipeline = $1
        AND idempotency_key = ANY($2)";
    let connection = state.pool.get().await?;
    let values: [&(dyn ToSql + Sync); 2] = [&state.pipeline.name, &keys];
    let asked = connection.within(async {
        connection.client.query(&connection.prepared(statement).await?, &values).await
    });
    let kept = |row: &tokio_postgres::Row| {
        let status = u16::try_from(row.get::<_, i32>(1))
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let key: String = row.get(0);
        let place = answer_place(&state.pipeline.name, &key);
        let body = state.pipeline.encryption.keyring.open(&place, row.get(2));
        let body = body.map_err(|fault| {
            Failure::Pause(format!("the answer kept under {key} cannot be opened: {fault}"))
        })?;
        let body = body.into_owned();
        Ok((key, (status.unwrap_or(StatusCode::OK), body)))
    };
    asked.await?.iter().map(kept).collect()
}

fn away(failure: &Failure) -> SendFailure {
    SendFailure::Unreachable(failure.to_string())
}

/// Waits for the position to pass the record, whoever moves it.
async fn wait_until_committed(
    state: &Ingest,
    sent: Sent,
    deadline: Instant,
) -> Result<(), SendFailure> {
    let mut moved = state.changes.subscribe_to_positions();
    loop {
        state.changes.attend();
        if state.changes.positions().get(&sent.partition).is_some_and(|next| *next > sent.offset) {
            return Ok(());
        }
        let wake = deadline.min(Instant::now() + LOOK_INTERVAL);
        if timeout_at(wake, moved.changed()).await.is_err() && Instant::now() >= deadline {
            return Err(SendFailure::NotStoredYet);
        }
    }
}
