//! `min(x)` and `max(x)`, the least and the greatest of what is not NULL, by comparison of their
//! bytes.

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use arrow::row::Rows;
use duto_sql::Recomputed;

use super::Advice;
use super::counter::{Counter, Measured, collated, value};
use super::kind::Kind;
use super::passing::Passing;
use crate::rollup::group::{comparable, texts};
use duto_ground::index::RowIndex;

/// What PostgreSQL calls it: over rows, and of two values.
#[derive(Debug, Clone, Copy)]
pub struct Extreme {
    of_rows: &'static str,
    of_two: &'static str,
}

pub const LEAST: Extreme = Extreme { of_rows: "min", of_two: "least" };
pub const GREATEST: Extreme = Extreme { of_rows: "max", of_two: "greatest" };

pub fn refused(value: Kind) -> Option<Advice> {
    match value {
        Kind::Exact | Kind::Float | Kind::Text | Kind::Moment => None,
        Kind::Boolean | Kind::Other => Some((
            "PostgreSQL has no least or greatest BOOLEAN",
            "write `CAST(... AS INTEGER)` within it, or count the rows for which it is TRUE: \
                `count(*) FILTER (WHERE ...)`",
        )),
    }
}

pub fn figures(
    values: &ArrayRef,
    rows: &Passing<'_>,
    is_better: fn(&[u8], &[u8]) -> bool,
) -> Result<Vec<Option<String>>, ArrowError> {
    let keys = comparable(std::slice::from_ref(values))?;
    texts(values, &best_rows(&keys, values, rows, is_better))
}

/// The row of each group whose key is better than all others, of those that are not NULL in this
/// column.
pub fn best_rows(
    keys: &Rows,
    valid: &ArrayRef,
    rows: &Passing<'_>,
    is_better: fn(&[u8], &[u8]) -> bool,
) -> Vec<Option<RowIndex>> {
    let mut best: Vec<Option<RowIndex>> = vec![None; rows.number_of_groups()];
    for (row, group) in rows.iter().filter(|(row, _)| valid.is_valid(row.place())) {
        let new = keys.row(row.place());
        if best[group].is_none_or(|known| is_better(new.data(), keys.row(known.place()).data())) {
            best[group] = Some(row);
        }
    }
    best
}

pub fn counter(which: Extreme, of: &Recomputed, measured: &Measured<'_>) -> Counter {
    let name = measured.name.clone();
    Counter {
        sql_type: of.sql_type,
        constraint: collated(of),
        merged: format!("{}(r.{name}, excluded.{name})", which.of_two),
        from_base: over_base(which, of, measured),
        name,
    }
}

pub fn over_counters(which: Extreme, measured: &Measured<'_>) -> String {
    format!("{}({})", which.of_rows, measured.name)
}

pub fn over_base(which: Extreme, of: &Recomputed, measured: &Measured<'_>) -> String {
    format!("{}({}){}", which.of_rows, value(of), measured.passing(None))
}
