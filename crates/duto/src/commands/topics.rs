//! `duto topics [FILE...]`: the topic browser, by itself or beside the pipelines of the demo.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::check::environment;
use super::exit_code;
use super::pipeline_file::{Loaded, LogArgs, load, open_log_with, sealing_of};
use super::run::{KEEP_WITHIN, stop_on_signals, wait_for};
use crate::exposure::{self, ExposureArgs};
use duto_definition::Http;
use duto_http::auth::Guard;
use duto_http::topics::{Browser, ReadingPipeline, router};
use duto_log::Log;

/// Where the topic browser is found.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9030";

/// Serves the topic browser until told to stop.
///
/// It reads Kafka at KAFKA_BOOTSTRAP_SERVERS, else the embedded log, without joining any group. Of
/// the named pipelines it also shows how far they are and what became of each message, and checks a
/// record before it is sent.
#[derive(Debug, clap::Args)]
pub struct TopicsArgs {
    /// Pipeline files.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Serve here.
    #[arg(long, value_name = "ADDR:PORT", default_value = DEFAULT_ADDRESS)]
    pub listen: String,
    #[command(flatten)]
    pub exposure: ExposureArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

pub async fn run(args: TopicsArgs) -> anyhow::Result<i32> {
    let mut pipelines = Vec::new();
    for file in &args.files {
        match load(file) {
            Ok(loaded) => pipelines.push(loaded),
            Err(code) => return Ok(code),
        }
    }
    let log = the_log(&pipelines, &args.log)?;
    let reading =
        pipelines.into_iter().map(reading).collect::<anyhow::Result<Vec<ReadingPipeline>>>()?;
    let listener = duto_http::bind(&args.listen).await?;
    let address = listener.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_signals(stop.clone()));
    println!(
        "topics of {}: http://{address}/",
        if log.kind() == "kafka" { "Kafka" } else { "the embedded log" }
    );
    serve_topics(log, reading, listener, args.exposure.allow_anonymous, stop).await?;
    Ok(exit_code::FINE)
}

/// A pipeline as the topic browser takes it.
pub fn reading(loaded: Loaded) -> anyhow::Result<ReadingPipeline> {
    ReadingPipeline::new(loaded.file, loaded.pipeline, loaded.stages)
}

/// Serves until the flag is set; the streams end then, and an open request is finished.
pub async fn serve_topics(
    log: Arc<dyn Log>,
    pipelines: Vec<ReadingPipeline>,
    listener: TcpListener,
    allow_anonymous: bool,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let http =
        pipelines.first().map_or_else(Http::default, |reading| reading.pipeline.http.clone());
    let guard = Guard::new(pipelines.iter().map(|reading| &reading.pipeline.auth))?;
    exposure::require_guard(address, guard.is_some(), allow_anonymous)?;
    let producer = tokio::task::block_in_place(|| log.producer()).context("preparing to send")?;
    let ending = CancellationToken::new();
    let pools = pipelines.iter().map(ReadingPipeline::named_pool).collect();
    let browser = Browser::new(log, producer.into(), pipelines, ending.clone());
    let waiting = browser.audit.clone();
    let keeping = duto_http::audit::keep(guard.as_ref(), waiting, pools, ending.clone());
    tracing::info!(address = %address, "serving the topic browser");
    let stopped = async move {
        wait_for(&stop).await;
        ending.cancel();
    };
    let router = router(Arc::new(browser), address, guard.as_ref());
    duto_http::serve(listener, router, &http, stopped).await?;
    // The last ones are written down.
    let _ = tokio::time::timeout(KEEP_WITHIN, keeping).await;
    Ok(())
}

/// One page shows one log: the pipelines' own, with the settings of the first file for how to reach
/// it.
fn the_log(pipelines: &[Loaded], args: &LogArgs) -> anyhow::Result<Arc<dyn Log>> {
    let Some(first) = pipelines.first() else {
        let servers = environment("KAFKA_BOOTSTRAP_SERVERS");
        return duto_log::open(servers.as_deref(), &[], &args.log_folder)
            .context("opening the log");
    };
    let servers = |loaded: &Loaded| {
        let named =
            loaded.pipeline.source.kafka.iter().find(|(name, _)| name == "bootstrap.servers");
        named.map(|(_, servers)| servers.clone()).unwrap_or_default()
    };
    if let Some(other) = pipelines.iter().find(|other| servers(other) != servers(first)) {
        bail!(
            "{} and {} use different logs: start a topic browser for each, with its own --listen",
            first.file,
            other.file
        );
    }
    let sealing = sealing_of(pipelines.iter().map(|loaded| &loaded.pipeline));
    open_log_with(&first.pipeline, args, sealing)
}
