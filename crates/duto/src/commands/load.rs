//! `duto load FILE CSV...`: files through a pipeline, each once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::exit_code;
use super::pipeline_file::{Loaded, load};
use super::run::stop_on_signals;
use crate::actor::actor;
use duto_runtime::files::figures::{self, Figures};
use duto_runtime::files::load::{Done, Ended, FileLoad, LoadError, Watch};

/// Stores the lines of CSV files like records of the topic.
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// A pipeline file that declares `files:`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// CSV files with a heading. What was loaded before is known by its content and changes
    /// nothing.
    #[arg(required = true, value_name = "CSV")]
    pub csv: Vec<PathBuf>,
    /// Read a file again that was loaded before: rejected lines that pass now are stored, what is
    /// stored stays.
    #[arg(long)]
    pub again: bool,
    /// Print a JSON object for each file.
    #[arg(long)]
    pub json: bool,
}

/// Loads one file after the other, also behind a bad one; the exit code is the worst.
pub async fn run(args: LoadArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    if loaded.pipeline.files.is_none() {
        eprintln!("error: {} takes no files: declare them with `files: {{}}`", args.file.display());
        return Ok(exit_code::BAD_FILE);
    }
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_signals(stop.clone()));
    let mut code = exit_code::FINE;
    for path in &args.csv {
        code = code.max(load_one(&args, &loaded, path, &stop).await?);
        if code == exit_code::INTERRUPTED {
            break;
        }
    }
    Ok(code)
}

async fn load_one(
    args: &LoadArgs,
    loaded: &Loaded,
    path: &Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<i32> {
    let Some(files) = &loaded.pipeline.files else { return Ok(exit_code::BAD_FILE) };
    let bar = Bar::new(path);
    let started = Instant::now();
    let load = FileLoad {
        pipeline: &loaded.pipeline,
        files,
        path,
        again: args.again,
        actor: &actor(None),
        stop: stop.clone(),
        watch: &bar,
    };
    let outcome = duto_runtime::files::load::run(&load).await;
    bar.bar.finish_and_clear();
    let done = match outcome {
        Ok(done) => done,
        Err(error) => return Ok(failed(args, path, error)),
    };
    let figures = figures::read(&done).await?;
    if args.json {
        println!("{}", as_json(path, &done, &figures, started.elapsed()));
    } else {
        print!("{}", as_text(args, path, done.ended, &figures, started.elapsed()));
    }
    Ok(match done.ended {
        Ended::Loaded | Ended::LoadedBefore => exit_code::FINE,
        Ended::Stopped(_) => exit_code::INTERRUPTED,
        Ended::TakenOver(_) => exit_code::FAILED,
    })
}

fn failed(args: &LoadArgs, path: &Path, error: LoadError) -> i32 {
    let (code, told) = match error {
        LoadError::File(problem) => (exit_code::BAD_DATA, problem.about(path)),
        LoadError::Changed { .. } => (exit_code::BAD_DATA, format!("{}: {error}", path.display())),
        LoadError::GaveUp(_) => (exit_code::UNAVAILABLE, format!("{}: {error}", path.display())),
        LoadError::Other(error) => (exit_code::FAILED, format!("{}: {error:#}", path.display())),
    };
    if args.json {
        println!(
            "{}",
            json!({ "file": path.display().to_string(), "status": "failed", "error": told })
        );
    }
    eprintln!("error: {told}");
    code
}

fn as_text(
    args: &LoadArgs,
    path: &Path,
    ended: Ended,
    figures: &Figures,
    took: Duration,
) -> String {
    let name = path.display();
    let Figures { records, stored, repeated, rejected, filtered, .. } = figures;
    let filtered = if *filtered > 0 { format!(", {filtered} filtered") } else { String::new() };
    let counts = format!(
        "{records} records: {stored} stored, {repeated} there already, {rejected} \
            rejected{filtered}"
    );
    let seconds = took.as_secs_f64();
    let mut text = match ended {
        Ended::Loaded => format!("{name}: {counts} ({seconds:.1} s)\n"),
        Ended::LoadedBefore => {
            format!("{name} was loaded before, nothing is changed; then it had {counts}\n")
        }
        Ended::Stopped(line) => format!(
            "{name}: stopped before line {line}; {counts}. The same command goes on from there\n"
        ),
        Ended::TakenOver(line) => format!(
            "{name}: another load of this file took over before line {line}; until then {counts}\n"
        ),
    };
    for reason in &figures.reasons {
        let more = if reason.count > 1 {
            format!(" (and {} more like it)", reason.count - 1)
        } else {
            String::new()
        };
        text.push_str(&format!("  line {}: {}{more}\n", reason.line, reason.reason));
    }
    if !figures.reasons.is_empty() {
        text.push_str(&format!(
            "`duto rejects ls {}` lists what was rejected\n",
            args.file.display()
        ));
    }
    text
}

fn as_json(path: &Path, done: &Done, figures: &Figures, took: Duration) -> serde_json::Value {
    let (status, before_line) = match done.ended {
        Ended::Loaded => ("loaded", None),
        Ended::LoadedBefore => ("loaded before", None),
        Ended::Stopped(line) => ("stopped", Some(line)),
        Ended::TakenOver(line) => ("taken over", Some(line)),
    };
    let reasons: Vec<_> = figures
        .reasons
        .iter()
        .map(|reason| {
            json!({ "count": reason.count, "first_line": reason.line, "stage": reason.stage, "rule": reason.rule, "path": reason.path, "reason": reason.reason })
        })
        .collect();
    json!({
        "file": path.display().to_string(), "sha256": done.sha256, "status": status, "before_line": before_line, "records": figures.records,
        "stored": figures.stored, "repeated": figures.repeated, "rejected": figures.rejected, "filtered": figures.filtered,
        "reasons": reasons, "seconds": took.as_secs_f64(),
    })
}

/// A bar on a terminal, elsewhere nothing.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(path: &Path) -> Self {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let bar = ProgressBar::new(bytes).with_message("looking at the file");
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        Self { bar: style.map_or(bar.clone(), |style| bar.with_style(style)) }
    }
}

impl Watch for Bar {
    fn looked_at(&self, more_bytes: u64) {
        self.bar.inc(more_bytes);
    }

    fn stored_up_to(&self, bytes: u64, of_bytes: u64) {
        if self.bar.message() != "storing" {
            self.bar.reset();
            self.bar.set_message("storing");
        }
        self.bar.set_length(of_bytes);
        self.bar.set_position(bytes);
    }
}
