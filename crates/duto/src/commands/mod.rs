//! The command line: a file a command, a line each below.

pub mod audit; // duto audit FILE
pub mod auth; // duto auth key
pub mod check; // duto check FILE...
mod check_connect; // duto check --connect FILE...
pub mod completions; // duto completions SHELL
pub mod config; // duto config show FILE
pub mod ddl; // duto ddl FILE
pub mod demo; // duto demo
pub mod encryption; // duto encryption key|status
pub mod exit_code; // what a process answers
pub mod generate; // duto generate FILE
pub mod health; // duto health URL
pub mod load; // duto load FILE CSV...
pub mod log; // duto log backup|restore
pub mod man; // duto man FOLDER
pub mod pipeline_file; // reading the file that a command names
pub mod position; // duto position show|set FILE
pub mod rejects; // duto rejects ls|show FILE
mod replay; // duto rejects replay FILE
pub mod rollups; // duto rollups ls|verify FILE
pub mod run; // duto run FILE...
pub mod schema; // duto schema
pub mod status; // duto status FILE
pub mod table; // columns of text on a terminal
pub mod test; // duto test FILE...
mod test_case; // one example of a file
pub mod topics; // duto topics [FILE...]

use clap::{Parser, Subcommand};

use crate::time_slice::ask_for_short_slices;
use duto_stages::Stages;

/// Moves events from a log into PostgreSQL exactly once, and shows them live.
#[derive(Debug, Parser)]
#[command(name = "duto", version, max_term_width = 110)]
pub struct Cli {
    /// What is logged: error, warn, info, debug (a line a batch) or trace (a line an event), or
    /// directives such as `info,duto_load=debug`.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// How it is logged.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

/// The form of a line of the log, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say everything that is wrong with pipeline files, and what a good one promises
    Check(check::CheckArgs),
    /// Run the tests of pipeline files, without any server
    Test(test::TestArgs),
    /// Load, take records and serve, until told to stop
    Run(run::RunArgs),
    /// Run pipelines with a private PostgreSQL, the embedded log and generated records
    Demo(demo::DemoArgs),
    /// Send plausible records to a pipeline's topic
    Generate(generate::GenerateArgs),
    /// Store the lines of CSV files, each file once
    Load(load::LoadArgs),
    /// Browse topics and their messages in a web page
    Topics(topics::TopicsArgs),
    /// Ask a running pipeline whether it is well
    Health(health::HealthArgs),
    /// Back up the embedded log, or restore it
    Log(log::LogCommandArgs),
    /// Show how far each partition is
    Status(status::StatusArgs),
    /// Show what was not stored, and why
    Rejects(rejects::RejectsArgs),
    /// Show the counters that are kept, and whether they are right
    Rollups(rollups::RollupsArgs),
    /// Show a position, or deliberately move one
    Position(position::PositionArgs),
    /// Show what was done by hand, and who was not let in
    Audit(audit::AuditArgs),
    /// Print the SQL of all that a pipeline needs in its database, or of its roles
    Ddl(ddl::DdlArgs),
    /// Make a key for those who call a pipeline's endpoints
    Auth(auth::AuthArgs),
    /// Make a key that seals what duto keeps, and show what is sealed by which
    Encryption(encryption::EncryptionArgs),
    /// Show the settings of a pipeline as they are in effect
    Config(config::ConfigArgs),
    /// Print the JSON Schema of the pipeline file
    Schema(schema::SchemaArgs),
    /// Print a shell's completion script
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
}

/// Runs a command to its end; the answer is the exit code.
pub fn run(cli: Cli) -> i32 {
    if !matches!(
        cli.command,
        Command::Run(_)
            | Command::Demo(_)
            | Command::Topics(_)
            | Command::Generate(_)
            | Command::Load(_)
    ) {
        end_quietly_with_the_reader();
    }
    match cli.command {
        Command::Check(args) if args.connect => in_runtime(check_connect::run(args)),
        Command::Check(args) => check::run(&args, &|pipeline| {
            let problems = Stages::plan(pipeline).err().unwrap_or_default();
            problems.into_iter().chain(duto_generate::check(pipeline)).collect()
        }),
        Command::Test(args) => test::run(&args),
        Command::Run(args) => {
            ask_for_short_slices();
            in_runtime(run::run(args))
        }
        Command::Demo(args) => in_runtime(demo::run(args)),
        Command::Generate(args) => generate::run(&args),
        Command::Load(args) => in_runtime(load::run(args)),
        Command::Topics(args) => in_runtime(topics::run(args)),
        Command::Health(args) => in_runtime(health::run(args)),
        Command::Log(args) => log::run(&args).unwrap_or_else(|error| failed(&error)),
        Command::Status(args) => in_runtime(status::run(args)),
        Command::Rejects(args) => in_runtime(rejects::run(args)),
        Command::Rollups(args) => in_runtime(rollups::run(args)),
        Command::Position(args) => in_runtime(position::run(args)),
        Command::Audit(args) => in_runtime(audit::run(args)),
        Command::Ddl(args) => ddl::run(&args),
        Command::Auth(args) => auth::run(&args),
        Command::Encryption(args) => in_runtime(encryption::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// A command that only answers ends without a word when its reader has seen enough, as in `duto
/// rejects ls FILE | head`.
fn end_quietly_with_the_reader() {
    // SAFETY: no handler of ours is replaced, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Runs a command that waits for servers. An error is printed with its causes.
fn in_runtime(command: impl Future<Output = anyhow::Result<i32>>) -> i32 {
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error.into()),
        };
    let code = runtime.block_on(command).unwrap_or_else(|error| failed(&error));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Says what went wrong; the answer is the exit code.
pub fn failed(error: &anyhow::Error) -> i32 {
    eprintln!("error: {error:#}");
    exit_code::FAILED
}
