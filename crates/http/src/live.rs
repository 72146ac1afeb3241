//! `/duto/live`: what changed, as server-sent events, so that a page asks only for what a commit
//! touched.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use chrono::{SecondsFormat, Utc};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::routes::Routes;
use super::{Served, positions};
use duto_definition::Role;

/// After an event of changes the next one waits so long, and gathers what changed meanwhile.
const COALESCED: Duration = Duration::from_millis(500);
/// Answers that read the clock are new every second.
const TICK: Duration = Duration::from_secs(1);
/// The rejects are counted within this time, or told as they were: a database that hangs must not
/// hold up what the page hears.
const REJECTS_WITHIN: Duration = Duration::from_millis(500);
/// Lag and rejects, which also tells the page that the server lives.
const PULSE: Duration = Duration::from_secs(2);

pub fn routes() -> Routes<Arc<Served>> {
    Routes::new().get(Role::Read, "/duto/live", live)
}

async fn live(
    State(served): State<Arc<Served>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(unfold(Viewer::new(served), |mut viewer| async move {
        viewer.next().await.map(|event| (Ok(event), viewer))
    }))
}

/// One open page.
struct Viewer {
    served: Arc<Served>,
    changed: watch::Receiver<u64>,
    /// For each endpoint, the version that the page knows of.
    versions: Vec<u64>,
    greeted: bool,
    free_at: Instant,
    tick_at: Instant,
    pulse_at: Instant,
    /// What was stored at the last pulse, and when.
    stored: (u64, Instant),
    /// Open rejects, and those of the last hour, as they were counted last.
    rejects: (i64, i64),
}

impl Viewer {
    fn new(served: Arc<Served>) -> Self {
        let now = Instant::now();
        let changed = served.changes.subscribe();
        Self {
            changed,
            versions: Vec::new(),
            greeted: false,
            free_at: now,
            tick_at: now + TICK,
            pulse_at: now,
            stored: (records(&served), now),
            rejects: (0, 0),
            served,
        }
    }

    /// The next event; None when the server stops.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            positions::look(&self.served.changes, &self.served.pool, &self.served.pipeline).await;
            self.versions = self.current();
            return Some(event(
                "hello",
                json!({"pipeline": self.served.pipeline.name, "at": now(), "positions": self.positions()}),
            ));
        }
        let stop = self.served.stop.clone();
        loop {
            let is_behind = self.versions != self.current();
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.free_at), if is_behind => return Some(self.changes()),
                () = tokio::time::sleep_until(self.tick_at) => {
                    self.tick_at += TICK;
                    let sources = self.sources(|index| self.served.stages.queries().endpoints[index].reads_clock);
                    if !sources.is_empty() {
                        return Some(event("tick", json!({"at": now(), "sources": sources})));
                    }
                }
                () = tokio::time::sleep_until(self.pulse_at) => {
                    self.pulse_at += PULSE;
                    return Some(self.pulse().await);
                }
                changed = self.changed.changed(), if !is_behind => {
                    if changed.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    fn changes(&mut self) -> Event {
        let current = self.current();
        let sources: Vec<String> = self
            .sources(|index| current.get(index) != self.versions.get(index))
            .into_iter()
            .map(str::to_owned)
            .collect();
        self.versions = current;
        self.free_at = Instant::now() + COALESCED;
        event("changed", json!({"at": now(), "positions": self.positions(), "sources": sources}))
    }

    async fn pulse(&mut self) -> Event {
        let (total, at) = (records(&self.served), Instant::now());
        let rate = (total - self.stored.0) as f64 / (at - self.stored.1).as_secs_f64().max(0.001);
        self.stored = (total, at);
        let condition = self.served.progress.condition();
        let lag: i64 = condition.lag.values().sum();
        if let Ok(Some(counted)) = tokio::time::timeout(REJECTS_WITHIN, rejects(&self.served)).await
        {
            self.rejects = counted;
        }
        let (rejects, last_hour) = self.rejects;
        let troubles: Vec<String> = condition
            .halted
            .values()
            .chain(condition.unreadable.values())
            .chain(condition.paused.values())
            .chain(&condition.ended)
            .chain(&condition.database_trouble)
            .chain(&condition.mostly_rejected)
            .cloned()
            .collect();
        let body = json!({"at": now(), "lag": lag, "records_per_second": (rate * 10.0).round() / 10.0, "rejects": rejects,
            "rejects_last_hour": last_hour, "positions": self.positions(), "troubles": troubles});
        event("pulse", body)
    }

    fn current(&self) -> Vec<u64> {
        self.served
            .stages
            .queries()
            .endpoints
            .iter()
            .map(|query| self.served.changes.version(&query.tables))
            .collect()
    }

    fn sources(&self, wanted: impl Fn(usize) -> bool) -> Vec<&str> {
        let endpoints = self.served.stages.queries().endpoints.iter().enumerate();
        endpoints
            .filter(|(index, _)| wanted(*index))
            .map(|(_, query)| query.endpoint.path.as_str())
            .collect()
    }

    fn positions(&self) -> BTreeMap<String, i64> {
        self.served
            .changes
            .positions()
            .into_iter()
            .map(|(partition, next)| (partition.to_string(), next))
            .collect()
    }
}

fn records(served: &Served) -> u64 {
    served.progress.records.load(Ordering::Relaxed)
}

/// Open rejects, and how many of them are of the last hour.
async fn rejects(served: &Served) -> Option<(i64, i64)> {
    let statement = "SELECT count(*), count(*) FILTER (WHERE last_at > now() - interval '1 hour')
        FROM duto.reject WHERE pipeline = $1 AND status = 'open'";
    let connection = served.readers.get().await.ok()?;
    let row = connection
        .within(connection.client.query_one(statement, &[&served.pipeline.name]))
        .await
        .ok()?;
    Some((row.get(0), row.get(1)))
}

fn event(name: &str, body: Value) -> Event {
    Event::default().event(name).data(body.to_string())
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
