//! The rows of one table, and the records that have none because they failed.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter;

use super::{Document, RecordDocuments, TablePlan};
use duto_ground::reject::{Reject, Stage};

/// Rows whose records are places among the decoded rows.
pub(super) struct MadeRows {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) row_record: Vec<u32>,
}

/// Runs the SELECT and casts its columns. What fails is noted under its decoded row, unless another table noted it already; a column
/// in which a row failed holds NULL there until the row is taken away.
pub(super) fn make(table: &TablePlan, records: &RecordBatch, clock_micros: i64, failed: &mut BTreeMap<u32, Reject>) -> MadeRows {
    let output = table.select.run(records, clock_micros);
    for failure in output.failed {
        let reason = match failure.column.as_str() {
            "" => failure.message,
            column => format!("{column}: {}", failure.message),
        };
        note(failed, failure.row, failure.column, "expression", reason);
    }
    let mut columns = Vec::with_capacity(table.casts.len());
    for cast in &table.casts {
        let (column, refused) = cast.run(&output.columns[cast.source]);
        for refusal in refused {
            if let Some(row) = output.row_record.get(refusal.row as usize) {
                note(failed, *row, cast.name.clone(), refusal.rule, refusal.reason);
            }
        }
        columns.push(column);
    }
    MadeRows { columns, row_record: output.row_record }
}

/// The documents of every record. What fails is noted under its decoded row.
pub(super) fn make_documents(
    name: &str,
    document: &Document,
    records: &RecordBatch,
    clock_micros: i64,
    failed: &mut BTreeMap<u32, Reject>,
) -> RecordDocuments {
    let made = document.run(records, clock_micros);
    for failure in made.failed {
        let reason = match failure.column.as_str() {
            "" => format!("{name}: {}", failure.message),
            column => format!("{name}: {column}: {}", failure.message),
        };
        note(failed, failure.row, failure.column, "expression", reason);
    }
    let texts = made.texts.iter().map(|text| text.unwrap_or("null").to_owned()).collect();
    RecordDocuments { texts, record: made.row }
}

/// The rows without those of failed records.
pub(super) fn without(made: MadeRows, failed: &BTreeMap<u32, Reject>) -> MadeRows {
    if failed.is_empty() || !made.row_record.iter().any(|row| failed.contains_key(row)) {
        return made;
    }
    let kept: Vec<bool> = made.row_record.iter().map(|row| !failed.contains_key(row)).collect();
    let row_record = made.row_record.into_iter().zip(&kept).filter_map(|(row, kept)| kept.then_some(row)).collect();
    let kept = BooleanArray::from(kept);
    let shortened = |column: ArrayRef| filter(&column, &kept).unwrap_or_else(|_| column.slice(0, 0));
    MadeRows { columns: made.columns.into_iter().map(shortened).collect(), row_record }
}

fn note(failed: &mut BTreeMap<u32, Reject>, row: u32, path: String, rule: &str, reason: String) {
    let reject = Reject { record: row, stage: Stage::Transform, path, rule: rule.to_owned(), reason, sqlstate: None };
    failed.entry(row).or_insert(reject);
}
