//! Time zones: the wall clock of a moment, and the moment of a wall clock. The zones are those of
//! the IANA database, under its names.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Weekday};

use super::{MICROS_PER_DAY, MICROS_PER_SECOND};

/// A zone that means the same here and in PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone(Tz);

/// Why a text is no zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZoneFault {
    /// An offset such as `-03:00`: PostgreSQL counts it to the west of Greenwich, as POSIX does,
    /// and everybody else to the east.
    Offset,
    /// Not the full name of a zone. Short ones, such as CET and EST, are offsets without summer
    /// time in PostgreSQL.
    Unknown,
}

impl Zone {
    pub(crate) fn named(name: &str) -> Result<Self, ZoneFault> {
        if name.starts_with(|first: char| !first.is_ascii_alphabetic()) {
            return Err(ZoneFault::Offset);
        }
        let full = name.contains('/') || matches!(name, "UTC" | "GMT");
        let zone = name.parse().ok().filter(|_| full);
        zone.map(Self).ok_or(ZoneFault::Unknown)
    }

    /// The wall clock at a moment, both microseconds.
    pub(crate) fn wall_clock(self, moment: i64) -> Option<i64> {
        moment.checked_add(self.offset_micros(moment)?)
    }

    /// The moment at which the zone's clock shows this, both microseconds. Of a time that a clock
    /// set forward skips, it is what the offset before makes of it; of one that a clock set back
    /// shows twice, the second; both as in PostgreSQL.
    pub(crate) fn moment_of(self, local: i64) -> Option<i64> {
        let before = self.offset_micros(local.checked_sub(MICROS_PER_DAY)?)?;
        let after = self.offset_micros(local.checked_add(MICROS_PER_DAY)?)?;
        let (with_before, with_after) = (local.checked_sub(before)?, local.checked_sub(after)?);
        let after_holds = before == after || self.offset_micros(with_after)? == after;
        let before_holds = before == after || self.offset_micros(with_before)? == before;
        // Two changes within these two days, which a few islands saw when they changed the side of
        // the date line.
        if !after_holds && !before_holds && self.offset_micros(local)? != before {
            let between = local.checked_sub(self.offset_micros(local)?)?;
            if self.wall_clock(between)? == local {
                return Some(between);
            }
        }
        Some(if after_holds { with_after } else { with_before })
    }

    /// The clocks of moments, or the moments of clocks, of arrays of timestamps.
    pub(crate) fn wall_clocks(self, moments: &ArrayRef) -> Result<ArrayRef, String> {
        each(moments, |moment| self.wall_clock(moment))
    }

    /// See [`Zone::moment_of`].
    pub(crate) fn moments_of(self, clocks: &ArrayRef) -> Result<ArrayRef, String> {
        each(clocks, |clock| self.moment_of(clock))
    }

    fn offset_micros(self, moment: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(moment.div_euclid(MICROS_PER_SECOND), 0)?.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&within_the_tables(utc)?).fix();
        Some(i64::from(offset.local_minus_utc()) * MICROS_PER_SECOND)
    }
}

fn each(values: &ArrayRef, convert: impl Fn(i64) -> Option<i64>) -> Result<ArrayRef, String> {
    let values: PrimitiveArray<TimestampMicrosecondType> = values
        .as_primitive::<TimestampMicrosecondType>()
        .try_unary(|value| convert(value).ok_or("timestamp out of range"))?;
    Ok(Arc::new(values))
}

/// The zones' tables end with the year 2099, their rules do not: a later year is looked up in one
/// whose days fall on the same weekdays. Rules name weekdays of months, none of them in January or
/// February.
fn within_the_tables(utc: NaiveDateTime) -> Option<NaiveDateTime> {
    const FIRST: i32 = 2089;
    const LAST: i32 = 2099;
    if utc.year() <= LAST {
        return Some(utc);
    }
    let winter = utc.month() <= 2;
    let first_day = |year: i32| -> Option<Weekday> {
        Some(NaiveDate::from_ymd_opt(year, if winter { 1 } else { 3 }, 1)?.weekday())
    };
    let wanted = first_day(utc.year())?;
    let year = (FIRST..=LAST).find(|year| first_day(*year) == Some(wanted))?;
    let last_day = if utc.month() == 2 { 28 } else { 31 };
    Some(NaiveDate::from_ymd_opt(year, utc.month(), utc.day().min(last_day))?.and_time(utc.time()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::{format_timestamp, parse_timestamp};

    fn local(zone: &str, moment: &str) -> String {
        let zone = Zone::named(zone).expect("a zone");
        format_timestamp(
            zone.wall_clock(parse_timestamp(moment, true).expect("a moment")).expect("a clock"),
            false,
        )
        .expect("a text")
    }

    fn utc(zone: &str, clock: &str) -> String {
        let zone = Zone::named(zone).expect("a zone");
        format_timestamp(
            zone.moment_of(parse_timestamp(clock, false).expect("a clock")).expect("a moment"),
            false,
        )
        .expect("a text")
    }

    #[test]
    fn every_year_has_a_clock() {
        for (zone, moment, expected) in [
            ("America/Sao_Paulo", "0001-01-01T00:00:00Z", "0001-12-31 20:53:32 BC"),
            ("America/Sao_Paulo", "9999-12-31T23:59:59Z", "9999-12-31 20:59:59"),
            ("Europe/Berlin", "2150-07-01T00:00:00Z", "2150-07-01 02:00:00"),
            ("Europe/Berlin", "2150-01-01T00:00:00Z", "2150-01-01 01:00:00"),
            ("Europe/Berlin", "9996-03-31T00:59:59Z", "9996-03-31 01:59:59"),
            ("Europe/Berlin", "9996-03-31T01:00:00Z", "9996-03-31 03:00:00"),
            ("Asia/Tokyo", "9999-12-31T23:00:00Z", "10000-01-01 08:00:00"),
        ] {
            assert_eq!(local(zone, moment), expected, "{zone} at {moment}");
        }
    }

    #[test]
    fn gaps_and_overlaps_are_decided_as_in_postgresql() {
        for (zone, clock, expected) in [
            ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31 01:30:00"),
            ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27 01:30:00"),
            ("America/New_York", "2024-03-10T02:30:00", "2024-03-10 07:30:00"),
            ("America/New_York", "2024-11-03T01:30:00", "2024-11-03 06:30:00"),
            ("America/Sao_Paulo", "2018-11-04T00:30:00", "2018-11-04 03:30:00"),
            ("America/Sao_Paulo", "2018-02-17T23:30:00", "2018-02-18 02:30:00"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30 22:00:00"),
        ] {
            assert_eq!(utc(zone, clock), expected, "{clock} in {zone}");
        }
    }

    #[test]
    fn offsets_and_short_names_are_no_zones() {
        for (name, fault) in [
            ("-03:00", ZoneFault::Offset),
            ("+3", ZoneFault::Offset),
            ("CET", ZoneFault::Unknown),
            ("Mars/Olympus", ZoneFault::Unknown),
        ] {
            assert_eq!(Zone::named(name).expect_err(name), fault);
        }
        assert!(["UTC", "GMT", "Etc/GMT+3"].iter().all(|name| Zone::named(name).is_ok()));
    }
}
