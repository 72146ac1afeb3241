//! Two lanes of one process: a partition goes from one to the other, under the fence that the
//! process drew, with what was read of it.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{Held, Lane, NO_FENCE, State};
use crate::step::Step;

/// A lane gives a partition away when none of its batches is on its way: a partition must never
/// have two.
pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    if !bounds.hand_over {
        return;
    }
    for partition in 0..bounds.partitions {
        let from = state.owner[partition] as usize;
        let me = &state.workers[from];
        let is_held =
            me.assigned & !me.halted & 1 << partition != 0 && me.held[partition].fence != NO_FENCE;
        let is_settled = me.lane == Lane::Idle || bounds.is(Mutation::HandedOverInFlight);
        if !is_held || !is_settled {
            continue;
        }
        for to_worker in (0..WORKERS).filter(|worker| *worker != from) {
            let other = &state.workers[to_worker];
            let has_queue = other.held.iter().any(|held| held.queue.0 != held.queue.1);
            if has_queue && other.queue_topic != me.queue_topic
                || other.knows_rollup != me.knows_rollup
            {
                continue;
            }
            into.add(Step::HandOver { partition, to_worker }, state, |next| {
                let held = next.workers[from].held[partition];
                let in_flight = next.workers[from].batch & 1 << partition != 0;
                let behind = if in_flight { held.batch.1 } else { held.expected };
                let (expected, queue) = match bounds.is(Mutation::HandedOverWithoutQueue)
                    && held.queue.0 != held.queue.1
                {
                    true => (held.queue.1, (0, 0)),
                    false => (behind, held.queue),
                };
                next.owner[partition] = to_worker as u8;
                next.workers[from].assigned &= !(1 << partition);
                if in_flight {
                    next.workers[from].held[partition].queue = (0, 0);
                } else {
                    next.workers[from].held[partition] = Held::default();
                }
                let queue_topic = next.workers[from].queue_topic;
                let to = &mut next.workers[to_worker];
                to.assigned |= 1 << partition;
                to.held[partition] = Held { expected, queue, batch: (0, 0), ..held };
                if queue.0 != queue.1 {
                    to.queue_topic = queue_topic;
                }
            });
        }
    }
}
