//! A worker that lost its connection, or its life, and how it finds out what became of its batch.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{FRESH_FENCE, Lane, Phase, State, Transaction, Worker};
use crate::step::Step;

pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    for worker in 0..WORKERS {
        if bounds.crashes && state.can_leave(worker) {
            faults(bounds, state, worker, into);
        }
        if state.workers[worker].lane == Lane::Unknown {
            find_out(bounds, state, worker, into);
        }
        let me = &state.workers[worker];
        if state.database.has_rollup && !me.knows_rollup && me.lane == Lane::Idle {
            into.add(Step::Upgrade { worker }, state, |next| {
                next.workers[worker] = Worker { knows_rollup: true, ..Worker::default() }
            });
        }
    }
}

/// A lost connection (a network that breaks, a backend that is terminated, a server that stops) or
/// a killed process.
fn faults(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let me = &state.workers[worker];
    if matches!(me.lane, Lane::Moving | Lane::Written | Lane::CommitSent) {
        into.add(Step::LoseConnection { worker }, state, |next| {
            next.leave_transaction(worker);
            next.workers[worker].lane = Lane::Unknown;
            if bounds.is(Mutation::LostAnswerTakenAsStored) && me.lane == Lane::CommitSent {
                next.told_wrongly |= !next.is_batch_stored(bounds, worker);
                next.finish_batch(bounds, worker);
            }
        });
    }
    let reborn = Worker { knows_rollup: state.database.has_rollup, ..Worker::default() };
    if *me != reborn {
        into.add(Step::Crash { worker }, state, |next| {
            next.leave_transaction(worker);
            next.workers[worker] = reborn;
        });
    }
}

/// `SELECT next, fence ... FOR UPDATE` over the batch's positions: it waits for a COMMIT that may
/// still land.
fn find_out(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let me = &state.workers[worker];
    let batch = || (0..bounds.partitions).filter(|p| me.batch & 1 << p != 0);
    if batch().any(|partition| state.is_locked(partition)) {
        return;
    }
    if bounds.is(Mutation::RetryWithoutReading) {
        return into.add(Step::FindNotStored { worker }, state, |next| {
            for partition in batch() {
                next.database.positions[partition].fence = FRESH_FENCE;
                let held = &mut next.workers[worker].held[partition];
                (held.fence, held.expected) =
                    (FRESH_FENCE, next.database.positions[partition].next);
            }
            next.workers[worker].lane = Lane::Prepared;
        });
    }
    let is_at = |to: fn(&crate::state::Held) -> u8| {
        batch().all(|p| {
            state.database.positions[p].fence == me.held[p].fence
                && state.database.positions[p].next == to(&me.held[p])
        })
    };
    if is_at(|held| held.batch.1) {
        into.add(Step::FindStored { worker }, state, |next| {
            next.told_wrongly |= !next.is_batch_stored(bounds, worker);
            next.finish_batch(bounds, worker);
        });
    } else if is_at(|held| held.expected) {
        into.add(Step::FindNotStored { worker }, state, |next| {
            next.workers[worker].lane = Lane::Prepared
        });
    } else {
        into.add(Step::FindFenced { worker }, state, |next| next.throw_batch_away(worker));
    }
}

impl State {
    /// Bounds: a worker leaves one COMMIT behind at a time.
    pub fn can_leave(&self, worker: usize) -> bool {
        !self.sessions[worker].may_land() || self.orphans[worker].phase == Phase::None
    }

    /// The worker is no longer at the other end of its transaction: without COMMIT that is its end,
    /// with it anything may come.
    pub fn leave_transaction(&mut self, worker: usize) {
        let session = std::mem::take(&mut self.sessions[worker]);
        if session.may_land() {
            self.orphans[worker] = session;
        }
    }

    /// Whether every record of the batch is where a worker says it is when it calls the batch
    /// stored.
    fn is_batch_stored(&self, bounds: &Bounds, worker: usize) -> bool {
        let me = &self.workers[worker];
        let in_batch = |partition: usize, offset: u8| {
            me.batch & 1 << partition != 0
                && (me.held[partition].batch.0..me.held[partition].batch.1).contains(&offset)
        };
        let mut records = bounds.all_records().filter(|&(topic, partition, offset, ..)| {
            topic == me.batch_topic && in_batch(partition, offset)
        });
        records.all(|(topic, partition, offset, key, _)| {
            self.is_accounted(bounds, bounds.slot(topic, partition, offset), key)
        })
    }

    /// Whether a record is in the table (or another one of its key) or among the rejects.
    pub fn is_accounted(&self, bounds: &Bounds, slot: u8, key: u8) -> bool {
        self.database.rows.get(slot) > 0
            || self.database.rejects.get(slot) != 0
            || self.has_key(bounds, key, Transaction::default().outcomes)
    }
}
