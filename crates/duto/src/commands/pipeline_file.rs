//! Reads a pipeline file for a command that needs a good one.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::check;
use super::exit_code;
use duto_definition::Pipeline;
use duto_ground::seal::Keyring;
use duto_log::{Log, Sealing};
use duto_stages::Stages;

/// A good file, planned.
pub struct Loaded {
    /// As it was given.
    pub file: String,
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
}

/// Which log a command talks to.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// Folder of the embedded log, which is used where no Kafka is named.
    #[arg(long, value_name = "FOLDER", default_value = ".duto/log")]
    pub log_folder: PathBuf,
}

/// The file's pipeline with its SQL planned. All its problems go to standard error; the error is
/// the exit code.
pub fn load(file: &Path) -> Result<Loaded, i32> {
    let name = file.display().to_string();
    let text = check::read(file).ok_or(exit_code::FAILED)?;
    let planned = duto_definition::parse(&name, &text, &check::environment).and_then(|pipeline| {
        let stages = Stages::plan(&pipeline)?;
        Ok(Loaded { file: name.clone(), pipeline, stages: Arc::new(stages) })
    });
    planned.map_err(|problems| {
        let color = std::io::stderr().is_terminal() && check::environment("NO_COLOR").is_none();
        eprint!("{}", duto_definition::render(&problems, &name, &text, color));
        exit_code::BAD_FILE
    })
}

/// Whether the pipeline's log is Kafka.
pub fn names_kafka(pipeline: &Pipeline) -> bool {
    kafka_servers(pipeline).is_some()
}

fn kafka_servers(pipeline: &Pipeline) -> Option<String> {
    let settings = &pipeline.source.kafka;
    let named =
        settings.iter().find(|(key, _)| key == "bootstrap.servers").map(|(_, value)| value.clone());
    named
        .or_else(|| check::environment("KAFKA_BOOTSTRAP_SERVERS"))
        .filter(|servers| !servers.is_empty())
}

/// The log that the pipeline's file names, else Kafka at KAFKA_BOOTSTRAP_SERVERS, else the embedded
/// one.
pub fn open_log(pipeline: &Pipeline, args: &LogArgs) -> anyhow::Result<Arc<dyn Log>> {
    open_log_with(pipeline, args, pipeline.encryption.keyring.clone().into())
}

/// The same, with the keys of more pipelines than the one.
pub fn open_log_with(
    pipeline: &Pipeline,
    args: &LogArgs,
    sealing: Sealing,
) -> anyhow::Result<Arc<dyn Log>> {
    let settings = &pipeline.source.kafka;
    let servers = kafka_servers(pipeline);
    let others: Vec<(String, String)> =
        settings.iter().filter(|(key, _)| key != "bootstrap.servers").cloned().collect();
    duto_log::open_sealed(servers.as_deref(), &others, &args.log_folder, sealing)
        .context("opening the log")
}

/// The keys of each pipeline's topic, for those who look at the topics of all of them.
pub fn sealing_of<'a>(pipelines: impl Iterator<Item = &'a Pipeline>) -> Sealing {
    let mut topics: HashMap<String, Vec<Keyring>> = HashMap::new();
    for pipeline in pipelines {
        let keyrings = topics.entry(pipeline.source.topic.clone()).or_default();
        keyrings.push(pipeline.encryption.keyring.clone());
    }
    Sealing::of_topics(
        topics.into_iter().map(|(topic, keyrings)| (topic, Keyring::any_of(keyrings))).collect(),
    )
}
