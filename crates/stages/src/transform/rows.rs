//! The rows of one table, and the records that have none because they failed.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter;

use super::{Document, RecordDocuments, TablePlan};
use duto_ground::index::RecordIndex;
use duto_ground::reject::{Reject, Stage};

/// What fails, by the number of its decoded row.
pub(super) type Failed = BTreeMap<u32, Misfit>;

/// Why a decoded row has no row in the tables.
pub(super) struct Misfit {
    path: String,
    rule: String,
    reason: String,
}

/// Rows of a table, each with the number of the decoded row that it was made of.
pub(super) struct MadeRows {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) decoded_row: Vec<u32>,
}

/// The same of documents.
pub(super) struct MadeDocuments {
    texts: Vec<String>,
    pub(super) decoded_row: Vec<u32>,
}

impl Misfit {
    pub(super) fn into_reject(self, record: RecordIndex) -> Reject {
        let Self { path, rule, reason } = self;
        Reject { record, stage: Stage::Transform, path, rule, reason, sqlstate: None }
    }
}

impl MadeDocuments {
    /// Those of rows that did not fail, by their records.
    pub(super) fn placed(
        self,
        failed: &Failed,
        record_of: impl Fn(u32) -> RecordIndex,
    ) -> RecordDocuments {
        let kept = self
            .texts
            .into_iter()
            .zip(self.decoded_row)
            .filter(|(_, row)| !failed.contains_key(row));
        let (texts, record) = kept.map(|(text, row)| (text, record_of(row))).unzip();
        RecordDocuments { texts, record }
    }
}

/// Runs the SELECT and casts its columns. What fails is noted under its decoded row, unless another
/// table noted it already; a column in which a row failed holds NULL there until the row is taken
/// away.
pub(super) fn make(
    table: &TablePlan,
    records: &RecordBatch,
    clock_micros: i64,
    failed: &mut Failed,
) -> MadeRows {
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
    MadeRows { columns, decoded_row: output.row_record }
}

/// The documents of every record. What fails is noted under its decoded row.
pub(super) fn make_documents(
    name: &str,
    document: &Document,
    records: &RecordBatch,
    clock_micros: i64,
    failed: &mut Failed,
) -> MadeDocuments {
    let made = document.run(records, clock_micros);
    for failure in made.failed {
        let reason = match failure.column.as_str() {
            "" => format!("{name}: {}", failure.message),
            column => format!("{name}: {column}: {}", failure.message),
        };
        note(failed, failure.row, failure.column, "expression", reason);
    }
    let texts = made.texts.iter().map(|text| text.unwrap_or("null").to_owned()).collect();
    MadeDocuments { texts, decoded_row: made.row }
}

/// The rows without those of failed records.
pub(super) fn without(made: MadeRows, failed: &Failed) -> MadeRows {
    if failed.is_empty() || !made.decoded_row.iter().any(|row| failed.contains_key(row)) {
        return made;
    }
    let kept: Vec<bool> = made.decoded_row.iter().map(|row| !failed.contains_key(row)).collect();
    let decoded_row = made
        .decoded_row
        .into_iter()
        .zip(&kept)
        .filter_map(|(row, kept)| kept.then_some(row))
        .collect();
    let kept = BooleanArray::from(kept);
    let shortened =
        |column: ArrayRef| filter(&column, &kept).unwrap_or_else(|_| column.slice(0, 0));
    MadeRows { columns: made.columns.into_iter().map(shortened).collect(), decoded_row }
}

fn note(failed: &mut Failed, row: u32, path: String, rule: &str, reason: String) {
    failed.entry(row).or_insert(Misfit { path, rule: rule.to_owned(), reason });
}
