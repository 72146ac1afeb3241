//! Where walks happen: one PostgreSQL for all, and for each that walks at the same time two
//! databases, a proxy and a folder.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use duto_servers::{Postgres, PostgresSettings, Protocol, Proxy, ScratchFolder, free_port};
use tokio_postgres::{Client, NoTls};

use crate::program::{Surroundings, program};

/// Started once; everything ends with this value.
pub struct Server {
    postgres: Postgres,
    folder: ScratchFolder,
    /// Makes the log's templates one at a time.
    templates: Mutex<()>,
}

/// The place of one walker.
pub struct Ground {
    pub surroundings: Surroundings,
    pub proxy: Proxy,
    pub url_through_proxy: String,
    pub http_port: u16,
    oracle_url: String,
    templates: PathBuf,
}

impl Server {
    pub fn start() -> Result<Server> {
        let folder = ScratchFolder::create("walks")?;
        let postgres =
            Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests())?;
        Ok(Server { postgres, folder, templates: Mutex::new(()) })
    }

    /// The walker's databases are made, and the logs that its walks begin with.
    pub fn ground(&self, number: usize, patience: Duration) -> Result<Ground> {
        let names = [format!("walk_{number}"), format!("oracle_{number}")];
        for name in &names {
            self.postgres.create_database(name)?;
        }
        let proxy = Proxy::start(self.postgres.address(), Protocol::Postgres)?;
        let folder = self.folder.path().join(format!("walker_{number}"));
        std::fs::create_dir_all(&folder)?;
        let database_url = self.postgres.url(&names[0]);
        let url_through_proxy = self.postgres.url_through(proxy.port(), &names[0]);
        let surroundings = Surroundings { program: program()?, folder, database_url, patience };
        let oracle_url = self.postgres.url(&names[1]);
        let templates = self.folder.path().join("templates");
        let ground = Ground {
            surroundings,
            proxy,
            url_through_proxy,
            http_port: free_port()?,
            oracle_url,
            templates,
        };
        let _one = self.templates.lock();
        for partitions in PARTITIONS {
            ground.make_template(partitions)?;
        }
        Ok(ground)
    }
}

/// Numbers of partitions that a walk's topic may have.
pub const PARTITIONS: [i32; 3] = [1, 2, 4];
pub const TOPIC: &str = "walk";

impl Ground {
    /// A log with an empty topic, as the program itself makes it.
    fn make_template(&self, partitions: i32) -> Result<()> {
        let template = self.templates.join(format!("{partitions}"));
        if template.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.templates)?;
        let text = format!(
            r#"{{"pipeline": "template{partitions}", "source": {{"topic": "{TOPIC}", "partitions": {partitions}}}, "database": {{"url": "${{WALK_DATABASE_URL}}"}},
               "record": {{"id": "BIGINT"}}, "tables": {{"t{partitions}": {{"columns": {{"id": "BIGINT PRIMARY KEY"}}, "repeat": "ignore", "select": "SELECT id FROM record"}}}}}}"#
        );
        let _ = std::fs::remove_dir_all(self.surroundings.log_folder());
        std::fs::write(self.surroundings.file(), text)?;
        self.surroundings
            .succeed(&["run", "--until-caught-up"], true)?
            .map_err(|failure| anyhow::anyhow!("{}", failure.detail))?;
        copy_folder(&self.surroundings.log_folder(), &template)
    }

    /// As it was before any walk. Returns connections to the walk's database and to the oracle's.
    pub async fn clear(&self, partitions: i32) -> Result<(Client, Client)> {
        self.proxy.handle().pass();
        self.proxy.handle().reset_all();
        let _ = std::fs::remove_dir_all(self.surroundings.log_folder());
        let _ = std::fs::remove_file(self.surroundings.folder.join("said.txt"));
        copy_folder(
            &self.templates.join(format!("{partitions}")),
            &self.surroundings.log_folder(),
        )?;
        let walk = connect(&self.surroundings.database_url).await?;
        let oracle = connect(&self.oracle_url).await?;
        for client in [&walk, &oracle] {
            client
                .batch_execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid();
                     SET client_min_messages = error; SET TimeZone = 'UTC';
                     DROP SCHEMA IF EXISTS duto CASCADE; DROP SCHEMA IF EXISTS model CASCADE; DROP
                     SCHEMA public CASCADE; CREATE SCHEMA public",
                )
                .await
                .context("clearing a database")?;
        }
        Ok((walk, oracle))
    }

    /// One more connection to the walk's database.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.surroundings.database_url).await
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("connecting to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        // Sockets and locks are of the process that made them.
        if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().starts_with("log.db")
        {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
