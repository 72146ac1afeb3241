//! A relay: sends one position's messages, oldest first, and keeps in the log, in the same append,
//! how far it is. The one before it, which may live on somewhere, can append nothing more once this
//! one has the journal. What it does is modelled in `crates/model`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::mark::Mark;
use super::message::{Message, messages};
use super::outbox::{self, OutboxRow, Position};
use super::signal::Signal;
use super::targets::Targets;
use crate::progress::Progress;
use crate::progress::Waiting;
use duto_ground::backoff;
use duto_ground::seal::{Keyring, SealFault};
use duto_load::failure::Failure;
use duto_load::pool::Pool;
use duto_log::{Journal, Log, LogError, OutgoingRecord};

/// How long the log may take to open the journal, or to commit an append.
pub const LOG_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the outbox is looked at when nobody rings: a replay in another process writes to it
/// too.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const WAITING_INTERVAL: Duration = Duration::from_secs(5);
/// The longest time between two prunes.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a relay works with.
#[derive(Clone)]
pub struct Surroundings {
    pub log: Arc<dyn Log>,
    pub pool: Pool,
    pub progress: Arc<Progress>,
    pub runtime: Handle,
    /// The topic that the pipeline reads: topics that are made get as many partitions.
    pub source_topic: String,
    /// How long a row stays after it was sent.
    pub keep_sent: Duration,
    /// What opens messages that are sealed.
    pub keyring: Keyring,
}

/// Why a step could not be done yet.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    Database(#[from] Failure),
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("the note of journal {0} is not one of a relay")]
    Note(String),
    #[error("message {id} cannot be opened: {fault}")]
    Sealed { id: i64, fault: SealFault },
}

/// Runs until it is stopped, whatever happens: trouble is shown, and tried again.
pub fn run(surroundings: Surroundings, position: Position, signal: &Signal) {
    let partition = position.partition;
    let progress = surroundings.progress.clone();
    let mut relay = Relay::new(surroundings, position);
    let mut failures = 0;
    while !signal.is_stopped() {
        let rings = signal.rings();
        match relay.step() {
            Ok(sent) => {
                failures = 0;
                progress.publish_works(partition);
                if sent == 0 {
                    progress.set_publish_waiting(partition, Waiting::default());
                    signal.drained(rings);
                    signal.wait(rings, LOOK_INTERVAL);
                }
            }
            Err(trouble) => {
                let pause = backoff::pause(FIRST_PAUSE, LONGEST_PAUSE, failures);
                failures = failures.saturating_add(1);
                let Position { pipeline, topic, .. } = &relay.position;
                tracing::warn!(pipeline, topic, partition, reason = %trouble, retry_in = ?pause, "publishing waits; nothing is lost");
                // The first may be no more than a partition that changes hands.
                if failures > 1 {
                    progress.publish_trouble(partition, &trouble.to_string());
                }
                relay.count_waiting();
                signal.wait_for_stop(pause);
            }
        }
    }
    progress.publish_ended(partition);
}

/// The state between two steps.
pub struct Relay {
    pub surroundings: Surroundings,
    pub position: Position,
    journal: Option<Box<dyn Journal>>,
    /// Rows of the next append: fewer after one of them was too large, so that those before it go.
    most_rows: usize,
    /// The last row sent, as the journal's note has it.
    pub sent: Option<Mark>,
    targets: Targets,
    counted_at: Option<Instant>,
    pruned_at: Option<Instant>,
}

impl Relay {
    pub fn new(surroundings: Surroundings, position: Position) -> Relay {
        Relay {
            surroundings,
            position,
            journal: None,
            most_rows: usize::MAX,
            sent: None,
            targets: Targets::default(),
            counted_at: None,
            pruned_at: None,
        }
    }

    /// Sends what is next; answers how many rows that were. First the journal, which fences, then
    /// its note, then the outbox.
    pub fn send_next(&mut self) -> Result<usize, Trouble> {
        if self.journal.is_none() {
            self.open()?;
        }
        let mut rows = self.read()?;
        rows.truncate(self.most_rows);
        if !rows.is_empty() {
            self.append(&rows)?;
        }
        Ok(rows.len())
    }

