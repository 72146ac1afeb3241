//! Dates and timestamps: from and to text, and their parts. All clocks are UTC, all timestamps microseconds.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, PrimitiveArray};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, DurationMicrosecondType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Timelike, Utc};

/// TIMESTAMPTZ.
pub(crate) fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// TIMESTAMP.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// Microseconds since 1970 UTC. A text without a zone is UTC; where the zone is not wanted it is not looked at, as in PostgreSQL.
pub(crate) fn parse_timestamp(text: &str, zone_wanted: bool) -> Option<i64> {
    let text = text.trim();
    let text = if zone_wanted { text } else { without_zone(text) };
    string_to_datetime(&Utc, text).ok().map(|moment| moment.timestamp_micros())
}

/// Days since 1970; a time behind the date is cut.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    parse_timestamp(text, false).and_then(|micros| i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok())
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The text up to its zone: `Z`, `UTC`, `+02:00`. A sign among the first ten characters belongs to the date.
fn without_zone(text: &str) -> &str {
    let Some((_, time)) = text.split_at_checked(10) else { return text };
    let zone = time.find(['Z', 'z', '+', '-', 'U', 'u']).unwrap_or(time.len());
    text[..10 + zone].trim_end()
}

/// The wall clock of a zone at these moments; the array is a timestamp in microseconds.
pub(crate) fn wall_clock(moments: &ArrayRef, zone: Tz) -> Result<ArrayRef, String> {
    let local = |micros: i64| {
        let moment = DateTime::from_timestamp_micros(micros)?;
        let offset_seconds = zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc();
        micros.checked_add(i64::from(offset_seconds) * 1_000_000)
    };
    let local = |micros: i64| local(micros).ok_or("timestamp out of range");
    let clocks: PrimitiveArray<TimestampMicrosecondType> = moments.as_primitive::<TimestampMicrosecondType>().try_unary(local)?;
    Ok(Arc::new(clocks))
}

/// As PostgreSQL prints a timestamp: `2024-05-20 10:00:00.5+00`.
pub(crate) fn format_timestamp(micros: i64, with_zone: bool) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    let mut printed = moment.format("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = micros.rem_euclid(1_000_000);
    if fraction != 0 {
        printed.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    if with_zone {
        printed.push_str("+00");
    }
    Some(printed)
}

/// ISO 8601: `2024-05-20T10:00:00.5Z`, without the Z where the moment has no zone.
pub(crate) fn format_iso(micros: i64, with_zone: bool) -> Option<String> {
    let printed = format_timestamp(micros, false)?.replacen(' ', "T", 1);
    Some(if with_zone { printed + "Z" } else { printed })
}

/// As PostgreSQL prints a date.
pub(crate) fn format_date(days: i32) -> Option<String> {
    NaiveDate::from_epoch_days(days).map(|date| date.format("%Y-%m-%d").to_string())
}

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
            "year" => |moment| i64::from(moment.year()),
            "isoyear" => |moment| i64::from(moment.iso_week().year()),
            "quarter" => |moment| i64::from(moment.month0() / 3 + 1),
            "month" => |moment| i64::from(moment.month()),
            "week" => |moment| i64::from(moment.iso_week().week()),
            "day" => |moment| i64::from(moment.day()),
            "doy" => |moment| i64::from(moment.ordinal()),
            "dow" => |moment| i64::from(moment.weekday().num_days_from_sunday()),
            "isodow" => |moment| i64::from(moment.weekday().number_from_monday()),
            "hour" => |moment| i64::from(moment.hour()),
            "minute" => |moment| i64::from(moment.minute()),
            "microseconds" => |moment| i64::from(moment.second()) * 1_000_000 + i64::from(moment.timestamp_subsec_micros()),
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
                let part = |micros: i64| DateTime::from_timestamp_micros(micros).map(part).ok_or("timestamp out of range");
                let parts: Int64Array = micros.try_unary(part)?;
                Ok(Arc::new(parts))
            }
            Self::Seconds(part) => as_decimal(micros.unary(|micros| i128::from(part(micros))), 25, 6),
            Self::Milliseconds => as_decimal(micros.unary(|micros| i128::from(micros.rem_euclid(60_000_000))), 8, 3),
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
    let decimals = values.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?;
    debug_assert_eq!(decimals.data_type(), &DataType::Decimal128(precision, scale));
    Ok(Arc::new(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_moments() {
        let at_ten = 1_716_199_200_000_000;
        let cases = [
            ("2024-05-20T10:00:00Z", true, Some(at_ten)),
            ("2024-05-20 10:00:00", true, Some(at_ten)),
            ("2024-05-20T12:00:00+02:00", true, Some(at_ten)),
            ("2024-05-20T10:00:00+02:00", false, Some(at_ten)),
            ("2024-05-20T10:00:00.5Z", false, Some(at_ten + 500_000)),
            ("2024-05-20", true, Some(at_ten - 36_000_000_000)),
            ("20 May", true, None),
            ("", true, None),
        ];
        for (text, zone_wanted, expected) in cases {
            assert_eq!(parse_timestamp(text, zone_wanted), expected, "{text}");
        }
        assert_eq!(parse_date("1970-01-03T23:00:00-05:00"), Some(2));
    }

    #[test]
    fn moments_print_as_in_postgresql() {
        assert_eq!(format_timestamp(1_716_199_200_500_000, true).as_deref(), Some("2024-05-20 10:00:00.5+00"));
        assert_eq!(format_timestamp(-1, false).as_deref(), Some("1969-12-31 23:59:59.999999"));
        assert_eq!(format_date(-1).as_deref(), Some("1969-12-31"));
    }

    #[test]
    fn every_named_part_exists() {
        assert!(PARTS.iter().all(|name| Part::of_name(name).is_some()));
    }
}
