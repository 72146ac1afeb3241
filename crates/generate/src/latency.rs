//! How long sends took, in a few hundred counters whatever the number of sends.

use std::time::Duration;

/// Buckets an octave: a quantile is at most a sixteenth too large.
const STEPS: u64 = 16;

/// Counts of durations in microseconds, in buckets whose width grows with the duration.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max_microseconds: u64,
}

impl Latencies {
    pub fn record(&mut self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(microseconds);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.max_microseconds = self.max_microseconds.max(microseconds);
    }

    /// Milliseconds within which this share of the sends was done; 0 if there were none.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(bucket).min(self.max_microseconds) as f64 / 1000.0;
            }
        }
        0.0
    }

    pub fn max_ms(&self) -> f64 {
        self.max_microseconds as f64 / 1000.0
    }
}

/// Below 16 each microsecond is a bucket; above, each octave has 16.
fn bucket(microseconds: u64) -> usize {
    let shift =
        (u64::BITS - microseconds.leading_zeros()).saturating_sub(STEPS.trailing_zeros() + 1);
    (u64::from(shift) * STEPS + (microseconds >> shift)) as usize
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = bucket - shift * STEPS;
    (u128::from(first + 1) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_at_most_a_sixteenth_below_its_buckets_end() {
        let values = (0..1000)
            .chain((0..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + (1 << bit) / 3]))
            .chain([u64::MAX]);
        for value in values {
            let end = upper_end(bucket(value));
            assert!(end >= value && end - value <= value / 16, "{value} in a bucket up to {end}");
        }
        for bucket_index in 0..900 {
            assert_eq!(bucket(upper_end(bucket_index)), bucket_index);
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile_ms(0.5), latencies.max_ms()), (0.0, 0.0));
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        for (share, ms) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = latencies.quantile_ms(share);
            assert!(found >= ms && found <= ms * 17.0 / 16.0, "{share}: {found}");
        }
        assert_eq!(latencies.max_ms(), 100.0);
    }
}
