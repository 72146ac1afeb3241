//! A lane: one load connection, the partitions that are its own, and what waits for it.
//!
//! The reader appends records, the preparer takes a batch as soon as the connection is free (or a
//! full one while it is busy), the committer loads it. So a single record never waits for a full
//! batch, and under load the next batch is ready when one commits.

mod hand_over;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

pub use hand_over::HandedOver;
pub use state::Limits;
use state::{Part, State, Turn};

use duto_ground::batch::{Batch, RecordRef};
use duto_load::position::Position;
use duto_stages::prepared::{OffsetRange, Prepared};

/// The shared state of one lane.
pub struct Lane {
    pub number: usize,
    limits: Limits,
    state: Mutex<State>,
    /// There is something for the preparer to do. Rung only when that is so: of a stream most
    /// records come while it must wait anyway, and a thread that is woken for nothing is paid by
    /// whoever waits for the machine.
    work: Condvar,
    /// Something changed that the reader may wait for.
    changed: Condvar,
    /// A prepared batch is ready, or the lane ends.
    ready: Notify,
    /// The work in flight is to be dropped.
    aborted: Notify,
}

/// A batch that was taken from the lane, not yet decoded.
pub struct Taken {
    pub batch: Batch,
    pub ranges: Vec<OffsetRange>,
    epoch: u64,
}

/// A batch that is ready to be committed.
pub struct Work {
    pub prepared: Prepared,
    pub fences: HashMap<i32, Uuid>,
    epoch: u64,
}

impl Lane {
    pub fn new(number: usize, limits: Limits) -> Self {
        Self {
            number,
            limits,
            state: Mutex::default(),
            work: Condvar::new(),
            changed: Condvar::new(),
            ready: Notify::new(),
            aborted: Notify::new(),
        }
    }

    /// Takes over a claimed partition from its position on.
    pub fn add(&self, partition: i32, next: i64, fence: Uuid, leader_epoch: i32) {
        self.lock().parts.insert(
            partition,
            Part { fence, committed: next, taken: next, read: next, leader_epoch },
        );
    }

    /// The number of partitions of the lane.
    pub fn partition_count(&self) -> usize {
        self.lock().parts.len()
    }

    /// For each partition: where the database is, and below which offset everything was read.
    pub fn positions(&self) -> Vec<(i32, i64, i64)> {
        self.lock()
            .parts
            .iter()
            .map(|(partition, part)| (*partition, part.committed, part.read))
            .collect()
    }

