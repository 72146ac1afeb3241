//! A journal in the embedded log: its note stands in the same file, and changes in the records' own
//! transaction.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use uuid::Uuid;

use super::super::{Journal, LogError, OutgoingRecord, Sealing};
use super::maintenance::now_ms;
use super::producer::{EmbeddedProducer, headers_of};
use super::queue::{JournalTurn, MOST_RECORD_BYTES, OwnedRecord, Wish};
use super::shared::Shared;

/// Whoever opened it last is its holder, in whatever process: a random word in the journal's row.
pub struct EmbeddedJournal {
    shared: Arc<Shared>,
    /// Knows the topics, and whose turn it is where there is no key.
    topics: EmbeddedProducer,
    name: String,
    holder: String,
    note: Option<Vec<u8>>,
    /// An append failed: its transaction may be committed or not.
    failed: bool,
}

impl EmbeddedJournal {
    pub fn open(
        shared: Arc<Shared>,
        sealing: Arc<Sealing>,
        name: &str,
        timeout: Duration,
    ) -> Result<EmbeddedJournal, LogError> {
        let topics = EmbeddedProducer::new(Arc::clone(&shared), sealing);
        let mut journal = EmbeddedJournal {
            shared,
            topics,
            name: name.to_owned(),
            holder: Uuid::new_v4().to_string(),
            note: None,
            failed: false,
        };
        journal.note = journal.ask(Wish::TakeOver, timeout)?;
        Ok(journal)
    }

    /// Through the writer: another connection would wait for a lock that the writer always has
    /// again already.
    fn ask(&self, wish: Wish, timeout: Duration) -> Result<Option<Vec<u8>>, LogError> {
        let (tell, told) = mpsc::channel();
        let outcome = Box::new(move |outcome| drop(tell.send(outcome)));
        let turn =
            JournalTurn { name: self.name.clone(), holder: self.holder.clone(), wish, outcome };
        self.shared.queue.push_journal_turn(turn)?;
        told.recv_timeout(timeout).unwrap_or_else(|error| {
            let reason = match error {
                RecvTimeoutError::Timeout => format!("no answer within {timeout:?}"),
                RecvTimeoutError::Disconnected => "the log was closed".to_owned(),
            };
            Err(LogError::Unreachable {
                doing: format!("write to the journal {}", self.name),
                reason,
            })
        })
    }

    fn owned(&self, record: &OutgoingRecord<'_>) -> Result<OwnedRecord, LogError> {
        let topic = self.topics.topic(record.topic)?;
        let partition = self.topics.partition(record, topic.partitions)?;
        let headers = headers_of(record);
        let sealed = self.topics.sealed(record, headers.as_deref())?;
        let size = sealed.iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
        if size > MOST_RECORD_BYTES {
            return Err(self.refused(format!(
                "a record has {size} bytes, and the log takes {MOST_RECORD_BYTES}"
            )));
        }
        let [key, payload, headers] = sealed.map(|bytes| bytes.map(Cow::into_owned));
        let timestamp_ms = now_ms();
        Ok(OwnedRecord { topic_id: topic.id, partition, timestamp_ms, key, payload, headers })
    }

    fn refused(&self, reason: String) -> LogError {
        LogError::Refused { doing: format!("append to the journal {}", self.name), reason }
    }
}

impl Journal for EmbeddedJournal {
    fn note(&self) -> Option<&[u8]> {
        self.note.as_deref()
    }

    fn append(
        &mut self,
        records: &[OutgoingRecord<'_>],
        note: &[u8],
        timeout: Duration,
    ) -> Result<(), LogError> {
        if self.failed {
            return Err(self.refused("an append failed before: it must be opened again".to_owned()));
        }
        let append = || {
            let records =
                records.iter().map(|record| self.owned(record)).collect::<Result<Vec<_>, _>>()?;
            self.ask(Wish::Append { records, note: note.to_vec() }, timeout)
        };
        match append() {
            Ok(_) => {
                self.note = Some(note.to_vec());
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }
}
