//! The overview: every pipeline of a process on one page, with the way to its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Json, Router};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::auth::{self, Guard};
use super::limits::strictest;
use super::page::{POLICY, asset, named_asset};
use super::routes::Routes;
use duto_definition::{Pipeline, Role};
use duto_runtime::progress::Progress;

/// What the overview shows.
pub struct Overview {
    /// `kafka` or `embedded`.
    pub log: &'static str,
    /// The address of the topic browser, if there is one.
    pub topics: Option<String>,
    pub pipelines: Vec<Overlooked>,
}

/// One pipeline of the process.
pub struct Overlooked {
    /// The pipeline file's path, as it was given.
    pub file: String,
    pub pipeline: Pipeline,
    pub progress: Arc<Progress>,
}

/// The page and what it asks for.
pub fn router(overview: Overview, guard: Option<&Arc<Guard>>) -> Router {
    let limits = strictest(overview.pipelines.iter().map(|overlooked| &overlooked.pipeline));
    routes(guard).into_router(guard, &limits).with_state(Arc::new(overview))
}

/// All of its routes.
pub fn routes(guard: Option<&Arc<Guard>>) -> Routes<Arc<Overview>> {
    Routes::new()
        .get(Role::Read, "/", |headers: HeaderMap| async move {
            asset("overview.html", &headers, POLICY)
        })
        .merge(auth::routes(guard))
        .get(Role::Read, "/duto/assets/{*name}", named_asset)
        .get(Role::Read, "/duto/overview", overlook)
        .open("/livez", || async { "ok\n" })
}

async fn overlook(State(overview): State<Arc<Overview>>) -> Json<Value> {
    let pipelines: Vec<Value> = overview.pipelines.iter().map(Overlooked::describe).collect();
    let as_of = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    Json(
        json!({ "as_of": as_of, "log": overview.log, "topics": overview.topics, "pipelines": pipelines }),
    )
}

impl Overlooked {
    fn describe(&self) -> Value {
        let (pipeline, progress) = (&self.pipeline, &self.progress);
        let condition = progress.condition();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let trouble = condition
            .ended
            .iter()
            .chain(condition.halted.values())
            .chain(condition.unreadable.values())
            .chain(condition.paused.values());
        let trouble: Vec<&String> = trouble
            .chain(condition.deliveries.values())
            .chain(&condition.database_trouble)
            .chain(&condition.mostly_rejected)
            .collect();
        json!({
            "name": pipeline.name, "file": self.file, "topic": pipeline.source.topic, "listen": pipeline.listen,
            "title": pipeline.dashboard.as_ref().map(|dashboard| &dashboard.title),
            "records": count(&progress.records), "stored": count(&progress.stored), "repeated": count(&progress.repeated),
            "rejected": progress.rejected_total(), "lag": condition.lag.values().sum::<i64>(),
            "committed_ms_ago": condition.last_commit.map(|at| at.elapsed().as_millis() as u64), "trouble": trouble,
        })
    }
}
