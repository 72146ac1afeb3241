//! Answers that are kept: one query an answer, however many ask for it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::types::ToSql;

use super::super::faults::Cause;
use super::super::{Served, positions};
use duto_load::failure::{Failure, Scope};
use duto_load::views::refusal;
use duto_stages::query::EndpointQuery;

/// An answer whose SQL reads the clock is asked for again after so long.
const CLOCK_LIFE: Duration = Duration::from_secs(1);
/// Beyond it everything is forgotten: only endpoints with many different parameters come here.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const MOST_ANSWERS: usize = 10_000;

/// What an endpoint answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub body: Bytes,
    /// In quotes.
    pub etag: String,
    /// The moment from which the figures are, in UTC.
    pub as_of: String,
    /// The position from which they are: `0:123,1:456`.
    pub position: String,
    version: u64,
    at: Instant,
}

type Slot = Arc<AsyncMutex<Option<Answer>>>;

/// The answers of a pipeline's endpoints, by endpoint and parameters.
#[derive(Default)]
pub struct Answers {
    slots: Mutex<HashMap<(usize, Vec<String>), Slot>>,
    bytes: std::sync::atomic::AtomicUsize,
}

impl Answers {
    /// The answer for these values. None when `row:` finds none; an error is a sentence for the
    /// caller.
    pub async fn get(
        &self,
        served: &Served,
        index: usize,
        query: &EndpointQuery,
        values: Vec<String>,
    ) -> Result<Option<Answer>, String> {
        if served.changes.attend() {
            positions::look(&served.changes, &served.pool, &served.pipeline).await;
        }
        let slot = self.slot(index, &values);
        let mut kept = slot.lock().await;
        // Before the query: a commit while it runs makes the answer old, never the other way round.
        let version = served.changes.version(&query.tables);
        if let Some(answer) = kept.as_ref().filter(|answer| {
            answer.version == version && (!query.reads_clock || answer.at.elapsed() < CLOCK_LIFE)
        }) {
            return Ok(Some(answer.clone()));
        }
        let at = Instant::now();
        let as_of = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let position = served
            .changes
            .positions()
            .iter()
            .map(|(partition, next)| format!("{partition}:{next}"))
            .collect::<Vec<_>>()
            .join(",");
        let Some(text) = ask(served, query, &values).await? else {
            *kept = None;
            return Ok(None);
        };
        let etag = format!("\"{}\"", &hex::encode(Sha256::digest(text.as_bytes()))[..24]);
        self.bytes.fetch_add(text.len(), std::sync::atomic::Ordering::Relaxed);
        let answer = Answer { body: Bytes::from(text), etag, as_of, position, version, at };
        *kept = Some(answer.clone());
        Ok(Some(answer))
    }

    fn slot(&self, index: usize, values: &[String]) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes.load(std::sync::atomic::Ordering::Relaxed);
        let plain = slots.keys().all(|(_, values)| values.is_empty());
        if (bytes > MOST_BYTES && !plain) || slots.len() > MOST_ANSWERS {
            slots.clear();
            self.bytes.store(0, std::sync::atomic::Ordering::Relaxed);
        }
        slots.entry((index, values.to_vec())).or_default().clone()
    }
}

async fn ask(
    served: &Served,
    query: &EndpointQuery,
    values: &[String],
) -> Result<Option<String>, String> {
    let ordered: Vec<&String> = query.order.iter().map(|place| &values[*place]).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> =
        ordered.iter().map(|value| *value as &(dyn ToSql + Sync)).collect();
    let (name, path) = (&served.pipeline.name, &query.endpoint.path);
    let failed = |reason: String, cause: Cause| {
        served.faults.failed(name, query, &reason, cause);
        reason
    };
    let away = |failure: Failure| failed(failure.to_string(), Cause::Server);
    let connection = served.readers.get().await.map_err(away)?;
    let answered = async {
        let answer = async {
            let statement = connection.prepared(&query.statement).await?;
            connection.client.query_opt(&statement, &parameters).await
        };
        Ok(answer.await)
    };
    match connection.within(answered).await.map_err(away)? {
        Ok(row) => {
            served.faults.works(name, path);
            Ok(row.and_then(|row| row.get(0)))
        }
        // Class 42 is about the statement and what it reads, never about a parameter's value.
        Err(error) => Err(match refusal(&error) {
            Some(reason) if error.code().is_some_and(|code| code.code().starts_with("42")) => {
                failed(reason, Cause::Statement)
            }
            Some(reason) => failed(reason, Cause::Request),
            None => away(Failure::of(&error, Scope::Own)),
        }),
    }
}
