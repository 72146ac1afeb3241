//! The group coordinator. It gives a partition to another worker whenever it likes, and the one
//! that had it learns of that later or never.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::state::State;
use crate::step::Step;

/// Moves partitions. A worker that is told first (a cooperative revoke) is one that happens to
/// learn of it in time.
pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    if !bounds.rebalances {
        return;
    }
    for partition in 0..bounds.partitions {
        for to_worker in (0..WORKERS).filter(|&worker| worker != state.owner[partition] as usize) {
            into.add(Step::Move { partition, to_worker }, state, |next| {
                next.owner[partition] = to_worker as u8
            });
        }
    }
}
