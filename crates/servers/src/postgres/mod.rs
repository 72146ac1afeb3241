//! A private PostgreSQL cluster: made on first use, started on a free port, and never outliving
//! this process.

mod account;
mod binaries;
mod client;
mod folder;
mod process;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};

pub use binaries::{Binaries, FOLDER_VARIABLE};
pub use client::{create_database, drop_database, execute, with_database};
use folder::ClusterFolder;

use crate::bound_child::{signal, wait_at_most};
use crate::free_port;

/// The superuser of every private cluster.
pub const SUPERUSER: &str = "postgres";

/// How a cluster is run.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// None picks a free one, and keeps it as long as the value lives.
    pub port: Option<u16>,
    /// Without it nothing is synced to the disk: quick, and safe against a death of the server, not
    /// of the machine.
    pub durable: bool,
    pub max_connections: u32,
    /// Anything of postgresql.conf, such as `("shared_buffers", "512MB")`; it wins over what is set
    /// here.
    pub configuration: Vec<(String, String)>,
}

impl Default for PostgresSettings {
    fn default() -> PostgresSettings {
        PostgresSettings {
            port: None,
            durable: true,
            max_connections: 200,
            configuration: Vec::new(),
        }
    }
}

impl PostgresSettings {
    /// For tests: nothing is synced.
    pub fn for_tests() -> PostgresSettings {
        PostgresSettings { durable: false, ..PostgresSettings::default() }
    }
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Open transactions are rolled back, then all is written out.
    Fast,
    /// As after a crash: the next start recovers.
    Immediate,
}

/// A cluster and its server. The server ends with this value, and with this process.
#[derive(Debug)]
pub struct Postgres {
    folder: ClusterFolder,
    binaries: Binaries,
    settings: PostgresSettings,
    password: String,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Makes the cluster if `folder` has none, starts its server and waits until it accepts
    /// connections. The folder belongs to the cluster alone. An error names what is missing, or
    /// quotes the server's log.
    pub fn start(folder: &Path, settings: PostgresSettings) -> Result<Postgres> {
        let folder = ClusterFolder::prepare(folder)?;
        let binaries = Binaries::find(folder.major_version())?;
        process::wait_until_unused(&folder)?;
        folder.initialize(&binaries, settings.durable)?;
        let password = folder.password()?;
        let port = settings.port.map_or_else(free_port, Ok)?;
        let mut postgres = Postgres { folder, binaries, settings, password, port, server: None };
        let mut attempts_left = if postgres.settings.port.is_some() { 0 } else { 4 };
        while let Err(problem) = postgres.start_again() {
            // Somebody took the port between the look and the start.
            if attempts_left == 0 || !problem.to_string().contains("Address already in use") {
                return Err(problem);
            }
            attempts_left -= 1;
            postgres.port = free_port()?;
        }
        Ok(postgres)
    }

    /// Starts the server on the same folder and port. Does nothing if it runs.
    pub fn start_again(&mut self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        process::wait_until_unused(&self.folder)?;
        self.server =
            Some(process::start(&self.folder, &self.binaries, self.port, &self.settings)?);
        Ok(())
    }

    /// Ends the server and waits until it is gone; a fast end that takes more than a minute becomes
    /// an immediate one.
    pub fn stop(&mut self, mode: Mode) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let steps = [(libc::SIGINT, 60), (libc::SIGQUIT, 10), (libc::SIGKILL, 10)];
        let first = if mode == Mode::Fast { 0 } else { 1 };
        for (number, limit_seconds) in &steps[first..] {
            if server.try_wait()?.is_some() {
                return Ok(());
            }
            signal(&server, *number).context("cannot signal PostgreSQL")?;
            if wait_at_most(&mut server, Duration::from_secs(*limit_seconds))?.is_some() {
                return Ok(());
            }
        }
        anyhow::bail!("PostgreSQL (process {}) does not end", server.id())
    }

    /// Puts a file into the cluster's data folder, for the server's eyes alone; answers where it
    /// is.
    pub fn put_file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        self.folder.put_file(name, content)
    }

    /// `postgresql://postgres:…@127.0.0.1:PORT/DATABASE`, with the password.
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    /// The same by another port of this host, such as a proxy's.
    pub fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgresql://{SUPERUSER}:{}@127.0.0.1:{port}/{database}", self.password)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's main process; None when it does not run.
    pub fn pid(&mut self) -> Option<u32> {
        match self.server.as_mut()?.try_wait() {
            Ok(None) => self.server.as_ref().map(Child::id),
            _ => None,
        }
    }

    /// Where the cluster really stands: not always the folder that was asked for, see
    /// [`Postgres::start`] and root.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// What the server said since its last start.
    pub fn log(&self) -> String {
        process::log_tail(&self.folder)
    }

    /// The programs that this cluster runs with, such as its `pg_dump`.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Makes a database unless it is there. May be called inside and outside of an async runtime.
    pub fn create_database(&self, name: &str) -> Result<()> {
        create_database(&self.url("postgres"), name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mode = if self.settings.durable { Mode::Fast } else { Mode::Immediate };
        if let Err(problem) = self.stop(mode) {
            tracing::warn!("stopping PostgreSQL: {problem:#}");
        }
    }
}
