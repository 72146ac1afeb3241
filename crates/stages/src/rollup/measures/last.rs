//! `last(x ORDER BY t)`, the value of the row that is last in this order, of several the greatest
//! value. Rows whose order is NULL are not looked at. The value is kept beside its order.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use duto_sql::Recomputed;

use super::counter::{Counter, Measured, collated, value};
use super::extreme::best_rows;
use super::kind::Kind;
use super::passing::Passing;
use super::{Advice, Columns, distinct};
use crate::rollup::group::{comparable, texts};

pub fn refused(value: Kind, order: Kind) -> Option<Advice> {
    distinct::refused(value).or(match order {
        Kind::Exact | Kind::Text | Kind::Moment => None,
        Kind::Boolean | Kind::Float | Kind::Other => Some((
            "rows cannot be ordered by a value of this type",
            "order by a date, a time, a text, an integer or a NUMERIC: last(x ORDER BY t)",
        )),
    })
}

pub fn figures(
    values: &ArrayRef,
    order: &ArrayRef,
    rows: &Passing<'_>,
) -> Result<Columns, ArrowError> {
    let keys = comparable(&[order.clone(), values.clone()])?;
    let best = best_rows(&keys, order, rows, |new, best| new > best);
    Ok(vec![texts(values, &best)?, texts(order, &best)?])
}

/// Of two the one of the later order, of equal orders the greater value.
pub fn counters(of: &Recomputed, by: &Recomputed, measured: &Measured<'_>) -> Vec<Counter> {
    let (name, order) = (measured.name.clone(), order_name(measured));
    let later = format!(
        "CASE WHEN r.{order} IS NULL OR excluded.{order} > r.{order}
              OR (excluded.{order} = r.{order} AND (r.{name} IS NULL OR excluded.{name} > r.{name}))
         THEN excluded.{name} ELSE r.{name} END"
    );
    let from_base = over_base(of, by, measured);
    let value_counter =
        Counter { sql_type: of.sql_type, constraint: collated(of), merged: later, from_base, name };
    let order_counter = Counter {
        sql_type: by.sql_type,
        constraint: collated(by),
        merged: format!("greatest(r.{order}, excluded.{order})"),
        from_base: format!("max({}){}", value(by), measured.passing(Some(is_ordered(by)))),
        name: order,
    };
    vec![value_counter, order_counter]
}

pub fn over_counters(measured: &Measured<'_>) -> String {
    let (name, order) = (&measured.name, order_name(measured));
    format!(
        "(array_agg({name} ORDER BY {order} DESC, {name} DESC NULLS LAST) FILTER (WHERE {order} IS \
            NOT NULL))[1]"
    )
}

pub fn over_base(of: &Recomputed, by: &Recomputed, measured: &Measured<'_>) -> String {
    let (of, passing, by) = (value(of), measured.passing(Some(is_ordered(by))), value(by));
    format!("(array_agg({of} ORDER BY {by} DESC, {of} DESC NULLS LAST){passing})[1]")
}

fn order_name(measured: &Measured<'_>) -> String {
    measured.beside("duto_order_of")
}

fn is_ordered(by: &Recomputed) -> String {
    format!("({}) IS NOT NULL", by.sql)
}
