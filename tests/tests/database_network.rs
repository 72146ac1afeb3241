//! What a network does between the worker and PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::{Action, Direction, Point, Trap};
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::own_servers::OwnPostgres;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_for_progress, wait_until, wait_until_loaded};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(120);
const RATE: Rate = Rate { per_second: 500, most: 200_000 };

/// A connection that is reset is made anew, and one that is silent is given up within its timeouts.
#[tokio::test(flavor = "multi_thread")]
async fn survives_resets_and_silence_between_the_worker_and_postgres() -> Result<()> {
    let own = OwnPostgres::start("silence")?;
    let network = own.proxy.handle();
    let log = Arc::new(TestLog::create(LogKind::Embedded, "silence", 4)?);
    let settings = Settings { batch_records: 500, ..Settings::default() }.impatient();
    let pipeline = TestPipeline::sales(&log, &own.url_through_proxy(), &settings)?;
    let client = connect(&own.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(23, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    for _ in 0..scale(3, 20) {
        network.reset_all();
        wait_for_progress(&client, PATIENCE).await?;
    }
    for _ in 0..scale(1, 5) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            for mid_copy in [false, true] {
                if mid_copy {
                    let sprung = network.counters().sprung_traps;
                    network.set_trap(Trap {
                        at: Point::CopyData { after_bytes: 0 },
                        action: Action::Hold,
                        times: 1,
                    });
                    // At the load's rate each lane keeps up with batches too small for a COPY.
                    load.burst(4_000);
                    wait_until("a COPY begins", PATIENCE, || {
                        network.counters().sprung_traps > sprung
                    })
                    .await?;
                }
                network.silence(direction, true);
                network.release();
                let connections = network.counters().accepted_connections;
                let is_given_up = || network.counters().accepted_connections > connections;
                wait_until(
                    "the silent connection is given up and another made",
                    PATIENCE,
                    is_given_up,
                )
                .await?;
                network.silence(direction, false);
                wait_for_progress(&client, PATIENCE).await?;
            }
        }
    }
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// What is slow is not lost: with the timeouts of the file as it comes, nothing is given up.
#[tokio::test(flavor = "multi_thread")]
async fn waits_out_delays_and_slices_between_the_worker_and_postgres() -> Result<()> {
    let own = OwnPostgres::start("slow")?;
    let network = own.proxy.handle();
    let log = Arc::new(TestLog::create(LogKind::Embedded, "slow", 4)?);
    let settings = Settings { batch_records: 1_000, ..Settings::default() };
    let pipeline = TestPipeline::sales(&log, &own.url_through_proxy(), &settings)?;
    let client = connect(&own.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(24, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    for delay_ms in [50, 300, 800, 2_000].into_iter().take(scale(3, 4)) {
        network.delay(Duration::from_millis(delay_ms));
        wait_for_progress(&client, PATIENCE).await?;
    }
    network.delay(Duration::ZERO);
    network.slice(Some(1));
    for _ in 0..scale(3, 20) {
        wait_for_progress(&client, PATIENCE).await?;
    }
    network.pass();
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    ensure!(
        worker.said("connection was lost") == 0,
        "a slow connection was given up:\n{}",
        worker.tail()
    );
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
