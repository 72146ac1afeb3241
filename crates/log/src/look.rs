//! Looking at a log without being anybody: no group is joined, nothing is committed, and no worker
//! notices.

use std::time::Duration;

use super::LogError;
use duto_ground::batch::Batch;

/// A topic's name, and how many partitions it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    pub name: String,
    pub partitions: i32,
}

impl TopicListing {
    /// Kafka's own, such as `__consumer_offsets`.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("__")
    }
}

/// A run of offsets of one partition: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// Reads runs of records, as a worker would get them: those of aborted transactions are left out.
/// Not shared; it may be kept for the next question, of any topic.
pub trait Look: Send {
    /// Appends the records of the spans, those of a partition in the order of their offsets, until
    /// all are there, `into` holds `most_bytes`, or nothing comes for so long. Answers for each
    /// span the offset up to which it is read: its `to` when it is done. Of each partition there is
    /// at most one span. What retention deleted meanwhile is passed over.
    fn read(
        &mut self,
        topic: &str,
        spans: &[Span],
        into: &mut Batch,
        most_bytes: usize,
        patience: Duration,
    ) -> Result<Vec<i64>, LogError>;
}
