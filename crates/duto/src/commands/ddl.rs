//! `duto ddl FILE`: the SQL of the tables, for people who make them by hand.

use std::path::PathBuf;

use super::{exit_code, pipeline_file};
use duto_load::ddl;
use duto_load::roles::Roles;
use duto_load::rollups::RollupTargets;
use duto_load::time_partition::Keeper;
use duto_load::views::views_script;

/// Prints the SQL of a pipeline's tables, as a script that can be run; rollups and views stand in
/// it as comments.
#[derive(Debug, clap::Args)]
pub struct DdlArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Tables that are kept in pieces of time become hypertables of TimescaleDB, instead of
    /// partitioned tables of PostgreSQL.
    #[arg(long)]
    pub timescaledb: bool,
    /// The rights of those who load and of those who read, instead of the tables.
    #[arg(long)]
    pub roles: bool,
    /// The role that loads, with --roles; without it the pipeline's name and `_loader`.
    #[arg(long, value_name = "ROLE", requires = "roles")]
    pub loader: Option<String>,
    /// The role that reads, with --roles; without it the pipeline's name and `_reader`.
    #[arg(long, value_name = "ROLE", requires = "roles")]
    pub reader: Option<String>,
}

pub fn run(args: &DdlArgs) -> i32 {
    match pipeline_file::load(&args.file) {
        Ok(loaded) if args.roles => {
            let named = |given: &Option<String>, kind: &str| {
                given.clone().unwrap_or_else(|| format!("{}_{kind}", loaded.pipeline.name))
            };
            let (loader, reader) = (named(&args.loader, "loader"), named(&args.reader, "reader"));
            let roles = Roles { loader: &loader, reader: &reader };
            let rollups = RollupTargets::new(loaded.stages.rollups());
            print!("{}", roles.script(&loaded.pipeline, &rollups));
            exit_code::FINE
        }
        Ok(loaded) => {
            let keeper = if args.timescaledb { Keeper::TimescaleDb } else { Keeper::PostgreSql };
            print!("{}", ddl::script(&loaded.pipeline, keeper));
            let rollups = RollupTargets::new(loaded.stages.rollups());
            let rollups: String = rollups
                .rollups
                .iter()
                .map(|rollup| format!("{}\n{};\n\n", rollup.create, rollup.view))
                .collect();
            let rest = rollups + &views_script(&loaded.pipeline);
            if !rest.is_empty() {
                // They go with what `duto` keeps of them, and are made with it.
                println!("\n-- Rollups and views, which `duto run` makes at its start:");
                rest.trim_end()
                    .lines()
                    .for_each(|line| println!("{}", format!("-- {line}").trim_end()));
            }
            exit_code::FINE
        }
        Err(code) => code,
    }
}
