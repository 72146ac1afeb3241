//! Questions to the log. They block, so they have threads of their own; the connections that read
//! are kept for the next question.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Browser;
use super::refusal::Refusal;
use duto_log::{Log, LogError, Look, Watermarks};

/// How long a person waits for the log before the page says that it is away.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that are kept while nobody reads.
const MOST_IDLE: usize = 4;

/// Looks that are not in use: making one costs a connection.
pub struct Looks {
    log: Arc<dyn Log>,
    idle: Mutex<Vec<Box<dyn Look>>>,
}

impl Looks {
    pub fn new(log: Arc<dyn Log>) -> Looks {
        Looks { log, idle: Mutex::default() }
    }

    /// Lends a look. One that failed is not kept: its connection may be what is wrong.
    pub fn with<T>(
        &self,
        read: impl FnOnce(&mut dyn Look) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut look = match kept {
            Some(look) => look,
            None => self.log.look()?,
        };
        let answer = read(look.as_mut())?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(look);
        }
        Ok(answer)
    }
}

/// The ends of a topic's partitions. A partition that has no leader is missing.
pub type Ends = BTreeMap<i32, Watermarks>;

impl Browser {
    /// Asks the log on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Browser) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let browser = self.clone();
        tokio::task::spawn_blocking(move || question(&browser))
            .await
            .unwrap_or_else(|_| Err(Refusal::internal()))
    }

    /// The topic's ends, or that there is no such topic. Blocks.
    pub(super) fn ends_of(&self, topic: &str) -> Result<Ends, Refusal> {
        let described = self.log.topic(topic, PATIENCE)?.ok_or_else(|| Refusal::no_topic(topic))?;
        let asked: Vec<(String, i32)> =
            (0..described.partitions).map(|partition| (topic.to_owned(), partition)).collect();
        let ends = self.log.ends(&asked, PATIENCE)?;
        Ok((0..).zip(ends).filter_map(|(partition, ends)| Some((partition, ends?))).collect())
    }
}
