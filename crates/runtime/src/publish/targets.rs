//! The topics that messages go to: made at their first use, with as many partitions as the source
//! has.

use std::collections::HashMap;
use std::time::Duration;

use duto_log::{Log, LogError, NewTopic};

/// What a relay knows of them.
#[derive(Default)]
pub struct Targets {
    /// By name, how many partitions each has.
    known: HashMap<String, i32>,
}

impl Targets {
    /// How many partitions the topic has; it is made if it is missing.
    pub fn partitions(
        &mut self,
        log: &dyn Log,
        topic: &str,
        source: &str,
        timeout: Duration,
    ) -> Result<i32, LogError> {
        if let Some(partitions) = self.known.get(topic) {
            return Ok(*partitions);
        }
        let found = match log.topic(topic, timeout)? {
            Some(found) => found,
            None => {
                let partitions = log.topic(source, timeout)?.map_or(1, |source| source.partitions);
                log.create_topic(
                    &NewTopic { name: topic.to_owned(), partitions, retention: None },
                    timeout,
                )?;
                log.topic(topic, timeout)?.ok_or_else(|| LogError::Refused {
                    doing: format!("publish to {topic}"),
                    reason: "the topic is gone again, though it was just made".to_owned(),
                })?
            }
        };
        self.known.insert(topic.to_owned(), found.partitions);
        Ok(found.partitions)
    }

    /// After a failed append: one of them may have been deleted, or have more partitions.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}
