//! What the tests of the logs share: a log of either kind, topics of their own, and reading until
//! something happened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use duto_ground::batch::Batch;
use duto_log::{
    Consumer, ConsumerSettings, Event, Log, LogError, NewTopic, OutgoingRecord, Producer, Sent,
    Start, open,
};

/// Each case runs on both logs; whoever uses it has `Folder` and `kafka` in scope.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_kafka {
            $(#[test] fn $name() { super::$name(&super::kafka()); })+
        }
        mod on_embedded {
            $(#[test] fn $name() { let folder = super::Folder::new(); super::$name(&folder.log()); })+
        }
    };
}
pub(super) use on_both;

pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The broker of these tests. They are not skipped without one.
pub fn kafka_servers() -> String {
    std::env::var("DUTO_TEST_KAFKA").expect(
        "DUTO_TEST_KAFKA must name a running Kafka broker as host:port: `make test` starts \
            one and sets it",
    )
}

pub fn kafka() -> Arc<dyn Log> {
    open(Some(&kafka_servers()), &[], &PathBuf::from("/nowhere")).expect("open Kafka")
}

/// A folder that is removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let folder = std::env::temp_dir().join(unique("duto-log"));
        std::fs::create_dir_all(&folder).expect("make a folder");
        Folder(folder)
    }

    pub fn log(&self) -> Arc<dyn Log> {
        open(None, &[], &self.0).expect("open the embedded log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that no other test, and no earlier run, has.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970");
    format!(
        "{prefix}-{}-{}-{}",
        std::process::id(),
        now.as_nanos(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

pub fn new_topic(log: &dyn Log, partitions: i32) -> String {
    let name = unique("topic");
    log.create_topic(&NewTopic { name: name.clone(), partitions, retention: None }, TIMEOUT)
        .expect("make a topic");
    name
}

pub fn settings(topic: &str, group: &str) -> ConsumerSettings {
    ConsumerSettings {
        topic: topic.to_owned(),
        group: group.to_owned(),
        instance_id: None,
        session_timeout: Duration::from_secs(6),
        max_queued_bytes: 4 << 20,
        max_record_bytes: 1 << 20,
    }
}

/// Sends and waits for the outcome.
pub fn send(producer: &dyn Producer, record: OutgoingRecord<'_>) -> Result<Sent, LogError> {
    let (tell, told) = mpsc::channel();
    producer.send(record, Box::new(move |outcome| drop(tell.send(outcome))))?;
    told.recv_timeout(TIMEOUT).expect("an outcome")
}

/// Sends `payload 0`, `payload 1`, ... to one partition; answers their offsets.
pub fn send_numbers(
    producer: &dyn Producer,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<usize>,
) -> Vec<i64> {
    let (tell, told) = mpsc::channel();
    let count = numbers.len();
    for number in numbers {
        let payload = format!("payload {number}");
        let record = OutgoingRecord {
            topic,
            partition: Some(partition),
            key: None,
            payload: Some(payload.as_bytes()),
            headers: &[],
        };
        let tell = tell.clone();
        producer.send(record, Box::new(move |outcome| drop(tell.send(outcome)))).expect("queued");
    }
    let outcomes =
        (0..count).map(|_| told.recv_timeout(TIMEOUT).expect("an outcome").expect("sent").offset);
    let mut offsets: Vec<i64> = outcomes.collect();
    offsets.sort_unstable();
    offsets
}

/// A reader that answers announcements as a worker does, and notes all that happens.
pub struct Reader {
    pub consumer: Box<dyn Consumer>,
    pub batch: Batch,
    pub events: Vec<Event>,
    /// Where it starts when a partition is assigned, the first offset if nothing is said.
    pub positions: BTreeMap<i32, Start>,
    pub owned: Vec<i32>,
}

impl Reader {
    pub fn new(log: &dyn Log, settings: &ConsumerSettings) -> Reader {
        let consumer = log.consumer(settings).expect("a consumer");
        Reader {
            consumer,
            batch: Batch::default(),
            events: Vec::new(),
            positions: BTreeMap::new(),
            owned: Vec::new(),
        }
    }

    pub fn starting_at(mut self, start: Start) -> Reader {
        self.positions.insert(start.partition, start);
        self
    }

    pub fn poll(&mut self, max_records: usize, timeout: Duration) {
        let before = self.batch.len();
        for event in self.consumer.poll(&mut self.batch, max_records, timeout) {
            match &event {
                Event::Assigned(partitions) => {
                    let start = |partition: &i32| {
                        self.positions.get(partition).copied().unwrap_or(Start {
                            partition: *partition,
                            offset: 0,
                            leader_epoch: -1,
                        })
                    };
                    let starts: Vec<Start> = partitions.iter().map(start).collect();
                    self.consumer.assign(&starts).expect("assign");
                    self.owned.extend(partitions);
                }
                Event::Revoked(partitions) | Event::Lost(partitions) => {
                    self.consumer.unassign(partitions).expect("unassign");
                    self.owned.retain(|partition| !partitions.contains(partition));
                }
                _ => {}
            }
            self.events.push(event);
        }
        assert!(self.batch.len() - before <= max_records, "more records than were asked for");
        for head in &self.batch.records[before..] {
            let next = Start {
                partition: head.partition,
                offset: head.offset + 1,
                leader_epoch: head.leader_epoch,
            };
            self.positions.insert(head.partition, next);
        }
    }

    /// Polls until `reached`, and fails with what happened when that takes too long.
    #[track_caller]
    pub fn poll_until(&mut self, what: &str, reached: impl Fn(&Reader) -> bool) {
        let deadline = Instant::now() + TIMEOUT * 2;
        while !reached(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not reached with {} records and {:?}",
                self.batch.len(),
                self.events
            );
            self.poll(10_000, Duration::from_millis(200));
        }
    }

    #[track_caller]
    pub fn read(&mut self, count: usize) {
        self.poll_until(&format!("{count} records"), |reader| reader.batch.len() >= count);
    }

    /// What the records of a partition are, in the order in which they came.
    pub fn offsets(&self, partition: i32) -> Vec<i64> {
        self.batch
            .records
            .iter()
            .filter(|head| head.partition == partition)
            .map(|head| head.offset)
            .collect()
    }

    pub fn payloads(&self) -> Vec<String> {
        self.batch
            .iter()
            .map(|record| String::from_utf8_lossy(record.payload.unwrap_or_default()).into_owned())
            .collect()
    }

    pub fn ended_at(&self, partition: i32, offset: i64) -> bool {
        self.events.contains(&Event::End { partition, offset })
    }

    /// The same, or behind it.
    pub fn ended_behind(&self, partition: i32, offset: i64) -> bool {
        self.events.iter().any(|event| matches!(event, Event::End { partition: of, offset: at } if *of == partition && *at >= offset))
    }

    pub fn out_of_range(&self, partition: i32) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            Event::OutOfRange { partition: of, reason } if *of == partition => {
                Some(reason.as_str())
            }
            _ => None,
        })
    }
}

pub fn first(partition: i32) -> Start {
    Start { partition, offset: 0, leader_epoch: -1 }
}
