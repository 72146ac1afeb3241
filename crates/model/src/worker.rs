//! A worker: learns what is its own, claims it, and reads the log.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{FRESH_FENCE, Held, Lane, NO_FENCE, State};
use crate::step::Step;
use crate::transaction;

pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    for worker in 0..WORKERS {
        for partition in 0..bounds.partitions {
            membership(bounds, state, worker, partition, into);
            claim(bounds, state, worker, partition, into);
            look(bounds, state, worker, partition, into);
            fetch(bounds, state, worker, partition, into);
        }
        transaction::steps(bounds, state, worker, into);
    }
}

/// What the group says. A partition that is lost is thrown away at once, with the transaction it is
/// part of: that is the worst case of a revoke, after which a worker may also finish what is in
/// flight (it then learns of it one step later).
fn membership(
    bounds: &Bounds,
    state: &State,
    worker: usize,
    partition: usize,
    into: &mut Successors,
) {
    let (is_owner, believes) = (
        state.owner[partition] as usize == worker,
        state.workers[worker].assigned & 1 << partition != 0,
    );
    if is_owner && !believes {
        into.add(Step::LearnAssigned { worker, partition }, state, |next| {
            next.workers[worker].assigned |= 1 << partition
        });
    }
    let in_batch = state.workers[worker].batch & 1 << partition != 0;
    if !is_owner && believes && (!in_batch || state.can_leave(worker)) {
        into.add(Step::LearnLost { worker, partition }, state, |next| {
            if in_batch {
                next.leave_transaction(worker);
                next.throw_batch_away(worker);
            }
            next.workers[worker].assigned &= !(1 << partition);
            next.let_go(bounds, worker, partition);
        });
    }
}

/// Draws a new fence, then compares the topic's id, in this order: whoever reads the partition
/// still is fenced before anybody decides anything.
fn claim(bounds: &Bounds, state: &State, worker: usize, partition: usize, into: &mut Successors) {
    let me = &state.workers[worker];
    let wants = me.assigned & !me.batch & !me.halted & 1 << partition != 0
        && me.held[partition].fence == NO_FENCE;
    let knows_definition = match bounds.is(Mutation::UnknownRollupClaimed) {
        true => me.knows_rollup || !state.database.has_rollup,
        false => me.knows_rollup == state.database.has_rollup,
    };
    if !wants || state.is_locked(partition) || !knows_definition {
        return;
    }
    if bounds.is(Mutation::HaltWithoutClaim)
        && state.database.positions[partition].topic != state.log.topic
    {
        return into.add(Step::SeeOtherTopicId { worker, partition }, state, |next| {
            next.workers[worker].halted |= 1 << partition
        });
    }
    let fence = if bounds.is(Mutation::ClaimKeepsFence) {
        state.database.positions[partition].fence
    } else {
        FRESH_FENCE
    };
    into.add(Step::Claim { worker, partition }, state, |next| {
        next.database.positions[partition].fence = fence;
        let position = next.database.positions[partition];
        let queue = if bounds.is(Mutation::RevokedRecordsKept) {
            next.workers[worker].held[partition].queue
        } else {
            (0, 0)
        };
        let expected = if bounds.is(Mutation::StartAtCommittedCopy) {
            next.log.committed[partition]
        } else {
            position.next
        };
        next.workers[worker].held[partition] =
            Held { fence, topic: position.topic, expected, queue, batch: (0, 0) };
        if position.topic != next.log.topic && !bounds.is(Mutation::TopicIdIgnored) {
            next.workers[worker].halted |= 1 << partition;
        }
    });
    if bounds.crashes {
        into.add(Step::ClaimLandsUnheard { worker, partition }, state, |next| {
            next.database.positions[partition].fence = fence
        });
    }
}

/// What is read again now and then with nothing in flight: the position, and the topic's id.
fn look(bounds: &Bounds, state: &State, worker: usize, partition: usize, into: &mut Successors) {
    let (me, held, position) = (
        &state.workers[worker],
        &state.workers[worker].held[partition],
        &state.database.positions[partition],
    );
    if me.batch & 1 << partition != 0 || held.fence == NO_FENCE && me.halted & 1 << partition == 0 {
        return;
    }
    let moved =
        (position.next, position.fence, position.topic) != (held.expected, held.fence, held.topic);
    if moved && !bounds.is(Mutation::PositionNotReread) {
        into.add(Step::SeeMovedPosition { worker, partition }, state, |next| {
            next.let_go(bounds, worker, partition)
        });
    }
    if held.topic != state.log.topic
        && me.halted & 1 << partition == 0
        && !bounds.is(Mutation::TopicIdIgnored)
    {
        into.add(Step::SeeOtherTopicId { worker, partition }, state, |next| {
            next.workers[worker].halted |= 1 << partition;
            next.workers[worker].held[partition].queue = (0, 0);
        });
    }
}

/// Takes the next records. The log's client goes on at the same offset whatever became of the
/// topic.
fn fetch(bounds: &Bounds, state: &State, worker: usize, partition: usize, into: &mut Successors) {
    let (me, held) = (&state.workers[worker], &state.workers[worker].held[partition]);
    let is_queue_empty = held.queue.0 == held.queue.1;
    let has_room = bounds.prefetch || is_queue_empty && me.lane == Lane::Idle;
    if held.fence == NO_FENCE
        || me.halted & 1 << partition != 0
        || !has_room
        || !is_queue_empty && me.queue_topic != state.log.topic
    {
        return;
    }
    let in_batch = me.batch & 1 << partition != 0;
    let from = if !is_queue_empty {
        held.queue.1
    } else if in_batch {
        held.batch.1
    } else {
        held.expected
    };
    let end = state.log_end(bounds, partition);
    if from >= end {
        return;
    }
    let ends = bounds
        .records(state.log.topic, partition)
        .map(|(offset, ..)| offset)
        .filter(|&offset| from <= offset && offset < end);
    let mut ends: Vec<u8> = ends.take(bounds.fetched_records).map(|offset| offset + 1).collect();
    if bounds.records(state.log.topic, partition).all(|(offset, ..)| offset < from) {
        ends.push(end); // Behind the last record stands only a marker: the partition's end moves the position too.
    }
    for to in ends {
        into.add(Step::Fetch { worker, partition, to }, state, |next| {
            let me = &mut next.workers[worker];
            let first = if is_queue_empty { from } else { me.held[partition].queue.0 };
            (me.held[partition].queue, me.queue_topic) = ((first, to), state.log.topic);
        });
    }
}

impl State {
    /// A partition is claimed anew before it is read again; whatever was read of it goes.
    pub fn let_go(&mut self, bounds: &Bounds, worker: usize, partition: usize) {
        let me = &mut self.workers[worker];
        let queue =
            if bounds.is(Mutation::RevokedRecordsKept) { me.held[partition].queue } else { (0, 0) };
        me.held[partition] = Held { queue, ..Held::default() };
        me.halted &= !(1 << partition);
    }
}
