//! `bin/duto` as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::failure::{Failure, Kind};

/// The program that is judged: `DUTO_TEST_DUTO`, else `bin/duto` of the repository.
pub fn program() -> Result<PathBuf> {
    let program = match std::env::var_os("DUTO_TEST_DUTO") {
        Some(program) => PathBuf::from(program),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin/duto"),
    };
    if !program.is_file() {
        bail!("{} is not there: run `make build` first", program.display());
    }
    Ok(program)
}

/// What every command of a walk needs.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub program: PathBuf,
    pub folder: PathBuf,
    pub database_url: String,
    /// A run that takes longer is stuck.
    pub patience: Duration,
}

impl Surroundings {
    pub fn file(&self) -> PathBuf {
        self.folder.join("pipeline.yaml")
    }

    pub fn log_folder(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn said_file(&self) -> PathBuf {
        self.folder.join("said.txt")
    }

    /// Starts the program; what it says goes to a file. Commands that read the log are told where
    /// it is.
    pub fn start(&self, arguments: &[&str], with_log: bool, database_url: &str) -> Result<Process> {
        let said = std::fs::File::options().create(true).append(true).open(self.said_file())?;
        let mut command = Command::new(&self.program);
        command.args(["--log-level", "info"]).args(arguments).arg(self.file());
        if with_log {
            command.arg("--log-folder").arg(self.log_folder());
        }
        command
            .env("WALK_DATABASE_URL", database_url)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        Ok(Process {
            child: command.spawn().context("starting duto")?,
            said_file: self.said_file(),
        })
    }

    /// A command that must end well within the time.
    pub fn succeed(&self, arguments: &[&str], with_log: bool) -> Result<Result<(), Failure>> {
        let mut process = self.start(arguments, with_log, &self.database_url)?;
        Ok(process.succeeds(arguments, self.patience))
    }

    /// `duto check`: what it has against the file.
    pub fn check(&self) -> Result<Option<String>> {
        let output = Command::new(&self.program)
            .arg("check")
            .arg(self.file())
            .env("WALK_DATABASE_URL", &self.database_url)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        Ok((!output.status.success()).then_some(said))
    }
}

/// A running program, killed with this value.
pub struct Process {
    child: Child,
    said_file: PathBuf,
}

const LAST_LINES: usize = 12;

impl Process {
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn terminate(&self) {
        // SAFETY: a signal to a child that was not waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
    }

    /// None when the time is over; then it is killed.
    pub fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > deadline {
                self.kill();
                return None;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    pub fn succeeds(&mut self, arguments: &[&str], patience: Duration) -> Result<(), Failure> {
        let what = arguments.join(" ");
        match self.end(patience) {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(Failure::new(Kind::Ended, format!("duto {what}: {status}\n{}", self.tail())))
            }
            None => Err(Failure::new(
                Kind::Stuck,
                format!("duto {what} did not end within {patience:?}\n{}", self.tail()),
            )),
        }
    }

    /// What it said last.
    pub fn tail(&self) -> String {
        let said = std::fs::read_to_string(&self.said_file).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
