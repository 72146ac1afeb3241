//! What happens to the log and to the database as a whole.

use crate::bounds::Bounds;
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{Log, NO_FENCE, State};
use crate::step::Step;

pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    if bounds.restored_backup {
        match state.backup {
            None => into.add(Step::Backup, state, |next| next.backup = Some(next.database)),
            // A failover to a server that is behind is the same thing.
            Some(backup) if backup != state.database => into.add(Step::Restore, state, |next| {
                next.database = backup;
                next.end_connections();
            }),
            Some(_) => {}
        }
    }
    if bounds.topic_anew && state.log.topic == 0 {
        into.add(Step::TopicMadeAnew, state, |next| {
            next.log = Log { topic: 1, is_empty: true, ..next.log }
        });
    }
    if state.log.is_empty
        && (0..bounds.partitions).all(|partition| is_seen_by_owner(bounds, state, partition))
    {
        into.add(Step::TopicRefilled, state, |next| next.log.is_empty = false);
    }
}

/// The assumption that the promise rests on: a topic that is made anew stays empty until the worker
/// that the group gave the partition to asked for its id. A zombie need not have asked: the owner's
/// claim came before its check, so that whatever the zombie reads is fenced.
fn is_seen_by_owner(bounds: &Bounds, state: &State, partition: usize) -> bool {
    let owner = &state.workers[state.owner[partition] as usize];
    let held = &owner.held[partition];
    let is_halted = owner.halted & 1 << partition != 0
        && [NO_FENCE, state.database.positions[partition].fence].contains(&held.fence);
    // Who ignores the answer asked all the same.
    is_halted
        || held.fence != NO_FENCE
            && (held.topic == state.log.topic || bounds.is(Mutation::TopicIdIgnored))
}
