//! The load transaction of a worker, step by step: positions, everything else, COMMIT.

use crate::at_once;
use crate::bounds::Bounds;
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{
    DISCARDED, Held, Lane, NO_FENCE, OPEN, Phase, REJECTED, REPEATED, REPLAYED, STORED, Slots,
    State, Transaction,
};
use crate::step::Step;

/// The next step of a worker's batch.
pub fn steps(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let me = &state.workers[worker];
    match me.lane {
        Lane::Idle => prepare(bounds, state, worker, into),
        Lane::Prepared | Lane::Moving => {
            at_once::send(bounds, state, worker, into);
            move_positions(bounds, state, worker, into);
        }
        Lane::Written => into.add(Step::SendCommit { worker }, state, |next| {
            next.workers[worker].lane = Lane::CommitSent;
            next.sessions[worker].phase = Phase::CommitSent;
        }),
        Lane::CommitSent if state.sessions[worker].phase == Phase::Committed => {
            into.add(Step::HearCommitted { worker }, state, |next| {
                if bounds.is(Mutation::RejectsApart) {
                    next.write_rejects(bounds, worker);
                }
                next.sessions[worker] = Transaction::default();
                next.finish_batch(bounds, worker);
            })
        }
        Lane::CommitSent | Lane::Unknown => {}
    }
}

/// Makes one batch of everything that was read, and drops what lies below the expected offset.
fn prepare(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let ready =
        |held: &Held| held.fence != NO_FENCE && held.queue.1 > held.queue.0.max(held.expected);
    let batch = (0..bounds.partitions)
        .filter(|&p| ready(&state.workers[worker].held[p]))
        .fold(0, |batch, p| batch | 1 << p);
    if batch == 0 {
        return;
    }
    into.add(Step::Prepare { worker }, state, |next| {
        let me = &mut next.workers[worker];
        (me.batch, me.batch_topic, me.lane) = (batch, me.queue_topic, Lane::Prepared);
        for (_, held) in me.held.iter_mut().enumerate().filter(|(p, _)| batch & 1 << p != 0) {
            held.batch = (held.queue.0.max(held.expected), held.queue.1);
            held.queue = (0, 0);
        }
        if bounds.is(Mutation::RejectsReadWhenDecoding) {
            let resolved =
                |slot: &u8| matches!(state.database.rejects.get(*slot), REPLAYED | DISCARDED);
            me.resolved_when_decoding =
                (0..8).filter(resolved).fold(0, |bits, slot| bits | 1 << slot);
        }
    });
}

/// In partition order, `UPDATE position SET next = to WHERE fence = mine AND next = from`, each as
/// soon as the row is not locked; then everything else.
fn move_positions(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let (me, session) = (&state.workers[worker], &state.sessions[worker]);
    let Some(partition) = (0..bounds.partitions).find(|p| me.batch & !session.locks & 1 << p != 0)
    else {
        return into.add(Step::Write { worker }, state, |next| {
            next.sessions[worker].outcomes = outcomes(bounds, state, worker);
            next.sessions[worker].counts_rollup = state.workers[worker].knows_rollup;
            next.workers[worker].lane = Lane::Written;
        });
    };
    let is_other_topic = me.held[partition].topic != state.log.topic && !state.log.is_empty;
    if bounds.topic_lease && me.lane == Lane::Prepared && is_other_topic {
        return into.add(Step::SeeOtherTopicId { worker, partition }, state, |next| {
            next.throw_batch_away(worker)
        });
    }
    if state.is_locked(partition) {
        return;
    }
    let (held, position) = (&me.held[partition], &state.database.positions[partition]);
    let is_mine = held.fence == position.fence || bounds.is(Mutation::UpdateIgnoresFence);
    let is_here = held.expected == position.next || bounds.is(Mutation::UpdateIgnoresNext);
    if !(is_mine && is_here || bounds.is(Mutation::RowCountIgnored)) {
        return into.add(Step::Fenced { worker, partition }, state, |next| {
            next.sessions[worker] = Transaction::default();
            next.throw_batch_away(worker);
        });
    }
    into.add(Step::MovePosition { worker, partition }, state, |next| {
        next.workers[worker].lane = Lane::Moving;
        let session = &mut next.sessions[worker];
        session.phase = Phase::Open;
        session.locks |= 1 << partition;
        session.moves |= u8::from(is_mine && is_here) << partition;
        session.ranges[partition] = (held.expected, held.batch.1);
    });
}

/// What becomes of each record of the batch, as seen under the positions' locks.
fn outcomes(bounds: &Bounds, state: &State, worker: usize) -> Slots {
    let (me, mut outcomes) = (&state.workers[worker], Slots::default());
    for partition in (0..bounds.partitions).filter(|p| me.batch & 1 << p != 0) {
        let (first, to) = me.held[partition].batch;
        for (offset, key, is_poison) in bounds
            .records(me.batch_topic, partition)
            .filter(|&(offset, ..)| first <= offset && offset < to)
        {
            let slot = bounds.slot(me.batch_topic, partition, offset);
            let is_resolved = match bounds.is(Mutation::RejectsReadWhenDecoding) {
                true => me.resolved_when_decoding & 1 << slot != 0,
                false => matches!(state.database.rejects.get(slot), REPLAYED | DISCARDED),
            };
            let outcome = match () {
                () if is_resolved => REPEATED,
                () if is_poison && !state.fixed => REJECTED,
                () if state.has_key(bounds, key, outcomes) => REPEATED,
                () => STORED,
            };
            outcomes.set(slot, outcome);
        }
    }
    outcomes
}

impl State {
    /// Fenced, or lost: all partitions of the batch are claimed again, if they are still assigned.
    pub fn throw_batch_away(&mut self, worker: usize) {
        let me = &mut self.workers[worker];
        for partition in 0..me.held.len() {
            if me.batch & 1 << partition != 0 {
                me.held[partition] = Held::default();
                me.halted &= !(1 << partition);
            }
        }
        (me.batch, me.batch_topic, me.lane, me.resolved_when_decoding) = (0, 0, Lane::Idle, 0);
    }

    /// The batch counts as stored: the next one begins where it ended.
    pub fn finish_batch(&mut self, bounds: &Bounds, worker: usize) {
        let me = &mut self.workers[worker];
        for partition in 0..me.held.len() {
            if me.batch & 1 << partition != 0 {
                me.held[partition].expected = me.held[partition].batch.1;
                me.held[partition].batch = (0, 0);
                if bounds.is(Mutation::StartAtCommittedCopy) {
                    self.log.committed[partition] = me.held[partition].expected;
                }
            }
        }
        (me.batch, me.batch_topic, me.lane, me.resolved_when_decoding) = (0, 0, Lane::Idle, 0);
    }

    fn write_rejects(&mut self, bounds: &Bounds, worker: usize) {
        for (topic, partition, offset, ..) in bounds.all_records() {
            let slot = bounds.slot(topic, partition, offset);
            if self.sessions[worker].outcomes.get(slot) == REJECTED {
                self.database.rejects.set(slot, OPEN);
            }
        }
    }
}
