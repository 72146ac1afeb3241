//! The program as a process: started, stopped, killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::pipeline::{TestPipeline, root};

/// The statement by which a worker loads a few records, a transaction by itself, begins so.
pub use duto_load::at_once::BEGINNING as AT_ONCE;

/// A running program. Dropping it kills it.
pub struct Worker {
    child: Child,
    log_file: PathBuf,
}

/// The program that this test run built. One that is older than a source was built before it, and
/// would prove nothing.
pub fn program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAM
        .get_or_init(|| find_program().and_then(built_last).map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn built_last(program: PathBuf) -> Result<PathBuf> {
    let built = std::fs::metadata(&program).and_then(|metadata| metadata.modified());
    let built = built.with_context(|| format!("there is no program at {}", program.display()))?;
    let (source, changed) =
        changed_last(&root().join("crates"))?.context("there are no sources")?;
    if changed > built {
        bail!(
            "{} is older than {}: run scripts/build, or scripts/test",
            program.display(),
            source.display()
        );
    }
    Ok(program)
}

/// The file that was changed last in this folder, of those that the program is built of.
fn changed_last(folder: &Path) -> Result<Option<(PathBuf, SystemTime)>> {
    let mut newest = None;
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let found = if kind.is_dir()
            && path.file_name().is_none_or(|name| name != "tests" && name != "model")
        {
            changed_last(&path)?
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "sql") {
            Some((path.clone(), path.metadata()?.modified()?))
        } else {
            None
        };
        newest = [newest, found]
            .into_iter()
            .flatten()
            .max_by_key(|(_, changed): &(PathBuf, SystemTime)| *changed);
    }
    Ok(newest)
}

fn find_program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("DUTO_TEST_DUTO") {
        return Ok(PathBuf::from(program));
    }
    let mut folder = std::env::current_exe()?;
    while folder.pop() {
        let program = folder.join("duto");
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("the program duto is not beside the tests: run `cargo build --release --workspace` first")
}

impl Worker {
    /// `duto run` of the pipeline, with more arguments.
    pub fn start(pipeline: &TestPipeline, arguments: &[&str]) -> Result<Worker> {
        let mut all = vec!["run"];
        all.extend_from_slice(arguments);
        Self::start_command(pipeline, &all)
    }

    /// `duto topics` with the pipeline.
    pub fn topics(pipeline: &TestPipeline, port: u16) -> Result<Worker> {
        Self::start_command(pipeline, &["topics", "--listen", &format!("127.0.0.1:{port}")])
    }

    fn start_command(pipeline: &TestPipeline, arguments: &[&str]) -> Result<Worker> {
        let log_file = pipeline.file.with_extension("log");
        let lines = File::options().create(true).append(true).open(&log_file)?;
        let child = Command::new(program()?)
            .args(["--log-level", "info"])
            .args(arguments)
            .arg(&pipeline.file)
            .arg("--log-folder")
            .arg(&pipeline.log_folder)
            .envs(pipeline.environment.iter().cloned())
            .stdout(lines.try_clone()?)
            .stderr(lines)
            .spawn()
            .context("starting the program")?;
        Ok(Worker { child, log_file })
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for, so its id is still its own.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// SIGKILL, and no trace of it left in the process table.
    pub fn kill(mut self) {
        self.kill_and_wait();
    }

    /// The same where another one takes its place.
    pub fn kill_and_wait(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and its exit within the time.
    pub fn stop(mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM);
        self.wait(patience)
    }

    /// Waits for its end by itself.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "the program did not end within {patience:?}; its last lines:\n{}",
                    self.tail()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How often it said this since its log was made.
    pub fn said(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log_file).unwrap_or_default().matches(words).count()
    }

    /// The most memory that it ever had resident.
    pub fn peak_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("the kernel tells no VmHWM")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// What it said last.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log_file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the pipeline until it is caught up; anything but a clean end is an error with the program's
/// last lines.
pub fn catch_up(pipeline: &TestPipeline, patience: Duration) -> Result<()> {
    let mut worker = Worker::start(pipeline, &["--until-caught-up"])?;
    let status = worker.wait(patience)?;
    if !status.success() {
        bail!("the program ended with {status}; its last lines:\n{}", worker.tail());
    }
    Ok(())
}

/// Runs a command that ends by itself; answers its exit code, its standard output and its standard
/// error.
pub fn command(pipeline: &TestPipeline, arguments: &[&str]) -> Result<(i32, String, String)> {
    let output = Command::new(program()?)
        .args(arguments)
        .envs(pipeline.environment.iter().cloned())
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
}
