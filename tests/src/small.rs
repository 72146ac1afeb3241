//! Small pipelines of a test's own, whose records are JSON texts and whose results are queries.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::log::{LogKind, Placed, TestLog};
use crate::orders::Message;
use crate::pipeline::TestPipeline;
use crate::verify::connect;
use crate::worker::{catch_up, command};

/// Sections of a pipeline of one table, one record a row.
pub const EVENTS: &str = "
record:
  id: BIGINT
  parent?: BIGINT
tables:
  events:
    columns: { id: BIGINT PRIMARY KEY, parent: BIGINT }
    repeat: ignore
    select: SELECT id, parent FROM record
";

const PATIENCE: Duration = Duration::from_secs(120);

/// A pipeline, its database and its log, which is embedded and has one partition.
pub struct Small {
    pub log: TestLog,
    pub pipeline: TestPipeline,
    pub client: Client,
    _database: TestDatabase,
}

impl Small {
    /// `sections` is the pipeline's text without `pipeline`, `source` and `database`. `beforehand`
    /// is SQL that somebody else ran before.
    pub async fn create(purpose: &str, sections: &str, beforehand: &str) -> Result<Self> {
        let database = TestDatabase::create(purpose)?;
        let log = TestLog::create(LogKind::Embedded, purpose, 1)?;
        let pipeline = TestPipeline::of_sections(&log, &database.url(), sections)?;
        let client = connect(&database.url()).await?;
        client.batch_execute(beforehand).await?;
        Ok(Self { log, pipeline, client, _database: database })
    }

    /// Puts records into the log.
    pub fn send<'a>(&self, records: impl IntoIterator<Item = &'a str>) -> Result<Vec<Placed<()>>> {
        let message = |record: &str| Message {
            key: "key".to_owned(),
            payload: record.as_bytes().to_vec(),
            meaning: (),
        };
        self.log.send(&records.into_iter().map(message).collect::<Vec<_>>())
    }

    /// Loads what is in the log.
    pub fn load(&self) -> Result<()> {
        catch_up(&self.pipeline, PATIENCE)
    }

    /// Runs a command over the pipeline's file, which stands behind the arguments given; returns
    /// its exit code, and what it said on standard output and standard error.
    pub fn command(&self, arguments: &[&str]) -> Result<(i32, String, String)> {
        let (file, folder) = (
            self.pipeline.file.display().to_string(),
            self.pipeline.log_folder.display().to_string(),
        );
        command(&self.pipeline, &[arguments, &[&file, "--log-folder", &folder]].concat())
    }

    /// The same without the log's folder: the file stands between the command and its arguments.
    pub fn command_with(&self, name: &[&str], arguments: &[&str]) -> Result<(i32, String, String)> {
        let file = self.pipeline.file.display().to_string();
        command(&self.pipeline, &[name, &[file.as_str()], arguments].concat())
    }

    /// [`Small::command`] of one that must end well; returns its standard output.
    pub fn duto(&self, arguments: &[&str]) -> Result<String> {
        let (code, said, error) = self.command(arguments)?;
        ensure!(code == 0, "{arguments:?} ended with {code}: {said}{error}");
        Ok(said)
    }

    /// The rows of a query, each as its values with blanks between them; NULL is `-`.
    pub async fn rows(&self, query: &str) -> Result<Vec<String>> {
        let mut rows = Vec::new();
        for message in self.client.simple_query(query).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let values: Vec<&str> =
                    (0..row.len()).map(|column| row.get(column).unwrap_or("-")).collect();
                rows.push(values.join(" "));
            }
        }
        Ok(rows)
    }

    /// Fails unless the query gives these rows.
    pub async fn expect(&self, query: &str, expected: &[&str]) -> Result<()> {
        let found = self.rows(query).await?;
        ensure!(found == expected, "{query}\n  gives {found:?}\n  instead of {expected:?}");
        Ok(())
    }
}
