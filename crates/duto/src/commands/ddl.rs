//! `duto ddl FILE`: the SQL of all that a pipeline needs, for people who make it by hand.

use std::path::PathBuf;

use super::{exit_code, pipeline_file};
use duto_load::roles::{self, Roles};
use duto_load::rollups::RollupTargets;
use duto_load::script;
use duto_load::time_partition::Keeper;

/// Prints the SQL of all that a pipeline needs in its database, as a script that can be run: duto's
/// own schema, the tables, the rollups and the views. A role with data rights alone loads into what
/// it made.
#[derive(Debug, clap::Args)]
pub struct DdlArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Tables that are kept in pieces of time become hypertables of TimescaleDB, instead of
    /// partitioned tables of PostgreSQL.
    #[arg(long)]
    pub timescaledb: bool,
    /// Makes this role too, and everything as its own.
    #[arg(long, value_name = "ROLE", conflicts_with = "roles")]
    pub owner: Option<String>,
    /// The roles of those who load and of those who read, with their rights on what is there.
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
    let loaded = match pipeline_file::load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let (pipeline, rollups) = (&loaded.pipeline, RollupTargets::new(loaded.stages.rollups()));
    if args.roles {
        let named = |given: &Option<String>, kind: &str| {
            given.clone().unwrap_or_else(|| format!("{}_{kind}", pipeline.name))
        };
        let (loader, reader) = (named(&args.loader, "loader"), named(&args.reader, "reader"));
        let roles = Roles { loader: &loader, reader: &reader };
        print!("{}", roles.script(pipeline, &rollups));
        return exit_code::FINE;
    }
    let keeper = if args.timescaledb { Keeper::TimescaleDb } else { Keeper::PostgreSql };
    let script = script::script(pipeline, &rollups, keeper);
    match &args.owner {
        Some(owner) => println!("{}\n{script}\nRESET ROLE;", roles::owner_script(owner)),
        None => print!("{script}"),
    }
    exit_code::FINE
}
