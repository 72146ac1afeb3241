//! Constants, each as a text and its type: `'3'::bigint`.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion_common::ScalarValue;

use super::postgres_type;
use crate::cast::cast;

/// The constant in PostgreSQL's SQL; None where its type has no values there.
pub(super) fn constant(scalar: &ScalarValue) -> Option<String> {
    let sql_type = postgres_type(&scalar.data_type())?;
    if let ScalarValue::IntervalMonthDayNano(Some(interval)) = scalar {
        return Some(format!("'{}'::interval", interval_text(*interval)?));
    }
    let text = cast(&scalar.to_array().ok()?, &DataType::Utf8).ok()?;
    let text = text.as_string_opt::<i32>()?;
    Some(match text.is_valid(0) {
        true => format!("{}::{sql_type}", text_constant(text.value(0))),
        false => format!("NULL::{sql_type}"),
    })
}

/// A text between quotes, whatever the server says of backslashes.
pub(super) fn text_constant(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

fn interval_text(interval: IntervalMonthDayNano) -> Option<String> {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    // PostgreSQL has no nanoseconds.
    (nanoseconds % 1000 == 0)
        .then(|| format!("{months} months {days} days {} microseconds", nanoseconds / 1000))
}
