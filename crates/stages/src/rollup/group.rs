//! Rows of one group, known by the bytes of what they are grouped by.

use std::collections::HashMap;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use duto_ground::index::RowIndex;

/// Values of some columns as bytes that compare as the values do, NULL first.
pub(super) fn comparable(columns: &[ArrayRef]) -> Result<Rows, ArrowError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    RowConverter::new(fields)?.convert_columns(columns)
}

/// The groups of some rows.
pub(super) struct Groups {
    /// For each of the rows, its group.
    pub of_row: Vec<usize>,
    /// For each group, its first row.
    pub first: Vec<RowIndex>,
}

impl Groups {
    /// Groups these rows by the columns. No column means one group.
    pub fn new(by: &[ArrayRef], rows: &[RowIndex]) -> Result<Self, ArrowError> {
        if by.is_empty() {
            return Ok(Self {
                of_row: vec![0; rows.len()],
                first: rows.first().copied().into_iter().collect(),
            });
        }
        let keys = comparable(by)?;
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let keys: Vec<_> = rows.iter().map(|row| keys.row(row.place())).collect();
        let (mut of_row, mut first) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, key) in rows.iter().zip(&keys) {
            let group = *known.entry(key.data()).or_insert_with(|| {
                first.push(*row);
                first.len() - 1
            });
            of_row.push(group);
        }
        Ok(Self { of_row, first })
    }
}

/// These rows of a column as PostgreSQL prints their values. None for a row is NULL.
pub(super) fn texts(
    column: &ArrayRef,
    rows: &[Option<RowIndex>],
) -> Result<Vec<Option<String>>, ArrowError> {
    let chosen = take(
        column,
        &UInt32Array::from_iter(rows.iter().map(|row| row.map(RowIndex::number))),
        None,
    )?;
    let texts = duto_sql::cast(&chosen, &DataType::Utf8).map_err(ArrowError::CastError)?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}
