//! The measures of rollups, a file each: which values a measure takes, what a batch adds to it, in
//! which columns it is kept, and how PostgreSQL reads those and recomputes them. The functions here
//! are all that others see; each names every measure, so that one which lacks a part does not
//! compile.

mod average;
mod count;
mod counter;
mod distinct;
mod extreme;
mod kind;
mod last;
mod passing;
mod sum;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use duto_definition::Operation;
use duto_sql::{ColumnKind, Recomputed};

use super::Columns;
pub use counter::{Counter, Measured};
pub(super) use distinct::values as distinct_values;
pub(super) use kind::Kind;
pub(super) use passing::Passing;

/// What is wrong with a value or a measure, and what to write instead.
pub(super) type Advice = (&'static str, &'static str);

/// Why it cannot be made of values of these kinds.
pub(super) fn refused(operation: &Operation<Kind>) -> Option<Advice> {
    match *operation {
        Operation::Count => None,
        Operation::CountDistinct(value) => distinct::refused(value),
        Operation::Sum(value) => sum::refused(value),
        Operation::Avg(value) => average::refused(value),
        Operation::Min(value) | Operation::Max(value) => extreme::refused(value),
        Operation::Last { value, order } => last::refused(value, order),
    }
}

/// What rows add to each group: a text a group for each of the measure's [`counters`] that is not
/// filled from a set.
pub(super) fn figures(
    operation: &Operation<ArrayRef>,
    rows: &Passing<'_>,
) -> Result<Columns, ArrowError> {
    match operation {
        Operation::Count => Ok(vec![count::figures(rows)]),
        Operation::CountDistinct(_) => Ok(Vec::new()),
        Operation::Sum(value) => Ok(vec![sum::figures(value, rows)?]),
        Operation::Avg(value) => average::figures(value, rows),
        Operation::Min(value) => Ok(vec![extreme::figures(value, rows, |new, best| new < best)?]),
        Operation::Max(value) => Ok(vec![extreme::figures(value, rows, |new, best| new > best)?]),
        Operation::Last { value, order } => last::figures(value, order, rows),
    }
}

/// The columns in which it is kept.
pub fn counters(operation: &Operation<&Recomputed>, measured: &Measured<'_>) -> Vec<Counter> {
    match operation {
        Operation::Count => vec![count::counter(measured)],
        Operation::CountDistinct(_) => vec![distinct::counter(measured)],
        Operation::Sum(value) => vec![sum::counter(value, measured)],
        Operation::Avg(value) => average::counters(value, measured),
        Operation::Min(value) => vec![extreme::counter(extreme::LEAST, value, measured)],
        Operation::Max(value) => vec![extreme::counter(extreme::GREATEST, value, measured)],
        Operation::Last { value, order } => last::counters(value, order, measured),
    }
}

/// The figure of all of a group's counters: over its shards, and over buckets of time.
pub fn over_counters(operation: &Operation<&Recomputed>, measured: &Measured<'_>) -> String {
    match operation {
        Operation::Count | Operation::CountDistinct(_) => count::over_counters(measured),
        Operation::Sum(value) => sum::over_counters(value, measured),
        Operation::Avg(_) => average::over_counters(measured),
        Operation::Min(_) => extreme::over_counters(extreme::LEAST, measured),
        Operation::Max(_) => extreme::over_counters(extreme::GREATEST, measured),
        Operation::Last { .. } => last::over_counters(measured),
    }
}

/// The figure over the rows of the base table, as a recomputation has it.
pub fn over_base(operation: &Operation<&Recomputed>, measured: &Measured<'_>) -> String {
    match operation {
        Operation::Count => count::over_base(measured),
        Operation::CountDistinct(value) => distinct::over_base(value, measured),
        Operation::Sum(value) => sum::over_base(value, measured),
        Operation::Avg(value) => average::over_base(value, measured),
        Operation::Min(value) => extreme::over_base(extreme::LEAST, value, measured),
        Operation::Max(value) => extreme::over_base(extreme::GREATEST, value, measured),
        Operation::Last { value, order } => last::over_base(value, order, measured),
    }
}

/// The kind of the figure, where its values are of these kinds.
pub fn column_kind(operation: &Operation<ColumnKind>) -> ColumnKind {
    match *operation {
        Operation::Count | Operation::CountDistinct(_) | Operation::Avg(_) => ColumnKind::Number,
        Operation::Sum(value)
        | Operation::Min(value)
        | Operation::Max(value)
        | Operation::Last { value, .. } => value,
    }
}
