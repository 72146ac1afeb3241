//! A PostgreSQL with the real TimescaleDB, as a child process. It takes one connection at a time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::pipeline::root;

/// A running server; it ends with this value, and with this process.
pub struct Timescale {
    child: Child,
    port: u16,
}

impl Timescale {
    /// Starts it and waits until it listens.
    pub fn start() -> Result<Timescale> {
        let folder = root().join("tests");
        let mut child = Command::new("node")
            .arg("timescale/server.js")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting node")?;
        let mut output = BufReader::new(child.stdout.take().context("its standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        // PostgreSQL's own remarks come there, too; nobody wants them, but a closed pipe would end
        // the server.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let port = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok());
        let mut server = Timescale { child, port: 0 };
        server.port = port.with_context(|| {
            format!(
                "the server said {line:?}; are the packages of tests/ \
                there? `scripts/setup` fetches them"
            )
        })?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres:any@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for Timescale {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
