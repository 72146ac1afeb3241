//! Dates and times: ISO 8601 and RFC 3339, read as PostgreSQL reads them.
//!
//! A time without a zone is UTC. A 60th second becomes the next minute's first and `24:00:00` the
//! next day's, both as in PostgreSQL; digits beyond the microsecond are rounded, as there.

use chrono::{Datelike, NaiveDate};

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFault {
    /// It does not look like one.
    Shape,
    /// It does, but there is no such day, hour, minute, second or offset.
    Range,
}

const MICROSECONDS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Days since 1970 of `2024-05-20`.
pub fn parse_date(text: &str) -> Result<i32, TimeFault> {
    let mut rest = text.as_bytes();
    let day = date(&mut rest)?;
    if rest.is_empty() { Ok(day) } else { Err(TimeFault::Shape) }
}

/// Microseconds since 1970 UTC of `2024-05-20T10:00:00.5-03:00`; T may be a space, seconds and all
/// behind them may be left out, and a date alone is its midnight.
pub fn parse_timestamp(text: &str) -> Result<i64, TimeFault> {
    let mut rest = text.as_bytes();
    let day = i64::from(date(&mut rest)?);
    let (mut microseconds, mut offset_seconds) = (0, 0);
    if !rest.is_empty() {
        take_one_of(&mut rest, b"Tt ").ok_or(TimeFault::Shape)?;
        let rounded_up;
        (microseconds, rounded_up) = time_of_day(&mut rest)?;
        microseconds = within_calendar(day, microseconds, rounded_up);
        offset_seconds = zone(&mut rest)?;
    }
    if !rest.is_empty() {
        return Err(TimeFault::Shape);
    }
    Ok(day * DAY_SECONDS * MICROSECONDS + microseconds - offset_seconds * MICROSECONDS)
}

/// Microseconds of the day as the calendar holds them: a fraction that rounds up at the very end of
/// the year 9999 is cut, because the next microsecond is in a year of five digits, which nobody
/// wrote. .NET has `9999-12-31T23:59:59.9999999` as its last moment.
fn within_calendar(day: i64, microseconds: i64, rounded_up: bool) -> i64 {
    const LAST_DAY: i64 = 2_932_896;
    let past_end = rounded_up && day == LAST_DAY && microseconds == DAY_SECONDS * MICROSECONDS;
    if past_end { microseconds - 1 } else { microseconds }
}

fn date(rest: &mut &[u8]) -> Result<i32, TimeFault> {
    let year = number(rest, 4)?;
    take_one_of(rest, b"-").ok_or(TimeFault::Shape)?;
    let month = number(rest, 2)?;
    take_one_of(rest, b"-").ok_or(TimeFault::Shape)?;
    let day = number(rest, 2)?;
    // There is no year 0.
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)
        .filter(|_| year > 0)
        .ok_or(TimeFault::Range)?;
    Ok(date.num_days_from_ce() - NaiveDate::default().num_days_from_ce())
}

/// Microseconds since midnight, and whether a fraction was rounded up to them.
fn time_of_day(rest: &mut &[u8]) -> Result<(i64, bool), TimeFault> {
    let hour = number(rest, 2)?;
    take_one_of(rest, b":").ok_or(TimeFault::Shape)?;
    let minute = number(rest, 2)?;
    let (mut second, mut fraction, mut rounded_up) = (0, 0, false);
    if take_one_of(rest, b":").is_some() {
        second = number(rest, 2)?;
        if take_one_of(rest, b".").is_some() {
            (fraction, rounded_up) = fraction_microseconds(rest)?;
        }
    }
    let microseconds = (hour * 3600 + minute * 60 + second) * MICROSECONDS + fraction;
    if minute > 59
        || second > 60
        || hour > 24
        || (hour == 24 && microseconds > DAY_SECONDS * MICROSECONDS)
    {
        return Err(TimeFault::Range);
    }
    Ok((microseconds, rounded_up))
}

/// The digits behind the point, rounded to microseconds, a half to the even one; and whether that
/// went up.
fn fraction_microseconds(rest: &mut &[u8]) -> Result<(i64, bool), TimeFault> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, behind) = rest.split_at(digits);
    *rest = behind;
    if fraction.is_empty() {
        return Err(TimeFault::Shape);
    }
    let place = |index: usize| fraction.get(index).map_or(0, |digit| i64::from(digit - b'0'));
    let microseconds = (0..6).fold(0, |sum, index| sum * 10 + place(index));
    let behind_half = fraction.iter().skip(7).any(|&digit| digit != b'0') || microseconds % 2 == 1;
    let up = place(6) > 5 || (place(6) == 5 && behind_half);
    Ok((microseconds + i64::from(up), up))
}

