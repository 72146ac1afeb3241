//! A log whose client fails now and then: what it failed to do is known not to have been done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use duto_ground::batch::Batch;
use duto_load::connect::Connector;
use duto_log::{
    Consumer, ConsumerSettings, Event, Journal, Log, LogError, Look, Member, NewTopic, Producer,
    Start, TopicDescription, TopicListing, Watermarks,
};
use duto_runtime::worker::Worker;
use duto_stages::Stages;
use duto_tests::small::Small;
use duto_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
/// Seeks that fail, one after the other.
const FAILURES: u32 = 2;

/// A log whose consumers fail their first seeks.
struct Faulty {
    log: Arc<dyn Log>,
    failed: Arc<AtomicU32>,
}

struct FaultyConsumer {
    consumer: Box<dyn Consumer>,
    failed: Arc<AtomicU32>,
}

impl Log for Faulty {
    fn kind(&self) -> &'static str {
        self.log.kind()
    }

    fn cluster_id(&self, timeout: Duration) -> Result<String, LogError> {
        self.log.cluster_id(timeout)
    }

    fn topic(&self, name: &str, timeout: Duration) -> Result<Option<TopicDescription>, LogError> {
        self.log.topic(name, timeout)
    }

    fn create_topic(&self, topic: &NewTopic, timeout: Duration) -> Result<(), LogError> {
        self.log.create_topic(topic, timeout)
    }

    fn watermarks(
        &self,
        topic: &str,
        partition: i32,
        timeout: Duration,
    ) -> Result<Watermarks, LogError> {
        self.log.watermarks(topic, partition, timeout)
    }

    fn topics(&self, timeout: Duration) -> Result<Vec<TopicListing>, LogError> {
        self.log.topics(timeout)
    }

    fn ends(
        &self,
        partitions: &[(String, i32)],
        timeout: Duration,
    ) -> Result<Vec<Option<Watermarks>>, LogError> {
        self.log.ends(partitions, timeout)
    }

    fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        time_ms: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, LogError> {
        self.log.offset_at(topic, partition, time_ms, timeout)
    }

    fn members(&self, group: &str, timeout: Duration) -> Result<Option<Vec<Member>>, LogError> {
        self.log.members(group, timeout)
    }

    fn look(&self) -> Result<Box<dyn Look>, LogError> {
        self.log.look()
    }

    fn consumer(&self, settings: &ConsumerSettings) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(FaultyConsumer {
            consumer: self.log.consumer(settings)?,
            failed: self.failed.clone(),
        }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer()
    }

    fn journal(&self, name: &str, timeout: Duration) -> Result<Box<dyn Journal>, LogError> {
        self.log.journal(name, timeout)
    }

    fn journal_note(&self, name: &str, timeout: Duration) -> Result<Option<Vec<u8>>, LogError> {
        self.log.journal_note(name, timeout)
    }
}

impl Consumer for FaultyConsumer {
    fn poll(&mut self, into: &mut Batch, max_records: usize, timeout: Duration) -> Vec<Event> {
        self.consumer.poll(into, max_records, timeout)
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), LogError> {
        self.consumer.assign(starts)
    }

    fn unassign(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.consumer.unassign(partitions)
    }

    fn seek(&mut self, start: Start) -> Result<(), LogError> {
        if self.failed.fetch_add(1, Ordering::Relaxed) < FAILURES {
            return Err(LogError::Unreachable {
                doing: "seek".to_owned(),
                reason: "on purpose".to_owned(),
            });
        }
        self.consumer.seek(start)
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.consumer.pause(partitions)
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.consumer.resume(partitions)
    }

    fn commit_copy(&mut self, positions: &[(i32, i64)]) {
        self.consumer.commit_copy(positions);
    }

    fn leave(&mut self) {
        self.consumer.leave();
    }

    fn close(&mut self) {
        self.consumer.close();
    }
}

/// Without its seek a consumer goes on behind what was thrown away: the partition must not be ours
/// until it is done.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_out_after_a_seek_that_failed() -> Result<()> {
    let sections = "
record: { id: BIGINT }
tables:
  events:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record
";
    let small = Small::create("faulty-seek", sections, "").await?;
    let value = |name: &str| {
        small
            .pipeline
            .environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let text = std::fs::read_to_string(&small.pipeline.file)?;
    let pipeline = duto_definition::parse("small.yaml", &text, &value)
        .map_err(|problems| anyhow!("{problems:?}"))?;
    let stages = Arc::new(Stages::plan(&pipeline).map_err(|problems| anyhow!("{problems:?}"))?);
    let failed = Arc::<AtomicU32>::default();
    let log = Arc::new(Faulty {
        log: duto_log::open(None, &[], &small.pipeline.log_folder)?,
        failed: failed.clone(),
    });
    let (progress, stop) = (Arc::default(), Arc::<AtomicBool>::default());
    let connector = Connector::with_lanes(&pipeline.database, "test", pipeline.batch.workers)?;
    let worker = Worker { pipeline, stages, log, progress, connector, until_caught_up: false };
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    small.send([r#"{"id": 1}"#, r#"{"id": 2}"#])?;
    wait_for(&small.client, "SELECT count(*) = 2 FROM events", PATIENCE).await?;
    // Somebody else has the partition for a moment: what is read next is thrown away, and must be
    // read again.
    small.client.batch_execute("UPDATE duto.position SET fence = gen_random_uuid()").await?;
    small.send([r#"{"id": 3}"#, r#"{"id": 4}"#])?;
    wait_for(&small.client, "SELECT count(*) = 4 FROM events", PATIENCE).await?;
    ensure!(failed.load(Ordering::Relaxed) > FAILURES, "no seek failed");
    stop.store(true, Ordering::Relaxed);
    running.await??;
    Ok(())
}
