//! `duto completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, exit_code};

/// Prints the completion script of a shell.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> i32 {
    clap_complete::generate(args.shell, &mut Cli::command(), "duto", &mut std::io::stdout());
    exit_code::FINE
}
