//! What a Kafka client says again and again is logged once in ten seconds: that all brokers are
//! down is said at each attempt to reach one, forty times a second while a cluster starts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long the same line is left out.
const PAUSE: Duration = Duration::from_secs(10);
/// Lines that are remembered, the oldest forgotten first: what is said has no bound.
const MOST_LINES: usize = 64;

static LOGGED: Mutex<Logged> = Mutex::new(Logged { lines: Vec::new() });

/// Whether a line is to be logged now.
pub fn is_due(line: &str) -> bool {
    LOGGED.lock().unwrap_or_else(PoisonError::into_inner).is_due(line, Instant::now())
}

/// When each line was logged, in that order.
struct Logged {
    lines: Vec<(Instant, String)>,
}

impl Logged {
    fn is_due(&mut self, line: &str, now: Instant) -> bool {
        self.lines.retain(|(at, _)| now.duration_since(*at) < PAUSE);
        if self.lines.iter().any(|(_, logged)| logged == line) {
            return false;
        }
        if self.lines.len() == MOST_LINES {
            self.lines.remove(0);
        }
        self.lines.push((now, line.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_line_is_logged_once_in_a_while() {
        let mut logged = Logged { lines: Vec::new() };
        let start = Instant::now();
        let mut times = 0;
        for attempt in 0..1_000 {
            let now = start + Duration::from_millis(25) * attempt;
            times += usize::from(logged.is_due("1/1 brokers are down", now));
        }
        assert_eq!(times, 3, "25 seconds of attempts");
        assert!(logged.is_due("another line", start));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut logged = Logged { lines: Vec::new() };
        let now = Instant::now();
        for number in 0..1_000 {
            assert!(logged.is_due(&format!("line {number}"), now));
        }
        assert_eq!(logged.lines.len(), MOST_LINES);
        assert!(!logged.is_due("line 999", now) && logged.is_due("line 1", now));
    }
}
