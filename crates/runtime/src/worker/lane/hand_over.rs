//! Partitions go from one lane to another of the same worker, under the fence that the worker
//! claimed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Lane;
use super::state::Part;
use duto_ground::batch::Batch;

/// Partitions between two lanes, with what was read of them and not taken yet.
#[derive(Debug)]
pub struct HandedOver {
    parts: BTreeMap<i32, Part>,
    pending: Batch,
}

impl Lane {
    /// Gives partitions away, for [`Lane::take_in`] of another lane. Not before the lane has
    /// nothing in flight: of one partition never two batches may be on their way. None, and nothing
    /// has changed, when that takes longer than the patience, or when a batch was dropped: then the
    /// partitions are about to be claimed anew.
    pub fn hand_over(&self, partitions: &[i32], patience: Duration) -> Option<HandedOver> {
        let mut state = self.lock();
        state.holding = true;
        let mut state = self.change_of(self.wait_while_in_flight(state, patience));
        state.holding = false;
        let is_settled = state.parts.values().all(|part| part.taken == part.committed);
        if state.closed || state.has_work_in_flight() || !is_settled {
            return None;
        }
        let pending = state.take_pending(partitions, &self.limits);
        let parts =
            partitions.iter().filter_map(|partition| state.parts.remove_entry(partition)).collect();
        Some(HandedOver { parts, pending })
    }

    /// Takes over what another lane gave away.
    pub fn take_in(&self, given: HandedOver) {
        let mut state = self.change();
        state.parts.extend(given.parts);
        for record in given.pending.iter() {
            state.push(record, &self.limits);
        }
    }

    /// Whether one connection is not enough: a full batch waits while another is on its way.
    pub fn is_behind(&self) -> bool {
        let state = self.lock();
        state.has_full_batch(&self.limits) && state.has_work_in_flight()
    }
}
