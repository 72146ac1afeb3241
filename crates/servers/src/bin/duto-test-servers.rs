//! `duto-test-servers [--durable] -- COMMAND...`: starts a Kafka and a PostgreSQL, runs the command
//! with their addresses in its environment, ends them, and answers the command's exit code. A test
//! run shares the two instead of starting them per test. With `--durable` PostgreSQL syncs its
//! commits and Kafka has the heap of its own start script, which tests do without: the bench
//! measures nothing else.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};
use duto_servers::{Kafka, KafkaSettings, Postgres, PostgresSettings, ScratchFolder, shared};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let durable = arguments.next_if(|argument| argument == "--durable").is_some();
    let command: Vec<String> = arguments.skip_while(|argument| argument == "--").collect();
    if command.is_empty() {
        eprintln!("usage: duto-test-servers [--durable] -- COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    }
    match run(&command, durable) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("duto-test-servers: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[String], durable: bool) -> Result<u8> {
    let folder = ScratchFolder::create("servers")?;
    let kafka_folder = folder.path().join("kafka");
    let (kafka, postgres) = std::thread::scope(|scope| {
        let kafka = scope.spawn(|| {
            Kafka::start_with(
                &kafka_folder,
                KafkaSettings { full_heap: durable, ..KafkaSettings::default() },
            )
        });
        let postgres = start_postgres(folder.path(), durable);
        (kafka.join(), postgres)
    });
    let kafka = kafka
        .map_err(|_| anyhow!("the thread that starts Kafka panicked"))?
        .context("cannot start Kafka")?;
    let postgres = postgres.context("cannot start PostgreSQL")?;

    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child.args(arguments);
    child.env(shared::KAFKA_VARIABLE, kafka.bootstrap_servers());
    child.env(shared::POSTGRES_VARIABLE, postgres.url("postgres"));
    let status = child.status().with_context(|| format!("cannot run {program}"))?;
    // Ended by a signal: as a shell says it.
    let by_signal =
        || std::os::unix::process::ExitStatusExt::signal(&status).map_or(1, |signal| 128 + signal);
    Ok(status.code().unwrap_or_else(by_signal).clamp(0, 255) as u8)
}

fn start_postgres(folder: &Path, durable: bool) -> Result<Postgres> {
    if durable {
        Postgres::start(&folder.join("cluster"), PostgresSettings::default())
    } else {
        shared::start_postgres(folder)
    }
}
