//! What the panels of a dashboard show, against what their endpoints give.

use duto_sql::ColumnKind;

use super::EndpointQuery;
use duto_definition::dashboard::{Needs, ShownField};
use duto_definition::suggest::did_you_mean_or_list;
use duto_definition::{Pipeline, Problem};

/// Every field that no answer has, or whose values a panel cannot draw. An endpoint that is wrong
/// itself is passed over.
pub(super) fn problems(pipeline: &Pipeline, endpoints: &[EndpointQuery]) -> Vec<Problem> {
    let fields = pipeline.dashboard.iter().flat_map(|dashboard| &dashboard.fields);
    let problem = |field: &ShownField| {
        let query = endpoints.iter().find(|query| query.endpoint.path == field.from)?;
        problem(field, query)
    };
    fields.filter_map(problem).collect()
}

fn problem(field: &ShownField, query: &EndpointQuery) -> Option<Problem> {
    let columns = &query.columns;
    match columns.named(&field.name) {
        None if columns.may_have_others() => None,
        None => {
            let message = format!("GET {} gives no \"{}\"", field.from, field.name);
            let problem = Problem::new("dashboard.field.unknown", field.span, message);
            Some(problem.help(did_you_mean_or_list(&field.name, "it gives", columns.names())))
        }
        Some(column) => {
            let (wanted, help) = wanted(field.needs, column.kind)?;
            let kind = called(column.kind)?;
            let message =
                format!("{} of GET {} is {kind}, and this needs {wanted}", field.name, field.from);
            Some(Problem::new("dashboard.field.type", field.span, message).help(help))
        }
    }
}

/// What is needed instead, and what to do; None where the kind will do.
fn wanted(needs: Needs, kind: ColumnKind) -> Option<(&'static str, &'static str)> {
    match (needs, kind) {
        (_, ColumnKind::Unknown)
        | (Needs::Any, _)
        | (Needs::Number, ColumnKind::Number)
        | (Needs::Duration, ColumnKind::Number | ColumnKind::Interval)
        | (Needs::Moment, ColumnKind::Moment) => None,
        (Needs::Number, ColumnKind::Interval) => Some((
            "a number",
            "write `format: duration`, or extract(epoch FROM ...) in the endpoint",
        )),
        (Needs::Number, _) => Some((
            "a number",
            "show another field, or make it a number in the endpoint: CAST(... AS NUMERIC)",
        )),
        (Needs::Duration, _) => Some((
            "an interval or a number of seconds",
            "show another field, or make it one in the endpoint",
        )),
        (Needs::Moment, _) => Some((
            "a date or a timestamp",
            "show another field, or make it one in the endpoint: CAST(... AS TIMESTAMP)",
        )),
    }
}

fn called(kind: ColumnKind) -> Option<&'static str> {
    match kind {
        ColumnKind::Number => Some("a number"),
        ColumnKind::Text => Some("a text"),
        ColumnKind::Boolean => Some("a boolean"),
        ColumnKind::Moment => Some("a date or a timestamp"),
        ColumnKind::Interval => Some("an interval"),
        ColumnKind::Other => Some("no number, text or time"),
        ColumnKind::Unknown => None,
    }
}
