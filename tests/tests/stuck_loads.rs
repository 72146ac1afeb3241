//! What keeps a load away without end is told, and nobody else waits for it: locks of other
//! sessions, rollups that cannot be filled.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::small::{EVENTS, Small};
use duto_tests::verify::connect;
use duto_tests::wait::wait_for;
use duto_tests::worker::{Worker, command};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(60);

const ROLLUPS: &str = "
rollups:
  shares:
    from: events
    by: []
    measures: { events: count(*), large: count(*) FILTER (WHERE 100 / parent > 10) }
";

/// A pipeline with one stored record, whose worker does not run.
async fn stored(purpose: &str) -> Result<(Small, Client)> {
    let small = Small::create(purpose, EVENTS, "").await?;
    small.send([r#"{"id": 1, "parent": 5}"#])?;
    small.load()?;
    let client = connect(&small.pipeline.database_url()).await?;
    Ok((small, client))
}

fn start(pipeline: &TestPipeline) -> Result<(Worker, u16)> {
    let port = free_port()?;
    let worker = Worker::start(pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    Ok((worker, port))
}

/// Waits until the health says this; with "", until it is well.
async fn wait_for_health(port: u16, said: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = request(port, "GET", "/health", "")?;
        if said.is_empty() && status == 200 || !said.is_empty() && body.contains(said) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{said:?} is not in the health: {status}: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with_rollups(small: &Small) -> Result<()> {
    let text = std::fs::read_to_string(&small.pipeline.file)?;
    Ok(std::fs::write(&small.pipeline.file, text + ROLLUPS)?)
}

fn verify_rollups(small: &Small) -> Result<()> {
    let (code, said, error) = command(
        &small.pipeline,
        &["rollups", "verify", &small.pipeline.file.display().to_string()],
    )?;
    ensure!(code == 0, "{said}{error}");
    Ok(())
}

/// A claim leaves alone whoever does not load, and goes on when it is done; a load that stands
/// still is ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_position_is_told_and_only_a_load_is_ended() -> Result<()> {
    let (small, holder) = stored("held").await?;
    // As a registration is named, which may be slow.
    holder
        .batch_execute(
            "SET application_name = 'duto:small 1'; BEGIN; SELECT 1 FROM duto.position FOR UPDATE",
        )
        .await?;
    let (worker, port) = start(&small.pipeline)?;
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    wait_for_health(port, &format!("is locked by the session {pid} (duto:small 1)")).await?;
    holder.batch_execute("COMMIT").await?;
    small.send([r#"{"id": 2, "parent": 5}"#])?;
    wait_for(&small.client, "SELECT count(*) = 2 FROM events", PATIENCE).await?;
    wait_for_health(port, "").await?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");

    holder
        .batch_execute(
            "SET application_name = 'duto:load small 1'; BEGIN; SELECT 1 FROM \
        duto.position FOR UPDATE",
        )
        .await?;
    let (worker, _) = start(&small.pipeline)?;
    small.send([r#"{"id": 3, "parent": 5}"#])?;
    wait_for(&small.client, "SELECT count(*) = 3 FROM events", PATIENCE).await?;
    ensure!(holder.batch_execute("COMMIT").await.is_err(), "the stalled load was not ended");
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_lasts_is_in_the_health_until_it_is_gone() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("lasting")?, TestLog::create(LogKind::Embedded, "lasting", 1)?);
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default().impatient())?;
    let (worker, port) = start(&pipeline)?;
    let order = |number: u32| {
        request(
            port,
            "POST",
            "/orders",
            &format!(r#"{{"order_number": {number}, "order_items": []}}"#),
        )
    };
    ensure!(order(1)?.0 == 202);
    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT count(*) = 1 FROM sales", PATIENCE).await?;
    client.batch_execute("BEGIN; LOCK TABLE sales IN ACCESS EXCLUSIVE MODE").await?;
    ensure!(order(2)?.0 == 202);
    wait_for_health(port, "something keeps the load away").await?;
    ensure!(worker.tail().contains("something keeps the load away"), "{}", worker.tail());
    client.batch_execute("COMMIT").await?;
    wait_for(&client, "SELECT count(*) = 2 FROM sales", PATIENCE).await?;
    wait_for_health(port, "").await?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_that_cannot_be_filled_is_told_and_tried_again() -> Result<()> {
    let (small, client) = stored("fill").await?;
    client.batch_execute("INSERT INTO events VALUES (100, 0)").await?;
    with_rollups(&small)?;
    let (worker, port) = start(&small.pipeline)?;
    wait_for_health(port, "in the rollups shares: division by zero").await?;
    // The load goes on meanwhile.
    small.send([r#"{"id": 2, "parent": 50}"#])?;
    wait_for(&client, "SELECT count(*) = 3 FROM events", PATIENCE).await?;
    client.batch_execute("UPDATE events SET parent = 1 WHERE id = 100").await?;
    wait_for(&client, "SELECT state = 'ready' FROM duto.rollup", PATIENCE).await?;
    wait_for_health(port, "").await?;
    small.send([r#"{"id": 3, "parent": 2}"#])?;
    wait_for(&client, "SELECT events = 4 AND large = 3 FROM shares", PATIENCE).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    verify_rollups(&small)
}

/// A partition that a worker of before begins while rollups are registered is either counted by
/// them or not begun.
#[tokio::test(flavor = "multi_thread")]
async fn no_partition_is_begun_beside_a_registration() -> Result<()> {
    let (small, holder) = stored("begun").await?;
    let old: String = holder.query_one("SELECT rollups FROM duto.pipeline", &[]).await?.get(0);
    // What that worker does, see the load's positions.
    let begin = "WITH registered AS (SELECT 1 FROM duto.pipeline WHERE pipeline = 'small'
         AND rollups = $1 FOR SHARE)
         INSERT INTO duto.position (pipeline, topic, partition, cluster_id, topic_id, leader_epoch,
         next, fence, rollups)
         SELECT pipeline, topic, 7, cluster_id, topic_id, -1, 0, gen_random_uuid(), $1
         FROM duto.position, registered ON CONFLICT DO NOTHING";
    // The registration waits here for a load in flight.
    holder.batch_execute("BEGIN; SELECT 1 FROM duto.position FOR UPDATE").await?;
    with_rollups(&small)?;
    let (worker, _) = start(&small.pipeline)?;
    let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
         AND application_name LIKE 'duto:small %'
         AND wait_event_type = 'Lock' AND query LIKE 'SELECT 1 FROM duto.position%')";
    wait_for(&small.client, waits, PATIENCE).await?;
    small.client.batch_execute("SET lock_timeout = '1s'").await?;
    let refused = small.client.execute(begin, &[&old]).await;
    let code =
        refused.as_ref().err().and_then(|error| error.code()).map(|code| code.code().to_owned());
    ensure!(code.as_deref() == Some("55P03"), "it was begun beside the registration: {refused:?}");
    holder.batch_execute("COMMIT").await?;
    wait_for(&small.client, "SELECT state = 'ready' FROM duto.rollup", PATIENCE).await?;
    ensure!(
        small.client.execute(begin, &[&old]).await? == 0,
        "a worker of before began a partition"
    );
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    verify_rollups(&small)
}
