//! `duto demo`: pipelines with everything they need, started here and ended with this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use duto_servers::{Postgres, PostgresSettings};
use tokio::task::JoinSet;

use super::pipeline_file::{Loaded, load, sealing_of};
use super::run::{Plan, run_pipeline, stop_on_signals, wait_for};
use super::{exit_code, generate, topics};
use duto_definition::Http;
use duto_generate::GenerateSettings;
use duto_http::auth::Guard;
use duto_http::overview::{self, Overlooked, Overview};
use duto_http::topics::ReadingPipeline;
use duto_runtime::progress::Progress;

/// The four systems; products are two applications.
const PIPELINES: [&str; 5] = [
    "pipelines/sales/pipeline.yaml",
    "pipelines/ecommerce/pipeline.yaml",
    "pipelines/products/api.yaml",
    "pipelines/products/scheduler.yaml",
    "pipelines/logistics/pipeline.yaml",
];

/// Where all of them are overlooked.
const OVERVIEW_ADDRESS: &str = "127.0.0.1:8080";

/// Runs pipelines with a private PostgreSQL, the embedded log and generated records.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Pipeline files.
    #[arg(value_name = "FILE", default_values = PIPELINES)]
    pub files: Vec<PathBuf>,
    /// Where the databases and the log are kept.
    #[arg(long, value_name = "FOLDER", default_value = ".duto")]
    pub folder: PathBuf,
    /// The share of malformed records.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.01)]
    pub bad: f64,
    /// Records a second for each pipeline.
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    pub rate: f64,
}

pub async fn run(args: DemoArgs) -> anyhow::Result<i32> {
    std::fs::create_dir_all(&args.folder)
        .with_context(|| format!("making the folder {}", args.folder.display()))?;
    let folder = args.folder.canonicalize()?;
    println!("starting a private PostgreSQL in {}", folder.join("postgres").display());
    let postgres = tokio::task::block_in_place(|| {
        Postgres::start(&folder.join("postgres"), PostgresSettings::default())
    })?;
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_signals(stop.clone()));
    let mut parts: JoinSet<anyhow::Result<i32>> = JoinSet::new();
    let (mut reading, mut overlooked) = (Vec::new(), Vec::new());
    for file in &args.files {
        let mut loaded = match load(file) {
            Ok(loaded) => loaded,
            Err(code) => return Ok(code),
        };
        let database = loaded.pipeline.database.name.clone();
        tokio::task::block_in_place(|| postgres.create_database(&database))?;
        let url = postgres.url(&database);
        loaded.pipeline.database.url = Some(url.clone());
        loaded.pipeline.source.kafka.clear();
        let log = duto_log::open_sealed(
            None,
            &[],
            &folder.join("log"),
            loaded.pipeline.encryption.keyring.clone().into(),
        )?;
        introduce(&loaded, &args, file, &url);
        reading.push(ReadingPipeline::new(
            loaded.file.clone(),
            loaded.pipeline.clone(),
            loaded.stages.clone(),
        )?);
        // What another pipeline sends is not generated.
        if loaded.pipeline.generate.is_some() {
            start_generator(&mut parts, &loaded, &log, &args, &stop);
        }
        let plan = Plan {
            listen: None,
            ingest: true,
            pull: true,
            worker: true,
            serve: true,
            until_caught_up: false,
            allow_anonymous: false,
        };
        let progress = Arc::new(Progress::default());
        overlooked.push(Overlooked {
            file: loaded.file.clone(),
            pipeline: loaded.pipeline.clone(),
            progress: progress.clone(),
        });
        parts.spawn(run_pipeline(loaded, log, progress, plan, stop.clone()));
    }
    let topics = start_topic_browser(&mut parts, reading, &folder.join("log"), &stop).await?;
    start_overview(&mut parts, Overview { log: "embedded", topics, pipelines: overlooked }, &stop)
        .await?;
    let mut code = exit_code::FINE;
    while let Some(ended) = parts.join_next().await {
        code = code.max(ended.context("a part of the demo failed")??);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    drop(postgres);
    Ok(code)
}

