//! A batch that is ready to be loaded: everything that can be known before BEGIN.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use super::copy;
use crate::batch::Batch;
use crate::definition::{ColumnType, Repeat, Table};
use crate::reject::{Reject, Stage};
use crate::transform::TableRows;

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

/// What became of one record, as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    Repeated,
    Rejected,
    Filtered,
}

/// A batch on its way into one transaction.
#[derive(Debug)]
pub struct Prepared {
    pub batch: Batch,
    /// In partition order.
    pub ranges: Vec<OffsetRange>,
    /// In the pipeline's order of tables.
    pub tables: Vec<PreparedTable>,
    pub rejects: Vec<Reject>,
    /// A record's outcome so far: Stored means that it has rows to write.
    pub outcomes: Vec<Outcome>,
}

/// The rows of one table, in key order, one row a key.
#[derive(Debug)]
pub struct PreparedTable {
    pub columns: Vec<(ColumnType, ArrayRef)>,
    /// Where in `columns` the key stands; empty for `repeat: append`.
    pub keys: Vec<usize>,
    /// For each row of `columns`, its record.
    pub record: Vec<u32>,
    /// The rows to write, in key order.
    pub rows: Vec<u32>,
}

/// What is known of a batch's records before it is prepared, from an earlier attempt to load it.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// Records that PostgreSQL refused.
    pub rejects: Vec<Reject>,
    /// Records whose reject was resolved by a replay: they write nothing and count as repeated.
    pub resolved: HashSet<u32>,
}

impl Prepared {
    /// Sorts, drops repeats within the batch and settles each record's outcome. `written` names, for each table, the columns that the
    /// rows hold, as indexes into the table's columns. `rejects` are those of the stages before.
    pub fn new(
        batch: Batch,
        ranges: Vec<OffsetRange>,
        definitions: &[Table],
        written: &[Vec<usize>],
        rows: Vec<TableRows>,
        mut rejects: Vec<Reject>,
        verdicts: &Verdicts,
    ) -> Self {
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
            outcomes[*record as usize] = Outcome::Repeated;
        }
        for reject in &rejects {
            outcomes[reject.record as usize] = Outcome::Rejected;
        }
        for (definition, table) in definitions.iter().zip(&mut tables) {
            // Before repeats are dropped: a row that is refused must not stand in the way of one that is not.
            let (record, rows) = (&table.record, &mut table.rows);
            rows.retain(|row| {
                let record = record[*row as usize];
                outcomes[record as usize] != Outcome::Rejected && !verdicts.resolved.contains(&record)
            });
            table.keep_one_row_a_key(definition.repeat);
        }
        for table in &tables {
            for row in &table.rows {
                outcomes[table.record[*row as usize] as usize] = Outcome::Stored;
            }
        }
        Self { batch, ranges, tables, rejects, outcomes }
    }
}

impl PreparedTable {
    fn new(definition: &Table, written: &[usize], rows: TableRows) -> Self {
        let columns: Vec<(ColumnType, ArrayRef)> =
            written.iter().map(|index| definition.columns[*index].column_type).zip(rows.columns).collect();
        let keys = definition
            .key()
            .iter()
            .filter_map(|key| written.iter().position(|index| definition.columns[*index].name == key.name))
            .collect();
        let count = rows.record.len() as u32;
        Self { columns, keys, record: rows.record, rows: (0..count).collect() }
    }

    /// A key that is NULL would never be found again, so the record could be stored twice.
    fn reject_null_keys(&self, definition: &Table, rejects: &mut Vec<Reject>) {
        for (key, column) in self.keys.iter().zip(definition.key()) {
            let array = &self.columns[*key].1;
            if array.null_count() == 0 {
                continue;
            }
            rejects.extend(self.rows.iter().filter(|row| array.is_null(**row as usize)).map(|row| Reject {
                record: self.record[*row as usize],
                stage: Stage::Transform,
                path: column.name.clone(),
                rule: "null".to_owned(),
                reason: format!("{} is the key of table {} and must not be null", column.name, definition.name),
                sqlstate: None,
            }));
        }
    }

    /// The first row of a key stays, or the last where the table is updated; then all in key order, against deadlocks.
    fn keep_one_row_a_key(&mut self, repeat: Repeat) {
        let last_wins = repeat == Repeat::Update;
        if repeat == Repeat::Append || self.keys.is_empty() {
            return;
        }
        if self.keys.len() == 1 && self.columns[self.keys[0]].0 == ColumnType::BigInt {
            let values = self.columns[self.keys[0]].1.as_primitive::<Int64Type>().values().clone();
            self.rows.sort_by_key(|row| (values[*row as usize], if last_wins { u32::MAX - *row } else { *row }));
            self.rows.dedup_by_key(|row| values[*row as usize]);
            return;
        }
        let key_columns: Vec<(ColumnType, ArrayRef)> = self.keys.iter().map(|key| self.columns[*key].clone()).collect();
        let mut seen = HashSet::with_capacity(self.rows.len());
        let mut kept: Vec<(Vec<u8>, u32)> = Vec::with_capacity(self.rows.len());
        let mut bytes = Vec::new();
        let rows: Vec<u32> = if last_wins { self.rows.iter().rev().copied().collect() } else { std::mem::take(&mut self.rows) };
        for row in rows {
            copy::key_bytes(&key_columns, row as usize, &mut bytes);
            if seen.insert(bytes.clone()) {
                kept.push((bytes.clone(), row));
            }
        }
        kept.sort();
        self.rows = kept.into_iter().map(|(_, row)| row).collect();
    }

    /// The rows as binary COPY; with their records for the staged path.
    pub fn encode(&self, with_record: bool) -> Vec<u8> {
        copy::encode(&self.columns, self.rows.iter().copied(), with_record.then_some(self.record.as_slice()))
    }

    /// A part of the rows, as binary COPY with their records.
    pub fn encode_rows(&self, rows: &[u32]) -> Vec<u8> {
        copy::encode(&self.columns, rows.iter().copied(), Some(&self.record))
    }
}
