//! The few statements that preparing a cluster takes. Blocking, and callable inside and outside of
//! an async runtime.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::NoTls;

const LIMIT: Duration = Duration::from_secs(30);

/// Makes a database unless it is there, by a connection to another one (`url`), such as `postgres`.
pub fn create_database(url: &str, name: &str) -> Result<()> {
    match execute(url, &format!("CREATE DATABASE {}", quoted(name))) {
        Err(problem) if problem.to_string().contains("already exists") => Ok(()),
        outcome => outcome,
    }
}

/// Drops a database if it is there, whoever is connected to it.
pub fn drop_database(url: &str, name: &str) -> Result<()> {
    execute(url, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)))
}

/// Runs one or more statements as one simple query, on a connection of its own.
pub fn execute(url: &str, statements: &str) -> Result<()> {
    // A thread of its own, because a runtime must not be entered from within another one.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    tokio::time::timeout(LIMIT, connect_and_execute(url, statements)).await
                })?
            })
            .join()
            .map_err(|_| anyhow!("the client's thread panicked"))?
    })
}

/// The URL with another database: everything between the host and the query.
pub fn with_database(url: &str, database: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let host_start = base.find("://").map_or(0, |at| at + 3);
    let host_end = base[host_start..].find('/').map_or(base.len(), |at| host_start + at);
    let suffix = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{suffix}", &base[..host_end])
}

async fn connect_and_execute(url: &str, statements: &str) -> Result<()> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
    let connection = tokio::spawn(connection);
    let outcome = client.batch_execute(statements).await;
    drop(client);
    connection.await?.context("the connection to PostgreSQL broke")?;
    // The server's words are in the error's source, and a caller compares them.
    outcome.map_err(|problem| {
        problem.as_db_error().map_or_else(
            || anyhow!("{problem}"),
            |error| anyhow!("{}: {}", error.code().code(), error.message()),
        )
    })
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database() {
        let cases = [
            ("postgresql://u:p@127.0.0.1:5432/postgres", "postgresql://u:p@127.0.0.1:5432/other"),
            ("postgresql://u:p@127.0.0.1:5432", "postgresql://u:p@127.0.0.1:5432/other"),
            (
                "postgresql://127.0.0.1/a?sslmode=disable",
                "postgresql://127.0.0.1/other?sslmode=disable",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(with_database(url, "other"), expected, "{url}");
        }
    }

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
