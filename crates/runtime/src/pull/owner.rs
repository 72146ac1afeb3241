//! One process at a time reads an endpoint: the one whose journal was opened last. One that starts
//! takes over; one that was taken over stands by, and takes over in turn when the journal was
//! silent for too long. Whatever two of them believe, only one can append.

use std::time::{Duration, Instant};

use super::note::Note;
use duto_definition::Pull;
use duto_log::{Journal, Log, LogError, OutgoingRecord};

/// How long the log may take.
const LOG_TIMEOUT: Duration = Duration::from_secs(20);
/// The owner says at least so often that it still reads.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// A journal without a new note for so long, beside some intervals, has no owner any more.
const SILENCE: Duration = Duration::from_secs(30);
const SILENT_INTERVALS: u32 = 3;

/// The endpoint's journal, or what is known of the one who has it.
pub struct Owner {
    name: String,
    state: State,
    silence: Duration,
    heartbeat: Duration,
}

enum State {
    /// Nobody is known to read: take over.
    Free,
    Ours {
        journal: Box<dyn Journal>,
        note: Note,
        noted_at: Option<Instant>,
    },
    /// Another process reads; its last note, and since when it stands there.
    Theirs {
        note: Option<Vec<u8>>,
        since: Instant,
    },
}

/// Why the journal is not ours.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    #[error("another process reads it")]
    StandBy,
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("the note of journal {0} is not one of a pull")]
    Note(String),
}

impl Owner {
    /// Pipelines of one name and topic are the same system, wherever they run.
    pub fn new(pipeline: &str, topic: &str, pull: &Pull) -> Owner {
        Owner {
            name: format!("pull/{pipeline}/{topic}/{}", pull.name),
            state: State::Free,
            silence: SILENCE + pull.interval * SILENT_INTERVALS,
            heartbeat: HEARTBEAT.max(pull.interval),
        }
    }

    /// How far the endpoint was read, where it is ours to read. Blocks.
    pub fn note(&mut self, log: &dyn Log) -> Result<Note, NotOurs> {
        if let State::Theirs { note, since } = &mut self.state {
            let found = log.journal_note(&self.name, LOG_TIMEOUT)?;
            if found != *note {
                (*note, *since) = (found, Instant::now());
            }
            if since.elapsed() < self.silence {
                return Err(NotOurs::StandBy);
            }
            self.state = State::Free;
        }
        if let State::Ours { note, .. } = &self.state {
            return Ok(note.clone());
        }
        let journal = log.journal(&self.name, LOG_TIMEOUT)?;
        let note = match journal.note() {
            Some(bytes) => {
                Note::from_bytes(bytes).ok_or_else(|| NotOurs::Note(self.name.clone()))?
            }
            None => Note::default(),
        };
        self.state = State::Ours { journal, note: note.clone(), noted_at: None };
        Ok(note)
    }

    /// Whatever is believed of the journal may be wrong: it is opened anew.
    pub fn let_go(&mut self) {
        self.state = State::Free;
    }

    /// Says, while nothing is asked, that somebody still reads. What stands in its way is told by
    /// the next turn. Blocks.
    pub fn keep(&mut self, log: &dyn Log) {
        if let State::Ours { note, .. } = &self.state {
            let note = note.clone();
            let _ = self.append(log, &[], note);
        }
    }

    /// Appends the records with the note, unless there is nothing to say. After an error nobody
    /// knows whether it was. Blocks.
    pub fn append(
        &mut self,
        log: &dyn Log,
        records: &[OutgoingRecord<'_>],
        mut next: Note,
    ) -> Result<(), NotOurs> {
        let State::Ours { journal, note, noted_at } = &mut self.state else {
            return Err(NotOurs::StandBy);
        };
        let says_something =
            !records.is_empty() || Note { read_at: note.read_at, ..next.clone() } != *note;
        if !says_something && noted_at.is_some_and(|at| at.elapsed() < self.heartbeat) {
            return Ok(());
        }
        next.read_at = chrono::Utc::now().timestamp();
        match journal.append(records, &next.to_bytes(), LOG_TIMEOUT) {
            Ok(()) => {
                (*note, *noted_at) = (next, Some(Instant::now()));
                Ok(())
            }
            Err(LogError::Locked(_)) => {
                let note = log.journal_note(&self.name, LOG_TIMEOUT).unwrap_or_default();
                self.state = State::Theirs { note, since: Instant::now() };
                Err(NotOurs::StandBy)
            }
            Err(error) => {
                self.state = State::Free;
                Err(NotOurs::Log(error))
            }
        }
    }
}
