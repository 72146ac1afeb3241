//! What a person decides: to rewind, to skip, to replay or discard rejects, to define a rollup.
//! Each is one transaction under the position's lock.

use crate::bounds::{Bounds, OFFSETS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{
    DISCARDED, Database, FRESH_FENCE, OPEN, Phase, REPEATED, STORED, Slots, State, Transaction,
};
use crate::step::Step;

pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    for partition in (0..bounds.partitions).filter(|&partition| !state.is_locked(partition)) {
        move_position(bounds, state, partition, into);
        discard(bounds, state, partition, into);
    }
    if bounds.fix && !state.fixed {
        into.add(Step::FixDefinition, state, |next| next.fixed = true);
    }
    (0..bounds.replays).for_each(|replay| replay_rejects(bounds, state, replay, into));
    if bounds.backfill
        && !state.database.has_rollup
        && !(0..bounds.partitions).any(|partition| state.is_locked(partition))
    {
        into.add(Step::Backfill, state, |next| {
            next.database.has_rollup = true;
            // The sums enter a shard of their own, beside what workers have counted.
            for slot in (0..8).filter(|&slot| state.database.rows.get(slot) > 0) {
                next.database.rollup.count(slot);
            }
            if !bounds.is(Mutation::BackfillKeepsFences) {
                next.database
                    .positions
                    .iter_mut()
                    .for_each(|position| position.fence = FRESH_FENCE);
            }
        });
    }
}

/// Each move draws a new fence and writes its own ledger row.
fn move_position(bounds: &Bounds, state: &State, partition: usize, into: &mut Successors) {
    let position = state.database.positions[partition];
    let records = || bounds.records(position.topic, partition).map(|(offset, ..)| offset);
    if bounds.rewinds {
        for to in records().filter(|&offset| offset < position.next) {
            into.add(Step::Rewind { partition, to }, state, |next| {
                next.database.put_position(bounds, partition, to);
                next.database.forget_loads(bounds, partition, to);
            });
        }
    }
    if bounds.skips
        && let Some(offset) = records().find(|&offset| offset >= position.next)
    {
        into.add(Step::Skip { partition, to: offset + 1 }, state, |next| {
            next.database.put_position(bounds, partition, offset + 1);
            next.database.skipped |= 1 << bounds.slot(position.topic, partition, offset);
        });
    }
    if position.topic != state.log.topic {
        into.add(Step::ResetToNewTopic { partition }, state, |next| {
            next.database.positions[partition].topic = next.log.topic;
            next.database.put_position(bounds, partition, 0);
        });
    }
}

fn discard(bounds: &Bounds, state: &State, partition: usize, into: &mut Successors) {
    for (offset, ..) in bounds
        .records(state.database.positions[partition].topic, partition)
        .filter(|_| bounds.discards)
    {
        let slot = bounds.slot(state.database.positions[partition].topic, partition, offset);
        if state.database.rejects.get(slot) == OPEN {
            into.add(Step::Discard { partition, offset }, state, |next| {
                next.database.rejects.set(slot, DISCARDED)
            });
        }
    }
}

/// Locks the position, then reads the open rejects, then writes their rows.
fn replay_rejects(bounds: &Bounds, state: &State, replay: usize, into: &mut Successors) {
    let transaction = &state.replays[replay];
    if transaction.phase == Phase::None {
        for partition in (0..bounds.partitions).filter(|_| state.fixed) {
            let outcomes = replayed(bounds, state, partition);
            if outcomes != Slots::default() {
                begin_replay(bounds, state, replay, partition, outcomes, into);
            }
        }
        return;
    }
    into.add(Step::ReplayDies { replay }, state, |next| {
        next.replays[replay] = Transaction::default()
    });
    let needs_lock = transaction.locks == 0 && !bounds.is(Mutation::ReplayWithoutLocks);
    if transaction.outcomes != Slots::default() && !needs_lock {
        return into.add(Step::ReplayCommits { replay }, state, |next| {
            let transaction = std::mem::take(&mut next.replays[replay]);
            next.database.apply(bounds, &transaction);
        });
    }
    let read_before = (0..8)
        .find(|&slot| transaction.outcomes.get(slot) != 0)
        .map(|slot| (slot / OFFSETS) as usize);
    let partition = read_before.unwrap_or(transaction.locks.trailing_zeros() as usize);
    if needs_lock && state.is_locked(partition) {
        return;
    }
    into.add(Step::ReplayWrites { replay }, state, |next| {
        let transaction = &mut next.replays[replay];
        transaction.locks = 1 << partition;
        transaction.counts_rollup = state.database.has_rollup;
        if read_before.is_none() {
            transaction.outcomes = replayed(bounds, state, partition);
        }
        if transaction.outcomes == Slots::default() {
            *transaction = Transaction::default();
        }
    });
}

fn begin_replay(
    bounds: &Bounds,
    state: &State,
    replay: usize,
    partition: usize,
    outcomes: Slots,
    into: &mut Successors,
) {
    let begin = |locks, outcomes| Transaction {
        phase: Phase::Open,
        locks,
        outcomes,
        counts_rollup: state.database.has_rollup,
        ..Transaction::default()
    };
    let transaction = match bounds.mutation {
        Some(Mutation::ReplayWithoutLocks | Mutation::ReplayReadsBeforeLocks) => begin(0, outcomes),
        _ if state.is_locked(partition) => return,
        _ => begin(1 << partition, Slots::default()),
    };
    into.add(Step::ReplayBegins { replay, partition }, state, |next| {
        next.replays[replay] = transaction
    });
}

/// What a replay makes of a partition's open rejects.
fn replayed(bounds: &Bounds, state: &State, partition: usize) -> Slots {
    let (topic, mut outcomes) = (state.database.positions[partition].topic, Slots::default());
    for (offset, key, _) in bounds.records(topic, partition) {
        let slot = bounds.slot(topic, partition, offset);
        if state.database.rejects.get(slot) == OPEN {
            outcomes
                .set(slot, if state.has_key(bounds, key, outcomes) { REPEATED } else { STORED });
        }
    }
    outcomes
}

impl Database {
    fn put_position(&mut self, bounds: &Bounds, partition: usize, next: u8) {
        let position = &mut self.positions[partition];
        (position.next, position.ledger_end) = (next, next);
        if !bounds.is(Mutation::MoveKeepsFence) {
            position.fence = FRESH_FENCE;
        }
    }

    /// The ledger has a rewind on record: what lies behind it may be loaded once more.
    fn forget_loads(&mut self, bounds: &Bounds, partition: usize, from: u8) {
        for (offset, ..) in bounds
            .records(self.positions[partition].topic, partition)
            .filter(|&(offset, ..)| offset >= from)
        {
            let slot = bounds.slot(self.positions[partition].topic, partition, offset);
            self.ledger_loads.set(slot, 0);
            self.skipped &= !(1 << slot);
        }
    }
}
