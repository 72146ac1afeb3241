//! The parts of dates and timestamps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType, DurationMicrosecondType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, Timelike, Utc};

/// A part that EXTRACT can take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// A whole number.
    Whole(fn(DateTime<Utc>) -> i64),
    /// Microseconds, shown as seconds with six places.
    Seconds(fn(i64) -> i64),
    /// Microseconds, shown as milliseconds with three places.
    Milliseconds,
}

/// The names of the parts.
pub(crate) const PARTS: [&str; 15] = [
    "year",
    "isoyear",
    "quarter",
    "month",
    "week",
    "day",
    "doy",
    "dow",
    "isodow",
    "hour",
    "minute",
    "second",
    "milliseconds",
    "microseconds",
    "epoch",
];

impl Part {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let whole: fn(DateTime<Utc>) -> i64 = match name {
            "year" => |moment| without_zero(moment.year()),
            "isoyear" => |moment| without_zero(moment.iso_week().year()),
            "quarter" => |moment| i64::from(moment.month0() / 3 + 1),
            "month" => |moment| i64::from(moment.month()),
            "week" => |moment| i64::from(moment.iso_week().week()),
            "day" => |moment| i64::from(moment.day()),
            "doy" => |moment| i64::from(moment.ordinal()),
            "dow" => |moment| i64::from(moment.weekday().num_days_from_sunday()),
            "isodow" => |moment| i64::from(moment.weekday().number_from_monday()),
            "hour" => |moment| i64::from(moment.hour()),
            "minute" => |moment| i64::from(moment.minute()),
            "microseconds" => |moment| {
                i64::from(moment.second()) * 1_000_000 + i64::from(moment.timestamp_subsec_micros())
            },
            "second" => return Some(Self::Seconds(|micros| micros.rem_euclid(60_000_000))),
            "epoch" => return Some(Self::Seconds(|micros| micros)),
            "milliseconds" => return Some(Self::Milliseconds),
            _ => return None,
        };
        Some(Self::Whole(whole))
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Whole(_) => DataType::Int64,
            Self::Seconds(_) => DataType::Decimal128(25, 6),
            Self::Milliseconds => DataType::Decimal128(8, 3),
        }
    }

    /// The part of every moment; the array is a timestamp in microseconds.
    pub(crate) fn of(self, moments: &ArrayRef) -> Result<ArrayRef, String> {
        let micros: &PrimitiveArray<TimestampMicrosecondType> = moments.as_primitive();
        match self {
            Self::Whole(part) => {
                let part = |micros: i64| {
                    DateTime::from_timestamp_micros(micros)
                        .map(part)
                        .ok_or("timestamp out of range")
                };
                let parts: Int64Array = micros.try_unary(part)?;
                Ok(Arc::new(parts))
            }
            Self::Seconds(part) => {
                as_decimal(micros.unary(|micros| i128::from(part(micros))), 25, 6)
            }
            Self::Milliseconds => {
                as_decimal(micros.unary(|micros| i128::from(micros.rem_euclid(60_000_000))), 8, 3)
            }
        }
    }
}

/// The seconds of a difference of two moments.
pub(crate) fn duration_seconds(durations: &ArrayRef) -> Result<ArrayRef, String> {
    let target = DataType::Duration(TimeUnit::Microsecond);
    let durations = arrow::compute::cast(durations, &target).map_err(|error| error.to_string())?;
    as_decimal(durations.as_primitive::<DurationMicrosecondType>().unary(i128::from), 25, 6)
}

fn as_decimal(values: Decimal128Array, precision: u8, scale: i8) -> Result<ArrayRef, String> {
    let decimals =
        values.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?;
    debug_assert_eq!(decimals.data_type(), &DataType::Decimal128(precision, scale));
    Ok(Arc::new(decimals))
}

/// The year before the year 1 is -1, as in PostgreSQL.
fn without_zero(year: i32) -> i64 {
    i64::from(if year > 0 { year } else { year - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_part_exists() {
        assert!(PARTS.iter().all(|name| Part::of_name(name).is_some()));
    }
}
