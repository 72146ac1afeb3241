//! What a lane holds: its partitions, and the records that wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Taken, Work};
use duto_ground::batch::{Batch, RecordRef};
use duto_stages::prepared::OffsetRange;

/// The bounds of what a lane holds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub batch_records: usize,
    pub batch_bytes: usize,
    pub pending_records: usize,
    pub pending_bytes: usize,
    /// A batch that is not full goes out so long after the one before it. A record that comes alone
    /// does not wait for it; of a stream each transaction takes several records along, which costs
    /// the log and the database less than it costs the records.
    pub linger: Duration,
}

/// What the preparer should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// What waits has to linger yet, unless a batch gets full.
    In(Duration),
    /// Something must come, or a batch must end.
    NotYet,
    Ended,
}

#[derive(Default)]
pub(super) struct State {
    /// What waits, in batches: all but the last are full.
    pub pending: VecDeque<Batch>,
    pub pending_records: usize,
    pub pending_bytes: usize,
    pub parts: BTreeMap<i32, Part>,
    pub ready: Option<Work>,
    /// A batch was taken and is being decoded.
    pub preparing: bool,
    /// A batch is on its way into the database.
    pub committing: bool,
    /// No batch is taken for the moment: partitions are to leave the lane.
    pub holding: bool,
    /// When the last batch was taken.
    pub taken_at: Option<Instant>,
    /// Drawn anew by every reset: work of an earlier epoch is thrown away.
    pub epoch: u64,
    pub closed: bool,
}

/// One partition of the lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub fence: Uuid,
    /// Below it everything is in the database.
    pub committed: i64,
    /// Below it everything was taken into batches.
    pub taken: i64,
    /// Below it everything was read.
    pub read: i64,
    pub leader_epoch: i32,
}

impl State {
    pub fn push(&mut self, record: RecordRef<'_>, limits: &Limits) {
        let bytes = record.payload.map_or(0, <[u8]>::len)
            + record.key.map_or(0, <[u8]>::len)
            + record.headers.map_or(0, <[u8]>::len);
        let fits = self.pending.back().is_some_and(|last| {
            last.len() < limits.batch_records && last.bytes.len() + bytes <= limits.batch_bytes
        });
        if !fits {
            self.pending.push_back(Batch::default());
        }
        if let Some(last) = self.pending.back_mut() {
            last.push_record(record);
        }
        self.pending_records += 1;
        self.pending_bytes += bytes;
    }

    pub fn clear_pending(&mut self) {
        self.pending.clear();
        (self.pending_records, self.pending_bytes) = (0, 0);
    }

    pub fn is_full(&self, limits: &Limits) -> bool {
        self.pending_records >= limits.pending_records || self.pending_bytes >= limits.pending_bytes
    }

    pub fn has_full_batch(&self, limits: &Limits) -> bool {
        self.pending.len() > 1 || self.pending_records >= limits.batch_records
    }

    /// When a batch should be taken.
    pub fn turn(&self, limits: &Limits) -> Turn {
        if self.closed {
            return Turn::Ended;
        }
        let is_free = !self.holding && self.ready.is_none();
        match () {
            () if is_free && self.has_full_batch(limits) => Turn::Now,
            () if is_free && !self.committing && self.has_any() => match self.linger_left(limits) {
                Duration::ZERO => Turn::Now,
                left => Turn::In(left),
            },
            () => Turn::NotYet,
        }
    }

    fn linger_left(&self, limits: &Limits) -> Duration {
        self.taken_at.map_or(Duration::ZERO, |at| limits.linger.saturating_sub(at.elapsed()))
    }

    pub fn has_any(&self) -> bool {
        self.pending_records > 0 || self.parts.values().any(|part| part.taken < part.read)
    }

    /// Takes the batch that waits longest.
    pub fn take(&mut self) -> Taken {
        self.taken_at = Some(Instant::now());
        let batch = self.pending.pop_front().unwrap_or_default();
        self.pending_records -= batch.len();
        self.pending_bytes -= batch.bytes.len();
        let mut ranges: BTreeMap<i32, OffsetRange> = BTreeMap::new();
        for head in &batch.records {
            let part = self.parts.get(&head.partition);
            let from = part.map_or(head.offset, |part| part.taken);
            let range = ranges.entry(head.partition).or_insert(OffsetRange {
                partition: head.partition,
                from,
                to: from,
                leader_epoch: -1,
            });
            range.to = head.offset + 1;
            range.leader_epoch = range.leader_epoch.max(head.leader_epoch);
        }
        if self.pending.is_empty() {
            // Everything that was read is taken, also the offsets at which nothing stands.
            for (partition, part) in &self.parts {
                if part.taken < part.read {
                    let empty = OffsetRange {
                        partition: *partition,
                        from: part.taken,
                        to: part.taken,
                        leader_epoch: part.leader_epoch,
                    };
                    ranges.entry(*partition).or_insert(empty).to = part.read;
                }
            }
        }
        for range in ranges.values() {
            if let Some(part) = self.parts.get_mut(&range.partition) {
                part.taken = range.to;
                part.leader_epoch = part.leader_epoch.max(range.leader_epoch);
            }
        }
        Taken { batch, ranges: ranges.into_values().collect(), epoch: self.epoch }
    }

    /// The last batch that was taken, without its first records: it waits again, before all others.
    pub fn give_back(&mut self, batch: Batch, ranges: &[OffsetRange]) {
        for range in ranges {
            if let Some(part) = self.parts.get_mut(&range.partition) {
                part.taken = range.from;
            }
        }
        self.pending_records += batch.len();
        self.pending_bytes += batch.bytes.len();
        if !batch.is_empty() {
            self.pending.push_front(batch);
        }
    }

    /// Takes out what waits of these partitions.
    pub fn take_pending(&mut self, partitions: &[i32], limits: &Limits) -> Batch {
        let mut taken = Batch::default();
        for record in self
            .pending
            .iter()
            .flat_map(Batch::iter)
            .filter(|record| partitions.contains(&record.head.partition))
        {
            taken.push_record(record);
        }
        self.drop_pending(partitions, limits);
        taken
    }

    /// Drops what waits of these partitions.
    pub fn drop_pending(&mut self, partitions: &[i32], limits: &Limits) {
        let before = std::mem::take(&mut self.pending);
        self.clear_pending();
        for record in before
            .iter()
            .flat_map(Batch::iter)
            .filter(|record| !partitions.contains(&record.head.partition))
        {
            self.push(record, limits);
        }
    }

    /// Whether a batch is being decoded, waits for its commit, or is being committed.
    pub fn has_work_in_flight(&self) -> bool {
        self.preparing || self.committing || self.ready.is_some()
    }
}
