//! Dates and timestamps as texts, in the forms that PostgreSQL prints and reads.

use chrono::{DateTime, Datelike, NaiveDate};

use super::MICROS_PER_SECOND;

/// As PostgreSQL prints a timestamp: `2024-05-20 10:00:00.5+00`.
pub(crate) fn format_timestamp(micros: i64, with_zone: bool) -> Option<String> {
    format(micros, ' ', if with_zone { "+00" } else { "" })
}

/// ISO 8601: `2024-05-20T10:00:00.5Z`, without the Z where the moment has no zone.
pub(crate) fn format_iso(micros: i64, with_zone: bool) -> Option<String> {
    format(micros, 'T', if with_zone { "Z" } else { "" })
}

/// As PostgreSQL prints a date.
pub(crate) fn format_date(days: i32) -> Option<String> {
    let (day, era) = day_and_era(NaiveDate::from_epoch_days(days)?);
    Some(day + era)
}

fn format(micros: i64, between: char, zone: &str) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    let (mut printed, era) = day_and_era(moment.date_naive());
    printed.push(between);
    printed.push_str(&moment.format("%H:%M:%S").to_string());
    printed.push_str(&printed_fraction(micros));
    printed.push_str(zone);
    printed.push_str(era);
    Some(printed)
}

/// What stands behind the seconds: nothing, or a point and the digits up to the last one that counts.
pub(crate) fn printed_fraction(micros: i64) -> String {
    match micros.rem_euclid(MICROS_PER_SECOND) {
        0 => String::new(),
        fraction => format!(".{fraction:06}").trim_end_matches('0').to_owned(),
    }
}

/// The year before the year 1 is 1 BC; a year has four digits or more, and no sign.
fn day_and_era(date: NaiveDate) -> (String, &'static str) {
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    (format!("{year:04}-{:02}-{:02}", date.month(), date.day()), era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_in_postgresql() {
        assert_eq!(
            format_timestamp(1_716_199_200_500_000, true).as_deref(),
            Some("2024-05-20 10:00:00.5+00")
        );
        assert_eq!(format_timestamp(-1, false).as_deref(), Some("1969-12-31 23:59:59.999999"));
        assert_eq!(format_date(-1).as_deref(), Some("1969-12-31"));
    }

    #[test]
    fn the_ends_of_the_calendar_print_as_in_postgresql() {
        assert_eq!(format_date(-719_162).as_deref(), Some("0001-01-01"));
        assert_eq!(format_date(-719_163).as_deref(), Some("0001-12-31 BC"));
        assert_eq!(
            format_timestamp(-62_135_596_800_000_001, true).as_deref(),
            Some("0001-12-31 23:59:59.999999+00 BC")
        );
        assert_eq!(
            format_timestamp(253_402_300_800_000_000, false).as_deref(),
            Some("10000-01-01 00:00:00")
        );
        assert_eq!(
            format_iso(253_402_300_800_000_000, true).as_deref(),
            Some("10000-01-01T00:00:00Z")
        );
    }
}
