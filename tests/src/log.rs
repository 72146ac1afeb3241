//! The log under test, and what was put into it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use duto_ground::batch::Batch;
use duto_log::{ConsumerSettings, Event, Log, LogError, NewTopic, OutgoingRecord, Producer, Start};
use duto_servers::{ScratchFolder, shared};

use crate::orders::{Meaning, Message};

const TIMEOUT: Duration = Duration::from_secs(60);
/// For the markers of a Kafka transaction.
const COMMIT_PATIENCE: Duration = Duration::from_secs(3);

/// Which log a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    Kafka,
    Embedded,
}

/// Where a message went, once that is known.
type Place = Option<Result<(i32, i64), LogError>>;

/// A topic of the test's own.
pub struct TestLog {
    pub kind: LogKind,
    pub topic: String,
    pub bootstrap_servers: String,
    /// Of the embedded log; Kafka leaves it empty.
    pub folder: ScratchFolder,
    log: Arc<dyn Log>,
    producer: Box<dyn Producer>,
}

/// A message and the place that the log gave it.
#[derive(Debug, Clone)]
pub struct Placed<M = Meaning> {
    pub partition: i32,
    pub offset: i64,
    pub message: Message<M>,
}

impl TestLog {
    pub fn create(kind: LogKind, purpose: &str, partitions: i32) -> Result<TestLog> {
        let bootstrap_servers = match kind {
            LogKind::Kafka => shared::kafka_bootstrap_servers()?,
            LogKind::Embedded => String::new(),
        };
        Self::create_at(kind, purpose, partitions, bootstrap_servers)
    }

    /// On a broker of the test's own.
    pub fn create_at(
        kind: LogKind,
        purpose: &str,
        partitions: i32,
        bootstrap_servers: String,
    ) -> Result<TestLog> {
        Self::create_with(kind, purpose, partitions, bootstrap_servers, &[])
    }

    /// With settings of librdkafka's.
    pub fn create_with(
        kind: LogKind,
        purpose: &str,
        partitions: i32,
        bootstrap_servers: String,
        kafka: &[(String, String)],
    ) -> Result<TestLog> {
        let folder = ScratchFolder::create(purpose)?;
        let topic = shared::unique_name(purpose);
        let log = duto_log::open(Some(&bootstrap_servers), kafka, &folder.path().join("log"))?;
        log.create_topic(&NewTopic { name: topic.clone(), partitions, retention: None }, TIMEOUT)?;
        let producer = log.producer()?;
        Ok(TestLog { kind, topic, bootstrap_servers, folder, log, producer })
    }

    pub fn log(&self) -> &dyn Log {
        self.log.as_ref()
    }

    /// The embedded log's folder, as the program takes it.
    pub fn log_folder(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Sends all messages and waits until each is durable. Answers where they are.
    pub fn send<M: Clone>(&self, messages: &[Message<M>]) -> Result<Vec<Placed<M>>> {
        let places: Arc<Mutex<Vec<Place>>> = Arc::new(Mutex::new(vec![None; messages.len()]));
        for (index, message) in messages.iter().enumerate() {
            loop {
                let places = places.clone();
                let outcome = Box::new(move |sent: Result<duto_log::Sent, LogError>| {
                    places.lock().expect("no holder panics")[index] =
                        Some(sent.map(|sent| (sent.partition, sent.offset)));
                });
                let record = OutgoingRecord {
                    topic: &self.topic,
                    partition: None,
                    key: Some(message.key.as_bytes()),
                    payload: Some(&message.payload),
                    headers: &[],
                };
                match self.producer.send(record, outcome) {
                    Ok(()) => break,
                    Err(LogError::QueueFull) => std::thread::sleep(Duration::from_millis(2)),
                    Err(error) => return Err(error).context("sending"),
                }
            }
        }
        self.producer.flush(TIMEOUT)?;
        let mut placed = Vec::with_capacity(messages.len());
        let places = places.lock().expect("no holder panics");
        for (message, place) in messages.iter().zip(places.iter()) {
            match place {
                Some(Ok((partition, offset))) => placed.push(Placed {
                    partition: *partition,
                    offset: *offset,
                    message: message.clone(),
                }),
                Some(Err(error)) => bail!("a message was not taken: {error}"),
                None => bail!("a message has no outcome"),
            }
        }
        Ok(placed)
    }
}

/// Everything that is committed in a topic now; the records of a partition in the order of their
/// offsets. Nothing where there is no topic.
pub fn read_committed(log: &dyn Log, topic: &str) -> Result<Batch> {
    let Some(described) = log.topic(topic, TIMEOUT)? else { return Ok(Batch::default()) };
    let end = |partition| Ok((partition, stable_end(log, topic, partition)?));
    let ends: BTreeMap<i32, i64> =
        (0..described.partitions).map(end).collect::<Result<_, LogError>>()?;
    let mut consumer = log.consumer(&ConsumerSettings {
        topic: topic.to_owned(),
        group: shared::unique_name("reader"),
        instance_id: None,
        session_timeout: Duration::from_secs(6),
        max_queued_bytes: 4 << 20,
        max_record_bytes: 16 << 20,
    })?;
    let (mut read, mut open) = (Batch::default(), ends.clone());
    let deadline = Instant::now() + TIMEOUT;
    while !open.is_empty() {
        ensure!(Instant::now() < deadline, "{topic} is not read to its ends {ends:?} in time");
        for event in consumer.poll(&mut read, 10_000, Duration::from_millis(100)) {
            match event {
                Event::Assigned(partitions) => {
                    let start = |partition: &i32| Start {
                        partition: *partition,
                        offset: 0,
                        leader_epoch: -1,
                    };
                    consumer.assign(&partitions.iter().map(start).collect::<Vec<_>>())?;
                }
                Event::End { partition, offset } => {
                    open.retain(|open, end| *open != partition || *end > offset)
                }
                Event::Fatal(reason) => bail!("{topic}: {reason}"),
                _ => {}
            }
        }
    }
    consumer.close();
    let mut committed = Batch::default();
    read.iter()
        .filter(|record| record.head.offset < ends[&record.head.partition])
        .for_each(|record| committed.push_record(record));
    Ok(committed)
}

/// Kafka answers a commit before it has told every partition of it: the stable end follows a moment
/// later. Where a transaction was left open it does not, so that is not waited for long.
fn stable_end(log: &dyn Log, topic: &str, partition: i32) -> Result<i64, LogError> {
    let deadline = Instant::now() + COMMIT_PATIENCE;
    loop {
        let marks = log.watermarks(topic, partition, TIMEOUT)?;
        if marks.last_stable >= marks.high || Instant::now() >= deadline {
            return Ok(marks.last_stable);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