    /// Appends records. Those of partitions that are not the lane's, and offsets that were read
    /// before, are dropped: both do arrive after a rebalance. Answers partitions whose leader epoch
    /// went back: from there on nothing of them was taken.
    pub fn append<'a>(&self, records: impl Iterator<Item = RecordRef<'a>>) -> Vec<i32> {
        let mut went_back = Vec::new();
        let mut state = self.change();
        for record in records {
            let head = record.head;
            match state.parts.get_mut(&head.partition) {
                Some(part) if part.read <= head.offset && !went_back.contains(&head.partition) => {
                    if head.leader_epoch >= 0 && head.leader_epoch < part.leader_epoch {
                        went_back.push(head.partition);
                        continue;
                    }
                    part.leader_epoch = part.leader_epoch.max(head.leader_epoch);
                    part.read = head.offset + 1;
                }
                _ => continue,
            }
            state.push(record, &self.limits);
        }
        went_back
    }

    /// The partition was read up to here, where no record may be.
    pub fn reached(&self, partition: i32, offset: i64) {
        if let Some(part) = self.change().parts.get_mut(&partition) {
            part.read = part.read.max(offset);
        }
    }

    /// A copy of the records that wait behind what is being committed; at most so many, evenly over
    /// all of them.
    pub fn waiting_records(&self, most: usize) -> Batch {
        let state = self.lock();
        let ready = state.ready.iter().map(|work| &work.prepared.batch);
        let mut records = Batch::default();
        let waiting = ready.chain(&state.pending);
        let step = waiting.clone().map(Batch::len).sum::<usize>().div_ceil(most.max(1)).max(1);
        for record in waiting.flat_map(Batch::iter).step_by(step) {
            records.push_record(record);
        }
        records
    }

    /// Whether the lane holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.lock().is_full(&self.limits)
    }

    /// Waits until the lane can take more, at most so long; answers whether it can.
    pub fn wait_for_room(&self, patience: Duration) -> bool {
        let full = |state: &mut State| !state.closed && state.is_full(&self.limits);
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    /// The preparer's turn: waits for something to do. None when the lane ends.
    pub fn take(&self) -> Option<Taken> {
        let mut state = self.lock();
        loop {
            match state.turn(&self.limits) {
                Turn::Ended => return None,
                Turn::NotYet => {
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Turn::In(left) => {
                    state = self
                        .work
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    continue;
                }
                Turn::Now => {}
            }
            let taken = state.take();
            state.preparing = true;
            self.changed.notify_all();
            return Some(taken);
        }
    }

    /// The preparer's: what it took and cannot prepare together with the rest. It comes next.
    pub fn give_back(&self, epoch: u64, batch: Batch, ranges: &[OffsetRange]) {
        let mut state = self.lock();
        if epoch == state.epoch {
            state.give_back(batch, ranges);
        }
    }

    /// The preparer's result. Thrown away if the lane was reset meanwhile.
    pub fn prepared(&self, epoch: u64, prepared: Prepared) {
        let mut state = self.lock();
        state.preparing = false;
        if epoch == state.epoch {
            let fences = prepared
                .ranges
                .iter()
                .filter_map(|range| {
                    Some((range.partition, state.parts.get(&range.partition)?.fence))
                })
                .collect();
            state.ready = Some(Work { prepared, fences, epoch });
            self.ready.notify_one();
        }
        self.changed.notify_all();
    }

    /// The committer's turn: the next batch. None when the lane ends.
    pub async fn next(&self) -> Option<Work> {
        loop {
            {
                let mut state = self.change();
                if state.closed {
                    return None;
                }
                if let Some(work) = state.ready.take() {
                    state.committing = true;
                    return Some(work);
                }
            }
            self.ready.notified().await;
        }
    }

    /// The committer's result: this batch is in the database.
    pub fn committed(&self, work: &Work) {
        let mut state = self.change();
        if work.epoch == state.epoch {
            for range in &work.prepared.ranges {
                if let Some(part) = state.parts.get_mut(&range.partition) {
                    part.committed = range.to;
                }
            }
        }
        state.committing = false;
        self.changed.notify_all();
    }

    /// The committer's result: this batch was dropped.
    pub fn dropped(&self) {
        self.change().committing = false;
        self.changed.notify_all();
    }

    /// Ends when the lane is told to drop what is in flight.
    pub async fn aborted(&self, epoch: u64) {
        loop {
            let notified = self.aborted.notified();
            if self.lock().epoch != epoch {
                return;
            }
            notified.await;
        }
    }

    /// Whether a position is not where this lane left it, or not under its fence.
    pub fn disagrees(&self, positions: &[Position]) -> bool {
        self.lock().parts.iter().any(|(partition, part)| {
            positions.iter().find(|position| position.partition == *partition).is_none_or(
                |position| position.fence != part.fence || position.next != part.committed,
            )
        })
    }

    /// Whether the lane was not reset since.
    pub fn is_of_epoch(&self, epoch: u64) -> bool {
        self.lock().epoch == epoch
    }

    /// Throws everything away: what waits, what is prepared, what is in flight. Answers the
    /// partitions it had; they must be claimed anew.
    pub fn reset(&self) -> Vec<i32> {
        let mut state = self.lock();
        state.epoch += 1;
        state.clear_pending();
        state.ready = None;
        let partitions = std::mem::take(&mut state.parts).into_keys().collect();
        self.aborted.notify_waiters();
        self.changed.notify_all();
        partitions
    }

    /// Gives partitions up: what waits of them is dropped, what is in flight may finish. Answers
    /// whether it did within the time; if not, reset.
    pub fn release(&self, partitions: &[i32], patience: Duration) -> bool {
        let mut state = self.lock();
        for partition in partitions {
            if let Some(part) = state.parts.get_mut(partition) {
                part.read = part.taken;
            }
        }
        state.drop_pending(partitions, &self.limits);
        let mut state = self.wait_while_in_flight(state, patience);
        let is_done = !state.has_work_in_flight();
        if is_done {
            // What the preparer gave back meanwhile.
            state.drop_pending(partitions, &self.limits);
            state.parts.retain(|partition, _| !partitions.contains(partition));
        }
        is_done
    }

    /// Whether nothing waits and nothing is in flight.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.has_work_in_flight() && !state.has_any()
    }

    /// Ends the preparer and the committer; what is in flight is dropped.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.epoch += 1;
        drop(state);
        self.aborted.notify_waiters();
        self.ready.notify_one();
        self.work.notify_all();
        self.changed.notify_all();
    }

    /// The state, to be changed by something after which the preparer may have something to do.
    fn change(&self) -> Change<'_> {
        self.change_of(self.lock())
    }

    fn change_of<'a>(&'a self, state: MutexGuard<'a, State>) -> Change<'a> {
        Change { before: state.turn(&self.limits), state, lane: self }
    }

    fn wait_while_in_flight<'a>(
        &self,
        state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        let waited =
            self.changed.wait_timeout_while(state, patience, |state| state.has_work_in_flight());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the preparer, in the end, if it has something to do that it had not before.
struct Change<'a> {
    state: MutexGuard<'a, State>,
    before: Turn,
    lane: &'a Lane,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let is_due = match self.state.turn(&self.lane.limits) {
            Turn::Now => self.before != Turn::Now,
            Turn::In(_) => self.before == Turn::NotYet,
            Turn::NotYet | Turn::Ended => false,
        };
        if is_due {
            self.lane.work.notify_one();
        }
    }
}

impl Deref for Change<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Taken {
    /// See [`Lane::prepared`].
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Work {
    /// See [`Lane::aborted`].
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
