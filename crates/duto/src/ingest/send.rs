//! Records into the log. Requests that come together share the log's writes.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::oneshot;

use crate::log::{LogError, OutgoingRecord};
use crate::serve::Served;

/// How long a request waits for the log before it is told to come back.
const DURABLE_WITHIN: Duration = Duration::from_secs(30);

/// Why a record is not in the log. After a time-out it may still get there: the key of the record makes that a repeat.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    #[error("the log does not take more at the moment: try again")]
    Full,
    #[error("{0}: try again")]
    Unreachable(String),
    #[error("{0}")]
    Refused(String),
}

impl SendFailure {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Full | Self::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<LogError> for SendFailure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::QueueFull => Self::Full,
            LogError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Queues all records, then waits for each to be durable. The outcomes are in the order of the records.
pub async fn send_all(served: &Served, records: &[&[u8]]) -> Vec<Result<(), SendFailure>> {
    let queued: Vec<_> = records.iter().map(|record| queue(served, record)).collect();
    let mut outcomes = Vec::with_capacity(queued.len());
    for waiting in queued {
        outcomes.push(match waiting {
            Err(error) => Err(error.into()),
            Ok(outcome) => match tokio::time::timeout(DURABLE_WITHIN, outcome).await {
                Ok(Ok(Ok(_))) => Ok(()),
                Ok(Ok(Err(error))) => Err(error.into()),
                Ok(Err(_)) => Err(SendFailure::Unreachable("the log's client ended".to_owned())),
                Err(_) => Err(SendFailure::Unreachable(format!("the log did not answer within {DURABLE_WITHIN:?}"))),
            },
        });
    }
    outcomes
}

fn queue(served: &Served, record: &[u8]) -> Result<oneshot::Receiver<Result<crate::log::Sent, LogError>>, LogError> {
    let source = &served.pipeline.source;
    let key = source.key.as_deref().and_then(|field| crate::decode::key_of(record, field));
    let (tell, outcome) = oneshot::channel();
    let outgoing = OutgoingRecord { topic: &source.topic, partition: None, key: key.as_deref(), payload: Some(record), headers: &[] };
    served.producer.send(
        outgoing,
        Box::new(move |result| {
            let _ = tell.send(result);
        }),
    )?;
    Ok(outcome)
}
