//! A batch as one statement that is a transaction by itself. It asks for fence and place when it
//! lands, which may be long after its worker went.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{Lane, Phase, STORED, State, Transaction};
use crate::step::Step;

/// Sends a batch of which every record will be stored, as far as its worker knows.
pub fn send(bounds: &Bounds, state: &State, worker: usize, into: &mut Successors) {
    let me = &state.workers[worker];
    if !bounds.at_once || me.lane != Lane::Prepared {
        return;
    }
    let mut statement = Transaction {
        phase: Phase::Sent,
        counts_rollup: me.knows_rollup,
        ..Transaction::default()
    };
    for partition in (0..bounds.partitions).filter(|p| me.batch & 1 << p != 0) {
        let held = &me.held[partition];
        let is_other_topic = held.topic != state.log.topic && !state.log.is_empty;
        if bounds.topic_lease && is_other_topic {
            return;
        }
        statement.moves |= 1 << partition;
        statement.fences[partition] = held.fence;
        statement.ranges[partition] = (held.expected, held.batch.1);
        let in_batch = |offset: u8| held.batch.0 <= offset && offset < held.batch.1;
        for (offset, _, is_poison) in
            bounds.records(me.batch_topic, partition).filter(|(offset, ..)| in_batch(*offset))
        {
            let slot = bounds.slot(me.batch_topic, partition, offset);
            // Rejects of an earlier reading were asked for under this fence, and only its holder
            // adds any.
            let has_reject =
                state.database.rejects.get(slot) != 0 && !bounds.is(Mutation::AtOnceBesideRejects);
            if is_poison && !state.fixed || has_reject {
                return;
            }
            statement.outcomes.set(slot, STORED);
        }
    }
    into.add(Step::SendAtOnce { worker }, state, |next| {
        next.sessions[worker] = statement;
        next.workers[worker].lane = Lane::CommitSent;
    });
}

/// A statement lands: all of it, or nothing where a fence, a place or a key is not as it must be.
pub fn land(bounds: &Bounds, state: &State, into: &mut Successors) {
    for worker in 0..WORKERS {
        let (session, orphan) = (&state.sessions[worker], &state.orphans[worker]);
        if session.phase == Phase::Sent && !is_locked(bounds, state, session) {
            if lands(bounds, state, session) {
                into.add(Step::Commit { worker }, state, |next| {
                    next.database.apply(bounds, session);
                    next.sessions[worker] =
                        Transaction { phase: Phase::Committed, ..Transaction::default() };
                });
            } else {
                // The transaction of several statements says why, or has another way.
                into.add(Step::AtOnceRefused { worker }, state, |next| {
                    next.sessions[worker] = Transaction::default();
                    next.workers[worker].lane = Lane::Prepared;
                });
            }
        }
        if orphan.phase == Phase::Sent {
            if !is_locked(bounds, state, orphan) && lands(bounds, state, orphan) {
                into.add(Step::CommitLandsLate { worker }, state, |next| {
                    next.orphans[worker] = Transaction::default();
                    next.database.apply(bounds, orphan);
                });
            }
            into.add(Step::CommitNeverLands { worker }, state, |next| {
                next.orphans[worker] = Transaction::default()
            });
        }
    }
}

fn is_locked(bounds: &Bounds, state: &State, statement: &Transaction) -> bool {
    (0..bounds.partitions)
        .any(|partition| statement.moves & 1 << partition != 0 && state.is_locked(partition))
}

fn lands(bounds: &Bounds, state: &State, statement: &Transaction) -> bool {
    let is_at_place = |partition: usize| {
        let position = &state.database.positions[partition];
        let is_mine = statement.fences[partition] == position.fence
            || bounds.is(Mutation::UpdateIgnoresFence);
        let is_here = statement.ranges[partition].0 == position.next
            || bounds.is(Mutation::UpdateIgnoresNext);
        is_mine && is_here
    };
    let mut before = Transaction::default().outcomes;
    let mut has_no_repeat = true;
    for (topic, partition, offset, key, _) in bounds.all_records() {
        let slot = bounds.slot(topic, partition, offset);
        if statement.outcomes.get(slot) == STORED {
            has_no_repeat &= !state.has_key(bounds, key, before);
            before.set(slot, STORED);
        }
    }
    has_no_repeat
        && (0..bounds.partitions).filter(|p| statement.moves & 1 << p != 0).all(is_at_place)
}
