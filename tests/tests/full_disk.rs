//! The disk under the table is full: the load pauses and rejects nothing, and goes on by itself
//! when there is room.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::own_servers::OwnPostgres;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::small_disk::SmallDisk;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{LOADED, wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);
/// SQLSTATE 53100, disk full.
const FULL: &str = "SQLSTATE 53100";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_pauses_the_load_until_there_is_room() -> Result<()> {
    let own = OwnPostgres::start("full")?;
    let disk = SmallDisk::mount(16, own.postgres.folder())?;
    let client = connect(&own.url()).await?;
    client
        .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()))
        .await?;
    let log = TestLog::create(LogKind::Embedded, "full", 2)?;
    let pipeline = TestPipeline::sales(&log, &own.url(), &Settings::default())?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let mut orders = Orders::new(37, USUAL_MIX);
    let mut placed = log.send(&orders.take(1_000))?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    // A table first and its index behind it: either may be the one that finds no room.
    client
        .batch_execute(
            "ALTER TABLE sales SET TABLESPACE small; ALTER INDEX sales_pkey SET TABLESPACE small",
        )
        .await?;
    disk.fill()?;
    placed.extend(log.send(&orders.take(20_000))?);
    wait_until("the worker says that the disk is full", PATIENCE, || worker.said(FULL) > 1)
        .await
        .with_context(|| worker.tail())?;
    let stored_before: i64 =
        client.query_one(&format!("SELECT {LOADED}::bigint"), &[]).await?.get(0);
    ensure!(stored_before < placed.len() as i64, "there was room");
    let by_the_load = "SELECT count(*) = 0 FROM duto.reject WHERE stage = 'load'";
    wait_for(&client, by_the_load, PATIENCE)
        .await
        .context("records were rejected because the disk is full")?;
    disk.clear()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
