//! date_trunc and date_bin, in every year.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::try_binary;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use chrono::{DateTime, Datelike, NaiveDate};

use super::{MICROS_PER_DAY, MICROS_PER_SECOND, Zone};

/// What date_trunc cuts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

impl Unit {
    /// The names of the units, as PostgreSQL's manual has them.
    pub(crate) const NAMES: [(&'static str, Self); 13] = [
        ("microseconds", Self::Microseconds),
        ("milliseconds", Self::Milliseconds),
        ("second", Self::Second),
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
        ("decade", Self::Decade),
        ("century", Self::Century),
        ("millennium", Self::Millennium),
    ];

    /// The unit of a name, in the singular or the plural.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let same = |known: &str| known.trim_end_matches('s') == name.trim_end_matches('s');
        Self::NAMES.iter().find(|(known, _)| same(known)).map(|(_, unit)| *unit)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, unit)| *unit == self).map_or("day", |(name, _)| name)
    }

    /// The beginning of the unit in which a clock's time stands.
    fn start(self, micros: i64) -> Option<i64> {
        let cut = |unit: i64| micros.checked_sub(micros.rem_euclid(unit));
        match self {
            Self::Microseconds => Some(micros),
            Self::Milliseconds => cut(1_000),
            Self::Second => cut(MICROS_PER_SECOND),
            Self::Minute => cut(60 * MICROS_PER_SECOND),
            Self::Hour => cut(3600 * MICROS_PER_SECOND),
            Self::Day => cut(MICROS_PER_DAY),
            // The first day of 1970 was a Thursday, three days after a Monday.
            Self::Week => micros
                .checked_add(3 * MICROS_PER_DAY)?
                .div_euclid(7 * MICROS_PER_DAY)
                .checked_mul(7 * MICROS_PER_DAY)?
                .checked_sub(3 * MICROS_PER_DAY),
            Self::Month
            | Self::Quarter
            | Self::Year
            | Self::Decade
            | Self::Century
            | Self::Millennium => {
                let date = DateTime::from_timestamp_micros(micros)?.date_naive();
                let (year, month) = self.first_month(date);
                i64::from(NaiveDate::from_ymd_opt(year, month, 1)?.to_epoch_days())
                    .checked_mul(MICROS_PER_DAY)
            }
        }
    }

    fn first_month(self, date: NaiveDate) -> (i32, u32) {
        let year = date.year();
        // Centuries and millennia end with their round year, before the year 1 too: 100 BC to 1 BC
        // is one century.
        let behind_round = |years: i32| (year - 1).div_euclid(years) * years + 1;
        match self {
            Self::Month => (year, date.month()),
            Self::Quarter => (year, date.month0() / 3 * 3 + 1),
            Self::Decade => (year.div_euclid(10) * 10, 1),
            Self::Century => (behind_round(100), 1),
            Self::Millennium => (behind_round(1000), 1),
            _ => (year, 1),
        }
    }
}

/// Every timestamp cut to the unit, by the clock of the zone where there is one.
pub(crate) fn truncate(
    moments: &ArrayRef,
    unit: Unit,
    zone: Option<Zone>,
) -> Result<ArrayRef, String> {
    let start = |micros: i64| -> Option<i64> {
        let Some(zone) = zone else { return unit.start(micros) };
        let clock = zone.wall_clock(micros)?;
        let start = unit.start(clock)?;
        // Within a day PostgreSQL keeps the offset that the moment has.
        let within_day = matches!(
            unit,
            Unit::Microseconds | Unit::Milliseconds | Unit::Second | Unit::Minute | Unit::Hour
        );
        if within_day { micros.checked_sub(clock - start) } else { zone.moment_of(start) }
    };
    let values = moments.as_primitive::<TimestampMicrosecondType>();
    let cut: PrimitiveArray<TimestampMicrosecondType> =
        values.try_unary(|micros| start(micros).ok_or("timestamp out of range"))?;
    Ok(Arc::new(cut.with_data_type(moments.data_type().clone())))
}

/// Every timestamp moved back to a whole number of strides from its origin.
pub(crate) fn bin(
    moments: &ArrayRef,
    stride_micros: i64,
    origins: &ArrayRef,
) -> Result<ArrayRef, String> {
    let out_of_range = || ArrowError::ComputeError("timestamp out of range".into());
    let start = |micros: i64, origin: i64| {
        let past = micros.checked_sub(origin).map(|distance| distance.rem_euclid(stride_micros));
        past.and_then(|past| micros.checked_sub(past)).ok_or_else(out_of_range)
    };
    let (values, origins) = (
        moments.as_primitive::<TimestampMicrosecondType>(),
        origins.as_primitive::<TimestampMicrosecondType>(),
    );
    let binned: PrimitiveArray<TimestampMicrosecondType> =
        try_binary(values, origins, start).map_err(|_| "timestamp out of range".to_owned())?;
    Ok(Arc::new(binned.with_data_type(moments.data_type().clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::{format_timestamp, parse_timestamp};

    #[test]
    fn every_unit_begins_where_postgresql_says() {
        for (unit, moment, expected) in [
            ("week", "0001-01-03T10:00:00", "0001-01-01 00:00:00"),
            ("week", "2024-05-20T10:00:00", "2024-05-20 00:00:00"),
            ("week", "1969-12-31T10:00:00", "1969-12-29 00:00:00"),
            ("decade", "2024-05-20T10:00:00", "2020-01-01 00:00:00"),
            ("decade", "0009-05-20T10:00:00", "0001-01-01 00:00:00 BC"),
            ("century", "2000-05-20T10:00:00", "1901-01-01 00:00:00"),
            ("millennium", "9999-12-31T23:59:59.999999", "9001-01-01 00:00:00"),
            ("quarter", "9999-12-31T23:59:59.999999", "9999-10-01 00:00:00"),
            ("hours", "0001-01-01T00:59:59.5", "0001-01-01 00:00:00"),
            ("milliseconds", "1969-12-31T23:59:59.123456", "1969-12-31 23:59:59.123"),
        ] {
            let micros = parse_timestamp(moment, false).expect("a moment");
            let start = Unit::of_name(unit).and_then(|unit| unit.start(micros)).expect("a unit");
            assert_eq!(
                format_timestamp(start, false).as_deref(),
                Some(expected),
                "{unit} of {moment}"
            );
        }
        assert!(Unit::NAMES.iter().all(|(name, unit)| unit.name() == *name));
        assert_eq!(Unit::of_name("fortnight"), None);
    }
}
