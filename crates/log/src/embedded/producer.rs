//! Sending to the embedded log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::super::sealing::Part;
use super::super::{LogError, OutgoingRecord, Producer, Sealing};
use super::maintenance::now_ms;
use super::partitioner::partition_of_key;
use super::queue::{Outcome, Parts};
use super::shared::Shared;
use duto_ground::batch::encode_headers;

/// Chooses the partition and queues; the writer's thread does the rest.
pub struct EmbeddedProducer {
    shared: Arc<Shared>,
    sealing: Arc<Sealing>,
    topics: RwLock<HashMap<String, KnownTopic>>,
    turn: AtomicU32,
}

#[derive(Clone, Copy)]
pub struct KnownTopic {
    pub id: i64,
    pub partitions: i32,
    /// What [`SendQueue::lost_topics`](super::queue::SendQueue::lost_topics) answered before it was
    /// asked for.
    as_of: u64,
}

impl EmbeddedProducer {
    pub fn new(shared: Arc<Shared>, sealing: Arc<Sealing>) -> EmbeddedProducer {
        EmbeddedProducer { shared, sealing, topics: RwLock::default(), turn: AtomicU32::new(0) }
    }

    /// Kept once known, until a record found its topic gone.
    pub fn topic(&self, name: &str) -> Result<KnownTopic, LogError> {
        let as_of = self.shared.queue.lost_topics();
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some(known) = known
            && known.as_of == as_of
        {
            return Ok(known);
        }
        let row = self
            .shared
            .topic(name)?
            .ok_or_else(|| refused(name, format!("there is no topic {name}")))?;
        let known = KnownTopic { id: row.id, partitions: row.partitions, as_of };
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), known);
        Ok(known)
    }

    pub fn partition(&self, record: &OutgoingRecord<'_>, partitions: i32) -> Result<i32, LogError> {
        match (record.partition, record.key) {
            (Some(partition), _) if (0..partitions).contains(&partition) => Ok(partition),
            (Some(partition), _) => Err(refused(
                record.topic,
                format!("it has {partitions} partitions, none is number {partition}"),
            )),
            (None, Some(key)) => Ok(partition_of_key(key, partitions)),
            (None, None) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff;
                Ok(turn.cast_signed() % partitions.max(1))
            }
        }
    }

    /// Key, payload and headers as the file keeps them.
    pub fn sealed<'r>(
        &self,
        record: &OutgoingRecord<'r>,
        headers: Option<&'r [u8]>,
    ) -> Result<[Option<Cow<'r, [u8]>>; 3], LogError> {
        let seal = |part, value| {
            let sealed = self.sealing.seal(record.topic, part, value);
            sealed.map_err(|fault| refused(record.topic, format!("sealing the record: {fault}")))
        };
        Ok([
            seal(Part::Key, record.key)?,
            seal(Part::Payload, record.payload)?,
            seal(Part::Headers, headers)?,
        ])
    }
}

impl Producer for EmbeddedProducer {
    fn send(&self, record: OutgoingRecord<'_>, outcome: Outcome) -> Result<(), LogError> {
        let topic = self.topic(record.topic)?;
        let partition = self.partition(&record, topic.partitions)?;
        let headers = headers_of(&record);
        let [key, payload, headers] = self.sealed(&record, headers.as_deref())?;
        let parts =
            Parts { key: key.as_deref(), payload: payload.as_deref(), headers: headers.as_deref() };
        self.shared.queue.push(topic.id, partition, now_ms(), &parts, outcome)
    }

    fn flush(&self, timeout: Duration) -> Result<(), LogError> {
        match self.shared.queue.wait_until_empty(timeout) {
            true => Ok(()),
            false => Err(LogError::Unreachable {
                doing: "flush what was sent to the embedded log".to_owned(),
                reason: format!("it is not all on the disk after {timeout:?}"),
            }),
        }
    }
}

/// As the file keeps them; None where there are none.
pub fn headers_of(record: &OutgoingRecord<'_>) -> Option<Vec<u8>> {
    match record.headers {
        [] => None,
        headers => Some(encode_headers(headers.iter().map(|(name, value)| (*name, Some(*value))))),
    }
}

fn refused(topic: &str, reason: String) -> LogError {
    LogError::Refused { doing: format!("send to {topic}"), reason }
}
