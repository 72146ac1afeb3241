//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio_postgres::Client;

use crate::log::Placed;
use crate::worker::Worker;

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Looks until it holds; an error names what did not happen.
pub async fn wait_until(
    what: &str,
    patience: Duration,
    mut holds: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !holds() {
        ensure!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Asks until the statement answers true. An error of the statement's is not an answer: the table
/// may not be there yet.
pub async fn wait_for(client: &Client, condition: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !client.query_one(condition, &[]).await.is_ok_and(|row| row.get(0)) {
        ensure!(Instant::now() < deadline, "not within {patience:?}: {condition}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// The records that the ledger says were loaded.
pub const LOADED: &str = "(SELECT coalesce(sum(records), 0) FROM duto.batch WHERE kind = 'load')";

/// Waits until the running worker has loaded every record, by itself.
pub async fn wait_until_loaded(
    client: &Client,
    worker: &mut Worker,
    placed: &[Placed],
    patience: Duration,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    let loaded = format!("SELECT {LOADED}::bigint");
    loop {
        let records = client.query_one(&loaded, &[]).await.map_or(0, |row| row.get::<_, i64>(0));
        if records == placed.len() as i64 {
            return Ok(());
        }
        ensure!(
            worker.is_running(),
            "the worker ended with {records} of {} records loaded; its last lines:\n{}",
            placed.len(),
            worker.tail()
        );
        ensure!(
            Instant::now() < deadline,
            "{records} of {} records were loaded within {patience:?}; the worker's last lines:\n{}",
            placed.len(),
            worker.tail()
        );
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Waits until the ledger has more records than now: the worker goes on.
pub async fn wait_for_progress(client: &Client, patience: Duration) -> Result<()> {
    let before: i64 = client
        .query_one(&format!("SELECT {LOADED}::bigint"), &[])
        .await
        .map_or(0, |row| row.get(0));
    wait_for(client, &format!("SELECT {LOADED} > {before}"), patience).await
}
