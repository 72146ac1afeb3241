//! `duto rollups ls|verify FILE`: the counters that are kept, and whether they are right.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::json;

use super::pipeline_file::load;
use super::{exit_code, table};
use duto_load::connect::Connector;
use duto_load::rollups::RollupTargets;
use duto_load::verify;

/// Shows the counters that are kept, and whether they are right.
#[derive(Debug, clap::Args)]
pub struct RollupsArgs {
    #[command(subcommand)]
    pub command: RollupsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum RollupsCommand {
    /// List the rollups, and whether the rows from before them are counted yet
    Ls(FileArgs),
    /// Recompute every rollup from its table and report any difference; loads go on meanwhile
    Verify(FileArgs),
}

#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: RollupsArgs) -> anyhow::Result<i32> {
    match args.command {
        RollupsCommand::Ls(args) => list(&args).await,
        RollupsCommand::Verify(args) => verify_all(&args).await,
    }
}

async fn list(args: &FileArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let connection = Connector::new(&loaded.pipeline.database, "rollups")?.connect().await?;
    let statement = "SELECT name, state, definition, pg_size_pretty(coalesce((SELECT
         sum(pg_total_relation_size(t::regclass)) FROM unnest(tables) t), 0))
         FROM duto.rollup WHERE pipeline = $1 ORDER BY name";
    let rows = connection
        .client
        .query(statement, &[&loaded.pipeline.name])
        .await
        .context("reading duto.rollup; has the pipeline run yet?")?;
    let rows: Vec<[String; 4]> =
        rows.iter().map(|row| [row.get(0), row.get(1), row.get(3), row.get(2)]).collect();
    if args.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|[name, state, size, definition]| json!({"name": name, "state": state, "size": size, "definition": definition}))
            .collect();
        println!("{}", json!({ "rollups": rows }));
    } else {
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.to_vec()).collect();
        print!("{}", table::align(&["rollup", "state", "size", "definition"], &rows));
    }
    Ok(exit_code::FINE)
}

async fn verify_all(args: &FileArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let declared = RollupTargets::new(loaded.stages.rollups());
    if declared.rollups.is_empty() {
        bail!("{} declares no rollup", args.file.display());
    }
    let connection = Connector::new(&loaded.pipeline.database, "rollups")?.connect().await?;
    verify::begin(&connection).await?;
    let ready = "SELECT name, definition FROM duto.rollup WHERE pipeline = $1 AND state = 'ready'";
    let ready = connection
        .client
        .query(ready, &[&loaded.pipeline.name])
        .await
        .context("reading duto.rollup; has the pipeline run yet?")?;
    let mut wrong = Vec::new();
    for rollup in &declared.rollups {
        if !ready.iter().any(|row| {
            row.get::<_, String>(0) == rollup.name && row.get::<_, String>(1) == rollup.definition
        }) {
            bail!(
                "the rollup {} is not in the database as the file declares it, or not filled yet: \
                    `duto run` does both",
                rollup.name
            );
        }
        let differences = verify::differences(&connection, rollup)
            .await
            .with_context(|| format!("comparing rollup {}", rollup.name))?;
        if !args.json {
            match differences.len() {
                0 => println!("{}: right", rollup.name),
                count => println!("{}: {count} rows differ (at most 20 are told)", rollup.name),
            }
            differences.iter().for_each(|difference| {
                println!("  only in the {}: {}", difference.side, difference.row)
            });
        }
        wrong.extend(
            differences.into_iter().map(|difference| json!({"rollup": rollup.name, "only_in": difference.side, "row": difference.row})),
        );
    }
    if args.json {
        println!("{}", json!({ "rollups": declared.rollups.len(), "differences": wrong }));
    }
    Ok(if wrong.is_empty() { exit_code::FINE } else { exit_code::FAILED })
}
