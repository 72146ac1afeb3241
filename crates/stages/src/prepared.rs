//! A batch that is ready to be loaded: everything that can be known before BEGIN.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use super::answers::Answer;
use super::calls::{self, Call};
use super::{copy, messages};
use crate::rollup::Evaluated;
use crate::transform::{TableRows, Transformed};
use duto_definition::{ColumnType, Pipeline, Repeat, Table};
use duto_ground::batch::Batch;
use duto_ground::index::{RecordIndex, RowIndex};
use duto_ground::reject::{Reject, Stage};

/// The offsets of one partition that a batch covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetRange {
    pub partition: i32,
    /// The position before the batch.
    pub from: i64,
    /// The position after it. Offsets between the two may be missing from the log.
    pub to: i64,
    /// The leader epoch of the last record, -1 where none is known.
    pub leader_epoch: i32,
}

impl OffsetRange {
    /// Divides the ranges of a batch, of which these are the first records and those the rest.
    pub fn divide(ranges: Vec<Self>, first: &Batch) -> (Vec<Self>, Vec<Self>) {
        let (mut of_first, mut of_rest) = (Vec::new(), Vec::new());
        for range in ranges {
            let heads = || first.records.iter().filter(|head| head.partition == range.partition);
            let between = heads().map(|head| head.offset + 1).max().unwrap_or(range.from);
            if between > range.from {
                let leader_epoch =
                    heads().map(|head| head.leader_epoch).max().unwrap_or(range.leader_epoch);
                of_first.push(Self { to: between, leader_epoch, ..range.clone() });
            }
            if between < range.to {
                of_rest.push(Self { from: between, ..range });
            }
        }
        (of_first, of_rest)
    }
}

/// What became of one record, as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    Repeated,
    Rejected,
    Filtered,
}

/// A batch on its way into one transaction.
#[derive(Debug, Default)]
pub struct Prepared {
    pub batch: Batch,
    /// In partition order.
    pub ranges: Vec<OffsetRange>,
    /// In the pipeline's order of tables.
    pub tables: Vec<PreparedTable>,
    pub rejects: Vec<Reject>,
    /// For each rollup, its expressions over the rows of its table.
    pub rollups: Vec<Evaluated>,
    /// A record's outcome so far: Stored means that it has rows to write or calls to make.
    pub outcomes: Vec<Outcome>,
    /// To be made before the load.
    pub calls: Vec<Call>,
    /// One for each of `publish:`, over the rows of its table.
    pub messages: Vec<messages::Evaluated>,
    /// Of records whose requests wait, in the order of their keys.
    pub answers: Vec<Answer>,
}

/// The rows of one table, in key order, one row a key.
#[derive(Debug)]
pub struct PreparedTable {
    pub columns: Vec<(ColumnType, ArrayRef)>,
    /// Where in `columns` the key stands; empty for `repeat: append`.
    pub keys: Vec<usize>,
    pub repeat: Repeat,
    /// For each row of `columns`, its record.
    pub record: Vec<RecordIndex>,
    /// The rows of records that may write, in their own order; a key may stand there more than
    /// once.
    candidates: Vec<RowIndex>,
    /// The rows to write, in key order, one row a key.
    pub rows: Vec<RowIndex>,
}

/// What is known of a batch's records before it is prepared, from an earlier attempt to load it.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// Records that PostgreSQL refused.
    pub rejects: Vec<Reject>,
    /// Records whose reject was resolved by a replay: they write nothing and count as repeated.
    pub resolved: HashSet<RecordIndex>,
}

impl Verdicts {
    /// Those of so many first records, and those of the rest, which are counted from 0.
    pub fn divide(&self, first: u32) -> (Self, Self) {
        let (mut of_first, mut of_rest) = (Self::default(), Self::default());
        let in_rest =
            |record: RecordIndex| record.number().checked_sub(first).map(RecordIndex::new);
        for reject in &self.rejects {
            match in_rest(reject.record) {
                None => of_first.rejects.push(reject.clone()),
                Some(record) => of_rest.rejects.push(Reject { record, ..reject.clone() }),
            }
        }
        for record in &self.resolved {
            match in_rest(*record) {
                None => of_first.resolved.insert(*record),
                Some(record) => of_rest.resolved.insert(record),
            };
        }
        (of_first, of_rest)
    }

    /// The same, and these records count as repeated.
    pub fn with_resolved(&self, records: HashSet<RecordIndex>) -> Self {
        let mut verdicts = self.clone();
        verdicts.resolved.extend(records);
        verdicts
    }
}

