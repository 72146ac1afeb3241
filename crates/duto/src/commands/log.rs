//! `duto log backup|restore`: the embedded log into a file, and back.

use std::path::PathBuf;

use clap::Subcommand;

use super::exit_code;
use super::pipeline_file::LogArgs;
use duto_log::backup;

/// Copies the embedded log into a file, and makes a log of such a file again. Kafka has its own
/// ways.
#[derive(Debug, clap::Args)]
pub struct LogCommandArgs {
    #[command(subcommand)]
    pub command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Copy the log as it is now, while others write to it and read it
    Backup(BackupArgs),
    /// Make a log of a backup, in a folder that has none
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file to make.
    #[arg(value_name = "FILE")]
    pub into: PathBuf,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// What `duto log backup` made.
    #[arg(value_name = "FILE")]
    pub from: PathBuf,
    #[command(flatten)]
    pub log: LogArgs,
}

pub fn run(args: &LogCommandArgs) -> anyhow::Result<i32> {
    match &args.command {
        LogCommand::Backup(args) => {
            let made = backup::backup(&args.log.log_folder, &args.into)?;
            println!("{}: {} records, {} bytes", args.into.display(), made.records, made.bytes);
        }
        LogCommand::Restore(args) => {
            backup::restore(&args.from, &args.log.log_folder)?;
            println!(
                "{}: the log is there; whoever opens it first goes on far beyond the offsets that \
                 the lost one gave",
                args.log.log_folder.display()
            );
        }
    }
    Ok(exit_code::FINE)
}
