//! What must hold in every state of the load, by the letters of the promise: A nothing is lost, B
//! nothing is there twice, C the ledger is whole and adds up, E the tables are those of a single
//! worker that never failed.

use crate::bounds::{Bounds, Repeat};
use crate::state::{DISCARDED, OPEN, REPLAYED, State};

/// The first thing that is wrong with a state.
pub fn violation(bounds: &Bounds, state: &State) -> Option<&'static str> {
    let database = &state.database;
    let ledger = || match () {
        () if state.told_wrongly => Some("A: a worker calls a batch stored that is not"),
        () if database.ledger_is_torn => {
            Some("C: a load's range does not begin where the one before it ended")
        }
        () if database.positions.iter().any(|position| position.next != position.ledger_end) => {
            Some("C: position and ledger differ")
        }
        () if database.rows != database.ledger_stored => {
            Some("C: the ledger's counts do not add up to the rows")
        }
        () if database.has_rollup && database.rollup != database.rows => {
            Some("E: the rollup is not what its table says")
        }
        () => None,
    };
    ledger().or_else(|| bounds.all_records().find_map(|record| wrong_with(bounds, state, record)))
}

/// Everything that the log holds was passed by.
pub fn is_complete(bounds: &Bounds, state: &State) -> bool {
    let is_at_end = |partition: usize| {
        let position = &state.database.positions[partition];
        position.topic == state.log.topic && position.next == state.log_end(bounds, partition)
    };
    !state.log.is_empty && (0..bounds.partitions).all(is_at_end)
}

fn wrong_with(
    bounds: &Bounds,
    state: &State,
    record: (u8, usize, u8, u8, bool),
) -> Option<&'static str> {
    let (topic, partition, offset, key, _) = record;
    let (database, slot) = (&state.database, bounds.slot(topic, partition, offset));
    let (rows, loads, reject) =
        (database.rows.get(slot), database.ledger_loads.get(slot), database.rejects.get(slot));
    let position = &database.positions[partition];
    let is_passed =
        topic == position.topic && offset < position.next && database.skipped & 1 << slot == 0;
    match () {
        () if rows > 1 => Some("B: a record is in the table twice"),
        () if loads > 1 => Some("C: a record is in two load ranges, and no rewind between them"),
        () if rows > 0 && matches!(reject, OPEN | DISCARDED) => {
            Some("B: a record is in the table and also an open or discarded reject")
        }
        () if reject == REPLAYED && !state.is_accounted_by_row(bounds, slot, key) => {
            Some("A: a reject counts as replayed and its record is nowhere")
        }
        () if is_passed && !state.is_accounted(bounds, slot, key) => {
            Some("A: the position passed a record that is nowhere")
        }
        () if is_passed && loads == 0 => {
            Some("C: the position passed a record that no load range contains")
        }
        () if topic == position.topic && offset >= position.next && loads > 0 => {
            Some("C: a load range contains a record that the position has not passed")
        }
        () if rows > 0 && !bounds.skips && has_earlier_of_key(bounds, record) => {
            Some("E: a repeat is in the table, not the first of its key")
        }
        () => None,
    }
}

/// With keys, only the first record of a key is stored; that also shows two rows of one key.
fn has_earlier_of_key(
    bounds: &Bounds,
    (topic, partition, offset, key, _): (u8, usize, u8, u8, bool),
) -> bool {
    bounds.repeat == Repeat::Ignore
        && bounds
            .records(topic, partition)
            .any(|(earlier, other, _)| earlier < offset && other == key)
}

impl State {
    fn is_accounted_by_row(&self, bounds: &Bounds, slot: u8, key: u8) -> bool {
        self.database.rows.get(slot) > 0 || self.has_key(bounds, key, Default::default())
    }
}