impl Prepared {
    /// Sorts, drops repeats within the batch and settles each record's outcome. `written` names,
    /// for each table, the columns that the rows hold, as indexes into the table's columns.
    /// `rejects` are those of all stages before, also of the transform.
    pub fn new(
        batch: Batch,
        ranges: Vec<OffsetRange>,
        pipeline: &Pipeline,
        written: &[Vec<usize>],
        made: Transformed,
        mut rejects: Vec<Reject>,
        verdicts: &Verdicts,
    ) -> Self {
        let definitions = &pipeline.tables;
        let (rows, mut calls) = (made.tables, calls::calls(made.bodies));
        let mut tables: Vec<PreparedTable> = Vec::with_capacity(rows.len());
        for ((definition, written), rows) in definitions.iter().zip(written).zip(rows) {
            tables.push(PreparedTable::new(definition, written, rows));
        }
        for (definition, table) in definitions.iter().zip(&tables) {
            table.reject_null_keys(definition, &mut rejects);
        }
        rejects.extend(verdicts.rejects.iter().cloned());
        rejects.retain(|reject| !verdicts.resolved.contains(&reject.record));
        rejects.sort_by_key(|reject| reject.record);
        rejects.dedup_by_key(|reject| reject.record);

        let mut outcomes = vec![Outcome::Filtered; batch.len()];
        for record in tables.iter().flat_map(|table| &table.record).chain(&verdicts.resolved) {
            outcomes[record.place()] = Outcome::Repeated;
        }
        calls.retain(|call| !verdicts.resolved.contains(&call.record));
        for call in &calls {
            outcomes[call.record.place()] = Outcome::Stored;
        }
        for reject in &rejects {
            outcomes[reject.record.place()] = Outcome::Rejected;
        }
        calls.retain(|call| outcomes[call.record.place()] != Outcome::Rejected);
        for table in &mut tables {
            // Before repeats are dropped: a row that is refused must not stand in the way of one
            // that is not.
            let (record, rows) = (&table.record, &mut table.candidates);
            rows.retain(|row| {
                let record = record[row.place()];
                outcomes[record.place()] != Outcome::Rejected
                    && !verdicts.resolved.contains(&record)
            });
        }
        for index in 0..tables.len() {
            if index == 1 && pipeline.once.is_some() {
                keep_candidates_of_first(&mut tables, batch.len());
            }
            let table = &mut tables[index];
            table.rows = table.one_row_a_key(table.candidates.clone());
        }
        for table in &tables {
            for row in &table.rows {
                outcomes[table.record[row.place()].place()] = Outcome::Stored;
            }
        }
        Self {
            batch,
            ranges,
            tables,
            rejects,
            rollups: Vec::new(),
            outcomes,
            calls,
            messages: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The shard of its counters: a partition whose position the transaction holds.
    pub fn shard(&self) -> Option<i32> {
        self.batch.records.iter().map(|head| head.partition).min()
    }

    /// What became of each record, now that the stored rows are known: a record is stored if any of
    /// its rows was, or if its call was made.
    pub fn outcomes_of(&self, stored: &[Vec<RowIndex>]) -> Vec<Outcome> {
        let mut outcomes = self.outcomes.clone();
        outcomes
            .iter_mut()
            .filter(|outcome| **outcome == Outcome::Stored)
            .for_each(|outcome| *outcome = Outcome::Repeated);
        for (table, rows) in self.tables.iter().zip(stored) {
            rows.iter()
                .for_each(|row| outcomes[table.record[row.place()].place()] = Outcome::Stored);
        }
        self.calls.iter().for_each(|call| outcomes[call.record.place()] = Outcome::Stored);
        outcomes
    }

    /// The rows of a table that records may write whose row of the first table, the `once` table,
    /// was stored, or that have none there.
    pub fn rows_of_admitted(&self, table: usize, stored_in_first: &[RowIndex]) -> Vec<RowIndex> {
        let (first, table) = (&self.tables[0], &self.tables[table]);
        if stored_in_first.len() == first.rows.len() {
            return table.rows.clone();
        }
        let admitted = first.admitted_by(stored_in_first, self.batch.len());
        table.rows_of(|record| admitted[record.place()])
    }

    /// The same of single records, as a question: may this one write?
    pub fn admitted_by(
        &self,
        stored_in_first: &[RowIndex],
    ) -> impl Fn(RecordIndex) -> bool + use<'_> {
        let first = &self.tables[0];
        let stored: HashSet<RecordIndex> =
            stored_in_first.iter().map(|row| first.record[row.place()]).collect();
        move |record| stored.contains(&record) || first.record.binary_search(&record).is_err()
    }

    /// The records that have rows to write, in their order.
    pub fn writing_records(&self) -> Vec<RecordIndex> {
        let mut writes = vec![false; self.batch.len()];
        for table in &self.tables {
            table
                .candidates
                .iter()
                .for_each(|row| writes[table.record[row.place()].place()] = true);
        }
        RecordIndex::all()
            .zip(writes)
            .filter_map(|(record, writes)| writes.then_some(record))
            .collect()
    }
}

/// Only a record whose row of the first table is to be written, or that has none there, writes
/// anything into the others.
fn keep_candidates_of_first(tables: &mut [PreparedTable], records: usize) {
    let Some((first, others)) = tables.split_first_mut() else { return };
    let admitted = first.admitted_by(&first.rows, records);
    for table in others {
        let record = &table.record;
        table.candidates.retain(|row| admitted[record[row.place()].place()]);
    }
}

impl PreparedTable {
    fn new(definition: &Table, written: &[usize], rows: TableRows) -> Self {
        let columns: Vec<(ColumnType, ArrayRef)> = written
            .iter()
            .map(|index| definition.columns[*index].column_type)
            .zip(rows.columns)
            .collect();
        let keys = definition
            .key()
            .iter()
            .filter_map(|key| {
                written.iter().position(|index| definition.columns[*index].name == key.name)
            })
            .collect();
        let candidates = RowIndex::first(rows.record.len()).collect();
        Self {
            columns,
            keys,
            repeat: definition.repeat,
            record: rows.record,
            candidates,
            rows: Vec::new(),
        }
    }

