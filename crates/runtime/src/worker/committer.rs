//! Loads a lane's batches, one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::lane::Lane;
use super::settle::{Settled, Settler};
use super::shared::{Message, Shared};
use duto_ground::index::RowIndex;
use duto_load::partitions::Partitions;
use duto_load::poison::MOST_NEIGHBOURS;
use duto_stages::prepared::Prepared;

/// Runs until the lane closes. A batch that cannot be settled within the retry limit ends the
/// worker.
pub async fn run(shared: Arc<Shared>, lane: Arc<Lane>) {
    let _guard = shared.guard(format!("the committer of lane {}", lane.number));
    let partitions = Partitions::new(&shared.pipeline, shared.stages.written());
    let behind = lane.clone();
    let mut settler = Settler::new(shared.way(), lane.number, partitions)
        .with_neighbours(Arc::new(move || behind.waiting_records(MOST_NEIGHBOURS)));
    // While the group is joined.
    settler.connect().await;
    while let Some(mut work) = lane.next().await {
        let epoch = work.epoch();
        let started = Instant::now();
        let settled = tokio::select! {
            settled = settler.settle(&mut work.prepared, &work.fences) => settled,
            () = lane.aborted(epoch) => {
                // The transaction may be anywhere.
                settler.disconnect();
                Settled::Fenced
            }
        };
        shared.progress.resumed(lane.number);
        match settled {
            Settled::Committed(outcomes, stored) => {
                settler.committed(&work.prepared, &outcomes, stored.as_deref(), started.elapsed());
                tell_changes(&shared, &work.prepared, stored.as_deref());
                // Before the lane knows: whoever sees the position there must not find the relay
                // idle from before.
                work.prepared.ranges.iter().for_each(|range| shared.relays.wake(range.partition));
                lane.committed(&work);
            }
            Settled::Fenced => {
                lane.dropped();
                shared.tell(Message::Fenced { lane: lane.number, epoch });
            }
            Settled::GaveUp(reason) => {
                lane.dropped();
                shared.tell(Message::GaveUp(reason));
                return;
            }
        }
    }
}

/// Tells those who show the tables which of them have new rows; where nobody knows, all.
fn tell_changes(shared: &Shared, batch: &Prepared, stored: Option<&[Vec<RowIndex>]>) {
    let tables = shared.pipeline.tables.iter().enumerate();
    let changed = tables
        .filter(|(index, _)| stored.is_none_or(|stored| !stored[*index].is_empty()))
        .map(|(_, table)| table.name.as_str());
    shared
        .progress
        .changes
        .committed(changed, batch.ranges.iter().map(|range| (range.partition, range.to)));
}
