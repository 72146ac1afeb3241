//! `duto ddl FILE`: the SQL of the tables, for people who make them by hand.

use std::path::PathBuf;

use super::{exit_code, pipeline_file};
use crate::load::ddl;
use crate::load::register::views_script;
use crate::load::rollups::RollupTargets;

/// Prints the SQL of a pipeline's tables.
#[derive(Debug, clap::Args)]
pub struct DdlArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(args: &DdlArgs) -> i32 {
    match pipeline_file::load(&args.file) {
        Ok(loaded) => {
            print!("{}", ddl::script(&loaded.pipeline));
            let rollups = RollupTargets::new(loaded.stages.rollups());
            for rollup in &rollups.rollups {
                println!("\n-- The rollup {}, kept by the load.\n{}\n{};", rollup.name, rollup.create, rollup.view);
            }
            let views = views_script(&loaded.pipeline);
            print!("{}{views}", if views.is_empty() { "" } else { "\n" });
            exit_code::FINE
        }
        Err(code) => code,
    }
}