    /// The rows to write if only these records may.
    pub fn rows_of(&self, admitted: impl Fn(RecordIndex) -> bool) -> Vec<RowIndex> {
        self.one_row_a_key(
            self.candidates
                .iter()
                .copied()
                .filter(|row| admitted(self.record[row.place()]))
                .collect(),
        )
    }

    /// Of the `once` table: for each record of the batch, whether it may write into the others. A
    /// record is a repeat if it has rows here and none of them is among these; one that has no row
    /// here, which a WHERE left out, is none.
    fn admitted_by(&self, rows: &[RowIndex], records: usize) -> Vec<bool> {
        let mut admitted = vec![true; records];
        self.record.iter().for_each(|record| admitted[record.place()] = false);
        rows.iter().for_each(|row| admitted[self.record[row.place()].place()] = true);
        admitted
    }

    /// The rows to write if only these records may, and of them only those that are admitted.
    pub fn rows_of_range(
        &self,
        records: RangeInclusive<RecordIndex>,
        admitted: impl Fn(RecordIndex) -> bool,
    ) -> Vec<RowIndex> {
        // Both rise: rows stand in the order of their records.
        let record_of = |row: &RowIndex| self.record[row.place()];
        let from = self.candidates.partition_point(|row| record_of(row) < *records.start());
        let to = self.candidates.partition_point(|row| record_of(row) <= *records.end());
        self.one_row_a_key(
            self.candidates[from..to]
                .iter()
                .copied()
                .filter(|row| admitted(record_of(row)))
                .collect(),
        )
    }

    /// A key that is NULL would never be found again, so the record could be stored twice.
    fn reject_null_keys(&self, definition: &Table, rejects: &mut Vec<Reject>) {
        for (key, column) in self.keys.iter().zip(definition.key()) {
            let array = &self.columns[*key].1;
            if array.null_count() == 0 {
                continue;
            }
            rejects.extend(self.candidates.iter().filter(|row| array.is_null(row.place())).map(
                |row| Reject {
                    record: self.record[row.place()],
                    stage: Stage::Transform,
                    path: column.name.clone(),
                    rule: "null".to_owned(),
                    reason: format!(
                        "{} is the key of table {} and must not be null",
                        column.name, definition.name
                    ),
                    sqlstate: None,
                },
            ));
        }
    }

    /// One row of each key, see [`Repeat`]; then all in key order, against deadlocks.
    fn one_row_a_key(&self, mut rows: Vec<RowIndex>) -> Vec<RowIndex> {
        let first = RecordIndex::default();
        let preference = |row: RowIndex| match self.repeat {
            Repeat::Update => (first, u32::MAX - row.number()),
            Repeat::Keep => (self.record[row.place()], u32::MAX - row.number()),
            Repeat::Ignore | Repeat::Append => (first, row.number()),
        };
        if self.repeat == Repeat::Append || self.keys.is_empty() {
            return rows;
        }
        if self.keys.len() == 1 && self.columns[self.keys[0]].0 == ColumnType::BigInt {
            let values = self.columns[self.keys[0]].1.as_primitive::<Int64Type>().values();
            rows.sort_by_key(|row| (values[row.place()], preference(*row)));
            rows.dedup_by_key(|row| values[row.place()]);
            return rows;
        }
        let key_columns: Vec<(ColumnType, ArrayRef)> =
            self.keys.iter().map(|key| self.columns[*key].clone()).collect();
        let mut keyed: Vec<(Vec<u8>, RowIndex)> = Vec::with_capacity(rows.len());
        let mut bytes = Vec::new();
        for row in rows {
            copy::key_bytes(&key_columns, row, &mut bytes);
            keyed.push((bytes.clone(), row));
        }
        keyed.sort_unstable_by(|(left, left_row), (right, right_row)| {
            left.cmp(right).then_with(|| preference(*left_row).cmp(&preference(*right_row)))
        });
        keyed.dedup_by(|(next, _), (kept, _)| next == kept);
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    /// Some rows as binary COPY; with their numbers for the staged path.
    pub fn encode(&self, rows: &[RowIndex], with_row: bool) -> Vec<u8> {
        copy::encode(&self.columns, rows.iter().copied(), with_row)
    }
}
