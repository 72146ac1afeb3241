//! `count(*)`, the number of rows.

use super::counter::{Counter, Measured};
use super::passing::Passing;

pub fn figures(rows: &Passing<'_>) -> Vec<Option<String>> {
    rows.count(|_| true)
}

pub fn counter(measured: &Measured<'_>) -> Counter {
    Counter::of_rows(measured.name.clone(), over_base(measured))
}

pub fn over_counters(measured: &Measured<'_>) -> String {
    format!("coalesce(sum({}), 0)::bigint", measured.name)
}

pub fn over_base(measured: &Measured<'_>) -> String {
    format!("count(*){}", measured.passing(None))
}
