//! What the log, its producers and its consumers share in one process: the file, the send queue,
//! and the threads that serve them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::super::LogError;
use super::bell::Bell;
use super::checkpoint::Checkpoints;
use super::file::{self, TopicRow};
use super::queue::SendQueue;
use super::{maintenance, writer};

/// The logs that this process has open: two writers on one file would only wait for each other.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Shared>>>> = Mutex::new(None);

pub struct Shared {
    pub folder: PathBuf,
    pub path: PathBuf,
    pub queue: Arc<SendQueue>,
    pub committed: Arc<Bell>,
    stop: Arc<Bell>,
    /// For questions; the threads and the consumers have connections of their own.
    connection: Mutex<Connection>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    /// Opens the folder's log, or answers the one that this process has open already.
    pub fn open(folder: &Path) -> Result<Arc<Shared>, LogError> {
        let refused = |error: std::io::Error| LogError::Refused {
            doing: format!("open the embedded log in {}", folder.display()),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(refused)?;
        let folder = folder.canonicalize().map_err(refused)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(shared) = open.get(&folder).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let path = file::path_in(&folder);
        let connection = Mutex::new(file::create(&path)?);
        // SQLite syncs what it writes; that the file and its folder have these names is for us to
        // sync.
        for named_in in [Some(folder.as_path()), folder.parent()].into_iter().flatten() {
            std::fs::File::open(named_in)
                .and_then(|directory| directory.sync_all())
                .map_err(refused)?;
        }
        let (queue, committed, stop) =
            (Arc::<SendQueue>::default(), Arc::<Bell>::default(), Arc::<Bell>::default());
        let shared = Arc::new(Shared {
            folder: folder.clone(),
            path,
            queue,
            committed,
            stop,
            connection,
            threads: Mutex::default(),
        });
        open.insert(folder, Arc::downgrade(&shared));
        Ok(shared)
    }

    /// Starts the threads that write and maintain, once.
    pub fn start_threads(&self) -> Result<(), LogError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_empty() {
            let checkpoints = Arc::new(Checkpoints::default());
            let start = || {
                let writer = writer::start(&self.path, &self.queue, &self.committed, &checkpoints)?;
                Ok([writer, maintenance::start(&self.path, &self.stop, &checkpoints)?])
            };
            let started = start().map_err(|error: std::io::Error| LogError::Refused {
                doing: "start the embedded log's threads".to_owned(),
                reason: error.to_string(),
            })?;
            threads.extend(started);
        }
        Ok(())
    }

    pub fn topic(&self, name: &str) -> Result<Option<TopicRow>, LogError> {
        file::topic(&self.connection(), name)
            .map_err(|error| file::describe(&format!("look up the topic {name}"), &error))
    }

    pub fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// What is queued is stored first.
    fn drop(&mut self) {
        self.queue.stop();
        self.stop.ring();
        let threads =
            std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last owner may be the outcome of a send, which the writer's own thread runs.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
