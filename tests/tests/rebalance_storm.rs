//! Members join and leave every two seconds, politely or not, while orders keep coming.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_until_loaded};
use duto_tests::worker::Worker;
use rand::RngExt;

const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_secs(2);
const RATE: Rate = Rate { per_second: 1_000, most: 200_000 };
const GUESTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_or_leaves_every_two_seconds_loses_and_doubles_nothing() -> Result<()> {
    let database = TestDatabase::create("storm")?;
    let log = Arc::new(TestLog::create(LogKind::Kafka, "storm", 6)?);
    // Without a name from the file each leave is a rebalance; one that was killed has a successor
    // or is missed.
    let settings =
        Settings { batch_records: 200, session_timeout: "3s".into(), ..Settings::default() };
    let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
    let client = connect(&database.url()).await?;
    let mut staying = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(&log, Orders::new(25, USUAL_MIX), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    let mut guests: Vec<Worker> = Vec::new();
    for tick in 0..scale(8, 60) {
        let leaves = !guests.is_empty() && (guests.len() == GUESTS || rand::rng().random_bool(0.4));
        if leaves {
            let guest = guests.remove(0);
            if tick % 2 == 0 {
                guest.kill();
            } else {
                ensure!(guest.stop(PATIENCE)?.success(), "a guest did not end cleanly");
            }
        } else {
            guests.push(Worker::start(&pipeline, &["--only", "worker"])?);
        }
        tokio::time::sleep(TICK).await;
    }
    drop(guests);
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut staying, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(staying.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
