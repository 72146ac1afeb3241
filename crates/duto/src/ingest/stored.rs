//! Requests that are answered when their record is stored. Which process loads it does not matter: the answer is in the database.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::Ingest;
use super::send::{Outgoing, SendFailure, send_all};
use crate::log::Sent;
use crate::stages::answers::{ENDPOINT_HEADER, KEY_HEADER};
use crate::stages::intake::Intake;

/// Between two looks where nothing is heard.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// An answer as it is kept, or why there is none yet.
pub type Answered = Result<(StatusCode, Vec<u8>), SendFailure>;

/// Appends a record under a key and waits until it is stored. A key that has an answer already gets that one, and nothing is appended;
/// one whose record is still on its way gets the first record's answer.
pub async fn take(state: &Ingest, intake: &Intake, key: &str, record: &[u8]) -> Answered {
    // Also where the key is new: a request that could not be answered is not taken, so that it does not come twice.
    if let Some(answer) = kept(state, key).await? {
        return Ok(answer);
    }
    let name = intake.endpoint.name();
    let headers = [(KEY_HEADER, key.as_bytes()), (ENDPOINT_HEADER, name.as_bytes())];
    let outgoing = Outgoing { record, fallback_key: Some(key), headers: &headers };
    let deadline = Instant::now() + intake.endpoint.timeout;
    let Some(outcome) = send_all(state, intake, &[outgoing]).await.pop() else { return Err(SendFailure::Refused("no outcome".into())) };
    wait_until_committed(state, outcome?, deadline).await?;
    let missing = || SendFailure::Refused("the record is settled, but its answer is gone".into());
    kept(state, key).await?.ok_or_else(missing)
}

/// The answer that is kept under a key; None where there is none yet.
pub async fn kept(state: &Ingest, key: &str) -> Result<Option<(StatusCode, Vec<u8>)>, SendFailure> {
    let statement = "SELECT status, body FROM duto.answer WHERE pipeline = $1 AND idempotency_key = $2";
    let away = |failure: crate::load::failure::Failure| SendFailure::Unreachable(failure.to_string());
    let connection = state.pool.get().await.map_err(away)?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&state.pipeline.name, &key];
    let asked = state.pool.connector.within(async { connection.client.query_opt(&connection.prepared(statement).await?, &values).await });
    let Some(row) = asked.await.map_err(away)? else { return Ok(None) };
    let status = u16::try_from(row.get::<_, i32>(0)).ok().and_then(|status| StatusCode::from_u16(status).ok());
    Ok(Some((status.unwrap_or(StatusCode::OK), row.get(1))))
}

/// Waits for the position to pass the record, whoever moves it.
async fn wait_until_committed(state: &Ingest, sent: Sent, deadline: Instant) -> Result<(), SendFailure> {
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
