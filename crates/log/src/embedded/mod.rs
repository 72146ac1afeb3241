//! The embedded log: one SQLite file, `log.db`, that a person can open. Several processes may send;
//! one at a time reads a topic for a group.
//!
//! A send is acknowledged when its transaction is synced to the disk (write-ahead log, `synchronous
//! = FULL`). What gathers while one transaction runs goes into the next, so that a sync is shared
//! by all who wait for it.

pub mod backup; // a copy while others write, and back
mod bell;
mod checkpoint;
mod consumer;
mod file;
mod journal;
mod lock;
mod look;
mod maintenance;
mod opening;
mod partitioner;
mod producer;
mod queue;
mod shared;
mod store;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::consumer::EmbeddedConsumer;
use self::journal::EmbeddedJournal;
use self::look::EmbeddedLook;
pub(super) use self::partitioner::partition_of_key;
use self::producer::EmbeddedProducer;
use self::shared::Shared;
use super::{
    Consumer, ConsumerSettings, Journal, Log, LogError, Look, Member, NewTopic, Producer, Sealing,
    TopicDescription, TopicListing, Watermarks,
};

/// The log in a folder.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    sealing: Arc<Sealing>,
}

impl EmbeddedLog {
    /// Opens the folder's log, and makes it where it is missing. Opened twice in a process, it is
    /// the same one, each time with the keys that are given.
    pub fn open(folder: &Path, sealing: Sealing) -> Result<EmbeddedLog, LogError> {
        Ok(EmbeddedLog { shared: Shared::open(folder)?, sealing: Arc::new(sealing) })
    }
}

impl Log for EmbeddedLog {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn cluster_id(&self, _timeout: Duration) -> Result<String, LogError> {
        file::cluster_id(&self.shared.connection())
            .map_err(|error| file::describe("read the log's id", &error))
    }

    fn topic(&self, name: &str, _timeout: Duration) -> Result<Option<TopicDescription>, LogError> {
        Ok(self
            .shared
            .topic(name)?
            .map(|row| TopicDescription { id: row.uuid, partitions: row.partitions }))
    }

    fn create_topic(&self, topic: &NewTopic, _timeout: Duration) -> Result<(), LogError> {
        let doing = format!("make the topic {}", topic.name);
        if topic.partitions < 1 {
            return Err(LogError::Refused {
                doing,
                reason: "a topic needs at least one partition".to_owned(),
            });
        }
        let retention_ms = topic
            .retention
            .map(|retention| i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let mut connection = self.shared.connection();
        file::create_topic(&mut connection, &topic.name, topic.partitions, retention_ms)
            .map_err(|error| file::describe(&doing, &error))
    }

    fn members(&self, _group: &str, _timeout: Duration) -> Result<Option<Vec<Member>>, LogError> {
        Ok(None)
    }

    fn watermarks(
        &self,
        topic: &str,
        partition: i32,
        _timeout: Duration,
    ) -> Result<Watermarks, LogError> {
        let doing = format!("ask for the ends of {topic} [{partition}]");
        let missing = || LogError::Refused {
            doing: doing.clone(),
            reason: "there is no such partition".to_owned(),
        };
        let row = self.shared.topic(topic)?.ok_or_else(missing)?;
        let ends = file::partition_ends(&self.shared.connection(), row.id, partition);
        let (low, high) =
            ends.map_err(|error| file::describe(&doing, &error))?.ok_or_else(missing)?;
        Ok(Watermarks { low, high, last_stable: high })
    }

    fn topics(&self, _timeout: Duration) -> Result<Vec<TopicListing>, LogError> {
        look::topics(&self.shared.connection())
            .map_err(|error| file::describe("list the topics", &error))
    }

    fn ends(
        &self,
        partitions: &[(String, i32)],
        _timeout: Duration,
    ) -> Result<Vec<Option<Watermarks>>, LogError> {
        look::ends(&self.shared.connection(), partitions)
            .map_err(|error| file::describe("ask for the ends of partitions", &error))
    }

    fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        time_ms: i64,
        _timeout: Duration,
    ) -> Result<Option<i64>, LogError> {
        let doing = || format!("look for a time in {topic} [{partition}]");
        look::offset_at(&self.shared.connection(), topic, partition, time_ms)
            .map_err(|error| file::describe(&doing(), &error))
    }

    fn look(&self) -> Result<Box<dyn Look>, LogError> {
        Ok(Box::new(EmbeddedLook::new(&self.shared.path, Arc::clone(&self.sealing))?))
    }

    fn consumer(&self, settings: &ConsumerSettings) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(EmbeddedConsumer::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.sealing),
            settings,
        )?))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.shared.start_threads()?;
        Ok(Box::new(EmbeddedProducer::new(Arc::clone(&self.shared), Arc::clone(&self.sealing))))
    }

    fn journal(&self, name: &str, timeout: Duration) -> Result<Box<dyn Journal>, LogError> {
        self.shared.start_threads()?;
        let (shared, sealing) = (Arc::clone(&self.shared), Arc::clone(&self.sealing));
        Ok(Box::new(EmbeddedJournal::open(shared, sealing, name, timeout)?))
    }

    fn journal_note(&self, name: &str, _timeout: Duration) -> Result<Option<Vec<u8>>, LogError> {
        let doing = || format!("look at the journal {name}");
        file::journal_note(&self.shared.connection(), name)
            .map_err(|error| file::describe(&doing(), &error))
    }
}
