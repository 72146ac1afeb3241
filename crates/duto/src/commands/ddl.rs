//! `duto ddl FILE`: the SQL of the tables, for people who make them by hand.

use std::path::PathBuf;

use super::{exit_code, pipeline_file};
use crate::load::ddl;

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
            exit_code::FINE
        }
        Err(code) => code,
    }
}
