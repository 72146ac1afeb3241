//! `avg(x)`, the mean of what is not NULL: its sum and its number are kept, and divided when they
//! are read.
//!
//! PostgreSQL rounds a quotient to so many places as its operands have, and a sum that is kept has
//! other trailing zeros than one that is computed again. Without those both are the same operands.

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use duto_sql::Recomputed;

use super::counter::{Counter, Measured};
use super::kind::Kind;
use super::passing::Passing;
use super::{Advice, Columns, sum};

pub fn refused(value: Kind) -> Option<Advice> {
    match value {
        Kind::Exact | Kind::Boolean => sum::refused(value),
        Kind::Float => Some((
            "the mean of a REAL or DOUBLE PRECISION depends on the order of its rows",
            "write `avg(CAST(... AS NUMERIC(20,6)))`, with the places that you want",
        )),
        Kind::Text | Kind::Moment | Kind::Other => {
            Some(("only numbers have a mean", "count(*) counts rows"))
        }
    }
}

pub fn figures(value: &ArrayRef, rows: &Passing<'_>) -> Result<Columns, ArrowError> {
    Ok(vec![sum::figures(value, rows)?, rows.count(|row| value.is_valid(row.place()))])
}

pub fn counters(value: &Recomputed, measured: &Measured<'_>) -> Vec<Counter> {
    let number = Counter::of_rows(number_name(measured), number_over_base(value, measured));
    vec![Counter { sql_type: "numeric", ..sum::counter(value, measured) }, number]
}

pub fn over_counters(measured: &Measured<'_>) -> String {
    mean(&format!("sum({})", measured.name), &format!("sum({})", number_name(measured)))
}

pub fn over_base(value: &Recomputed, measured: &Measured<'_>) -> String {
    mean(&sum::over_base(value, measured), &number_over_base(value, measured))
}

fn number_name(measured: &Measured<'_>) -> String {
    measured.beside("duto_count_of")
}

fn number_over_base(value: &Recomputed, measured: &Measured<'_>) -> String {
    format!("count({}){}", value.sql, measured.passing(None))
}

/// NULL where there is no value.
fn mean(sum: &str, number: &str) -> String {
    format!("trim_scale(({sum})::numeric) / nullif({number}, 0)")
}
