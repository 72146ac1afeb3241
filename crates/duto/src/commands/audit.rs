//! `duto audit FILE`: what was done by hand, and who was not let in.

use std::path::PathBuf;

use anyhow::bail;
use chrono::SecondsFormat;
use serde_json::json;

use super::pipeline_file::load;
use super::{exit_code, table};
use duto_load::audit;
use duto_load::connect::Connector;

/// Shows replays, discarded rejects, moved positions, messages made by hand and refused sign-ins,
/// newest first.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: i64,
    /// Print a JSON object a line.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: AuditArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let name = &loaded.pipeline.name;
    let connector = Connector::new(&loaded.pipeline.database, "audit")?;
    let connection = connector.connect().await?;
    if !audit::is_there(&connection).await? {
        bail!(
            "the pipeline {name} has not run in {} yet: nothing is on record",
            connector.target()
        );
    }
    let entries = audit::read(&connection, name, None, args.limit).await?;
    let at = |entry: &audit::Kept| entry.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    if args.json {
        for entry in &entries {
            let audit::Kept { id, actor, via, action, what, why, .. } = entry;
            let at = at(entry);
            println!(
                "{}",
                json!({"id": id, "at": at, "actor": actor, "via": via, "action": action, "what": what, "why": why})
            );
        }
        return Ok(exit_code::FINE);
    }
    if entries.is_empty() {
        println!("nothing was done by hand");
        return Ok(exit_code::FINE);
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let audit::Kept { actor, action, what, why, .. } = entry.clone();
            vec![at(entry), actor, action, what, why.unwrap_or_default()]
        })
        .collect();
    print!("{}", table::align(&["at", "who", "action", "what", "why"], &rows));
    Ok(exit_code::FINE)
}
