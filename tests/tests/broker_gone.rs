//! The broker is killed, or stops answering, under load: the worker goes on by itself when it is
//! back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use duto_log::NewTopic;
use duto_servers::shared::{TestDatabase, unique_name};
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::own_servers::own_kafka;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_for_progress, wait_until_loaded};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(120);
const RATE: Rate = Rate { per_second: 500, most: 200_000 };
/// Room for 24 MB of fetched records, two batches a lane and what the program is. A queue that grew
/// while something was away would pass it.
const MEMORY_BYTES: u64 = 400 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_or_frozen_costs_time_and_nothing_else() -> Result<()> {
    let mut own = own_kafka().await?;
    let database = TestDatabase::create("broker")?;
    let log =
        Arc::new(TestLog::create_at(LogKind::Kafka, "broker", 4, own.kafka.bootstrap_servers())?);
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records: 500, ..Settings::default() },
    )?;
    let client = connect(&database.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(21, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    for _ in 0..scale(1, 5) {
        own.kafka.kill()?;
        own.kafka.start_again()?;
        wait_for_progress(&client, PATIENCE).await?;
    }
    own.kafka.pause()?;
    // Longer than the session's timeout: the broker has evicted the member when it wakes, or does
    // so then.
    tokio::time::sleep(Duration::from_secs(scale(8, 30) as u64)).await;
    own.kafka.resume()?;
    wait_for_progress(&client, PATIENCE).await?;
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    let peak = worker.peak_bytes()?;
    ensure!(peak < MEMORY_BYTES, "the worker had {} MiB resident", peak >> 20);
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// Programs that start together with their cluster ask for their topics before it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_asked_for_too_early_is_made_when_the_broker_comes() -> Result<()> {
    const PROGRAMS: usize = 8;
    let mut own = own_kafka().await?;
    let servers = own.kafka.bootstrap_servers();
    own.kafka.kill()?;
    let asking = (0..PROGRAMS).map(|_| {
        let servers = servers.clone();
        std::thread::spawn(move || -> Result<Instant> {
            let log = duto_log::open(Some(&servers), &[], Path::new("unused"))?;
            let name = unique_name("early");
            log.create_topic(&NewTopic { name, partitions: 1, retention: None }, PATIENCE)?;
            Ok(Instant::now())
        })
    });
    let asking: Vec<_> = asking.collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    own.kafka.start_again()?;
    let ready = Instant::now();
    for program in asking {
        let made = program.join().map_err(|_| anyhow!("a program panicked"))??;
        let later = made.saturating_duration_since(ready);
        ensure!(
            later < Duration::from_secs(10),
            "it was made {later:?} after the broker was there"
        );
    }
    Ok(())
}
