//! What a network does between the worker and Kafka. The sender's way is whole, so the load goes on
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::Direction;
use duto_servers::shared::TestDatabase;
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
const RATE: Rate = Rate { per_second: 300, most: 200_000 };

#[tokio::test(flavor = "multi_thread")]
async fn survives_resets_silence_delays_and_slices_between_the_worker_and_kafka() -> Result<()> {
    // A way there and back of four seconds, in the full matrix, leaves a member of a shorter
    // session no time for a heartbeat.
    let session = Duration::from_secs(scale(3, 12) as u64);
    let own = own_kafka().await?;
    let network = own.proxy.handle();
    let database = TestDatabase::create("kafka_network")?;
    let log = Arc::new(TestLog::create_at(
        LogKind::Kafka,
        "kafka-network",
        4,
        own.kafka.bootstrap_servers(),
    )?);
    let settings = Settings {
        batch_records: 500,
        session_timeout: format!("{}s", session.as_secs()),
        ..Settings::default()
    };
    let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?
        .with("KAFKA_BOOTSTRAP_SERVERS", &own.servers_through_proxy());
    let client = connect(&database.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(22, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    ensure!(
        network.counters().to_client_bytes > 10_000,
        "the worker's traffic does not pass the proxy"
    );

    for _ in 0..scale(2, 10) {
        network.reset_all();
        wait_for_progress(&client, PATIENCE).await?;
    }
    for direction in [Direction::ToServer, Direction::ToClient] {
        network.silence(direction, true);
        // The group gives the partitions away when it hears nothing for so long, and takes the
        // member back afterwards.
        tokio::time::sleep(session + Duration::from_secs(2)).await;
        network.silence(direction, false);
        wait_for_progress(&client, PATIENCE).await?;
    }
    for delay_ms in [50, 300, 2_000].into_iter().take(scale(2, 3)) {
        network.delay(Duration::from_millis(delay_ms));
        wait_for_progress(&client, PATIENCE).await?;
    }
    network.delay(Duration::ZERO);
    network.slice(Some(1));
    wait_for_progress(&client, PATIENCE).await?;
    wait_for_progress(&client, PATIENCE).await?;
    network.pass();

    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
