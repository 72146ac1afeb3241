//! `duto man FOLDER`: the manual pages, a page a command.

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, exit_code, failed};

/// Writes the manual pages into a folder, a page for each command.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Where the pages go; the folder is made if it is missing.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Writes the pages; the answer is the exit code.
pub fn run(args: &ManArgs) -> i32 {
    let written = std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.folder));
    match written {
        Ok(()) => exit_code::FINE,
        Err(error) => {
            let folder = args.folder.display().to_string();
            failed(&anyhow::Error::new(error).context(format!("writing manual pages to {folder}")))
        }
    }
}
