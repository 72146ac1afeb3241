//! duto moves events from a log into PostgreSQL exactly once. Here is its command line, the log's
//! lines and the exit code.

mod actor; // who runs a command
mod commands; // one file a command
mod exposure; // who is served without being asked
mod time_slice; // soon on the CPU

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use commands::{Cli, LogFormat};

/// What libraries say of their own inner life; of librdkafka's remarks we log those that matter
/// ourselves.
const QUIET: &str = "librdkafka=off,rdkafka=off,sqlparser=off,datafusion=off,tokio_postgres=info,postgres_types=info,hyper=info";

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli);
    ExitCode::from(commands::run(cli).clamp(0, 255) as u8)
}

/// Lines go to standard error, so that standard output is only what a command answers.
fn start_logging(cli: &Cli) {
    let directives = format!("{},{QUIET}", cli.log_level);
    let filter =
        EnvFilter::try_new(&directives).unwrap_or_else(|_| EnvFilter::new(format!("info,{QUIET}")));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match cli.log_format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines
            .with_ansi(
                std::env::var_os("NO_COLOR").is_none()
                    && std::io::IsTerminal::is_terminal(&std::io::stderr()),
            )
            .init(),
    }
}
