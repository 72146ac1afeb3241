//! The partitions of a worker move between its connections as the load comes and goes, and no
//! record is lost or stored twice by that.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_until, wait_until_loaded};
use duto_tests::worker::{Worker, catch_up};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn partitions_gather_and_spread_on_kafka() -> Result<()> {
    gathers_and_spreads(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_gather_and_spread_on_the_embedded_log() -> Result<()> {
    gathers_and_spreads(LogKind::Embedded).await
}

async fn gathers_and_spreads(kind: LogKind) -> Result<()> {
    let database = TestDatabase::create("lanes")?;
    let log = TestLog::create(kind, "lanes", 4)?;
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records: 50, ..Settings::default() },
    )?;
    let port = free_port()?;
    let mut worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    let client = connect(&database.url()).await?;
    let mut orders = Orders::new(7, USUAL_MIX);
    let mut placed: Vec<Placed> = Vec::new();
    for _ in 0..scale(2, 10) {
        trickle_until(&log, &mut orders, &mut placed, port, 1)?;
        // A backlog of so many batches that one connection does not do it in a moment.
        placed.extend(log.send(&orders.take(30_000))?);
        wait_until("both connections load", PATIENCE, || connections(port) == Some(2)).await?;
        wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    }
    trickle_until(&log, &mut orders, &mut placed, port, 1)?;
    placed.extend(log.send(&orders.take(10_000))?);
    worker.kill();
    catch_up(&pipeline, PATIENCE)?;
    Model::of(&placed).compare(&client).await
}

/// A few records at a time, until the partitions are spread over so many connections.
fn trickle_until(
    log: &TestLog,
    orders: &mut Orders,
    placed: &mut Vec<Placed>,
    port: u16,
    wanted: u64,
) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE;
    while connections(port) != Some(wanted) {
        ensure!(
            std::time::Instant::now() < deadline,
            "the partitions are still on {:?} connections",
            connections(port)
        );
        placed.extend(log.send(&orders.take(10))?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn connections(port: u16) -> Option<u64> {
    let (_, metrics) = request(port, "GET", "/metrics", "").ok()?;
    let line = metrics.lines().find(|line| line.starts_with("duto_load_connections{"))?;
    line.rsplit(' ').next()?.parse::<f64>().ok().map(|count| count as u64)
}
