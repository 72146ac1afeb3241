//! `duto position show|set FILE`: the operator's say about where a pipeline reads on.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::pipeline_file::{Loaded, LogArgs, load, open_log};
use super::{exit_code, table};
use crate::actor::{WhyArgs, actor};
use duto_definition::Repeat;
use duto_load::connect::Connector;
use duto_load::ensure;
use duto_load::move_position::{Move, move_position};
use duto_load::position;
use duto_load::session::LoadSession;
use duto_load::target::Target;

const LOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Shows a position, or deliberately moves one.
#[derive(Debug, clap::Args)]
pub struct PositionArgs {
    #[command(subcommand)]
    pub command: PositionCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum PositionCommand {
    /// Show the positions beside the log's ends
    Show(ShowArgs),
    /// Move one: back is a rewind, records come again; forward is a skip, records are left out
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[arg(long)]
    pub partition: i32,
    /// The offset of the next record to load: a number, `earliest` or `latest`.
    #[arg(long, value_name = "OFFSET")]
    pub to: String,
    /// Really do it; without it only what would happen is said.
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub why: WhyArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

pub async fn run(args: PositionArgs) -> anyhow::Result<i32> {
    let (file, log) = match &args.command {
        PositionCommand::Show(args) => (&args.file, &args.log),
        PositionCommand::Set(args) => (&args.file, &args.log),
    };
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    match &args.command {
        PositionCommand::Show(_) => show(&loaded, log).await,
        PositionCommand::Set(args) => set(&loaded, args).await,
    }
}

async fn show(loaded: &Loaded, log: &LogArgs) -> anyhow::Result<i32> {
    let pipeline = &loaded.pipeline;
    let log = open_log(pipeline, log)?;
    let connector = Connector::new(&pipeline.database, "position")?;
    let mut connection = connector.connect().await?;
    ensure::ensure(&mut connection, pipeline, None).await?;
    let target = target(loaded, log.as_ref())?;
    let mut rows = Vec::new();
    for at in position::read_all(LoadSession::new(&connection, &target)).await? {
        let marks = tokio::task::block_in_place(|| {
            log.watermarks(&target.topic, at.partition, LOG_TIMEOUT)
        });
        let (low, high) = marks.map_or_else(
            |_| ("-".to_owned(), "-".to_owned()),
            |marks| (marks.low.to_string(), marks.high.to_string()),
        );
        let same = if at.topic_id == target.topic_id && at.cluster_id == target.cluster_id {
            ""
        } else {
            "of another topic"
        };
        rows.push(vec![at.partition.to_string(), low, at.next.to_string(), high, same.to_owned()]);
    }
    print!("{}", table::align(&["partition", "log begins", "position", "log ends", "note"], &rows));
    Ok(exit_code::FINE)
}

async fn set(loaded: &Loaded, args: &SetArgs) -> anyhow::Result<i32> {
    let pipeline = &loaded.pipeline;
    let log = open_log(pipeline, &args.log)?;
    let target = target(loaded, log.as_ref())?;
    let marks =
        tokio::task::block_in_place(|| log.watermarks(&target.topic, args.partition, LOG_TIMEOUT))?;
    let to = match args.to.as_str() {
        "earliest" => marks.low,
        "latest" => marks.last_stable,
        number => number
            .parse::<i64>()
            .map_err(|_| anyhow::anyhow!("--to {number}: an offset, `earliest` or `latest`"))?,
    };
    if !(marks.low..=marks.high).contains(&to) {
        bail!(
            "offset {to} is not in the log: partition {} holds {} to {}",
            args.partition,
            marks.low,
            marks.high
        );
    }
    let connector = Connector::new(&pipeline.database, "position")?;
    let mut connection = connector.connect().await?;
    ensure::ensure(&mut connection, pipeline, None).await?;
    let appends = pipeline
        .tables
        .iter()
        .find(|table| table.repeat == Repeat::Append)
        .map(|table| table.name.as_str());
    let actor = &actor(args.why.why.clone());
    let wanted = Move { partition: args.partition, to, appends, really: args.yes, actor };
    println!("{}", move_position(&mut connection, &target, &wanted).await?);
    Ok(exit_code::FINE)
}

/// The load's statements for an operator's command; the topic must be there.
pub fn target(loaded: &Loaded, log: &dyn duto_log::Log) -> anyhow::Result<Target> {
    let topic = &loaded.pipeline.source.topic;
    let (cluster_id, found) = tokio::task::block_in_place(|| {
        Ok::<_, duto_log::LogError>((log.cluster_id(LOG_TIMEOUT)?, log.topic(topic, LOG_TIMEOUT)?))
    })?;
    let Some(found) = found else { bail!("topic {topic} is not in the log") };
    Ok(Target::new(
        &loaded.pipeline,
        loaded.stages.written(),
        loaded.stages.rollups(),
        cluster_id,
        found.id,
        "operator".to_owned(),
    ))
}
