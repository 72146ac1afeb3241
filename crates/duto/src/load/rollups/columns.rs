//! The columns in which a measure is kept, how two of them become one, and how it is made of the base table's rows.

use arrow::datatypes::DataType;

use super::{sql_type, sum_type};
use crate::definition::{Measure, Operation, SqlText};
use crate::load::target::quote;

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
pub(super) fn of_measure(measure: &Measure, arguments: &[&DataType]) -> Vec<Counter> {
    let name = quote(&measure.name);
    let first = arguments.first().copied().unwrap_or(&DataType::Int64);
    match &measure.operation {
        Operation::Count => vec![count(name, format!("count(*){}", filter(measure, None)))],
        Operation::CountDistinct(_) => vec![count(name, "0".to_owned())],
        Operation::Sum(value) => vec![Counter {
            sql_type: sum_type(first),
            constraint: "",
            merged: format!("coalesce(r.{name} + excluded.{name}, r.{name}, excluded.{name})"),
            from_base: format!("(sum({}){})::{}", sql(value), filter(measure, None), sum_type(first)),
            name,
        }],
        Operation::Min(value) => vec![extreme("min", "least", name, value, measure, first)],
        Operation::Max(value) => vec![extreme("max", "greatest", name, value, measure, first)],
        Operation::Last { value, order } => last(name, value, order, measure, arguments),
    }
}

/// The measure over the shards of a group.
pub(super) fn over_shards(measure: &Measure, arguments: &[&DataType]) -> String {
    let name = quote(&measure.name);
    match &measure.operation {
        Operation::Count | Operation::CountDistinct(_) => format!("coalesce(sum({name}), 0)::bigint AS {name}"),
        Operation::Sum(_) => format!("sum({name})::{} AS {name}", arguments.first().map_or("numeric", |argument| sum_type(argument))),
        Operation::Min(_) => format!("min({name}) AS {name}"),
        Operation::Max(_) => format!("max({name}) AS {name}"),
        Operation::Last { .. } => {
            let order = order_name(measure);
            format!("(array_agg({name} ORDER BY {order} DESC, {name} DESC NULLS LAST) FILTER (WHERE {order} IS NOT NULL))[1] AS {name}")
        }
    }
}

/// The measure over the rows of the base table, as a recomputation has it.
pub(super) fn over_base(measure: &Measure, arguments: &[&DataType]) -> String {
    match &measure.operation {
        Operation::CountDistinct(value) => format!("count(DISTINCT {}){}", sql(value), filter(measure, None)),
        _ => of_measure(measure, arguments).swap_remove(0).from_base,
    }
}

/// An expression of the file in parentheses.
pub(super) fn sql(text: &SqlText) -> String {
    format!("({})", text.text.trim())
}

/// An expression of the file as a value of its column's type; texts compare by their bytes, as the worker compares them.
pub(super) fn value(text: &SqlText, data_type: &DataType) -> String {
    let collation = if sql_type(data_type) == "text" { " COLLATE \"C\"" } else { "" };
    format!("({})::{}{collation}", text.text.trim(), sql_type(data_type))
}

pub(super) fn order_name(measure: &Measure) -> String {
    quote(&super::own_name(&["duto_order_of", &measure.name]))
}

/// ` FILTER (WHERE ...)` of the measure's own condition and one more.
fn filter(measure: &Measure, more: Option<String>) -> String {
    let conditions: Vec<String> = measure.filter.as_ref().map(sql).into_iter().chain(more).collect();
    if conditions.is_empty() { String::new() } else { format!(" FILTER (WHERE {})", conditions.join(" AND ")) }
}

fn count(name: String, from_base: String) -> Counter {
    Counter { sql_type: "bigint", constraint: " NOT NULL DEFAULT 0", merged: format!("r.{name} + excluded.{name}"), from_base, name }
}

fn collated(data_type: &DataType) -> &'static str {
    if sql_type(data_type) == "text" { " COLLATE \"C\"" } else { "" }
}

fn extreme(function: &str, of_two: &str, name: String, text: &SqlText, measure: &Measure, data_type: &DataType) -> Counter {
    Counter {
        sql_type: sql_type(data_type),
        constraint: collated(data_type),
        merged: format!("{of_two}(r.{name}, excluded.{name})"),
        from_base: format!("{function}({}){}", value(text, data_type), filter(measure, None)),
        name,
    }
}

/// The value and its order: of two the one of the later order, of equal orders the greater value.
fn last(name: String, text: &SqlText, order_text: &SqlText, measure: &Measure, arguments: &[&DataType]) -> Vec<Counter> {
    let (Some(value_type), Some(order_type)) = (arguments.first(), arguments.get(1)) else { return Vec::new() };
    let order = order_name(measure);
    let (of_value, of_order) = (value(text, value_type), value(order_text, order_type));
    let passes = filter(measure, Some(format!("{} IS NOT NULL", sql(order_text))));
    let value_counter = Counter {
        sql_type: sql_type(value_type),
        constraint: collated(value_type),
        merged: format!(
            "CASE WHEN r.{order} IS NULL OR excluded.{order} > r.{order} OR (excluded.{order} = r.{order} AND (r.{name} IS NULL OR excluded.{name} > r.{name})) \
             THEN excluded.{name} ELSE r.{name} END"
        ),
        from_base: format!("(array_agg({of_value} ORDER BY {of_order} DESC, {of_value} DESC NULLS LAST){passes})[1]"),
        name,
    };
    let order_counter = Counter {
        sql_type: sql_type(order_type),
        constraint: collated(order_type),
        merged: format!("greatest(r.{order}, excluded.{order})"),
        from_base: format!("max({of_order}){passes}"),
        name: order,
    };
    vec![value_counter, order_counter]
}
