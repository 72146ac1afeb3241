//! When the next record is due. Each due time is counted from the start, so that small delays never
//! add up.

use std::time::{Duration, Instant};

/// A clock that ticks so often a second.
#[derive(Debug, Clone)]
pub struct Pace {
    start: Instant,
    /// None is as fast as possible.
    rate_per_second: Option<f64>,
    taken: u64,
}

impl Pace {
    /// A rate that is not above 0 never ticks.
    pub fn new(start: Instant, rate_per_second: Option<f64>) -> Self {
        Self { start, rate_per_second, taken: 0 }
    }

    /// How long until the next record is due; zero if it is due now.
    pub fn wait(&self, now: Instant) -> Duration {
        let Some(rate) = self.rate_per_second else { return Duration::ZERO };
        let due = Duration::try_from_secs_f64(self.taken as f64 / rate).unwrap_or(Duration::MAX);
        due.saturating_sub(now.saturating_duration_since(self.start))
    }

    /// Counts one record. Those that are overdue come at once, so that the mean rate holds after a
    /// halt.
    pub fn take(&mut self) {
        self.taken += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_at_equal_distances_whatever_the_delays() {
        let start = Instant::now();
        let mut pace = Pace::new(start, Some(4.0));
        for (late_ms, wait_ms) in [(0, 0), (0, 250), (100, 150), (251, 249), (5000, 0), (5000, 0)] {
            assert_eq!(
                pace.wait(start + Duration::from_millis(late_ms)),
                Duration::from_millis(wait_ms)
            );
            if wait_ms == 0 || late_ms > 0 {
                pace.take();
            }
            if late_ms == 0 && wait_ms > 0 {
                assert_eq!(pace.taken, 1);
            }
        }
    }

    #[test]
    fn without_a_rate_everything_is_due() {
        let start = Instant::now();
        let mut pace = Pace::new(start, None);
        pace.take();
        assert_eq!(pace.wait(start), Duration::ZERO);
        assert!(
            Pace { taken: 1, ..Pace::new(start, Some(0.0)) }.wait(start)
                > Duration::from_secs(1 << 40)
        );
    }
}
