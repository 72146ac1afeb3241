//! A topic of many messages: the newest are there at once, and a key far back is found with
//! progress shown. With DUTO_FAULTS_FULL it has five million; the figures are printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_log::{LogError, OutgoingRecord};
use duto_servers::free_port;
use duto_tests::http::{EventStream, request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::worker::Worker;
use serde_json::Value;

const PARTITIONS: i32 = 4;
const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn a_large_topic_opens_at_once_and_is_searched_on_kafka() -> Result<()> {
    opens_and_finds(LogKind::Kafka)
}

#[test]
fn a_large_topic_opens_at_once_and_is_searched_on_the_embedded_log() -> Result<()> {
    opens_and_finds(LogKind::Embedded)
}

fn opens_and_finds(kind: LogKind) -> Result<()> {
    let messages = scale(200_000, 5_000_000);
    let needle = messages / 5;
    let log = TestLog::create(kind, "topics-large", PARTITIONS)?;
    let began = Instant::now();
    fill(&log, messages)?;
    println!("{kind:?}: {messages} messages sent in {:?}", began.elapsed());

    let pipeline =
        TestPipeline::sales(&log, "postgres://nobody@127.0.0.1:9/none", &Settings::default())?;
    let port = free_port()?;
    let _browser = Worker::topics(&pipeline, port)?;
    wait_until_it_answers(port)?;
    for round in ["first", "second"] {
        let began = Instant::now();
        let (status, body) =
            request(port, "GET", &format!("/duto/topics/{}/messages", log.topic), "")?;
        println!("{kind:?}: opened ({round}) in {:?}", began.elapsed());
        let page: Value = serde_json::from_str(&body)?;
        let shown = page["messages"].as_array().context("messages")?;
        ensure!(status == 200 && shown.len() == 100, "{status}: {} messages", shown.len());
    }

    let began = Instant::now();
    let (mut before, mut progress, mut scanned, mut stops) = (String::new(), 0, 0, 0);
    let found = loop {
        let query = format!("key=key-{needle}&matches=1&before={before}");
        let query = query.trim_end_matches("&before=");
        let mut stream =
            EventStream::open(port, &format!("/duto/topics/{}/search?{query}", log.topic))?;
        let (mut found, stopped) = (None, loop_until_stopped(&mut stream, &mut progress)?);
        scanned += stopped.1["scanned"].as_u64().unwrap_or(0);
        stops += 1;
        if let Some(matches) = stopped.0 {
            found = matches["messages"][0]["payload"]["text"].as_str().map(str::to_owned);
        }
        match found {
            Some(found) => break found,
            None => {
                ensure!(stopped.1["why"] == "scanned", "it was not found: {}", stopped.1);
                before = stopped.1["before"].as_str().context("a cursor")?.to_owned();
            }
        }
    };
    println!(
        "{kind:?}: found after {scanned} of {messages} messages in {:?}, {progress} times \
            progress, {stops} requests",
        began.elapsed()
    );
    ensure!(found == payload(needle), "{found}");
    ensure!(progress > 1, "it told nothing of its progress");
    ensure!(scanned as usize > messages / 2, "the key is far back, {scanned} were scanned");
    Ok(())
}

/// The matches, if there were any, and the last event.
fn loop_until_stopped(
    stream: &mut EventStream,
    progress: &mut usize,
) -> Result<(Option<Value>, Value)> {
    let mut matches = None;
    loop {
        let (name, data) = stream.next_event()?;
        let data: Value = serde_json::from_str(&data)?;
        match name.as_str() {
            "matches" => matches = Some(data),
            "progress" => *progress += 1,
            "stopped" => return Ok((matches, data)),
            other => anyhow::bail!("{other}: {data}"),
        }
    }
}

fn payload(number: usize) -> String {
    format!(r#"{{"order_number": {number}, "order_items": []}}"#)
}

/// As fast as the log takes them.
fn fill(log: &TestLog, messages: usize) -> Result<()> {
    let producer = log.log().producer()?;
    let (durable, failed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    for number in 0..messages {
        let (key, payload) = (format!("key-{number}"), payload(number));
        loop {
            let (durable, failed) = (durable.clone(), failed.clone());
            let record = OutgoingRecord {
                topic: &log.topic,
                partition: None,
                key: Some(key.as_bytes()),
                payload: Some(payload.as_bytes()),
                headers: &[],
            };
            let count = move |outcome: Result<duto_log::Sent, LogError>| {
                let counter = if outcome.is_ok() { &durable } else { &failed };
                counter.fetch_add(1, Ordering::Relaxed);
            };
            match producer.send(record, Box::new(count)) {
                Ok(()) => break,
                Err(LogError::QueueFull) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(error.into()),
            }
        }
    }
    producer.flush(TIMEOUT)?;
    ensure!(
        durable.load(Ordering::Relaxed) == messages,
        "{} were not taken",
        failed.load(Ordering::Relaxed)
    );
    Ok(())
}
