//! `duto run FILE...`: every part of the named pipelines in one process.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exit_code;
use super::pipeline_file::{Loaded, LogArgs, load, open_log};
use crate::exposure::{self, ExposureArgs};
use duto_definition::Pipeline;
use duto_http::Served;
use duto_http::auth::Guard;
use duto_http::endpoints::Answers;
use duto_http::faults::Faults;
use duto_load::connect::Connector;
use duto_load::pool::Pool;
use duto_log::{Log, NewTopic};
use duto_runtime::progress::Progress;
use duto_runtime::pull;
use duto_runtime::worker::{Worker, WorkerError};

/// A stop finishes what is in flight, but not for ever.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const LOG_TIMEOUT: Duration = Duration::from_secs(30);
/// The database may be away when a server stops.
pub const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// Runs pipelines until told to stop.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Pipeline files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Serve HTTP here instead of at the address that the file declares.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "PARTS")]
    pub only: Vec<Part>,
    /// Store everything that is in the log now, then end. Nothing is served unless --listen says
    /// so.
    #[arg(long)]
    pub until_caught_up: bool,
    #[command(flatten)]
    pub exposure: ExposureArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// A part of a pipeline that can run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The HTTP endpoints that take records
    Ingest,
    /// Reading the HTTP endpoints of `pull`
    Pull,
    /// Loading
    Worker,
    /// Health and metrics
    Serve,
}

pub async fn run(args: RunArgs) -> anyhow::Result<i32> {
    let mut loaded = Vec::new();
    for file in &args.files {
        match load(file) {
            Ok(one) => loaded.push(one),
            Err(code) => return Ok(code),
        }
    }
    if args.listen.is_some() && loaded.len() > 1 {
        bail!(
            "--listen names one address, but {} pipelines are to run: declare `listen:` in each \
                file",
            loaded.len()
        );
    }
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_signals(stop.clone()));
    let mut parts = JoinSet::new();
    for one in loaded {
        let log = open_log(&one.pipeline, &args.log)?;
        parts.spawn(run_pipeline(one, log, Arc::default(), Plan::of(&args), stop.clone()));
    }
    let mut code = exit_code::FINE;
    while let Some(ended) = parts.join_next().await {
        let ended = ended.context("a pipeline's task failed")??;
        code = code.max(ended);
        // One that cannot go on ends the process; the others finish what is in flight.
        stop.store(true, Ordering::Relaxed);
    }
    Ok(code)
}

/// Which parts run, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    pub listen: Option<String>,
    pub ingest: bool,
    pub pull: bool,
    pub worker: bool,
    pub serve: bool,
    pub until_caught_up: bool,
    pub allow_anonymous: bool,
}

impl Plan {
    fn of(args: &RunArgs) -> Self {
        let wanted = |part| args.only.is_empty() || args.only.contains(&part);
        Self {
            listen: args.listen.clone(),
            ingest: wanted(Part::Ingest),
            pull: wanted(Part::Pull) && !args.until_caught_up,
            worker: wanted(Part::Worker),
            serve: wanted(Part::Serve) && (!args.until_caught_up || args.listen.is_some()),
            until_caught_up: args.until_caught_up,
            allow_anonymous: args.exposure.allow_anonymous,
        }
    }
}

