//! Sends that are tried again: when, and which one first.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use super::tally::Message;

/// A record that waits to be sent again. The greatest is the one that is due first, as a heap wants
/// it.
#[derive(Debug)]
pub struct Retry {
    pub due: Instant,
    /// Attempts that failed.
    pub attempts: u32,
    pub message: Arc<Message>,
}

impl Ord for Retry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Retry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Retry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Retry {}
