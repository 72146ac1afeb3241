//! The columns in which a measure is kept, how two of them become one, and how it is made of the base table's rows.

use super::sum_type;
use crate::target::quote;
use duto_definition::{Measure, Operation};
use duto_stages::rollup::{Recomputed, RecomputedMeasure};

/// A column of a rollup's table.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    /// Quoted.
    pub name: String,
    pub sql_type: &'static str,
    /// Behind the type in CREATE TABLE.
    pub constraint: &'static str,
    /// What the row holds after `excluded` was added to `r`.
    pub merged: String,
    /// Over the rows of the base table.
    pub from_base: String,
}

/// The columns of a measure. Those of a distinct count are filled from its set.
pub(super) fn of_measure(measured: &RecomputedMeasure<'_>) -> Vec<Counter> {
    let name = quote(&measured.measure.name);
    match (&measured.measure.operation, measured.arguments.as_slice()) {
        (Operation::Count, _) => vec![count(name, format!("count(*){}", filter(measured, None)))],
        (Operation::CountDistinct(_), _) => vec![count(name, "0".to_owned())],
        (Operation::Sum(_), [value]) => vec![Counter {
            sql_type: sum_type(value),
            constraint: "",
            merged: format!("coalesce(r.{name} + excluded.{name}, r.{name}, excluded.{name})"),
            from_base: format!("(sum({}){})::{}", value.sql, filter(measured, None), sum_type(value)),
            name,
        }],
        (Operation::Min(_), [value]) => vec![extreme("min", "least", name, value, measured)],
        (Operation::Max(_), [value]) => vec![extreme("max", "greatest", name, value, measured)],
        (Operation::Last { .. }, [value, order]) => last(name, value, order, measured),
        // The plan has as many arguments as the operation.
        (Operation::Sum(_) | Operation::Min(_) | Operation::Max(_) | Operation::Last { .. }, _) => Vec::new(),
    }
}

/// The measure over the shards of a group.
pub(super) fn over_shards(measured: &RecomputedMeasure<'_>) -> String {
    let name = quote(&measured.measure.name);
    match &measured.measure.operation {
        Operation::Count | Operation::CountDistinct(_) => format!("coalesce(sum({name}), 0)::bigint AS {name}"),
        Operation::Sum(_) => {
            format!("sum({name})::{} AS {name}", measured.arguments.first().map_or("numeric", |argument| sum_type(argument)))
        }
        Operation::Min(_) => format!("min({name}) AS {name}"),
        Operation::Max(_) => format!("max({name}) AS {name}"),
        Operation::Last { .. } => {
            let order = order_name(measured.measure);
            format!("(array_agg({name} ORDER BY {order} DESC, {name} DESC NULLS LAST) FILTER (WHERE {order} IS NOT NULL))[1] AS {name}")
        }
    }
}

/// The measure over the rows of the base table, as a recomputation has it.
pub(super) fn over_base(measured: &RecomputedMeasure<'_>) -> String {
    match (&measured.measure.operation, measured.arguments.as_slice()) {
        (Operation::CountDistinct(_), [value]) => format!("count(DISTINCT {}){}", value.sql, filter(measured, None)),
        _ => of_measure(measured).into_iter().next().map_or_else(|| "NULL".to_owned(), |counter| counter.from_base),
    }
}

/// An expression as a value of its column's type; texts compare by their bytes, as the worker compares them.
fn value(recomputed: &Recomputed) -> String {
    format!("({})::{}{}", recomputed.sql, recomputed.sql_type, collated(recomputed))
}

pub(super) fn order_name(measure: &Measure) -> String {
    quote(&super::own_name(&["duto_order_of", &measure.name]))
}

/// ` FILTER (WHERE ...)` of the measure's own condition and one more.
fn filter(measured: &RecomputedMeasure<'_>, more: Option<String>) -> String {
    let conditions: Vec<String> = measured.filter.map(|filter| format!("({filter})")).into_iter().chain(more).collect();
    if conditions.is_empty() { String::new() } else { format!(" FILTER (WHERE {})", conditions.join(" AND ")) }
}

fn count(name: String, from_base: String) -> Counter {
    Counter { sql_type: "bigint", constraint: " NOT NULL DEFAULT 0", merged: format!("r.{name} + excluded.{name}"), from_base, name }
}

fn collated(recomputed: &Recomputed) -> &'static str {
    if recomputed.sql_type == "text" { " COLLATE \"C\"" } else { "" }
}

fn extreme(function: &str, of_two: &str, name: String, recomputed: &Recomputed, measured: &RecomputedMeasure<'_>) -> Counter {
    Counter {
        sql_type: recomputed.sql_type,
        constraint: collated(recomputed),
        merged: format!("{of_two}(r.{name}, excluded.{name})"),
        from_base: format!("{function}({}){}", value(recomputed), filter(measured, None)),
        name,
    }
}

/// The value and its order: of two the one of the later order, of equal orders the greater value.
fn last(name: String, of: &Recomputed, by: &Recomputed, measured: &RecomputedMeasure<'_>) -> Vec<Counter> {
    let order = order_name(measured.measure);
    let (of_value, of_order) = (value(of), value(by));
    let passes = filter(measured, Some(format!("({}) IS NOT NULL", by.sql)));
    let value_counter = Counter {
        sql_type: of.sql_type,
        constraint: collated(of),
        merged: format!(
            "CASE WHEN r.{order} IS NULL OR excluded.{order} > r.{order} OR (excluded.{order} = r.{order} AND (r.{name} IS NULL OR excluded.{name} > r.{name})) \
             THEN excluded.{name} ELSE r.{name} END"
        ),
        from_base: format!("(array_agg({of_value} ORDER BY {of_order} DESC, {of_value} DESC NULLS LAST){passes})[1]"),
        name,
    };
    let order_counter = Counter {
        sql_type: by.sql_type,
        constraint: collated(by),
        merged: format!("greatest(r.{order}, excluded.{order})"),
        from_base: format!("max({of_order}){passes}"),
        name: order,
    };
    vec![value_counter, order_counter]
}
