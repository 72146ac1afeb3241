//! Texts as dates and timestamps, in the forms of ISO 8601 that PostgreSQL reads:
//! `2024-05-20T10:00:00.5-03:00`. T may be a space, seconds and all behind them may be left out, a
//! zone is an offset, `Z`, `UTC` or a zone's full name, and without one the time is UTC.

use chrono::{Datelike, NaiveDate};

use super::{MICROS_PER_DAY, MICROS_PER_SECOND, Zone};

/// The first microsecond after the year 9999.
const YEAR_10000: i64 = 253_402_300_800_000_000;

/// Microseconds since 1970 UTC. Where the zone is not wanted it is read and not looked at, as in
/// PostgreSQL.
pub(crate) fn parse_timestamp(text: &str, zone_wanted: bool) -> Option<i64> {
    let (date, time) = split(text)?;
    let days = i64::from(days_of(date)?);
    let Some(time) = time else { return Some(days * MICROS_PER_DAY) };
    let (of_day, zone) = time_of_day(time)?;
    let local = rounded(days * MICROS_PER_DAY + of_day.micros, of_day.carried);
    let at_utc = moment_in(zone.trim(), local)?;
    Some(if zone_wanted { at_utc } else { local })
}

/// Days since 1970; a time behind the date is read and cut.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let (date, time) = split(text)?;
    if let Some(time) = time {
        let (_, zone) = time_of_day(time)?;
        moment_in(zone.trim(), 0)?;
    }
    days_of(date)
}

/// A fraction that rounds up at the very end of the year 9999 is cut: the next microsecond is in a
/// year of five digits, which nobody wrote. It is what .NET has as its last moment,
/// `9999-12-31T23:59:59.9999999`.
fn rounded(micros: i64, carried: bool) -> i64 {
    if carried && micros == YEAR_10000 { micros - 1 } else { micros }
}

/// The date, and the time behind `T` or a space.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.trim();
    let (date, behind) = text.split_at_checked(10)?;
    match behind.as_bytes().first() {
        None => Some((date, None)),
        Some(b'T' | b't' | b' ') => Some((date, Some(behind[1..].trim_start()))),
        Some(_) => None,
    }
}

fn days_of(date: &str) -> Option<i32> {
    let bytes = date.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) =
        (digits(date.get(..4)?)?, digits(date.get(5..7)?)?, digits(date.get(8..10)?)?);
    // There is no year 0.
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)
        .filter(|date| date.year() > 0)?;
    Some(date.to_epoch_days())
}

struct TimeOfDay {
    micros: i64,
    /// Whether the fraction was rounded up.
    carried: bool,
}

/// The time, and what stands behind it. A 60th second becomes the next minute's first, and 24:00:00
/// the next day's.
fn time_of_day(text: &str) -> Option<(TimeOfDay, &str)> {
    let mut rest = text;
    let hour = two_digits(&mut rest)?;
    let minute = behind_colon(&mut rest)?;
    let mut second = 0;
    let (mut fraction, mut carried) = (0, false);
    if rest.starts_with(|first: char| first == ':' || first.is_ascii_digit()) {
        second = behind_colon(&mut rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            let length = behind.bytes().take_while(u8::is_ascii_digit).count();
            (fraction, carried) = fraction_micros(&behind.as_bytes()[..length])?;
            rest = &behind[length..];
        }
    }
    let micros = (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + fraction;
    let exists =
        minute < 60 && second <= 60 && hour <= 24 && (hour < 24 || micros <= MICROS_PER_DAY);
    exists.then_some((TimeOfDay { micros, carried }, rest))
}

/// The digits behind the point, rounded to microseconds, a half to the even one; and whether that
/// went up.
pub(crate) fn fraction_micros(digits: &[u8]) -> Option<(i64, bool)> {
    let place = |index: usize| digits.get(index).map_or(0, |digit| i64::from(digit - b'0'));
    let micros = (0..6).fold(0, |sum, index| sum * 10 + place(index));
    let behind_half = digits.iter().skip(7).any(|digit| *digit != b'0') || micros % 2 == 1;
    let up = place(6) > 5 || (place(6) == 5 && behind_half);
    (!digits.is_empty()).then_some((micros + i64::from(up), up))
}

/// A local time of a zone as microseconds of UTC.
fn moment_in(zone: &str, local: i64) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") || zone.eq_ignore_ascii_case("utc") {
        return Some(local);
    }
    let Some((sign, offset)) = zone
        .strip_prefix('+')
        .map(|rest| (1, rest))
        .or_else(|| zone.strip_prefix('-').map(|rest| (-1, rest)))
    else {
        return Zone::named(zone).ok()?.moment_of(local);
    };
    let mut rest = offset;
    let hours = two_digits(&mut rest)?;
    let minutes = if rest.is_empty() { 0 } else { behind_colon(&mut rest)? };
    let seconds = if rest.is_empty() { 0 } else { behind_colon(&mut rest)? };
    if hours > 15 || minutes > 59 || seconds > 59 || !rest.is_empty() {
        return None;
    }
    Some(local - sign * (hours * 3600 + minutes * 60 + seconds) * MICROS_PER_SECOND)
}

