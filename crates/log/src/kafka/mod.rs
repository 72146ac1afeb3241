//! Apache Kafka as the log, through librdkafka.
//!
//! The calls that rust-rdkafka does not wrap (leader epochs, topic ids, a partition's end, a
//! rebalance that is answered later) are made here; `handle` and `partitions` own what librdkafka
//! gives out.

mod admin;
mod advice;
mod consumer;
mod files;
mod handle;
mod journal;
mod look;
mod members;
mod offsets;
mod partitions;
mod producer;
mod progress;
mod rebalance;
mod records;
mod seldom;
mod settings;
mod topic_setting;
mod transaction;
mod trouble;
mod wake;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka_sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;

use self::consumer::KafkaConsumer;
use self::handle::{Client, Configuration};
use self::journal::KafkaJournal;
use self::look::KafkaLook;
use self::producer::KafkaProducer;
use super::{
    Consumer, ConsumerSettings, Journal, Log, LogError, Look, Member, NewTopic, Producer,
    TopicDescription, TopicListing, Watermarks,
};

/// A Kafka cluster. Nothing connects before the first call.
pub struct KafkaLog {
    servers: String,
    pairs: Vec<(String, String)>,
    questions: OnceLock<Client>,
}

impl KafkaLog {
    /// `pairs` are the file's `source.kafka`; those that would break the promise are refused, and,
    /// where there are brokers, files that cannot be used.
    pub fn new(servers: &str, pairs: &[(String, String)]) -> Result<KafkaLog, LogError> {
        settings::check(pairs)?;
        if !servers.is_empty() {
            files::check(pairs)?;
        }
        Ok(KafkaLog {
            servers: servers.to_owned(),
            pairs: pairs.to_vec(),
            questions: OnceLock::new(),
        })
    }

    /// One client for all questions; a second one that a race made is dropped.
    fn questions(&self) -> Result<&Client, LogError> {
        if let Some(client) = self.questions.get() {
            return Ok(client);
        }
        let configuration =
            Configuration::new(&settings::for_questions(&self.servers, &self.pairs))?;
        let client = Client::new(RD_KAFKA_PRODUCER, configuration)?;
        Ok(self.questions.get_or_init(|| client))
    }
}

impl Log for KafkaLog {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn cluster_id(&self, timeout: Duration) -> Result<String, LogError> {
        admin::cluster_id(self.questions()?, timeout)
    }

    fn topic(&self, name: &str, timeout: Duration) -> Result<Option<TopicDescription>, LogError> {
        admin::describe_topic(self.questions()?, name, timeout)
    }

    fn create_topic(&self, topic: &NewTopic, timeout: Duration) -> Result<(), LogError> {
        admin::create_topic(self.questions()?, topic, &[], timeout)
    }

    fn watermarks(
        &self,
        topic: &str,
        partition: i32,
        timeout: Duration,
    ) -> Result<Watermarks, LogError> {
        offsets::watermarks(self.questions()?, topic, partition, timeout)
    }

    fn topics(&self, timeout: Duration) -> Result<Vec<TopicListing>, LogError> {
        admin::topics(self.questions()?, timeout)
    }

    fn ends(
        &self,
        partitions: &[(String, i32)],
        timeout: Duration,
    ) -> Result<Vec<Option<Watermarks>>, LogError> {
        offsets::ends(self.questions()?, partitions, timeout)
    }

    fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        time_ms: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, LogError> {
        offsets::at_time(self.questions()?, topic, partition, time_ms, timeout)
    }

    fn look(&self) -> Result<Box<dyn Look>, LogError> {
        Ok(Box::new(KafkaLook::start(&settings::for_look(&self.servers, &self.pairs))?))
    }

    fn members(&self, group: &str, timeout: Duration) -> Result<Option<Vec<Member>>, LogError> {
        members::of_group(self.questions()?, group, timeout).map(Some)
    }

    fn consumer(&self, settings: &ConsumerSettings) -> Result<Box<dyn Consumer>, LogError> {
        let pairs = settings::for_consumer(&self.servers, &self.pairs, settings);
        Ok(Box::new(KafkaConsumer::join(&pairs, &settings.topic)?))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(KafkaProducer::start(&settings::for_producer(&self.servers, &self.pairs))?))
    }

    fn journal(&self, name: &str, timeout: Duration) -> Result<Box<dyn Journal>, LogError> {
        let deadline = Instant::now() + timeout;
        let questions = self.questions()?;
        progress::make(questions, timeout)?;
        let producer = settings::for_journal(&self.servers, &self.pairs, name);
        let reader = settings::for_progress(&self.servers, &self.pairs);
        Ok(Box::new(KafkaJournal::open(questions, &producer, &reader, name, deadline)?))
    }

    fn journal_note(&self, name: &str, timeout: Duration) -> Result<Option<Vec<u8>>, LogError> {
        let deadline = Instant::now() + timeout;
        let questions = self.questions()?;
        match admin::describe_topic(questions, progress::TOPIC, timeout)? {
            Some(_) => progress::last_note(
                questions,
                &settings::for_progress(&self.servers, &self.pairs),
                name,
                deadline,
            ),
            None => Ok(None),
        }
    }
}
