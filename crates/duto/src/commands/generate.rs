//! `duto generate FILE`: plausible records for a pipeline's topic.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::pipeline_file::{LogArgs, load, open_log};
use super::{exit_code, failed};
use duto_definition::Pipeline;
use duto_generate::{GenerateReport, GenerateSettings, Generator};
use duto_log::{Log, NewTopic};

const LOG_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends plausible records to a pipeline's topic.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Records a second; 0 is as fast as the log takes them [default: what the file says]
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Stop after so many records [default: go on until interrupted]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// The share of malformed records, such as 1%
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub bad: f64,
    /// The share of records that come a second time, such as 2%
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub repeat: f64,
    /// The same seed makes the same records
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub log: LogArgs,
}

pub fn run(args: &GenerateArgs) -> i32 {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let shutdown = Arc::new(AtomicBool::new(false));
    let outcome = stop_on_signal(&shutdown).and_then(|()| {
        let log = open_log(&loaded.pipeline, &args.log)?;
        let settings = GenerateSettings {
            rate_per_second: rate(args, &loaded.pipeline),
            count: args.count,
            bad_fraction: args.bad,
            repeat_fraction: args.repeat,
            shutdown: shutdown.clone(),
            ..GenerateSettings::default()
        };
        send(&loaded.pipeline, log.as_ref(), settings, args.seed, true)
    });
    match outcome {
        Ok(report) => {
            println!("{}", describe(&report));
            if report.failed > 0 { exit_code::FAILED } else { exit_code::FINE }
        }
        Err(error) => failed(&error),
    }
}

/// Sends to the pipeline's topic, which is made if it is missing.
pub fn send(
    pipeline: &Pipeline,
    log: &dyn Log,
    settings: GenerateSettings,
    seed: Option<u64>,
    with_bar: bool,
) -> anyhow::Result<GenerateReport> {
    let source = &pipeline.source;
    log.create_topic(
        &NewTopic {
            name: source.topic.clone(),
            partitions: source.partitions,
            retention: source.retention,
        },
        LOG_TIMEOUT,
    )
    .with_context(|| format!("making topic {}", source.topic))?;
    let producer = log.producer().context("connecting to send")?;
    let mut generator = Generator::new(pipeline, seed).map_err(|problems| {
        anyhow::anyhow!(
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
        )
    })?;
    let bar = if with_bar { bar(settings.count) } else { ProgressBar::hidden() };
    let report = duto_generate::run(
        &mut generator,
        producer.as_ref(),
        &source.topic,
        &settings,
        &mut |progress| {
            bar.set_position(progress.sent);
            bar.set_message(format!("{} bad, {} failed", progress.bad, progress.failed));
        },
    );
    bar.finish_and_clear();
    Ok(report)
}

fn describe(report: &GenerateReport) -> String {
    let mut text = format!(
        "{} records sent in {:.1} s ({:.0} a second), {} of them bad, {} repeats; send latency p50 \
            {:.1} ms, p99 {:.1} ms, longest {:.1} ms; {} failed, {} retries",
        report.sent,
        report.seconds,
        report.sent as f64 / report.seconds.max(0.001),
        report.bad,
        report.repeated,
        report.send_latency_p50_ms,
        report.send_latency_p99_ms,
        report.send_latency_max_ms,
        report.failed,
        report.retried,
    );
    for (error, count) in &report.errors {
        text.push_str(&format!("\n  {count} x {error}"));
    }
    text
}

fn rate(args: &GenerateArgs, pipeline: &Pipeline) -> Option<f64> {
    match args.rate {
        Some(rate) if rate > 0.0 => Some(rate),
        Some(_) => None,
        None => Some(pipeline.generate.as_ref().map_or(1.0, |generate| generate.rate_per_second)),
    }
}

/// A bar on a terminal; elsewhere nothing, the report comes at the end.
fn bar(count: Option<u64>) -> ProgressBar {
    let bar = count.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if count.is_some() {
        "{wide_bar} {human_pos}/{human_len} {per_sec} {msg} {eta}"
    } else {
        "{spinner} {human_pos} {per_sec} {msg}"
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>().map(|number| number / unit) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share between 0% and 100%, such as 1% or 0.01".to_owned()),
    }
}

/// SIGINT and SIGTERM set the flag; what is in flight is waited for.
fn stop_on_signal(flag: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let flag = flag.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(super::run::signalled());
        flag.store(true, Ordering::Relaxed);
    });
    Ok(())
}