fn behind_colon(rest: &mut &str) -> Option<i64> {
    *rest = rest.strip_prefix(':').unwrap_or(rest);
    two_digits(rest)
}

pub(crate) fn two_digits(rest: &mut &str) -> Option<i64> {
    let (number, behind) = rest.split_at_checked(2)?;
    *rest = behind;
    digits(number)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_moments() {
        let at_ten = 1_716_199_200_000_000;
        let cases = [
            ("2024-05-20T10:00:00Z", true, Some(at_ten)),
            (" 2024-05-20 10:00:00 ", true, Some(at_ten)),
            ("2024-05-20 10:00", true, Some(at_ten)),
            ("2024-05-20T100000", true, Some(at_ten)),
            ("2024-05-20T12:00:00+02:00", true, Some(at_ten)),
            ("2024-05-20 12:00:00 +02", true, Some(at_ten)),
            ("2024-05-20 10:00:00 UTC", true, Some(at_ten)),
            ("2024-05-20 07:00:00 America/Sao_Paulo", true, Some(at_ten)),
            ("2024-05-20T10:00:00+02:00", false, Some(at_ten)),
            ("2024-05-20T10:00:00.5Z", false, Some(at_ten + 500_000)),
            ("2024-05-20T10:00:00.1234565", false, Some(at_ten + 123_456)),
            ("2024-05-20T10:00:00.1234575", false, Some(at_ten + 123_458)),
            ("2024-05-20T09:59:59.9999999", false, Some(at_ten)),
            ("2024-05-20T09:59:60", false, Some(at_ten)),
            ("2024-05-20", true, Some(at_ten - 36_000_000_000)),
            ("9999-12-31T23:59:59.9999999Z", true, Some(YEAR_10000 - 1)),
            ("9999-12-31 23:59:59.9999999", false, Some(YEAR_10000 - 1)),
            ("0001-01-01T00:00:00Z", true, Some(-62_135_596_800_000_000)),
            ("0000-01-01T00:00:00Z", true, None),
            ("2024-02-30", true, None),
            ("2024-05-20T24:00:01", true, None),
            ("2024-05-20T10:00:00+16:00", true, None),
            ("2024-05-20T10:00:00 nowhere", false, None),
            ("20 May", true, None),
            ("", true, None),
        ];
        for (text, zone_wanted, expected) in cases {
            assert_eq!(parse_timestamp(text, zone_wanted), expected, "{text}");
        }
        assert_eq!(parse_date("1970-01-03T23:00:00-05:00"), Some(2));
        assert_eq!(parse_date("1970-01-03T23:59:59.9999999"), Some(2));
        assert_eq!(parse_date("1970-01-03T25:00:00"), None);
    }
}