/// Runs one pipeline's parts; the answer is the exit code.
pub async fn run_pipeline(
    mut loaded: Loaded,
    log: Arc<dyn Log>,
    progress: Arc<Progress>,
    plan: Plan,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<i32> {
    loaded.pipeline.encryption.keyring.ids().context("encryption")?;
    if !plan.ingest || plan.until_caught_up {
        loaded.pipeline.ingest.clear();
    }
    let ingests = !loaded.pipeline.ingest.is_empty();
    let lanes = if plan.worker { loaded.pipeline.batch.workers } else { 0 };
    let connector = Connector::with_lanes(&loaded.pipeline.database, "run", lanes)?;
    let server = match plan.listen.clone().or_else(|| loaded.pipeline.listen.clone()) {
        Some(address) if plan.serve || ingests => {
            let serving =
                serve_http(&loaded, &connector, &log, &progress, &address, &plan, stop.clone())
                    .await?;
            let (stop, name) = (stop.clone(), loaded.pipeline.name.clone());
            Some(tokio::spawn(async move {
                let _end = EndOfServing { stop, name };
                serving.await
            }))
        }
        _ => None,
    };
    let pulls = if plan.pull && pull::pulls(&loaded.pipeline) {
        tokio::task::block_in_place(|| log.create_topic(&topic_of(&loaded.pipeline), LOG_TIMEOUT))
            .context("making the topic")?;
        pull::start(&loaded.pipeline, &loaded.stages, &log, &progress, &stop)?
    } else {
        Vec::new()
    };
    let mut code = exit_code::FINE;
    if plan.worker {
        let worker = Worker {
            pipeline: loaded.pipeline,
            stages: loaded.stages,
            log,
            progress,
            connector,
            until_caught_up: plan.until_caught_up,
        };
        code = work(worker, (ingests && server.is_some()) || !pulls.is_empty(), &stop).await?;
        stop.store(true, Ordering::Relaxed);
    } else {
        wait_for(&stop).await;
    }
    for pull in pulls {
        let _ = pull.await;
    }
    if let Some(server) = server {
        server.await.context("the HTTP server's task failed")??;
    }
    Ok(code)
}

/// Runs the worker; the answer is the exit code. Where the process also takes records it goes on
/// without its worker, which starts again when the database is back.
async fn work(worker: Worker, takes_records: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<i32> {
    loop {
        // A worker's stop is its own: it sets it when it ends.
        let worker_stop = Arc::new(AtomicBool::new(false));
        let passing_on = tokio::spawn({
            let (stop, worker_stop) = (stop.clone(), worker_stop.clone());
            async move {
                wait_for(&stop).await;
                worker_stop.store(true, Ordering::Relaxed);
            }
        });
        let ended = worker.run(worker_stop).await;
        passing_on.abort();
        let Err(error) = ended else { return Ok(exit_code::FINE) };
        let gave_up = matches!(error, WorkerError::GaveUp(_));
        let name = &worker.pipeline.name;
        tracing::error!(pipeline = name, "{error}");
        if !gave_up || !takes_records {
            return Ok(if gave_up { exit_code::UNAVAILABLE } else { exit_code::FAILED });
        }
        tracing::warn!(
            pipeline = name,
            "the worker ended, but records are still taken and kept in the log; it starts again \
                when the database answers"
        );
        if !wait_for_database(&worker, stop).await? {
            return Ok(exit_code::UNAVAILABLE);
        }
        worker.progress.started_again();
        tracing::info!(pipeline = name, "the database answers: the worker starts again");
    }
}

/// Answers false if the stop came first.
async fn wait_for_database(worker: &Worker, stop: &AtomicBool) -> anyhow::Result<bool> {
    let connector = worker.connector.clone().named(&format!(
        "{} waits {}",
        worker.pipeline.name,
        std::process::id()
    ));
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if connector.connect().await.is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn topic_of(pipeline: &Pipeline) -> NewTopic {
    let source = &pipeline.source;
    NewTopic {
        name: source.topic.clone(),
        partitions: source.partitions,
        retention: source.retention,
    }
}

async fn serve_http(
    loaded: &Loaded,
    connector: &Connector,
    log: &Arc<dyn Log>,
    progress: &Arc<Progress>,
    address: &str,
    plan: &Plan,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    let pipeline = loaded.pipeline.clone();
    let (own, source) = (topic_of(&pipeline), &pipeline.source);
    let elsewhere = pipeline.ingest.iter().filter_map(|endpoint| endpoint.topic.clone());
    let elsewhere =
        elsewhere.map(|name| NewTopic { name, partitions: source.partitions, retention: None });
    let producer = tokio::task::block_in_place(|| {
        for topic in [own].into_iter().chain(elsewhere) {
            log.create_topic(&topic, LOG_TIMEOUT)
                .with_context(|| format!("making topic {}", topic.name))?;
        }
        log.producer().context("preparing to send records")
    })?;
    let connector =
        connector.clone().named(&format!("{} serve {}", pipeline.name, std::process::id()));
    let readers = Pool::of_readers(&pipeline, &connector)?;
    let pool = Pool::new(connector)?;
    let guard = Guard::new([&pipeline.auth])?;
    let listener = duto_http::bind(address).await?;
    exposure::require_guard(listener.local_addr()?, guard.is_some(), plan.allow_anonymous)?;
    tracing::info!(pipeline = pipeline.name, address = %listener.local_addr()?, "serving");
    let (changes, ending) = (progress.changes.clone(), CancellationToken::new());
    let watching = tokio::spawn(duto_http::positions::watch(
        changes.clone(),
        pool.clone(),
        pipeline.clone(),
        ending.clone(),
    ));
    let pools = vec![(pipeline.name.clone(), pool.clone())];
    let keeping = duto_http::audit::keep(guard.as_ref(), Arc::default(), pools, ending.clone());
    let served = Served {
        file: loaded.file.clone(),
        pipeline,
        stages: loaded.stages.clone(),
        progress: progress.clone(),
        pool,
        readers,
        changes,
        answers: Answers::default(),
        faults: Faults::default(),
        stop: ending.clone(),
        log: log.clone(),
        producer: producer.into(),
        guard,
    };
    let served = Arc::new(served);
    tokio::spawn(duto_http::advice::look(served.clone()));
    tokio::spawn(duto_http::faults::watch(served.clone()));
    let http = loaded.pipeline.http.clone();
    let router = duto_http::router(served);
    let stopped = async move {
        wait_for(&stop).await;
        // Streams end now; a request that is open is finished.
        ending.cancel();
    };
    Ok(async move {
        let mut serving = pin!(duto_http::serve(listener, router, &http, stopped));
        let ended = tokio::select! {
            served = &mut serving => served,
            // It ends with the streams; by itself only where it panicked: then answers would stay
            // as they are for ever.
            watched = watching => match watched {
                Ok(()) => serving.await,
                Err(error) => Err(error).context("the watch over the positions failed"),
            },
        };
        if ended.is_ok() {
            // The last ones are written down.
            let _ = tokio::time::timeout(KEEP_WITHIN, keeping).await;
        }
        ended
    })
}

/// Stops the process when the HTTP server ends by itself: nobody could reach it, and its health
/// would tell nobody.
struct EndOfServing {
    stop: Arc<AtomicBool>,
    name: String,
}

impl Drop for EndOfServing {
    fn drop(&mut self) {
        if !self.stop.swap(true, Ordering::Relaxed) {
            tracing::error!(
                pipeline = self.name,
                "the HTTP server ended by itself: the process stops"
            );
        }
    }
}

/// Ends when the flag is set.
pub async fn wait_for(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The first signal asks for a clean stop; a second one, or too long a stop, ends the process at
/// once.
#[expect(
    clippy::disallowed_methods,
    reason = "the second signal gives up what is in flight on purpose; the database rolls it back"
)]
pub async fn stop_on_signals(stop: Arc<AtomicBool>) {
    signalled().await;
    tracing::info!("stopping: what is in flight is finished first");
    stop.store(true, Ordering::Relaxed);
    tokio::select! {
        () = signalled() => {}
        () = tokio::time::sleep(STOP_PATIENCE) => tracing::error!("the stop took longer than \
            {STOP_PATIENCE:?}; nothing is lost, a new start goes on from the same position"),
    }
    std::process::exit(exit_code::INTERRUPTED);
}

/// Ends at SIGINT or SIGTERM.
pub async fn signalled() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}
