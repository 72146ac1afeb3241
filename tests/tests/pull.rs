//! A carrier's API is read: page by page, through its failures and our kills, by one process at a
//! time.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::carrier::{Carrier, Style};
use duto_tests::log::{LogKind, Placed, TestLog, read_committed};
use duto_tests::orders::{Message, Mix, Orders};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::tracking::{Record, Trackings};
use duto_tests::tracking_model::TrackingModel;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{LOADED, wait_for, wait_until};
use duto_tests::worker::Worker;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(90);
const ROUNDS: u64 = 8;

/// A carrier, a pipeline that reads it, and what it has given so far.
struct Stage {
    carrier: Carrier,
    log: TestLog,
    _database: TestDatabase,
    pipeline: TestPipeline,
    client: Client,
    orders: Orders,
    given: Vec<Message>,
}

impl Stage {
    async fn set(kind: LogKind, style: Style) -> Result<Stage> {
        let carrier = Carrier::start(style)?;
        let cursor = match style {
            Style::Cursor => "    cursor: { query: after, answer: next }\n",
            Style::Link => "    cursor: { link: next }\n",
            Style::Since => "    cursor: { query: since, greatest: order_number }\n",
            Style::Whole => "",
        };
        let pull = format!(
            "pull:\n  carrier:\n    url: {}\n    headers: {{ Authorization: Bearer of-a-carrier \
                }}\n    items: data.orders\n{cursor}    \
             interval: 100ms\n    timeout: 5s\n    retry_backoff: 10ms\n    retry_backoff_max: \
                100ms\n",
            carrier.url()
        );
        let mut settings = Settings { session_timeout: "6s".into(), ..Settings::default() };
        settings.replace.push(("ingest:\n".to_owned(), format!("{pull}\ningest:\n")));
        settings.replace.push((
            "  format: json\n".to_owned(),
            "  format: json\n  key: order_number\n".to_owned(),
        ));
        let log = TestLog::create(kind, "pull", 2)?;
        let database = TestDatabase::create("pull")?;
        let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
        let client = connect(&database.url()).await?;
        // An item that the endpoint itself could not place is not its to give.
        let malformed_percent = if style == Style::Since { 0 } else { 3 };
        let orders = Orders::new(71, Mix { malformed_percent, repeat_percent: 0 });
        Ok(Stage { carrier, log, _database: database, pipeline, client, orders, given: Vec::new() })
    }

    /// New items at the end of the carrier's list. What is no JSON at all no list can hold.
    fn give(&mut self, count: usize) {
        let is_json = |message: &Message| {
            serde_json::from_slice::<&serde_json::value::RawValue>(&message.payload).is_ok()
        };
        let messages: Vec<Message> = self.orders.take(count).into_iter().filter(is_json).collect();
        self.carrier.add(
            messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()),
        );
        self.given.extend(messages);
    }

    fn start(&self) -> Result<Worker> {
        Worker::start(&self.pipeline, &["--only", "pull,worker"])
    }

    /// Every item is in the topic, and the database holds what a sequential model makes of the
    /// topic.
    async fn ensure_equal(&self, each_once: bool) -> Result<()> {
        let by_payload: HashMap<&[u8], &Message> =
            self.given.iter().map(|message| (message.payload.trim_ascii(), message)).collect();
        let records = read_committed(self.log.log(), &self.log.topic)?;
        let mut placed = Vec::new();
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        for record in records.iter() {
            let payload = record.payload.context("no payload")?;
            let message = by_payload
                .get(payload)
                .with_context(|| format!("nobody gave {}", String::from_utf8_lossy(payload)))?;
            *counts.entry(message.payload.trim_ascii()).or_default() += 1;
            placed.push(Placed {
                partition: record.head.partition,
                offset: record.head.offset,
                message: (*message).clone(),
            });
        }
        let lost = self
            .given
            .iter()
            .filter(|message| !counts.contains_key(message.payload.trim_ascii()))
            .count();
        ensure!(lost == 0, "{lost} of {} items are lost", self.given.len());
        let given = self.given.iter().fold(HashMap::<&[u8], usize>::new(), |mut given, message| {
            *given.entry(message.payload.trim_ascii()).or_default() += 1;
            given
        });
        ensure!(
            !each_once || counts == given,
            "{} records of {} items",
            records.len(),
            self.given.len()
        );
        Model::of(&placed).compare(&self.client).await
    }

    async fn wait_until_stored(&self, patience: Duration) -> Result<()> {
        let stored = self
            .given
            .iter()
            .filter(|message| !matches!(message.meaning, duto_tests::orders::Meaning::Malformed))
            .count();
        wait_for(&self.client, &format!("SELECT count(*) = {stored} FROM sales"), patience).await?;
        let caught_up = format!("SELECT count(*) = {} FROM duto.reject", self.given.len() - stored);
        wait_for(&self.client, &caught_up, patience).await
    }
}

