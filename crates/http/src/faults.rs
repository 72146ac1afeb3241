//! Views and endpoints that PostgreSQL refuses. Each is told once, named by /health, and looked at
//! again; everything else is served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Served, health};
use duto_load::failure::Failure;
use duto_load::views::refusal;
use duto_stages::query::EndpointQuery;

/// The worker may still be making the tables, or other views than those that are there.
const START_LOOK: Duration = Duration::from_secs(2);
/// Between two looks at what was refused.
const INTERVAL: Duration = Duration::from_secs(10);
/// A request that failed says nothing of the endpoint any more after so long without another one.
const MEMORY: Duration = Duration::from_secs(60);

/// What failed, by the endpoint's path.
#[derive(Default)]
pub struct Faults {
    endpoints: Mutex<BTreeMap<String, Fault>>,
}

struct Fault {
    reason: String,
    seen_at: Instant,
    cause: Cause,
    /// Named by /health.
    is_shown: bool,
}

/// What an endpoint failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// PostgreSQL refuses the statement, whoever asks.
    Statement,
    /// It refused this request, whose parameters may be the cause.
    Request,
    /// The database is away or busy, which /health says by itself.
    Server,
}

impl Faults {
    /// An endpoint could not answer: it is told unless it was told before.
    pub fn failed(&self, pipeline: &str, query: &EndpointQuery, reason: &str, cause: Cause) {
        let is_shown = match cause {
            Cause::Statement => true,
            Cause::Request => query.endpoint.parameters.is_empty(),
            Cause::Server => false,
        };
        let fault = Fault { reason: reason.to_owned(), seen_at: Instant::now(), cause, is_shown };
        let before = self.lock().insert(query.endpoint.path.clone(), fault);
        if before.is_none_or(|before| before.reason != reason) {
            tracing::warn!(
                pipeline,
                endpoint = query.endpoint.path,
                reason,
                "an endpoint cannot answer; everything else is served"
            );
        }
    }

    /// The endpoint answered.
    pub fn works(&self, pipeline: &str, path: &str) {
        if self.lock().remove(path).is_some() {
            tracing::info!(pipeline, endpoint = path, "the endpoint answers again");
        }
    }

    /// Each endpoint's path and reason.
    pub fn shown(&self) -> Vec<(String, String)> {
        let endpoints = self.lock();
        let shown = endpoints.iter().filter(|(_, fault)| fault.is_shown);
        shown.map(|(path, fault)| (path.clone(), fault.reason.clone())).collect()
    }

    fn forget_old(&self) {
        self.lock()
            .retain(|_, fault| fault.cause == Cause::Statement || fault.seen_at.elapsed() < MEMORY);
    }

    fn is_refused(&self, path: &str) -> bool {
        self.lock().get(path).is_some_and(|fault| fault.cause == Cause::Statement)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Fault>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at every endpoint's statement once the tables are there, then at those that are refused.
pub async fn watch(served: Arc<Served>) {
    loop {
        if pause(&served, START_LOOK).await {
            return;
        }
        if health::is_made(&served).await {
            break;
        }
    }
    look(&served, true).await;
    while !pause(&served, INTERVAL).await {
        served.faults.forget_old();
        look(&served, false).await;
    }
}

/// Answers whether the server stops.
async fn pause(served: &Served, duration: Duration) -> bool {
    tokio::select! {
        () = served.stop.cancelled() => true,
        () = tokio::time::sleep(duration) => false,
    }
}

async fn look(served: &Served, all: bool) {
    let name = &served.pipeline.name;
    for query in &served.stages.queries().endpoints {
        let path = &query.endpoint.path;
        if !all && !served.faults.is_refused(path) {
            continue;
        }
        match prepare(served, query).await {
            Ok(None) => served.faults.works(name, path),
            Ok(Some(reason)) => served.faults.failed(name, query, &reason, Cause::Statement),
            Err(failure) => {
                tracing::debug!(pipeline = name, %failure, "the endpoints cannot be looked at");
                return;
            }
        }
    }
}

/// Why PostgreSQL does not take the statement; None when it does.
async fn prepare(served: &Served, query: &EndpointQuery) -> Result<Option<String>, Failure> {
    let connection = served.readers.get().await?;
    let prepared = async { Ok(connection.client.prepare(&query.statement).await) };
    match connection.within(prepared).await? {
        Ok(_) => Ok(None),
        Err(error) => match refusal(&error) {
            Some(reason) => Ok(Some(reason)),
            None => Err(Failure::Lost(error.to_string())),
        },
    }
}
