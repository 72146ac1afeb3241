//! `duto rejects replay FILE`: open rejects go through the pipeline again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::pipeline_file::{Loaded, LogArgs, load, open_log};
use super::{exit_code, position};
use crate::actor::{WhyArgs, actor};
use duto_load::connect::Connector;
use duto_load::ensure;
use duto_runtime::deliver::Deliverer;
use duto_runtime::files::TOPIC_PREFIX;
use duto_runtime::replay::{Choice, Replayed, for_replay, replay};
use duto_stages::Stages;

/// So many in one transaction.
const BATCH: i64 = 1_000;

/// Sends open rejects through the pipeline again.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only these, by their numbers from `ls` [default: all that are open]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub id: Vec<i64>,
    /// Let a replayed row replace a younger one in a table with `repeat: update`.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub why: WhyArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

pub async fn run(args: &ReplayArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let pipeline = for_replay(&loaded.pipeline, args.force);
    let Ok(stages) = Stages::plan(&pipeline) else {
        bail!("the pipeline's SQL cannot be planned for a replay")
    };
    let loaded = Loaded { pipeline, stages: Arc::new(stages), ..loaded };
    let log = open_log(&loaded.pipeline, &args.log)?;
    let target = position::target(&loaded, log.as_ref())?;
    let connector = Connector::new(&loaded.pipeline.database, "replay")?;
    let deliverer = Deliverer::new(&loaded.pipeline)?;
    let mut connection = connector.connect().await?;
    ensure::ensure(&mut connection, &loaded.pipeline, None).await?;
    let partitions = "SELECT DISTINCT partition FROM duto.reject WHERE pipeline = $1 AND topic = $2
        AND status = 'open' ORDER BY 1";
    let partitions = connection
        .within(connection.client.query(partitions, &[&target.pipeline, &target.topic]))
        .await?;
    let mut total = Replayed::default();
    for partition in partitions.iter().map(|row| row.get::<_, i32>(0)) {
        let actor = actor(args.why.why.clone());
        let mut choice = Choice { ids: args.id.clone(), limit: BATCH, after: 0, actor };
        loop {
            let done =
                replay(&mut connection, &target, (&loaded.stages, &deliverer), partition, &choice)
                    .await?;
            total.stored += done.stored;
            total.repeated += done.repeated;
            total.filtered += done.filtered;
            total.rejected += done.rejected;
            total.cut += done.cut;
            match done.last {
                Some(last) => choice.after = last,
                None => break,
            }
        }
    }
    println!("{}", describe(&total));
    let of_files = format!(
        "SELECT count(*) FROM duto.reject WHERE pipeline = $1 AND topic LIKE '{TOPIC_PREFIX}%'
            AND status = 'open'"
    );
    let of_files: i64 = connection
        .within(connection.client.query_one(&of_files, &[&target.pipeline]))
        .await?
        .get(0);
    if of_files > 0 {
        println!(
            "{of_files} rejects are lines of files: `duto load --again {} CSV` reads their file \
                again",
            args.file.display()
        );
    }
    Ok(exit_code::FINE)
}

fn describe(total: &Replayed) -> String {
    let mut text = format!(
        "{} replayed: {} stored, {} were there already, {} filtered; {} are refused still and stay \
            open",
        total.stored + total.repeated + total.filtered,
        total.stored,
        total.repeated,
        total.filtered,
        total.rejected
    );
    if total.cut > 0 {
        text.push_str(&format!(
            "; {} cannot come again, their payload was too long to be kept whole",
            total.cut
        ));
    }
    text
}