async fn kills_neither_lose_nor_double_an_item(kind: LogKind, style: Style) -> Result<()> {
    let mut stage = Stage::set(kind, style).await?;
    stage.carrier.fail_each(6);
    stage.give(60);
    for round in 0..ROUNDS {
        let worker = stage.start()?;
        for _ in 0..4 + round % 3 {
            stage.give(20);
            tokio::time::sleep(Duration::from_millis(200 + round * 37 % 150)).await;
        }
        worker.kill();
    }
    let mut worker = stage.start()?;
    stage.give(30);
    stage.wait_until_stored(PATIENCE).await.with_context(|| worker.tail())?;
    ensure!(worker.is_running());
    ensure!(worker.stop(PATIENCE)?.success(), "the program did not end cleanly");
    ensure!(stage.carrier.requests() > 30, "only {} requests", stage.carrier.requests());
    stage.ensure_equal(style != Style::Whole).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_neither_lose_nor_double_an_item_behind_a_cursor() -> Result<()> {
    kills_neither_lose_nor_double_an_item(LogKind::Kafka, Style::Cursor).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_neither_lose_nor_double_an_item_of_linked_pages() -> Result<()> {
    kills_neither_lose_nor_double_an_item(LogKind::Embedded, Style::Link).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_neither_lose_nor_double_an_item_since_the_greatest() -> Result<()> {
    kills_neither_lose_nor_double_an_item(LogKind::Kafka, Style::Since).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_gives_each_row_once_and_is_not_read_again_until_it_changes() -> Result<()> {
    kills_neither_lose_nor_double_an_item(LogKind::Embedded, Style::Whole).await?;
    let mut stage = Stage::set(LogKind::Embedded, Style::Whole).await?;
    stage.give(40);
    let worker = stage.start()?;
    stage.wait_until_stored(PATIENCE).await.with_context(|| worker.tail())?;
    wait_until("nothing changes", PATIENCE, || stage.carrier.not_modified() > 3).await?;
    stage.give(10);
    stage.wait_until_stored(PATIENCE).await.with_context(|| worker.tail())?;
    ensure!(worker.stop(PATIENCE)?.success(), "the program did not end cleanly");
    stage.ensure_equal(true).await
}

/// The second takes over from the first, which stands by, and comes back when the second is silent.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_reads_and_another_takes_over_when_it_is_gone() -> Result<()> {
    let mut stage = Stage::set(LogKind::Kafka, Style::Cursor).await?;
    stage.give(50);
    let first = stage.start()?;
    stage.wait_until_stored(PATIENCE).await.with_context(|| first.tail())?;
    let second = stage.start()?;
    for _ in 0..20 {
        stage.give(10);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.wait_until_stored(PATIENCE).await.with_context(|| second.tail())?;
    second.kill();
    stage.give(50);
    stage.wait_until_stored(PATIENCE * 2).await.with_context(|| first.tail())?;
    drop(first);
    stage.ensure_equal(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_is_told_and_read_once_it_does_not() -> Result<()> {
    let mut stage = Stage::set(LogKind::Embedded, Style::Cursor).await?;
    stage.give(5);
    let text = std::fs::read_to_string(&stage.pipeline.file)?;
    std::fs::write(&stage.pipeline.file, text.replace("Bearer of-a-carrier", "Bearer of-nobody"))?;
    let refused = stage.start()?;
    wait_until("it is told", PATIENCE, || refused.said("401 Unauthorized: look at `headers`") > 0)
        .await
        .with_context(|| refused.tail())?;
    ensure!(refused.said("of-nobody") == 0, "the header is a secret");
    ensure!(refused.stop(PATIENCE)?.success(), "the program did not end cleanly");
    std::fs::write(&stage.pipeline.file, text)?;
    let worker = stage.start()?;
    stage.wait_until_stored(PATIENCE).await.with_context(|| worker.tail())?;
    drop(worker);
    stage.ensure_equal(true).await
}

/// The carrier's API of the package tracking gives the tables that the stream gives.
#[tokio::test(flavor = "multi_thread")]
async fn packages_read_from_an_api_through_kills_give_equal_tables() -> Result<()> {
    let carrier = Carrier::start(Style::Cursor)?;
    carrier.fail_each(7);
    // One partition: the ids come in several forms, which are several keys, and which event of a
    // moment is the first is to be defined.
    let (log, database) =
        (TestLog::create(LogKind::Kafka, "tracked", 1)?, TestDatabase::create("tracked")?);
    let mut pipeline = TestPipeline::logistics(&log, &database.url(), &Settings::default())?;
    let url = carrier.url();
    let variables = [
        ("CARRIER_URL", url.as_str()),
        ("CARRIER_AUTHORIZATION", "Bearer of-a-carrier"),
        ("CARRIER_ITEMS", "data.orders"),
        ("CARRIER_CURSOR_QUERY", "after"),
        ("CARRIER_CURSOR_ANSWER", "next"),
        ("CARRIER_INTERVAL", "100ms"),
    ];
    pipeline.environment.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // What is no JSON at all no list can hold.
    let is_json = |record: &Record| {
        serde_json::from_slice::<&serde_json::value::RawValue>(&record.message.payload).is_ok()
    };
    let records: Vec<Record> =
        Trackings::new(72, 150).take(3_000).into_iter().filter(is_json).collect();
    for part in records.chunks(records.len() / 8) {
        let worker = Worker::start(&pipeline, &["--only", "pull,worker"])?;
        for few in part.chunks(60) {
            carrier.add(
                few.iter()
                    .map(|record| String::from_utf8_lossy(&record.message.payload).into_owned()),
            );
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        worker.kill();
    }
    let worker = Worker::start(&pipeline, &["--only", "pull,worker"])?;
    let client = connect(&database.url()).await?;
    let loaded = format!("SELECT {LOADED} = {}", records.len());
    wait_for(&client, &loaded, PATIENCE).await.with_context(|| worker.tail())?;
    ensure!(worker.stop(PATIENCE)?.success(), "the program did not end cleanly");
    ensure!(
        read_committed(log.log(), &log.topic)?.len() == records.len(),
        "an item is in the topic twice"
    );
    TrackingModel::of(&records).compare(&client).await
}
