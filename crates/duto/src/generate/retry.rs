//! Sends that are tried again: when, and which one first.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::tally::Message;

/// A record that waits to be sent again. The greatest is the one that is due first, as a heap wants it.
#[derive(Debug)]
pub struct Retry {
    pub due: Instant,
    /// Attempts that failed.
    pub attempts: u32,
    pub message: Arc<Message>,
}

/// The pause before the next attempt: doubling, and at random between its half and its whole, so that senders do not march in step.
pub fn backoff(first: Duration, most: Duration, attempts: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(attempts)).min(most);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_most_less_a_random_part() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        for (attempts, whole_ms) in [(0, 100), (1, 200), (5, 3200), (6, 5000), (40, 5000)] {
            let pauses: Vec<Duration> = (0..100).map(|_| backoff(first, most, attempts)).collect();
            let whole = Duration::from_millis(whole_ms);
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{attempts}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
