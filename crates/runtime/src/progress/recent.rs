//! How many of the last records were rejected.

use std::collections::VecDeque;

/// The last records that are looked at.
const WINDOW_RECORDS: u64 = 1_000;
/// Fewer records tell nothing.
const FEWEST_RECORDS: u64 = 20;
/// A `pause_at` is judged by this many records at least.
const FEWEST_TO_PAUSE: u64 = 100;

/// The outcomes of the last batches, together at least [`WINDOW_RECORDS`] where there were so many.
#[derive(Debug, Default)]
pub struct Recent {
    batches: VecDeque<Counts>,
    sum: Counts,
    /// Why the last reject is one.
    reason: String,
}

/// Of some records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub records: u64,
    pub rejected: u64,
}

impl Counts {
    fn is_share(self, percent: u64) -> bool {
        self.records > 0 && self.rejected * 100 >= percent * self.records
    }
}

impl Recent {
    /// A batch was committed; the reason is that of one of its rejects.
    pub fn add(&mut self, batch: Counts, reason: Option<&str>) {
        if batch.records == 0 {
            return;
        }
        self.batches.push_back(batch);
        self.sum = Counts {
            records: self.sum.records + batch.records,
            rejected: self.sum.rejected + batch.rejected,
        };
        while let Some(oldest) = self
            .batches
            .front()
            .filter(|oldest| self.sum.records - oldest.records >= WINDOW_RECORDS)
            .copied()
        {
            self.batches.pop_front();
            self.sum = Counts {
                records: self.sum.records - oldest.records,
                rejected: self.sum.rejected - oldest.rejected,
            };
        }
        if let Some(reason) = reason {
            reason.clone_into(&mut self.reason);
        }
    }

    /// Says so where at least half of what came was rejected.
    pub fn trouble(&self) -> Option<String> {
        let Counts { records, rejected } = self.sum;
        let is_most = records >= FEWEST_RECORDS && self.sum.is_share(50);
        is_most.then(|| {
            format!(
                "most of what comes is rejected: {rejected} of the last {records} \
            records, for example: {}",
                self.reason
            )
        })
    }

    /// The counts with this batch, if they reach the limit together and the batch has its part in
    /// it.
    pub fn would_reach(&self, percent: u8, batch: Counts) -> Option<Counts> {
        let with_batch = Counts {
            records: self.sum.records + batch.records,
            rejected: self.sum.rejected + batch.rejected,
        };
        let reached = with_batch.records >= FEWEST_TO_PAUSE
            && batch.is_share(percent.into())
            && with_batch.is_share(percent.into());
        reached.then_some(with_batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(records: u64, rejected: u64) -> Counts {
        Counts { records, rejected }
    }

    #[test]
    fn the_last_thousand_records_count() {
        let mut recent = Recent::default();
        (0..10).for_each(|_| recent.add(counts(100, 100), Some("no")));
        assert!(
            recent
                .trouble()
                .is_some_and(|said| said.contains("1000 of the last 1000") && said.ends_with("no"))
        );
        (0..6).for_each(|_| recent.add(counts(100, 0), None));
        assert_eq!(recent.trouble(), None, "400 of 1,000 are left");
    }

    #[test]
    fn a_few_records_tell_nothing() {
        let mut recent = Recent::default();
        recent.add(counts(19, 19), Some("no"));
        assert_eq!(recent.trouble(), None);
        assert_eq!(recent.would_reach(90, counts(80, 80)), None);
        assert_eq!(recent.would_reach(90, counts(81, 81)), Some(counts(100, 100)));
    }

    #[test]
    fn a_good_batch_never_pauses() {
        let mut recent = Recent::default();
        recent.add(counts(1_000, 1_000), Some("no"));
        assert_eq!(recent.would_reach(50, counts(10, 0)), None);
        assert_eq!(recent.would_reach(50, counts(10, 5)), Some(counts(1_010, 1_005)));
    }
}
