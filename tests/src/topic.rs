//! What a consumer of committed messages finds on a topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use duto_ground::batch::{Batch, decode_headers};
use duto_log::{ConsumerSettings, Event, Log, Start};
use duto_servers::shared;

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// One message.
#[derive(Debug, Clone)]
pub struct Found {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub payload: String,
    pub headers: BTreeMap<String, String>,
}

/// Everything on a topic, each partition in its order, from its first offset to what is decided
/// now. A topic that is not there is empty.
pub fn read_all(log: &dyn Log, topic: &str) -> Result<Vec<Found>> {
    let Some(description) = log.topic(topic, TIMEOUT)? else { return Ok(Vec::new()) };
    let mut goals = BTreeMap::new();
    let mut starts = Vec::new();
    for partition in 0..description.partitions {
        let marks = log.watermarks(topic, partition, TIMEOUT)?;
        goals.insert(partition, marks.last_stable);
        starts.push(Start { partition, offset: marks.low, leader_epoch: -1 });
    }
    goals.retain(|partition, goal| {
        starts.iter().any(|start| start.partition == *partition && start.offset < *goal)
    });
    let settings = ConsumerSettings {
        topic: topic.to_owned(),
        group: shared::unique_name("reads-all"),
        instance_id: None,
        session_timeout: Duration::from_secs(10),
        max_queued_bytes: 64 << 20,
        max_record_bytes: 1 << 20,
    };
    let mut consumer = log.consumer(&settings)?;
    let (mut batch, mut reached) = (Batch::default(), BTreeMap::new());
    let deadline = Instant::now() + TIMEOUT;
    while goals
        .iter()
        .any(|(partition, goal)| reached.get(partition).is_none_or(|at: &i64| at < goal))
    {
        ensure!(
            Instant::now() < deadline,
            "{topic} was not read to its end: {reached:?} of {goals:?}"
        );
        let before = batch.len();
        for event in consumer.poll(&mut batch, 10_000, POLL) {
            match event {
                Event::Assigned(partitions) => {
                    let own: Vec<Start> = starts
                        .iter()
                        .filter(|start| partitions.contains(&start.partition))
                        .copied()
                        .collect();
                    consumer.assign(&own)?;
                }
                Event::End { partition, offset } => drop(reached.insert(partition, offset)),
                Event::Fatal(reason) => bail!("{topic}: {reason}"),
                _ => {}
            }
        }
        for head in &batch.records[before..] {
            reached.insert(head.partition, head.offset + 1);
        }
    }
    consumer.close();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut found: Vec<Found> = batch
        .iter()
        .map(|record| Found {
            partition: record.head.partition,
            offset: record.head.offset,
            key: record.key.map(text),
            payload: record.payload.map(text).unwrap_or_default(),
            headers: decode_headers(record.headers.unwrap_or_default())
                .into_iter()
                .map(|(name, value)| (name, text(&value.unwrap_or_default())))
                .collect(),
        })
        .collect();
    found.sort_by_key(|found| (found.partition, found.offset));
    Ok(found)
}
