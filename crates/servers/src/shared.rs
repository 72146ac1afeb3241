//! The servers that a whole test run shares. `duto-test-servers` starts them once and names them in
//! the environment; a test process that finds nothing there starts its own. Nothing is ever skipped
//! for want of a server.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::{Kafka, Postgres, PostgresSettings, ScratchFolder, postgres};

/// `host:port` of the shared Kafka.
pub const KAFKA_VARIABLE: &str = "DUTO_TEST_KAFKA";
/// The URL of the shared PostgreSQL, as its superuser, with the database `postgres`.
pub const POSTGRES_VARIABLE: &str = "DUTO_TEST_POSTGRES";

/// The shared broker. Topics and groups need names of their own, see [`unique_name`]. A test that
/// kills its broker starts a [`Kafka`] of its own.
pub fn kafka_bootstrap_servers() -> Result<String> {
    static OWN: OnceLock<Result<(Kafka, ScratchFolder), String>> = OnceLock::new();
    if let Some(servers) = variable(KAFKA_VARIABLE) {
        return Ok(servers);
    }
    // A static is never dropped: the kernel ends the broker with this process, and a later one
    // removes the folder.
    let own = OWN.get_or_init(|| {
        let folder = ScratchFolder::create("kafka").map_err(|problem| format!("{problem:#}"))?;
        Ok((Kafka::start(folder.path()).map_err(|problem| format!("{problem:#}"))?, folder))
    });
    own.as_ref()
        .map(|(kafka, _)| kafka.bootstrap_servers())
        .map_err(|problem| anyhow::anyhow!("{problem}"))
}

/// The shared PostgreSQL, as its superuser, with the database `postgres`.
pub fn postgres_url() -> Result<String> {
    static OWN: OnceLock<Result<(Postgres, ScratchFolder), String>> = OnceLock::new();
    if let Some(url) = variable(POSTGRES_VARIABLE) {
        return Ok(url);
    }
    let own = OWN.get_or_init(|| {
        let folder = ScratchFolder::create("postgres").map_err(|problem| format!("{problem:#}"))?;
        let postgres = start_postgres(folder.path()).map_err(|problem| format!("{problem:#}"))?;
        Ok((postgres, folder))
    });
    own.as_ref()
        .map(|(postgres, _)| postgres.url("postgres"))
        .map_err(|problem| anyhow::anyhow!("{problem}"))
}

/// The server that a test run shares: nothing synced, room for many connections.
pub fn start_postgres(folder: &Path) -> Result<Postgres> {
    Postgres::start(
        &folder.join("cluster"),
        PostgresSettings { max_connections: 400, ..PostgresSettings::for_tests() },
    )
}

/// An empty database of the shared PostgreSQL, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    server_url: String,
    name: String,
}

impl TestDatabase {
    pub fn create(purpose: &str) -> Result<TestDatabase> {
        let database = TestDatabase {
            server_url: postgres_url()?,
            name: unique_name(purpose).replace('-', "_"),
        };
        postgres::create_database(&database.server_url, &database.name)
            .context("cannot make a database for a test")?;
        Ok(database)
    }

    pub fn url(&self) -> String {
        postgres::with_database(&self.server_url, &self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // The whole server goes away in the end.
        let _ = postgres::drop_database(&self.server_url, &self.name);
    }
}

/// `purpose` with a suffix that no other call, test or process gets: for topics, groups and
/// databases.
pub fn unique_name(purpose: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{purpose}-{:x}-{:x}-{number}", std::process::id(), now.as_millis())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
