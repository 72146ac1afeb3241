//! The HTTP server of a pipeline: its page, its answers, what changed, how it is, what it counts,
//! and the endpoints that take records.

pub mod auth; // who is let in
pub mod routes; // every route and who may come by it
pub mod limits; // how many requests one caller may send
mod network; // TLS, time limits, other origins
pub mod page; // /, /docs and their files
pub mod overview; // every pipeline of a process
pub mod endpoints; // GET /api/...
pub mod positions; // what others committed
pub mod live; // /duto/live
pub mod faults; // views and endpoints that PostgreSQL refuses
pub mod advice; // the index that an endpoint lacks
pub mod openapi; // /openapi.json
pub mod audit; // /duto/audit
pub mod health; // /livez, /readyz, /health
pub mod metrics; // /metrics
pub mod topics; // the topic browser, a server of its own

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

use auth::Guard;
use duto_definition::{Pipeline, Role};
use duto_ground::changes::Changes;
use duto_load::pool::Pool;
use duto_log::{Log, Producer};
use duto_runtime::ingest::{self, Ingest};
use duto_runtime::progress::Progress;
use duto_stages::Stages;
use endpoints::Answers;
use faults::Faults;
pub use network::{bind, serve};
use routes::{Access, Routes};

/// What the endpoints of one pipeline look at.
pub struct Served {
    /// The pipeline file's path, as it was given.
    pub file: String,
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
    pub progress: Arc<Progress>,
    pub pool: Pool,
    /// Connections that only read.
    pub readers: Pool,
    pub changes: Arc<Changes>,
    pub answers: Answers,
    pub faults: Faults,
    /// Ends the open streams.
    pub stop: CancellationToken,
    pub log: Arc<dyn Log>,
    pub producer: Arc<dyn Producer>,
    /// None lets everybody in.
    pub guard: Option<Arc<Guard>>,
}

impl Served {
    /// What the endpoints that take records work with.
    fn ingest(&self) -> Ingest {
        let (pipeline, stages, pool) =
            (self.pipeline.clone(), self.stages.clone(), self.pool.clone());
        Ingest {
            pipeline,
            stages,
            pool,
            changes: self.changes.clone(),
            producer: self.producer.clone(),
        }
    }
}

/// All routes of a pipeline, in the order in which a person meets them.
pub fn routes(served: &Served) -> Routes<Arc<Served>> {
    let ingest =
        ingest::routes(served.ingest()).into_iter().fold(Routes::new(), |routes, taken| {
            routes.with(taken.method, Access::Needs(Role::Ingest), &taken.path, taken.handler)
        });
    page::routes(served)
        .merge(auth::routes(served.guard.as_ref()))
        .merge(endpoints::routes(served))
        .merge(live::routes())
        .merge(openapi::routes())
        .merge(ingest)
        .merge(audit::routes())
        .merge(health::routes())
        .merge(metrics::routes())
}

/// The server of a pipeline.
pub fn router(served: Arc<Served>) -> Router {
    let limits = &served.pipeline.http.limits;
    routes(&served).into_router(served.guard.as_ref(), limits).with_state(served)
}
