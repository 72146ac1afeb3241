//! Buckets: the stretches of time in which a rollup with windows counts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};

use duto_definition::{GrainUnit, Problem, SqlText};

/// Stands in the place of a grain's seconds for the one bucket that holds the whole history.
pub const WHOLE_HISTORY: u32 = 0;
/// Where that bucket starts, as PostgreSQL reads it.
pub const WHOLE_HISTORY_START: &str = "-infinity";

/// Where the bucket of each row starts, in UTC. `over` is of a type that [`timeless`] let pass.
pub(super) fn starts(over: &ArrayRef, unit: GrainUnit) -> ArrayRef {
    let length = i64::from(unit.seconds()) * 1_000_000;
    let times = over.as_primitive::<TimestampMicrosecondType>();
    let starts: PrimitiveArray<TimestampMicrosecondType> =
        times.unary(|micros: i64| micros - micros.rem_euclid(length));
    Arc::new(starts.with_timezone_opt(None::<Arc<str>>))
}

/// What is wrong with the type of `over`.
pub(super) fn timeless(sql: &SqlText, data_type: &DataType) -> Option<Problem> {
    if matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return None;
    }
    let message = format!(
        "over is {}, and a window needs a TIMESTAMP or a TIMESTAMPTZ",
        duto_sql::type_name(data_type)
    );
    let help = match data_type {
        DataType::Date32 => {
            "a whole day is no moment: name the column that holds each row's time, or write \
                `CAST(... AS TIMESTAMP)`"
        }
        _ => "name the column that holds each row's time",
    };
    Some(Problem::new("rollup.over.type", sql.span, message).help(help))
}
