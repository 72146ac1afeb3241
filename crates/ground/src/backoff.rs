//! Pauses between tries.

use std::time::Duration;

use rand::RngExt;

/// The pause before the next try: doubling, and at random between its half and its whole, so that
/// many do not come back in step.
pub fn pause(first: Duration, most: Duration, tries: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(tries)).min(most);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// The same, and no shorter than the other side asks for: one that asks for less, or for nothing,
/// does not take the pause away.
pub fn pause_at_least(
    asked: Option<Duration>,
    first: Duration,
    most: Duration,
    tries: u32,
) -> Duration {
    pause(first, most, tries).max(asked.unwrap_or_default())
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
            assert!(
                pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)),
                "{tries}: {pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }

    #[test]
    fn what_is_asked_for_only_makes_a_pause_longer() {
        let (first, most, minute) =
            (Duration::from_millis(100), Duration::from_secs(5), Duration::from_secs(60));
        for asked in [None, Some(Duration::ZERO), Some(Duration::from_millis(1))] {
            assert!(
                pause_at_least(asked, first, most, 3) >= Duration::from_millis(400),
                "{asked:?}"
            );
        }
        assert_eq!(pause_at_least(Some(minute), first, most, 3), minute);
    }
}
