//! The topic browser: topics, their messages, what became of each, and sending one by hand. It
//! joins no group, and a database that is away costs only what that database knows.

mod guard; // who may ask
mod refusal; // what is answered instead
mod looks; // reading from the log, shared
mod list; // GET /duto/topics
mod sampler; // sizes, rates and lag, while somebody looks
mod cursor; // a place in every partition
mod message; // one message as JSON
mod paging; // newest first, from many partitions
mod messages; // GET /duto/topics/{topic}/messages
mod filter; // which messages are looked for
mod stream; // events as they come
mod search; // GET /duto/topics/{topic}/search
mod follow; // GET /duto/topics/{topic}/follow
mod outcomes; // GET /duto/topics/{topic}/outcomes
mod example; // GET /duto/topics/{topic}/example
mod check; // POST /duto/topics/{topic}/check
mod send; // POST /duto/topics/{topic}/messages

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::audit::Waiting;
use super::auth::{self, Guard};
use super::limits::strictest;
use super::page::{POLICY, asset, named_asset};
use super::routes::Routes;
use duto_definition::{Pipeline, Role};
use duto_load::connect::Connector;
use duto_load::pool::Pool;
use duto_log::{Log, Producer};
use duto_stages::Stages;
use looks::Looks;
use sampler::Sampler;

/// Searches at once: each keeps the log and a core busy.
const MOST_SEARCHES: usize = 4;
/// Pages that follow at once.
const MOST_FOLLOWERS: usize = 64;

/// A pipeline that reads one of the topics.
pub struct ReadingPipeline {
    /// The pipeline file's path, as it was given.
    pub file: String,
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
    readers: Pool,
}

impl ReadingPipeline {
    /// Its name, and how its database is reached.
    pub fn named_pool(&self) -> (String, Pool) {
        (self.pipeline.name.clone(), self.readers.clone())
    }

    /// Nothing connects yet, and a database that cannot be reached is no error here.
    pub fn new(
        file: String,
        pipeline: Pipeline,
        stages: Arc<Stages>,
    ) -> anyhow::Result<ReadingPipeline> {
        let connector = Connector::new(
            &pipeline.database,
            &format!("{} topics {}", pipeline.name, std::process::id()),
        )?;
        let readers = Pool::new(connector.read_only())?;
        Ok(ReadingPipeline { file, pipeline, stages, readers })
    }
}

/// What the topic browser looks at.
pub struct Browser {
    log: Arc<dyn Log>,
    producer: Arc<dyn Producer>,
    pipelines: Vec<ReadingPipeline>,
    looks: Looks,
    sampler: Sampler,
    searches: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    /// What was sent by hand, on its way to the audit.
    pub audit: Arc<Waiting>,
    /// Ends the open streams.
    stop: CancellationToken,
}

impl Browser {
    pub fn new(
        log: Arc<dyn Log>,
        producer: Arc<dyn Producer>,
        pipelines: Vec<ReadingPipeline>,
        stop: CancellationToken,
    ) -> Browser {
        Browser {
            looks: Looks::new(log.clone()),
            sampler: Sampler::default(),
            searches: Arc::new(Semaphore::new(MOST_SEARCHES)),
            followers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            audit: Arc::default(),
            log,
            producer,
            pipelines,
            stop,
        }
    }

    /// The pipelines that read a topic.
    fn readers_of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a ReadingPipeline> {
        self.pipelines.iter().filter(move |reading| reading.pipeline.source.topic == topic)
    }
}

/// All routes.
pub fn routes(guard: Option<&Arc<Guard>>) -> Routes<Arc<Browser>> {
    Routes::new()
        .get(
            Role::Read,
            "/",
            |headers: HeaderMap| async move { asset("topics.html", &headers, POLICY) },
        )
        .merge(auth::routes(guard))
        .get(Role::Read, "/duto/assets/{*name}", named_asset)
        .open("/livez", || async { "ok\n" })
        .merge(list::routes())
        .merge(messages::routes())
        .merge(search::routes())
        .merge(follow::routes())
        .merge(outcomes::routes())
        .merge(example::routes())
        .merge(check::routes())
}

/// The server. `listens_on` decides which names of this host are answered, see [`guard`].
pub fn router(browser: Arc<Browser>, listens_on: SocketAddr, guard: Option<&Arc<Guard>>) -> Router {
    let limits = strictest(browser.pipelines.iter().map(|reading| &reading.pipeline));
    let router = routes(guard).into_router(guard, &limits);
    router.layer(axum::middleware::from_fn_with_state(listens_on, guard::guard)).with_state(browser)
}
