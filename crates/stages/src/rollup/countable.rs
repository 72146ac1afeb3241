//! Which types can be grouped by, and which measure takes which. Both lists name every type: a type that is new is refused until it is on
//! them.

use super::MeasurePlan;
use super::expression::Expression;
use duto_definition::{Measure, Operation, Problem, SqlText};

/// What of values a rollup may keep, by their type in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Exact,
    Float,
    Text,
    Moment,
    /// Nothing: intervals.
    Other,
}

fn kind(sql_type: &str) -> Kind {
    match sql_type {
        "boolean" => Kind::Boolean,
        "smallint" | "integer" | "bigint" | "numeric" => Kind::Exact,
        "real" | "double precision" => Kind::Float,
        "text" => Kind::Text,
        "date" | "timestamp" | "timestamptz" => Kind::Moment,
        _ => Kind::Other,
    }
}

pub(super) fn ungroupable(sql: &SqlText, planned: &Expression) -> Option<Problem> {
    let problem = |message: &str| Problem::new("rollup.by.type", sql.span, message.to_owned());
    match kind(planned.recomputed.sql_type) {
        Kind::Boolean | Kind::Exact | Kind::Text | Kind::Moment => None,
        Kind::Float => Some(
            problem("rows cannot be grouped by a REAL or DOUBLE PRECISION: equal values may differ in their last digit")
                .help("write `CAST(... AS NUMERIC(20,6))`, with the places that you want"),
        ),
        Kind::Other => {
            Some(problem("rows cannot be grouped by a value of this type").help("use a number, a text, a date, a time or a condition"))
        }
    }
}

pub(super) fn unmeasurable(measure: &Measure, planned: &MeasurePlan) -> Option<Problem> {
    let problem =
        |message: &str, help: &str| Some(Problem::new("rollup.measure.type", measure.span, message.to_owned()).help(help.to_owned()));
    if planned.filter.as_ref().is_some_and(|filter| kind(filter.recomputed.sql_type) != Kind::Boolean) {
        return problem("the FILTER is not a condition", "it must be TRUE or FALSE for each row: FILTER (WHERE a = 1)");
    }
    let mut kinds = planned.arguments.iter().map(|argument| kind(argument.recomputed.sql_type));
    let value = kinds.next()?;
    if value == Kind::Other {
        return problem("a value of this type cannot be measured", "use a number, a text, a date or a time");
    }
    match &planned.operation {
        Operation::Count => None,
        Operation::Sum(_) => match value {
            Kind::Exact => None,
            Kind::Float => problem(
                "the sum of a REAL or DOUBLE PRECISION depends on the order of its rows",
                "write `sum(CAST(... AS NUMERIC(20,6)))`, with the places that you want",
            ),
            Kind::Boolean => problem("only numbers can be summed", "count the rows for which it is TRUE: `count(*) FILTER (WHERE ...)`"),
            Kind::Text | Kind::Moment | Kind::Other => problem("only numbers can be summed", "count(*) counts rows"),
        },
        Operation::Min(_) | Operation::Max(_) => match value {
            Kind::Exact | Kind::Float | Kind::Text | Kind::Moment => None,
            Kind::Boolean | Kind::Other => problem(
                "PostgreSQL has no least or greatest BOOLEAN",
                "write `CAST(... AS INTEGER)` within it, or count the rows for which it is TRUE: `count(*) FILTER (WHERE ...)`",
            ),
        },
        Operation::CountDistinct(_) => indistinct(value).and_then(|(message, help)| problem(message, help)),
        Operation::Last { .. } => {
            let unordered = match kinds.next()? {
                Kind::Exact | Kind::Text | Kind::Moment => None,
                Kind::Boolean | Kind::Float | Kind::Other => Some((
                    "rows cannot be ordered by a value of this type",
                    "order by a date, a time, a text, an integer or a NUMERIC: last(x ORDER BY t)",
                )),
            };
            indistinct(value).or(unordered).and_then(|(message, help)| problem(message, help))
        }
    }
}

fn indistinct(value: Kind) -> Option<(&'static str, &'static str)> {
    match value {
        Kind::Boolean | Kind::Exact | Kind::Text | Kind::Moment => None,
        Kind::Float | Kind::Other => Some((
            "values of REAL or DOUBLE PRECISION cannot be told apart reliably",
            "write `CAST(... AS NUMERIC(20,6))`, with the places that you want",
        )),
    }
}
