//! The server's process: its start, and what its pid file says.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::PostgresSettings;
use super::binaries::Binaries;
use super::folder::ClusterFolder;
use crate::bound_child::spawn_bound;

/// Recovery after a crash may replay much before the first connection.
const START_LIMIT: Duration = Duration::from_secs(120);
/// A server whose starter was killed ends by itself within moments.
const UNUSED_LIMIT: Duration = Duration::from_secs(8);
const LOG_TAIL_BYTES: usize = 4_000;
/// Linux allows 107 bytes for a socket's path; the socket's own name takes 20 of them.
const SOCKET_FOLDER_BYTES_MAX: usize = 85;

/// Starts the server and waits until it accepts connections.
pub fn start(
    folder: &ClusterFolder,
    binaries: &Binaries,
    port: u16,
    settings: &PostgresSettings,
) -> Result<Child> {
    let mut command = folder.command(&binaries.program("postgres")?);
    command.arg("-D").arg(folder.data());
    for (name, value) in configuration(folder, port, settings) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let log = fs::File::create(folder.log_file())
        .with_context(|| format!("cannot write {}", folder.log_file().display()))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // An immediate end, not a smart one, which would wait for the clients of a process that is
    // gone.
    let mut server = spawn_bound(command, libc::SIGQUIT).context("cannot start PostgreSQL")?;
    match wait_until_ready(folder, &mut server) {
        Ok(()) => Ok(server),
        Err(problem) => {
            let _ = server.kill();
            let _ = server.wait();
            Err(problem)
        }
    }
}

/// Waits for the server of an earlier process to end, and removes a pid file whose process is
/// something else by now (in a container the same small pids come again). An error if a living
/// server has the folder.
pub fn wait_until_unused(folder: &ClusterFolder) -> Result<()> {
    let deadline = Instant::now() + UNUSED_LIMIT;
    let pid_file = folder.data().join("postmaster.pid");
    while let Some(pid) = pid_file_line(&pid_file, 0).and_then(|line| line.parse::<u32>().ok()) {
        match command_line(pid) {
            Some(command) if command.contains("postgres") => {
                if Instant::now() >= deadline {
                    bail!(
                        "{} is in use by another PostgreSQL server (process {pid}): end that one \
                            or use another folder",
                        folder.path.display()
                    );
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => {
                let _ = fs::remove_file(&pid_file);
            }
        }
    }
    Ok(())
}

/// The end of what the server said since its last start.
pub fn log_tail(folder: &ClusterFolder) -> String {
    let log = fs::read(folder.log_file()).unwrap_or_default();
    let tail = log.get(log.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
    String::from_utf8_lossy(tail).trim().to_owned()
}

fn configuration(
    folder: &ClusterFolder,
    port: u16,
    settings: &PostgresSettings,
) -> Vec<(String, String)> {
    let socket_folder = Some(folder.path.display().to_string())
        .filter(|path| path.len() <= SOCKET_FOLDER_BYTES_MAX);
    let mut configuration = vec![
        ("port".to_owned(), port.to_string()),
        ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
        ("unix_socket_directories".to_owned(), socket_folder.unwrap_or_default()),
        ("max_connections".to_owned(), settings.max_connections.to_string()),
        ("timezone".to_owned(), "UTC".to_owned()),
        ("log_timezone".to_owned(), "UTC".to_owned()),
    ];
    if !settings.durable {
        // synchronous_commit stays on: what was committed survives the server's death, as it must
        // in the tests of faults.
        configuration.extend(
            [("fsync", "off"), ("full_page_writes", "off")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
    }
    configuration.extend(settings.configuration.iter().cloned());
    configuration
}

/// The pid file's eighth line becomes `ready` when connections are accepted. It needs no client and
/// no password.
fn wait_until_ready(folder: &ClusterFolder, server: &mut Child) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    let pid_file = folder.data().join("postmaster.pid");
    loop {
        if let Some(status) = server.try_wait()? {
            bail!("PostgreSQL ended while starting ({status}): {}", log_tail(folder));
        }
        let is_own = pid_file_line(&pid_file, 0).is_some_and(|pid| pid == server.id().to_string());
        if is_own && pid_file_line(&pid_file, 7).is_some_and(|status| status == "ready") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!(
                "PostgreSQL is not ready after {} s: {}",
                START_LIMIT.as_secs(),
                log_tail(folder)
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pid_file_line(pid_file: &Path, number: usize) -> Option<String> {
    fs::read_to_string(pid_file).ok()?.lines().nth(number).map(|line| line.trim().to_owned())
}

/// How a process was started; None if there is none of that id. Where there is no /proc, PostgreSQL
/// itself looks after its pid file.
fn command_line(pid: u32) -> Option<String> {
    if !Path::new("/proc/self").exists() {
        return None;
    }
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " ")).filter(|command| !command.is_empty())
}
