//! `duto.audit` over HTTP: what was done by hand is shown, and who is not let in is put on record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Served;
use crate::auth::Guard;
use crate::page::{POLICY, asset};
use crate::routes::Routes;
use duto_definition::Role;
use duto_load::audit::{self, Action, Actor, Entry, Via};
use duto_load::failure::Failure;
use duto_load::pool::Pool;

const MOST_ENTRIES: i64 = 500;
const USUAL_ENTRIES: i64 = 100;
const DATABASE_PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at who was not let in.
const WRITE_INTERVAL: Duration = Duration::from_secs(2);
/// Addresses and reasons that are told apart between two of them; of more only the number is kept.
const MOST_TOLD_APART: usize = 50;
/// Entries that wait for a database.
const MOST_WAITING: usize = 1_000;

pub fn routes() -> Routes<Arc<Served>> {
    let page = |headers: HeaderMap| async move { asset("audit.html", &headers, POLICY) };
    Routes::new().get(Role::Operate, "/duto/audit", page).get(
        Role::Operate,
        "/duto/audit/entries",
        entries,
    )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    before: Option<i64>,
    limit: Option<i64>,
}

async fn entries(
    State(served): State<Arc<Served>>,
    Query(wanted): Query<Wanted>,
) -> (StatusCode, Json<Value>) {
    let limit = wanted.limit.unwrap_or(USUAL_ENTRIES);
    if !(1..=MOST_ENTRIES).contains(&limit) {
        let error = format!("limit: a number from 1 to {MOST_ENTRIES}");
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error })));
    }
    let asked = tokio::time::timeout(DATABASE_PATIENCE, read(&served, wanted.before, limit)).await;
    match asked.unwrap_or_else(|_| Err(Failure::Lost("it does not answer".to_owned()))) {
        Ok(body) => (StatusCode::OK, Json(body)),
        Err(failure) => {
            let error = format!("the database: {failure}");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error })))
        }
    }
}

/// One more than is wanted tells whether there are more.
async fn read(served: &Served, before: Option<i64>, limit: i64) -> Result<Value, Failure> {
    let pipeline = &served.pipeline.name;
    let connection = served.readers.get().await?;
    let mut kept = if audit::is_there(&connection).await? {
        audit::read(&connection, pipeline, before, limit + 1).await?
    } else {
        Vec::new()
    };
    let has_more = kept.len() as i64 > limit;
    kept.truncate(limit as usize);
    let next = kept.last().filter(|_| has_more).map(|last| last.id);
    let entries: Vec<Value> = kept
        .iter()
        .map(|entry| {
            let audit::Kept { id, at, actor, via, action, what, why } = entry;
            let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
            json!({ "id": id, "at": at, "actor": actor, "via": via, "action": action, "what": what, "why": why })
        })
        .collect();
    let dashboard = served.pipeline.dashboard.as_ref().map(|dashboard| &dashboard.title);
    Ok(json!({ "pipeline": pipeline, "dashboard": dashboard, "entries": entries, "next": next }))
}

/// Who was not let in since it was last written, counted in bounded memory.
#[derive(Debug, Default)]
pub struct Refusals {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By address and reason.
    tries: BTreeMap<(String, String), u64>,
    others: u64,
}

impl Refusals {
    pub fn note(&self, address: &str, reason: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (address.to_owned(), reason.to_owned());
        if seen.tries.len() < MOST_TOLD_APART || seen.tries.contains_key(&kind) {
            *seen.tries.entry(kind).or_default() += 1;
        } else {
            seen.others += 1;
        }
    }

