//! The HTTP calls that a batch's records make.

use crate::transform::RecordDocuments;
use duto_ground::index::RecordIndex;

/// One call to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The place in `deliver:`.
    pub deliver: usize,
    pub record: RecordIndex,
    /// Counted within its record from 0.
    pub row: u32,
    /// JSON.
    pub body: String,
}

/// The calls that a batch's records make, in the records' order.
pub fn calls(bodies: Vec<RecordDocuments>) -> Vec<Call> {
    let mut calls = Vec::new();
    for (deliver, bodies) in bodies.into_iter().enumerate() {
        let mut before = None;
        let mut row = 0;
        for (body, record) in bodies.texts.into_iter().zip(bodies.record) {
            row = if before == Some(record) { row + 1 } else { 0 };
            before = Some(record);
            calls.push(Call { deliver, record, row, body });
        }
    }
    calls.sort_by_key(|call| (call.record, call.deliver, call.row));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_record_are_counted_within_it() {
        let documents = |records: &[u32]| RecordDocuments {
            texts: records.iter().map(u32::to_string).collect(),
            record: records.iter().copied().map(RecordIndex::new).collect(),
        };
        let made = calls(vec![documents(&[0, 2, 2]), documents(&[1, 2])]);
        let places: Vec<_> =
            made.iter().map(|call| (call.record.number(), call.deliver, call.row)).collect();
        assert_eq!(places, [(0, 0, 0), (1, 1, 0), (2, 0, 0), (2, 0, 1), (2, 1, 0)]);
    }
}