    fn step(&mut self) -> Result<usize, Trouble> {
        let sent = self.send_next()?;
        if self.counted_at.is_none_or(|at| at.elapsed() >= WAITING_INTERVAL) {
            self.count_waiting();
        }
        if self
            .pruned_at
            .is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL.min(self.surroundings.keep_sent))
        {
            self.prune()?;
        }
        Ok(sent)
    }

    fn open(&mut self) -> Result<(), Trouble> {
        let Surroundings { log, pool, runtime, .. } = &self.surroundings;
        let database_id = runtime.block_on(async {
            let on = pool.get().await?;
            outbox::database_id(&on).await
        })?;
        let name = journal_name(database_id, &self.position);
        let journal = log.journal(&name, LOG_TIMEOUT)?;
        self.sent = match journal.note() {
            Some(note) => Some(Mark::from_note(note).ok_or(Trouble::Note(name))?),
            None => None,
        };
        self.journal = Some(journal);
        Ok(())
    }

    /// Those that stand before one that cannot be opened go.
    fn read(&self) -> Result<Vec<OutboxRow>, Trouble> {
        let Surroundings { pool, runtime, keyring, .. } = &self.surroundings;
        let rows = runtime.block_on(async {
            let on = pool.get().await?;
            outbox::read(&on, &self.position, self.sent).await
        })?;
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.mark.id;
            match row.opened(keyring) {
                Ok(row) => opened.push(row),
                Err(fault) if opened.is_empty() => return Err(Trouble::Sealed { id, fault }),
                Err(_) => break,
            }
        }
        Ok(opened)
    }

    /// All rows and the mark behind them, or nothing. After an error nobody knows which: the
    /// journal, opened again, does. A row that the log refuses for its size is never left out, and
    /// what stands behind it waits: that is told until the topic takes it or an operator decides.
    fn append(&mut self, rows: &[OutboxRow]) -> Result<(), LogError> {
        let (Some(last), Some(journal)) = (rows.last(), &mut self.journal) else { return Ok(()) };
        let messages =
            messages(&self.surroundings, &mut self.targets, self.position.partition, rows);
        let appended = messages.and_then(|messages| {
            let headers: Vec<Vec<(&str, &[u8])>> = messages.iter().map(Message::headers).collect();
            let records: Vec<OutgoingRecord<'_>> = messages
                .iter()
                .zip(&headers)
                .map(|(message, headers)| message.record(headers))
                .collect();
            journal.append(&records, &last.mark.to_note(), LOG_TIMEOUT)
        });
        match &appended {
            Ok(()) => {
                self.sent = Some(last.mark);
                self.most_rows = self.most_rows.saturating_mul(2);
                self.surroundings
                    .progress
                    .published
                    .fetch_add(rows.len() as u64, Ordering::Relaxed);
            }
            Err(error) => {
                self.journal = None;
                self.targets.forget();
                if let LogError::TooLarge { reason, .. } = error {
                    self.most_rows = (rows.len() / 2).max(1);
                    return Err(too_large(rows, reason));
                }
            }
        }
        appended
    }

    /// A figure for those who look: whatever stands in its way is told by the next step.
    fn count_waiting(&mut self) {
        let Surroundings { pool, runtime, progress, .. } = &self.surroundings;
        self.counted_at = Some(Instant::now());
        let waiting = runtime.block_on(async {
            let on = pool.get().await?;
            outbox::waiting(&on, &self.position, self.sent).await
        });
        if let Ok(waiting) = waiting {
            progress.set_publish_waiting(self.position.partition, waiting);
        }
    }

    fn prune(&mut self) -> Result<(), Failure> {
        let Surroundings { pool, runtime, keep_sent, .. } = &self.surroundings;
        if let Some(sent) = self.sent {
            let pruned = runtime.block_on(async {
                let on = pool.get().await?;
                outbox::prune(&on, &self.position, sent, *keep_sent).await
            })?;
            if pruned > 0 {
                // The next step takes the next few: sending goes before.
                return Ok(());
            }
        }
        self.pruned_at = Some(Instant::now());
        Ok(())
    }
}

/// Says which message it is, once it stands alone.
fn too_large(rows: &[OutboxRow], reason: &str) -> LogError {
    let [row] = rows else {
        return LogError::TooLarge {
            doing: format!("publish {} messages", rows.len()),
            reason: reason.to_owned(),
        };
    };
    let (id, bytes) = (row.mark.id, row.value.as_ref().map_or(0, Vec::len));
    LogError::TooLarge {
        doing: format!("publish message {id}, of {bytes} bytes, to {}", row.target),
        reason: format!(
            "{reason}. It and what stands behind it wait; `DELETE FROM duto.outbox WHERE id = \
                {id}` gives it up"
        ),
    }
}

/// Two databases that share a log each have journals of their own.
pub fn journal_name(database_id: uuid::Uuid, position: &Position) -> String {
    let Position { pipeline, topic, partition } = position;
    format!("outbox/{database_id}/{pipeline}/{topic}/{partition}")
}
