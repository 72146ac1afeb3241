//! The HTTP server of a pipeline: its page, its answers, what changed, how it is, what it counts, and the endpoints that take records.

pub mod auth; // who is let in
pub mod page; // /, /docs and their files
pub mod overview; // every pipeline of a process
pub mod endpoints; // GET /api/...
pub mod positions; // what others committed
pub mod live; // /duto/live
pub mod faults; // views and endpoints that PostgreSQL refuses
pub mod advice; // the index that an endpoint lacks
pub mod openapi; // /openapi.json
pub mod health; // /livez, /readyz, /health
pub mod metrics; // /metrics
pub mod topics; // the topic browser, a server of its own

use std::sync::Arc;

use anyhow::Context;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use auth::Guard;
use duto_definition::Pipeline;
use duto_ground::changes::Changes;
use duto_load::pool::Pool;
use duto_log::{Log, Producer};
use duto_runtime::ingest::{self, Ingest};
use duto_runtime::progress::Progress;
use duto_stages::Stages;
use endpoints::Answers;
use faults::Faults;

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
        let (pipeline, stages, pool) = (self.pipeline.clone(), self.stages.clone(), self.pool.clone());
        Ingest { pipeline, stages, pool, changes: self.changes.clone(), producer: self.producer.clone() }
    }
}

/// All routes of a pipeline, in the order in which a person meets them.
pub fn router(served: Arc<Served>) -> Router {
    Router::new()
        .merge(page::routes(&served))
        .merge(guarded(endpoints::routes(&served), served.guard.as_ref().filter(|_| served.pipeline.auth.reads)))
        .merge(live::routes())
        .merge(openapi::routes())
        .merge(guarded(ingest::routes(served.ingest()), served.guard.as_ref()))
        .merge(health::routes())
        .merge(metrics::routes())
        .with_state(served)
}

fn guarded<S: Clone + Send + Sync + 'static>(router: Router<S>, guard: Option<&Arc<Guard>>) -> Router<S> {
    match guard {
        // A router without routes takes no layer.
        Some(guard) if router.has_routes() => router.route_layer(middleware::from_fn_with_state(guard.clone(), auth::let_in)),
        _ => router,
    }
}

/// Binds the address now, so that a port that is taken is an error before anything starts.
pub async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

/// Serves until `stop` ends, then finishes the requests that are open.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await.context("serving HTTP")
}
