//! Records into the log. Requests that come together share the log's writes.

use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::Ingest;
use duto_log::{LogError, OutgoingRecord, Sent};
use duto_stages::intake::Intake;

/// Why a request has no answer of success. After a time-out the record may still get there: its key
/// makes a second one a repeat.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    #[error("the log does not take more at the moment: try again")]
    Full,
    #[error("{0}: try again")]
    Unreachable(String),
    #[error(
        "the record is in the log and is not stored yet: ask again with the same Idempotency-Key"
    )]
    NotStoredYet,
    #[error("the record is longer than its topic takes: {0}")]
    TooLarge(String),
    #[error("{0}")]
    Refused(String),
}

/// A record to send.
pub struct Outgoing<'a> {
    pub record: &'a [u8],
    /// The message's key where the record gives none.
    pub fallback_key: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl SendFailure {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Full | Self::Unreachable(_) | Self::NotStoredYet => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<LogError> for SendFailure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::QueueFull => Self::Full,
            LogError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            LogError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            LogError::Locked(_) | LogError::Refused { .. } => Self::Refused(error.to_string()),
        }
    }
}

/// Queues all records, then waits for each to be durable. The outcomes are in the order of the
/// records.
pub async fn send_all(
    state: &Ingest,
    intake: &Intake,
    records: &[Outgoing<'_>],
) -> Vec<Result<Sent, SendFailure>> {
    let queued: Vec<_> = records.iter().map(|record| queue(state, intake, record)).collect();
    let mut outcomes = Vec::with_capacity(queued.len());
    let within = intake.endpoint.timeout;
    for waiting in queued {
        outcomes.push(match waiting {
            Err(error) => Err(error.into()),
            Ok(outcome) => match tokio::time::timeout(within, outcome).await {
                Ok(Ok(outcome)) => outcome.map_err(SendFailure::from),
                Ok(Err(_)) => Err(SendFailure::Unreachable("the log's client ended".to_owned())),
                Err(_) => Err(SendFailure::Unreachable(format!(
                    "the log did not answer within {within:?}"
                ))),
            },
        });
    }
    outcomes
}

fn queue(
    state: &Ingest,
    intake: &Intake,
    outgoing: &Outgoing<'_>,
) -> Result<oneshot::Receiver<Result<Sent, LogError>>, LogError> {
    let key = intake
        .endpoint
        .key
        .as_deref()
        .and_then(|field| duto_stages::decode::key_of(outgoing.record, field));
    let key = key.as_deref().or(outgoing.fallback_key.map(str::as_bytes));
    let (tell, outcome) = oneshot::channel();
    let record = OutgoingRecord {
        topic: &intake.topic,
        partition: None,
        key,
        payload: Some(outgoing.record),
        headers: outgoing.headers,
    };
    state.producer.send(
        record,
        Box::new(move |result| {
            let _ = tell.send(result);
        }),
    )?;
    Ok(outcome)
}
