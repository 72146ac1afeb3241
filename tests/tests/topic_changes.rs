//! What Kafka's operator does to the topic: more partitions, another topic of the same name,
//! records deleted before they were read.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::shared::{TestDatabase, kafka_bootstrap_servers};
use duto_tests::admin::Admin;
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Mix, Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect, positions};
use duto_tests::wait::{LOADED, wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::{Worker, catch_up, command};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(90);
const REFRESH: (&str, &str) = ("topic.metadata.refresh.interval.ms", "500");
const NO_REPEATS: Mix = Mix { malformed_percent: 1, repeat_percent: 0 };

/// A key goes to another partition when there are more, so repeats would have no order: there are
/// none.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_under_load_are_read_from_their_beginning() -> Result<()> {
    let database = TestDatabase::create("grow")?;
    let refresh = [(REFRESH.0.to_owned(), REFRESH.1.to_owned())];
    let log = Arc::new(TestLog::create_with(
        LogKind::Kafka,
        "grow",
        4,
        kafka_bootstrap_servers()?,
        &refresh,
    )?);
    let settings =
        Settings { batch_records: 200, ..Settings::default() }.kafka(REFRESH.0, REFRESH.1);
    let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
    let client = connect(&database.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let load = Load::start(
        &log,
        Orders::new(28, NO_REPEATS),
        Rate { per_second: 1_000, most: scale(60_000, 200_000) },
    );
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    Admin::of(&log)?.grow(8).await?;
    wait_for(
        &client,
        "SELECT count(DISTINCT partition) = 8 FROM duto.batch WHERE records > 0",
        PATIENCE,
    )
    .await?;
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// A topic that was read to its end, and what the worker must leave alone afterwards.
struct Read {
    _database: TestDatabase,
    log: TestLog,
    pipeline: TestPipeline,
    client: Client,
    orders: Orders,
    placed: Vec<Placed>,
}

async fn read_topic(purpose: &str, partitions: i32) -> Result<Read> {
    let database = TestDatabase::create(purpose)?;
    let log = TestLog::create(LogKind::Kafka, purpose, partitions)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let mut orders = Orders::new(29, USUAL_MIX);
    let placed = log.send(&orders.take(1_000))?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    Model::of(&placed).compare(&client).await?;
    Ok(Read { _database: database, log, pipeline, client, orders, placed })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_while_the_worker_is_stopped_halts_it_until_the_operator_decides()
-> Result<()> {
    let Read { _database, log, pipeline, client, .. } = read_topic("anew", 2).await?;
    let admin = Admin::of(&log)?;
    admin.delete().await?;
    admin.make(2)?;
    // Other orders, more of them, so that the old position lies inside the new log.
    let mut others = Orders::new(30, Mix { malformed_percent: 0, repeat_percent: 0 });
    drop(others.take(2_000));
    let sent = log.send(&others.take(3_000))?;
    let rows = "SELECT count(*) FROM sales";
    let before: i64 = client.query_one(rows, &[]).await?.get(0);
    let mut worker = Worker::start(&pipeline, &["--until-caught-up"])?;
    let status = worker.wait(PATIENCE)?;
    ensure!(
        status.code() == Some(1) && worker.said("was made anew since") > 0,
        "it ended with {status}:\n{}",
        worker.tail()
    );
    ensure!(
        client.query_one(rows, &[]).await?.get::<_, i64>(0) == before,
        "something of the new topic was stored"
    );

    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    for partition in ["0", "1"] {
        let set = [
            "position",
            "set",
            &file,
            "--partition",
            partition,
            "--to",
            "earliest",
            "--yes",
            "--log-folder",
            &folder,
        ];
        let (code, said, error) = command(&pipeline, &set)?;
        ensure!(code == 0, "{said}{error}");
    }
    catch_up(&pipeline, PATIENCE)?;
    let after: i64 = client.query_one(rows, &[]).await?.get(0);
    ensure!(
        after == before + sent.len() as i64,
        "{after} rows, there were {before} and {} came",
        sent.len()
    );
    Ok(())
}

/// The worker runs and waits when the topic is deleted and made anew; what then comes reaches past
/// the old position.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_under_a_running_worker_stores_nothing_of_the_new_one() -> Result<()> {
    let Read { _database, log, pipeline, client, mut orders, placed } =
        read_topic("anew_running", 2).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let placed = [placed, log.send(&orders.take(100))?].concat();
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    let admin = Admin::of(&log)?;
    admin.delete().await?;
    admin.make(2)?;
    let positions_before = positions(&client).await?;
    let is_told = || worker.said("was made anew while it was read") > 0;
    wait_until("the worker says that the topic was made anew", PATIENCE, is_told)
        .await
        .with_context(|| worker.tail())?;
    let sent = log.send(&orders.take(4_000))?;
    for (partition, next) in &positions_before {
        ensure!(
            sent.iter().any(|placed| placed.partition == *partition && placed.offset > *next),
            "partition {partition} is not refilled"
        );
    }
    // Every ten seconds a halted partition is looked at again.
    let halted = worker.said("halted:");
    wait_until("the partitions are halted again", PATIENCE, || {
        worker.said("halted:") >= halted + 2
    })
    .await?;
    ensure!(positions(&client).await? == positions_before, "a position moved");
    ensure!(worker.is_running(), "the worker ended:\n{}", worker.tail());
    Model::of(&placed).compare(&client).await
}

/// Retention was quicker than the worker: that partition halts with a count, the other goes on,
/// nothing is reset.
#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_before_they_were_read_halt_their_partition_alone() -> Result<()> {
    let Read { _database, log, pipeline, client, mut orders, mut placed } =
        read_topic("deleted", 2).await?;
    let position = positions(&client).await?[&0];
    placed.extend(log.send(&orders.take(1_000))?);
    Admin::of(&log)?.delete_records_below(0, position + 100).await?;
    let mut worker = Worker::start(&pipeline, &["--until-caught-up"])?;
    let status = worker.wait(PATIENCE)?;
    let words = "100 records were deleted by the log before they were read";
    ensure!(
        status.code() == Some(1) && worker.said(words) > 0,
        "it ended with {status}:\n{}",
        worker.tail()
    );

    let worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let end = placed
        .iter()
        .filter(|placed| placed.partition == 1)
        .map(|placed| placed.offset + 1)
        .max()
        .unwrap_or(0);
    wait_for(
        &client,
        &format!("SELECT next = {end} FROM duto.position WHERE partition = 1"),
        PATIENCE,
    )
    .await?;
    ensure!(positions(&client).await?[&0] == position, "the halted position moved");

    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    let set = [
        "position",
        "set",
        &file,
        "--partition",
        "0",
        "--to",
        "earliest",
        "--yes",
        "--log-folder",
        &folder,
    ];
    let (code, said, error) = command(&pipeline, &set)?;
    ensure!(code == 0 && said.contains("a skip: 100 offsets"), "{said}{error}");
    placed.retain(|placed| {
        placed.partition != 0 || placed.offset < position || placed.offset >= position + 100
    });
    wait_for(&client, &format!("SELECT {LOADED} = {}", placed.len()), PATIENCE).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    // A repeat may have lost what it repeated, which the model knows: it is made of what was left.
    Model::of(&placed).compare(&client).await
}