/// Seconds east of Greenwich: `Z`, `+03:00`, `-0300`, `+03` or nothing.
fn zone(rest: &mut &[u8]) -> Result<i64, TimeFault> {
    let sign = match take_one_of(rest, b"Zz+-") {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Ok(0),
    };
    let hours = number(rest, 2)?;
    let minutes =
        if take_one_of(rest, b":").is_some() || !rest.is_empty() { number(rest, 2)? } else { 0 };
    if hours > 15 || minutes > 59 {
        return Err(TimeFault::Range);
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

/// Exactly so many digits.
fn number(rest: &mut &[u8], digits: usize) -> Result<i64, TimeFault> {
    let (number, behind) = rest.split_at_checked(digits).ok_or(TimeFault::Shape)?;
    *rest = behind;
    number.iter().try_fold(0, |value, byte| {
        if byte.is_ascii_digit() {
            Ok(value * 10 + i64::from(byte - b'0'))
        } else {
            Err(TimeFault::Shape)
        }
    })
}

fn take_one_of(rest: &mut &[u8], wanted: &[u8]) -> Option<u8> {
    let (&first, behind) = rest.split_first()?;
    if !wanted.contains(&first) {
        return None;
    }
    *rest = behind;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        let moment = 1_716_199_200_000_000; // 2024-05-20T10:00:00Z
        for (text, time) in [
            ("2024-05-20T10:00:00Z", Ok(moment)),
            ("2024-05-20T10:00:00", Ok(moment)),
            ("2024-05-20 10:00:00", Ok(moment)),
            ("2024-05-20t10:00z", Ok(moment)),
            ("2024-05-20T07:00:00-03:00", Ok(moment)),
            ("2024-05-20T07:00:00-0300", Ok(moment)),
            ("2024-05-20T12:00:00+02", Ok(moment)),
            ("2024-05-20T10:00:00.000001Z", Ok(moment + 1)),
            ("2024-05-20T10:00:00.5+00:00", Ok(moment + 500_000)),
            ("2024-05-20T10:00:00.1234564999Z", Ok(moment + 123_456)),
            ("2024-05-20T10:00:00.1234565Z", Ok(moment + 123_456)),
            ("2024-05-20T10:00:00.12345650Z", Ok(moment + 123_456)),
            ("2024-05-20T10:00:00.12345651Z", Ok(moment + 123_457)),
            ("2024-05-20T10:00:00.1234575Z", Ok(moment + 123_458)),
            ("2024-05-20T09:59:59.9999999Z", Ok(moment)),
            ("2024-05-20T09:59:60Z", Ok(moment)),
            ("2024-05-20", Ok(moment - 36_000_000_000)),
            ("2024-05-19T24:00:00Z", Ok(moment - 36_000_000_000)),
            ("1969-12-31T23:59:59.999999Z", Ok(-1)),
            ("0001-01-01T00:00:00Z", Ok(-62_135_596_800_000_000)),
            ("9999-12-31T23:59:59.999999Z", Ok(253_402_300_799_999_999)),
            ("9999-12-31T23:59:59.9999999Z", Ok(253_402_300_799_999_999)),
            ("9999-12-31T23:59:59.9999999-03:00", Ok(253_402_300_799_999_999 + 10_800_000_000)),
            ("2024-05-20T24:61:00Z", Err(TimeFault::Range)),
            ("2024-05-20T24:00:01Z", Err(TimeFault::Range)),
            ("2024-05-20T23:59:61Z", Err(TimeFault::Range)),
            ("2024-02-30T00:00:00Z", Err(TimeFault::Range)),
            ("2023-02-29T00:00:00Z", Err(TimeFault::Range)),
            ("2024-13-01T00:00:00Z", Err(TimeFault::Range)),
            ("0000-01-01T00:00:00Z", Err(TimeFault::Range)),
            ("2024-05-20T10:00:00+16:00", Err(TimeFault::Range)),
            ("2024-05-20T10:00:00+", Err(TimeFault::Shape)),
            ("2024-05-20T10:00:00.Z", Err(TimeFault::Shape)),
            ("2024-05-20T10", Err(TimeFault::Shape)),
            ("2024-05-20T10:00:00Zx", Err(TimeFault::Shape)),
            ("2024-05-20T", Err(TimeFault::Shape)),
            ("20-05-2024", Err(TimeFault::Shape)),
            ("infinity", Err(TimeFault::Shape)),
            ("", Err(TimeFault::Shape)),
            ("+024-05-20", Err(TimeFault::Shape)),
        ] {
            assert_eq!(parse_timestamp(text), time, "{text}");
        }
    }

    #[test]
    fn a_date_is_a_day_and_nothing_else() {
        for (text, day) in [
            ("1970-01-01", Ok(0)),
            ("2024-02-29", Ok(19_782)),
            ("0001-01-01", Ok(-719_162)),
            ("2024-02-29T00:00:00", Err(TimeFault::Shape)),
            ("2024-2-29", Err(TimeFault::Shape)),
            ("2100-02-29", Err(TimeFault::Range)),
        ] {
            assert_eq!(parse_date(text), day, "{text}");
        }
    }
}
