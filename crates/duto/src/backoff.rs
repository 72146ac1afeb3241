//! Pauses between tries.

use std::time::Duration;

use rand::RngExt;

/// The pause before the next try: doubling, and at random between its half and its whole, so that many do not come back in step.
pub fn pause(first: Duration, most: Duration, tries: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(tries)).min(most);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_most_less_a_random_part() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        for (tries, whole_ms) in [(0, 100), (1, 200), (5, 3200), (6, 5000), (40, 5000)] {
            let pauses: Vec<Duration> = (0..100).map(|_| pause(first, most, tries)).collect();
            let whole = Duration::from_millis(whole_ms);
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{tries}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
