//! The database is restored from an older backup while Kafka keeps everything: the worker reads
//! again what the backup lacks.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::own_servers::postgres_program;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{LOADED, wait_for, wait_for_progress, wait_until_loaded};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(90);
const RATE: Rate = Rate { per_second: 1_000, most: 200_000 };
const RESTORES: usize = 5;

/// A consistent backup, taken while others write.
fn dump(url: &str, into: &Path) -> Result<()> {
    let output = Command::new(postgres_program("pg_dump")?)
        .args(["--clean", "--if-exists", "--no-owner", "-f"])
        .arg(into)
        .arg(url)
        .output()?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// In one transaction, as it must be where workers run. PostgreSQL may choose it as the victim of a
/// deadlock with them: then again.
fn restore(url: &str, from: &Path) -> Result<()> {
    let mut said = String::new();
    for _ in 0..RESTORES {
        let mut psql = Command::new(postgres_program("psql")?);
        let output = psql
            .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(from)
            .arg(url)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    anyhow::bail!("psql: {said}")
}

async fn survives_restores(kind: LogKind) -> Result<()> {
    let database = TestDatabase::create("backup")?;
    let log = Arc::new(TestLog::create(kind, "backup", 4)?);
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records: 500, ..Settings::default() },
    )?;
    let client = connect(&database.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(33, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 500 FROM sales", PATIENCE).await?;
    wait_for(&client, "SELECT count(DISTINCT partition) = 4 FROM duto.batch", PATIENCE).await?;
    let backup = log.folder.path().join("backup.sql");
    dump(&database.url(), &backup)?;

    for _ in 0..scale(2, 10) {
        let rows: i64 = client.query_one("SELECT count(*) FROM sales", &[]).await?.get(0);
        wait_for(&client, &format!("SELECT count(*) > {rows} + 500 FROM sales"), PATIENCE).await?;
        restore(&database.url(), &backup)?;
        wait_for_progress(&client, PATIENCE).await?;
    }
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    let model = Model::of(&placed);
    model.compare(&client).await?;

    // Nothing arrives any more: the worker notices by itself.
    restore(&database.url(), &backup)?;
    let is_older: bool =
        client.query_one(&format!("SELECT {LOADED} < {}", placed.len()), &[]).await?.get(0);
    ensure!(is_older, "the backup is not older");
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    model.compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_caught_up_from_kafka() -> Result<()> {
    survives_restores(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_caught_up_from_the_embedded_log() -> Result<()> {
    survives_restores(LogKind::Embedded).await
}
