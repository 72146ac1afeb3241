//! `count(distinct x)`, the number of different values that are not NULL. They are kept in a set of
//! their own, and what is new there is counted.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::error::ArrowError;
use duto_sql::Recomputed;

use super::counter::{Counter, Measured};
use super::kind::Kind;
use super::passing::passes;
use super::{Advice, Columns};
use crate::rollup::group::{comparable, texts};
use duto_ground::index::RowIndex;

pub fn refused(value: Kind) -> Option<Advice> {
    match value {
        Kind::Boolean | Kind::Exact | Kind::Text | Kind::Moment => None,
        Kind::Float | Kind::Other => Some((
            "values of REAL or DOUBLE PRECISION cannot be told apart reliably",
            "write `CAST(... AS NUMERIC(20,6))`, with the places that you want",
        )),
    }
}

/// Every different value of every group behind what it is grouped by, in one order for all writers.
pub fn values(
    by: &[ArrayRef],
    values: &ArrayRef,
    filter: Option<&BooleanArray>,
    rows: &[RowIndex],
) -> Result<Columns, ArrowError> {
    let columns: Vec<ArrayRef> = by.iter().chain([values]).cloned().collect();
    let keys = comparable(&columns)?;
    let mut seen = HashSet::new();
    let keyed: Vec<_> = rows.iter().map(|row| (keys.row(row.place()), *row)).collect();
    let mut chosen: Vec<(&[u8], RowIndex)> = keyed
        .iter()
        .map(|(key, row)| (key.data(), *row))
        .filter(|(key, row)| {
            values.is_valid(row.place()) && passes(filter, *row) && seen.insert(*key)
        })
        .collect();
    chosen.sort_unstable();
    let chosen: Vec<Option<RowIndex>> = chosen.into_iter().map(|(_, row)| Some(row)).collect();
    columns.iter().map(|column| texts(column, &chosen)).collect()
}

pub fn counter(measured: &Measured<'_>) -> Counter {
    Counter::of_rows(measured.name.clone(), "0".to_owned())
}

pub fn over_base(value: &Recomputed, measured: &Measured<'_>) -> String {
    format!("count(DISTINCT {}){}", value.sql, measured.passing(None))
}
