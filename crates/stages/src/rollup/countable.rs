//! Which types can be grouped by, and which measure takes which.

use duto_definition::{Measure, Problem, SqlText};

use super::MeasurePlan;
use super::expression::Expression;
use super::measures::{self, Advice, Kind};

pub(super) fn ungroupable(sql: &SqlText, planned: &Expression) -> Option<Problem> {
    let problem = |message: &str| Problem::new("rollup.by.type", sql.span, message.to_owned());
    match Kind::of(planned.recomputed.sql_type) {
        Kind::Boolean | Kind::Exact | Kind::Text | Kind::Moment => None,
        Kind::Float => Some(
            problem(
                "rows cannot be grouped by a REAL or DOUBLE PRECISION: equal values may differ \
                in their last digit",
            )
            .help("write `CAST(... AS NUMERIC(20,6))`, with the places that you want"),
        ),
        Kind::Other => Some(
            problem(
                "rows cannot be grouped by a value of this \
                type",
            )
            .help(
                "use a number, a \
                text, a date, a time or a condition",
            ),
        ),
    }
}

pub(super) fn unmeasurable(measure: &Measure, planned: &MeasurePlan) -> Option<Problem> {
    let problem = |(message, help): Advice| {
        Problem::new("rollup.measure.type", measure.span, message.to_owned()).help(help.to_owned())
    };
    let kind = |of: &Expression| Kind::of(of.recomputed.sql_type);
    if planned.filter.as_ref().is_some_and(|filter| kind(filter) != Kind::Boolean) {
        return Some(problem((
            "the FILTER is not a condition",
            "it must be TRUE or FALSE for each row: FILTER (WHERE a = 1)",
        )));
    }
    let of_kinds = planned.operation.as_ref().map(kind);
    if of_kinds.arguments().first() == Some(&&Kind::Other) {
        return Some(problem((
            "a value of this type cannot be measured",
            "use a number, a text, a date or a time",
        )));
    }
    measures::refused(&of_kinds).map(problem)
}
