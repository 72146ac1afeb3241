//! Dates and timestamps moved by days and intervals, and as one another.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::try_binary;
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::{DateTime, Months};

use super::MICROS_PER_DAY;

/// The days from 4713 BC to the last of the calendar that is counted with here, both within what
/// PostgreSQL has.
const DAYS: std::ops::RangeInclusive<i64> = -2_440_588..=94_000_000;

/// The timestamp where PostgreSQL can hold it and a text can be made of it.
pub(crate) fn in_range(micros: i64) -> Option<i64> {
    DAYS.contains(&micros.div_euclid(MICROS_PER_DAY)).then_some(micros)
}

/// The date so many days after another, where it is in range.
pub(crate) fn shift_date(date: i32, days: i64) -> Option<i32> {
    let shifted = i64::from(date).checked_add(days).filter(|day| DAYS.contains(day))?;
    i32::try_from(shifted).ok()
}

/// Every timestamp and its interval, first the months, then the days, then the rest.
pub(crate) fn shifted(
    moments: &ArrayRef,
    intervals: &ArrayRef,
    back: bool,
) -> Result<ArrayRef, String> {
    let shift = |micros: i64, interval: IntervalMonthDayNano| {
        let sign = if back { -1 } else { 1 };
        shift_by(
            micros,
            sign * i64::from(interval.months),
            sign * i64::from(interval.days),
            sign * (interval.nanoseconds / 1000),
        )
        .ok_or_else(|| ArrowError::ComputeError("timestamp out of range".into()))
    };
    let (values, intervals) = (
        moments.as_primitive::<TimestampMicrosecondType>(),
        intervals.as_primitive::<IntervalMonthDayNanoType>(),
    );
    let shifted: Result<PrimitiveArray<TimestampMicrosecondType>, ArrowError> =
        try_binary(values, intervals, shift);
    let shifted = shifted.map_err(|_| "timestamp out of range".to_owned())?;
    Ok(Arc::new(shifted.with_data_type(moments.data_type().clone())))
}

fn shift_by(micros: i64, months: i64, days: i64, rest: i64) -> Option<i64> {
    let mut micros = micros;
    if months != 0 {
        let moment = DateTime::from_timestamp_micros(micros)?;
        let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        let moved =
            if months > 0 { moment.checked_add_months(by) } else { moment.checked_sub_months(by) };
        micros = moved?.timestamp_micros();
    }
    micros.checked_add(days.checked_mul(MICROS_PER_DAY)?)?.checked_add(rest).and_then(in_range)
}

/// Timestamps as the days on which they are.
pub(crate) fn as_date(moments: &ArrayRef) -> Result<ArrayRef, String> {
    let day = |micros: i64| {
        i32::try_from(micros.div_euclid(MICROS_PER_DAY)).map_err(|_| "date out of range".to_owned())
    };
    let days: PrimitiveArray<Date32Type> =
        moments.as_primitive::<TimestampMicrosecondType>().try_unary(day)?;
    Ok(Arc::new(days))
}

/// Days as their midnights.
pub(crate) fn as_moment(dates: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let midnight = |day: i32| {
        i64::from(day).checked_mul(MICROS_PER_DAY).ok_or_else(|| "date out of range".to_owned())
    };
    let moments: PrimitiveArray<TimestampMicrosecondType> =
        dates.as_primitive::<Date32Type>().try_unary(midnight)?;
    Ok(Arc::new(moments.with_data_type(to.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::{format_timestamp, parse_timestamp};

    #[test]
    fn months_end_where_the_month_does() {
        for (moment, months, days, micros, expected) in [
            ("2024-01-31T10:00:00", 1, 0, 0, Some("2024-02-29 10:00:00")),
            ("2024-03-31T10:00:00", -1, 0, 0, Some("2024-02-29 10:00:00")),
            ("2024-01-31T10:00:00", 1, 1, 1, Some("2024-03-01 10:00:00.000001")),
            ("9999-12-31T00:00:00", 0, 1, 0, Some("10000-01-01 00:00:00")),
            ("0001-01-01T00:00:00", 0, 0, -1, Some("0001-12-31 23:59:59.999999 BC")),
            ("2024-01-31T10:00:00", 12 * 300_000, 0, 0, None),
        ] {
            let micros_shifted =
                shift_by(parse_timestamp(moment, false).expect("a moment"), months, days, micros);
            let told = micros_shifted.and_then(|micros| format_timestamp(micros, false));
            assert_eq!(told.as_deref(), expected, "{moment}");
        }
    }
}