    fn take(&self) -> Vec<Entry> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { tries, others } = std::mem::take(&mut *seen);
        let entry = |name: String, what: String| Entry {
            actor: Actor { name, via: Via::Http, why: None },
            action: Action::SignInRefused,
            what,
        };
        let tried =
            |count: u64| if count == 1 { String::new() } else { format!("{count} times: ") };
        let mut entries: Vec<Entry> = tries
            .into_iter()
            .map(|((address, reason), count)| {
                entry(address, format!("not let in: {}{reason}", tried(count)))
            })
            .collect();
        if others > 0 {
            let many = format!("{others} more requests of other addresses were not let in");
            entries.push(entry("many".to_owned(), many));
        }
        entries
    }
}

/// What is to be put on record for a pipeline, and is not yet: a request does not wait for a
/// database.
#[derive(Debug, Default)]
pub struct Waiting {
    entries: Mutex<VecDeque<(String, Entry)>>,
    more: Notify,
}

impl Waiting {
    /// Puts it on record as soon as the pipeline's database takes it.
    pub fn push(&self, pipeline: &str, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < MOST_WAITING {
            entries.push_back((pipeline.to_owned(), entry));
        } else {
            tracing::error!(pipeline, ?entry, "the audit is full, so this is not in duto.audit");
        }
        self.more.notify_one();
    }

    fn take(&self) -> VecDeque<(String, Entry)> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes down what waits and who was refused by a server, until it stops. `pipelines` are their
/// names, and how their databases are reached; while one of them is away, its entries wait.
pub fn keep(
    guard: Option<&Arc<Guard>>,
    waiting: Arc<Waiting>,
    pipelines: Vec<(String, Pool)>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let guard = guard.cloned();
    tokio::spawn(async move {
        loop {
            let is_over = tokio::select! {
                () = stop.cancelled() => true,
                () = waiting.more.notified() => false,
                () = tokio::time::sleep(WRITE_INTERVAL) => false,
            };
            if let Some(guard) = &guard {
                for entry in guard.refusals.take() {
                    pipelines.iter().for_each(|(name, _)| waiting.push(name, entry.clone()));
                }
            }
            write_all(&waiting, &pipelines, is_over).await;
            if is_over {
                return;
            }
        }
    })
}

async fn write_all(waiting: &Waiting, pipelines: &[(String, Pool)], is_over: bool) {
    let mut taken = waiting.take();
    for (name, pool) in pipelines {
        let (own, others) = taken.into_iter().partition(|(pipeline, _)| pipeline == name);
        taken = others;
        let own: VecDeque<(String, Entry)> = own;
        let entries: Vec<Entry> = own.into_iter().map(|(_, entry)| entry).collect();
        if entries.is_empty() {
            continue;
        }
        match write(pool, name, &entries).await {
            Ok(()) => {}
            Err(failure) if is_over => {
                tracing::error!(pipeline = name, %failure, ?entries, "these are not in duto.audit");
            }
            Err(failure) => {
                tracing::warn!(pipeline = name, %failure, "the audit waits for the database");
                let mut kept = waiting.entries.lock().unwrap_or_else(PoisonError::into_inner);
                for entry in entries.into_iter().rev() {
                    kept.push_front((name.clone(), entry));
                }
            }
        }
    }
}

/// Before a pipeline has ever run there is no place for them.
async fn write(pool: &Pool, pipeline: &str, entries: &[Entry]) -> Result<(), Failure> {
    let connection = pool.get().await?;
    if audit::is_there(&connection).await? {
        audit::write_alone(&connection, pipeline, entries).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_addresses_take_the_room_of_fifty() {
        let refusals = Refusals::default();
        for number in 0..1_000 {
            refusals
                .note(&format!("10.0.{}.{}", number / 250, number % 250), "the key is not known");
        }
        refusals.note("10.0.0.1", "the key is not known");
        let entries = refusals.take();
        assert_eq!(entries.len(), MOST_TOLD_APART + 1);
        let whats: Vec<&str> = entries.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(whats[0], "not let in: the key is not known");
        assert!(whats.contains(&"not let in: 2 times: the key is not known"));
        assert_eq!(whats[50], "950 more requests of other addresses were not let in");
        assert_eq!(refusals.take(), []);
    }
}
