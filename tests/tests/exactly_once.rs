//! Every order that the log took ends once in the table or once among the rejects, whatever is
//! killed meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_servers::{Mode, Postgres, PostgresSettings, ScratchFolder};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::wait_for;
use duto_tests::worker::{Worker, catch_up};
use rand::RngExt;

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;

async fn stores_everything_once(
    kind: LogKind,
    batch_records: usize,
    messages: usize,
) -> Result<()> {
    let database = TestDatabase::create("once")?;
    let log = TestLog::create(kind, "once", PARTITIONS)?;
    let placed = log.send(&Orders::new(1, USUAL_MIX).take(messages))?;
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records, ..Settings::default() },
    )?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    let model = Model::of(&placed);
    model.compare(&client).await?;
    // A second run finds nothing to do and changes nothing.
    catch_up(&pipeline, PATIENCE)?;
    model.compare(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_everything_once_from_kafka() -> Result<()> {
    stores_everything_once(LogKind::Kafka, 10_000, scale(20_000, 200_000)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_everything_once_from_kafka_in_batches_of_one_hundred() -> Result<()> {
    stores_everything_once(LogKind::Kafka, 100, scale(10_000, 200_000)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_everything_once_from_the_embedded_log() -> Result<()> {
    stores_everything_once(LogKind::Embedded, 10_000, scale(20_000, 200_000)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_everything_once_from_the_embedded_log_in_batches_of_one() -> Result<()> {
    stores_everything_once(LogKind::Embedded, 1, scale(1_000, 10_000)).await
}

/// Kills the worker at random moments while messages keep arriving.
async fn survives_kills(
    kind: LogKind,
    batch_records: usize,
    messages: usize,
    kills: usize,
) -> Result<()> {
    let database = TestDatabase::create("kill")?;
    let log = TestLog::create(kind, "kill", PARTITIONS)?;
    let settings = Settings { batch_records, instance: Some("one".into()), ..Settings::default() };
    let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
    let mut orders = Orders::new(2, USUAL_MIX);
    let mut placed: Vec<Placed> = Vec::new();
    for _ in 0..kills {
        let worker = Worker::start(&pipeline, &["--only", "worker"])?;
        // One half arrives before the worker reads, the other while it loads.
        placed.extend(log.send(&orders.take(messages / kills / 2))?);
        let moment = Duration::from_millis(rand::rng().random_range(100..1_500));
        std::thread::sleep(moment / 2);
        placed.extend(log.send(&orders.take(messages / kills - messages / kills / 2))?);
        std::thread::sleep(moment / 2);
        worker.kill();
    }
    catch_up(&pipeline, PATIENCE)?;
    Model::of(&placed).compare(&connect(&database.url()).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_kills_on_kafka() -> Result<()> {
    survives_kills(LogKind::Kafka, 10_000, scale(20_000, 200_000), scale(5, 30)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_kills_on_kafka_in_batches_of_one_hundred() -> Result<()> {
    survives_kills(LogKind::Kafka, 100, scale(20_000, 200_000), scale(5, 30)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_kills_on_kafka_in_batches_of_one() -> Result<()> {
    survives_kills(LogKind::Kafka, 1, scale(1_000, 10_000), scale(3, 30)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_kills_on_the_embedded_log() -> Result<()> {
    survives_kills(LogKind::Embedded, 100, scale(20_000, 200_000), scale(5, 30)).await
}

/// PostgreSQL dies without a word and comes back, while the worker loads.
async fn survives_database_deaths(kind: LogKind) -> Result<()> {
    let folder = ScratchFolder::create("dying")?;
    let mut postgres =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::default())?;
    postgres.create_database("sales_db")?;
    let log = TestLog::create(kind, "dying", PARTITIONS)?;
    let pipeline = TestPipeline::sales(
        &log,
        &postgres.url("sales_db"),
        &Settings { batch_records: 100, ..Settings::default() },
    )?;
    let mut orders = Orders::new(3, USUAL_MIX);
    let (messages, deaths) = (scale(20_000, 200_000), 5);
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let mut placed = Vec::new();
    for _ in 0..deaths {
        placed.extend(log.send(&orders.take(messages / deaths))?);
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(50..800)));
        postgres.stop(Mode::Immediate)?;
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(10..500)));
        postgres.start_again()?;
    }
    ensure!(worker.is_running(), "the worker ended, its last lines:\n{}", worker.tail());
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    catch_up(&pipeline, PATIENCE)?;
    Model::of(&placed).compare(&connect(&postgres.url("sales_db")).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_database_deaths_on_kafka() -> Result<()> {
    survives_database_deaths(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_database_deaths_on_the_embedded_log() -> Result<()> {
    survives_database_deaths(LogKind::Embedded).await
}

/// Workers come and go, some politely and some not, while others load.
#[tokio::test(flavor = "multi_thread")]
async fn shares_partitions_between_workers_that_come_and_go() -> Result<()> {
    let database = TestDatabase::create("share")?;
    let log = TestLog::create(LogKind::Kafka, "share", PARTITIONS)?;
    let settings = |name: &str| Settings {
        batch_records: 100,
        instance: Some(name.into()),
        ..Settings::default()
    };
    let first = TestPipeline::sales(&log, &database.url(), &settings("first"))?;
    let second = TestPipeline::sales(&log, &database.url(), &settings("second"))?;
    let mut orders = Orders::new(4, USUAL_MIX);
    let (messages, rounds) = (scale(20_000, 200_000), scale(4, 15));
    let mut placed = Vec::new();
    let staying = Worker::start(&first, &["--only", "worker"])?;
    for round in 0..rounds {
        let guest = Worker::start(&second, &["--only", "worker"])?;
        placed.extend(log.send(&orders.take(messages / rounds))?);
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(500..2_500)));
        if round % 2 == 0 {
            ensure!(guest.stop(PATIENCE)?.success(), "the guest did not end cleanly");
        } else {
            guest.kill();
        }
    }
    ensure!(staying.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    catch_up(&first, PATIENCE)?;
    Model::of(&placed).compare(&connect(&database.url()).await?).await
}

/// A worker that was stopped past its session timeout finds its partitions with another, and writes
/// nothing when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_writes_nothing_after_its_partitions_went_to_another() -> Result<()> {
    let database = TestDatabase::create("zombie")?;
    let log = TestLog::create(LogKind::Kafka, "zombie", PARTITIONS)?;
    let settings = |name: &str| Settings {
        batch_records: 100,
        instance: Some(name.into()),
        session_timeout: "3s".into(),
        ..Settings::default()
    };
    let (first, second) = (
        TestPipeline::sales(&log, &database.url(), &settings("zombie"))?,
        TestPipeline::sales(&log, &database.url(), &settings("heir"))?,
    );
    let mut orders = Orders::new(5, USUAL_MIX);
    let client = connect(&database.url()).await?;
    let zombie = Worker::start(&first, &["--only", "worker"])?;
    let mut placed = log.send(&orders.take(2_000))?;
    wait_for(&client, "SELECT count(*) > 0 FROM sales", PATIENCE).await?;
    placed.extend(log.send(&orders.take(10_000))?);
    zombie.signal(libc::SIGSTOP);
    catch_up(&second, PATIENCE)?;
    let model = Model::of(&placed);
    model.compare(&client).await?;
    let last_batch: i64 = client.query_one("SELECT max(id) FROM duto.batch", &[]).await?.get(0);
    zombie.signal(libc::SIGCONT);
    std::thread::sleep(Duration::from_secs(3));
    let after: i64 = client
        .query_one("SELECT count(*) FROM duto.batch WHERE id > $1 AND records > 0", &[&last_batch])
        .await?
        .get(0);
    ensure!(after == 0, "the worker that was stopped wrote {after} batches");
    model.compare(&client).await
}
