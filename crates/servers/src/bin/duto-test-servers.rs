//! `duto-test-servers -- COMMAND...`: starts a Kafka and a PostgreSQL, runs the command with their addresses in its environment, ends
//! them, and answers the command's exit code. A test run shares the two instead of starting them per test.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};
use duto_servers::{Kafka, ScratchFolder, shared};

fn main() -> ExitCode {
    let command: Vec<String> = std::env::args().skip(1).skip_while(|argument| argument == "--").collect();
    if command.is_empty() {
        eprintln!("usage: duto-test-servers -- COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    }
    match run(&command) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("duto-test-servers: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[String]) -> Result<u8> {
    let folder = ScratchFolder::create("servers")?;
    let kafka_folder = folder.path().join("kafka");
    let (kafka, postgres) = std::thread::scope(|scope| {
        let kafka = scope.spawn(|| Kafka::start(&kafka_folder));
        let postgres = shared::start_postgres(folder.path());
        (kafka.join(), postgres)
    });
    let kafka = kafka.map_err(|_| anyhow!("the thread that starts Kafka panicked"))?.context("cannot start Kafka")?;
    let postgres = postgres.context("cannot start PostgreSQL")?;

    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child.args(arguments);
    child.env(shared::KAFKA_VARIABLE, kafka.bootstrap_servers());
    child.env(shared::POSTGRES_VARIABLE, postgres.url("postgres"));
    let status = child.status().with_context(|| format!("cannot run {program}"))?;
    // Ended by a signal: as a shell says it.
    let by_signal = || std::os::unix::process::ExitStatusExt::signal(&status).map_or(1, |signal| 128 + signal);
    Ok(status.code().unwrap_or_else(by_signal).clamp(0, 255) as u8)
}