/// The demo goes on without it where its port is taken.
async fn start_topic_browser(
    parts: &mut JoinSet<anyhow::Result<i32>>,
    reading: Vec<ReadingPipeline>,
    log_folder: &std::path::Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<String>> {
    let listener = match duto_http::bind(topics::DEFAULT_ADDRESS).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!("there is no topic browser: {error:#}");
            return Ok(None);
        }
    };
    println!("\ntopics and their messages: http://{}/", topics::DEFAULT_ADDRESS);
    let sealing = sealing_of(reading.iter().map(|reading| &reading.pipeline));
    let (log, stop) = (duto_log::open_sealed(None, &[], log_folder, sealing)?, stop.clone());
    parts.spawn(async move {
        topics::serve_topics(log, reading, listener, false, stop).await.map(|()| exit_code::FINE)
    });
    Ok(Some(topics::DEFAULT_ADDRESS.to_owned()))
}

/// The one address to start from; the demo goes on without it where its port is taken.
async fn start_overview(
    parts: &mut JoinSet<anyhow::Result<i32>>,
    overview: Overview,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let listener = match duto_http::bind(OVERVIEW_ADDRESS).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!("there is no overview: {error:#}");
            return Ok(());
        }
    };
    let guard = Guard::new(overview.pipelines.iter().map(|overlooked| &overlooked.pipeline.auth))?;
    println!("\nstart here: http://{OVERVIEW_ADDRESS}/");
    let stop = stop.clone();
    let stopped = async move { wait_for(&stop).await };
    parts.spawn(async move {
        duto_http::serve(
            listener,
            overview::router(overview, guard.as_ref()),
            &Http::default(),
            stopped,
        )
        .await
        .map(|()| exit_code::FINE)
    });
    Ok(())
}

fn introduce(loaded: &Loaded, args: &DemoArgs, file: &std::path::Path, url: &str) {
    let pipeline = &loaded.pipeline;
    let (file, folder) = (file.display(), args.folder.display());
    match pipeline.generate {
        Some(_) => println!(
            "\n{}: {} records a second, {}% of them malformed",
            pipeline.name,
            args.rate,
            args.bad * 100.0
        ),
        None => println!("\n{}", pipeline.name),
    }
    if let Some(listen) = &pipeline.listen {
        if pipeline.dashboard.is_some() {
            println!("  page      http://{listen}/");
        }
        println!(
            "  docs      http://{listen}/docs\n  health    http://{listen}/health\n  metrics   http://{listen}/metrics"
        );
        for endpoint in &pipeline.ingest {
            println!(
                "  send one  curl -X {} http://{listen}{} -d '...'",
                endpoint.method, endpoint.path
            );
        }
    }
    for table in &pipeline.tables {
        println!("  rows      psql {url} -c 'TABLE {} LIMIT 5'", table.name);
    }
    println!("  rejects   DATABASE_URL={url} duto rejects ls {file}");
    println!("  status    DATABASE_URL={url} duto status {file} --log-folder {folder}/log");
}

fn start_generator(
    parts: &mut JoinSet<anyhow::Result<i32>>,
    loaded: &Loaded,
    log: &Arc<dyn duto_log::Log>,
    args: &DemoArgs,
    stop: &Arc<AtomicBool>,
) {
    let (pipeline, log) = (loaded.pipeline.clone(), log.clone());
    let settings = GenerateSettings {
        rate_per_second: Some(args.rate),
        bad_fraction: args.bad,
        shutdown: stop.clone(),
        ..GenerateSettings::default()
    };
    parts.spawn_blocking(move || {
        generate::send(&pipeline, log.as_ref(), settings, None, false).map(|_| exit_code::FINE)
    });
}
