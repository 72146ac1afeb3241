//! What the threads of one worker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::settle::Way;
use crate::deliver::Deliverer;
use crate::progress::Progress;
use crate::publish::relays::Relays;
use duto_definition::Pipeline;
use duto_load::connect::Connector;
use duto_load::failure::Failure;
use duto_load::target::Target;
use duto_log::{Log, LogError};
use duto_stages::Stages;

/// Settled before the first record is read; never changed after.
pub struct Shared {
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
    pub target: Target,
    pub connector: Connector,
    pub log: Arc<dyn Log>,
    pub progress: Arc<Progress>,
    pub deliverer: Arc<Deliverer>,
    /// The outbox's way out.
    pub relays: Relays,
    /// When the log last said that the topic is the one that the positions count, see
    /// [`since_boot_ms`].
    topic_confirmed_ms: AtomicU64,
    messages: Sender<Message>,
}

/// An answer about the topic's identity is relied upon for so long. A worker that was stopped for
/// longer must ask again before it writes: meanwhile the topic may have been made anew and the
/// database restored to a time when the worker's fence was good.
const TOPIC_LEASE_MS: u64 = 2_000;
const TOPIC_TIMEOUT: Duration = Duration::from_secs(5);

/// What the reader, who owns the membership, is told by the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// This lane lost a partition, or a position moved under it. The epoch says which life of the
    /// lane is meant.
    Fenced { lane: usize, epoch: u64 },
    /// The topic is another one than the one that the positions count: nothing may be written.
    TopicChanged(String),
    /// The database did not come back within the retry limit.
    GaveUp(String),
    /// A thread or a task of the worker's panicked: its lane would wait for it without end.
    Failed(String),
}

/// Kept by a thread or a task of the worker's for as long as it runs: if that ends in a panic, the
/// reader is told, who ends the worker.
pub struct Guard {
    what: String,
    messages: Sender<Message>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = format!(
                "{} panicked, see the message above; this is a fault of duto, please report it",
                self.what
            );
            let _ = self.messages.send(Message::Failed(reason));
        }
    }
}

impl Shared {
    /// Called within the runtime that serves whoever works by it.
    pub fn new(
        pipeline: Pipeline,
        stages: Arc<Stages>,
        target: Target,
        connector: Connector,
        log: Arc<dyn Log>,
        progress: Arc<Progress>,
        (deliverer, relays): (Arc<Deliverer>, Relays),
    ) -> (Arc<Self>, Receiver<Message>) {
        let (messages, inbox) = crossbeam_channel::unbounded();
        let topic_confirmed_ms = AtomicU64::new(0);
        (
            Arc::new(Self {
                pipeline,
                stages,
                target,
                connector,
                log,
                progress,
                deliverer,
                relays,
                topic_confirmed_ms,
                messages,
            }),
            inbox,
        )
    }

    /// Whether the log said a moment ago that the topic is still the one that the positions count.
    /// Must hold at each BEGIN.
    pub fn topic_is_confirmed(&self) -> bool {
        since_boot_ms().saturating_sub(self.topic_confirmed_ms.load(Ordering::Acquire))
            < TOPIC_LEASE_MS
    }

    /// The way of a lane's batches.
    pub fn way(self: &Arc<Self>) -> Way {
        let shared = self.clone();
        let confirm = move || match shared.topic_is_confirmed() {
            true => Ok(()),
            false => tokio::task::block_in_place(|| shared.ask_about_topic())
                .map_err(|error| Failure::Again(error.to_string())),
        };
        Way {
            stages: self.stages.clone(),
            target: self.target.clone(),
            connector: self.connector.for_loads(&self.pipeline),
            progress: self.progress.clone(),
            deliverer: self.deliverer.clone(),
            database: self.pipeline.database.clone(),
            confirm: Arc::new(confirm),
        }
    }

    /// Asks the log for the topic's id. Another one halts every partition.
    pub fn ask_about_topic(&self) -> Result<(), LogError> {
        let target = &self.target;
        let asked_at = since_boot_ms();
        let found = self.log.topic(&target.topic, TOPIC_TIMEOUT)?;
        let reason = match found {
            Some(found) if found.id == target.topic_id => {
                self.topic_confirmed_ms.fetch_max(asked_at, Ordering::AcqRel);
                return Ok(());
            }
            Some(found) => format!(
                "topic {} was made anew while it was read (it was {}, it is {}): its offsets mean \
                    nothing any more",
                target.topic, target.topic_id, found.id
            ),
            None => format!("topic {} is gone", target.topic),
        };
        self.tell(Message::TopicChanged(reason.clone()));
        Err(LogError::Refused { doing: "asking for the topic".to_owned(), reason })
    }

    /// For a thread or a task, which is named as in "the preparer of lane 0".
    pub fn guard(&self, what: String) -> Guard {
        Guard { what, messages: self.messages.clone() }
    }

    /// Tells the reader. It reads its messages several times a second; when it has ended nobody
    /// needs to know.
    pub fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

/// Milliseconds since the machine started, its sleep included: a process that was stopped, or a
/// machine that slept, must notice.
fn since_boot_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call only writes to the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_panic_is_told() {
        let (messages, inbox) = crossbeam_channel::unbounded();
        let guard = |what: &str| Guard { what: what.to_owned(), messages: messages.clone() };
        let (quiet, loud) = (guard("one"), guard("the preparer of lane 0"));
        std::thread::spawn(move || drop(quiet)).join().expect("it ends well");
        assert!(inbox.is_empty());
        let ended = std::thread::spawn(move || {
            let _guard = loud;
            panic!("on purpose");
        })
        .join();
        let told = inbox.try_recv();
        assert!(
            ended.is_err()
                && matches!(&told, Ok(Message::Failed(reason)) if reason.contains("the preparer of \
                    lane 0")),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn a_task_that_panics_is_told_too() {
        let (messages, inbox) = crossbeam_channel::unbounded();
        let task = async move {
            let _guard = Guard { what: "the committer of lane 1".to_owned(), messages };
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert!(tokio::spawn(task).await.is_err());
        assert!(matches!(inbox.try_recv(), Ok(Message::Failed(_))));
    }
}
