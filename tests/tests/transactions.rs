//! Producers that send in transactions and abort some of them.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use duto_servers::shared::{TestDatabase, unique_name};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Message, Mix, Orders};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect, positions};
use duto_tests::wait::{wait_for, wait_until_loaded};
use duto_tests::worker::{Worker, command};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 3;
const IN_A_TRANSACTION: usize = 60;

struct Sender {
    producer: FutureProducer,
    topic: String,
}

impl Sender {
    fn new(log: &TestLog) -> Result<Sender> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &log.bootstrap_servers)
            .set("transactional.id", unique_name("sender"))
            .set("partitioner", "murmur2_random")
            .create()?;
        producer.init_transactions(PATIENCE)?;
        Ok(Sender { producer, topic: log.topic.clone() })
    }

    /// In one transaction, which stays open. Answers where the messages are.
    async fn send(&self, messages: &[Message]) -> Result<Vec<Placed>> {
        self.producer.begin_transaction()?;
        let mut sent = Vec::new();
        for message in messages {
            let record = FutureRecord::to(&self.topic).key(&message.key).payload(&message.payload);
            sent.push(self.producer.send_result(record).map_err(|(error, _)| anyhow!(error))?);
        }
        let mut placed = Vec::new();
        for (message, outcome) in messages.iter().zip(sent) {
            let delivery = outcome
                .await
                .context("the producer is gone")?
                .map_err(|(error, _)| anyhow!(error))?;
            placed.push(Placed {
                partition: delivery.partition,
                offset: delivery.offset,
                message: message.clone(),
            });
        }
        Ok(placed)
    }
}

/// The orders of an aborted transaction come again in the next one with other totals: whoever
/// stored one of the aborted would be found out. The last thing in the log is the marker of an
/// abort.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_aborted_is_never_stored_and_the_lag_returns_to_nothing() -> Result<()> {
    let database = TestDatabase::create("aborts")?;
    let log = TestLog::create(LogKind::Kafka, "aborts", PARTITIONS)?;
    let pipeline = TestPipeline::sales(
        &log,
        &database.url(),
        &Settings { batch_records: 100, ..Settings::default() },
    )?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let client = connect(&database.url()).await?;
    let mix = Mix { malformed_percent: 2, repeat_percent: 3 };
    let (mut orders, mut aborted_orders) = (Orders::new(31, mix), Orders::new(32, mix));
    let sender = Sender::new(&log)?;
    let mut placed = Vec::new();
    for _ in 0..scale(8, 100) {
        sender.send(&aborted_orders.take(IN_A_TRANSACTION)).await?;
        sender.producer.abort_transaction(PATIENCE)?;
        placed.extend(sender.send(&orders.take(IN_A_TRANSACTION)).await?);
        sender.producer.commit_transaction(PATIENCE)?;
    }
    sender.send(&aborted_orders.take(IN_A_TRANSACTION)).await?;
    sender.producer.abort_transaction(PATIENCE)?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    for partition in 0..PARTITIONS {
        let end = log.log().watermarks(&log.topic, partition, PATIENCE)?.high;
        wait_for(
            &client,
            &format!("SELECT next = {end} FROM duto.position WHERE partition = {partition}"),
            PATIENCE,
        )
        .await?;
    }
    Model::of(&placed).compare(&client).await?;

    // An open transaction holds the end back, and is no lag until it is decided.
    let at_rest = positions(&client).await?;
    let more = sender.send(&orders.take(IN_A_TRANSACTION)).await?;
    let (code, said, error) = command(
        &pipeline,
        &[
            "status",
            "--json",
            &pipeline.file.display().to_string(),
            "--log-folder",
            &pipeline.log_folder.display().to_string(),
        ],
    )?;
    let status: serde_json::Value = serde_json::from_str(&said)?;
    let lags: Vec<i64> = status["partitions"]
        .as_array()
        .context("partitions")?
        .iter()
        .filter_map(|partition| partition["lag"].as_i64())
        .collect();
    ensure!(code == 0 && lags == [0; PARTITIONS as usize], "the lag is {lags:?}: {said}{error}");
    ensure!(positions(&client).await? == at_rest, "a position moved into an open transaction");
    sender.producer.commit_transaction(PATIENCE)?;
    let placed = [placed, more].concat();
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
