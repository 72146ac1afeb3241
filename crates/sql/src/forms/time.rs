//! `TIME`: a time of day, without a zone.

use std::io::Write;

use serde_json::json;

use super::Form;

pub static TIME: Form = Form {
    name: "TIME",
    wanted: "a time of day such as 08:30:00",
    rule: "time",
    read,
    write_binary,
    schema: || json!({ "type": "string", "pattern": r"^\d{2}:\d{2}(:\d{2}(\.\d+)?)?$" }),
    examples: &["00:00:00", "08:30:00", "12:00:00", "17:45:30.5", "23:59:59.999999"],
};

const MICROSECONDS: i64 = 1_000_000;
const DAY_MICROSECONDS: i64 = 86_400 * MICROSECONDS;

/// `08:30`, `08:30:00` or `08:30:00.5`. As in PostgreSQL a 60th second is the next minute's first,
/// `24:00:00` is the end of the day, and digits beyond the microsecond are rounded. A zone is
/// refused: PostgreSQL would drop it without a word.
fn read(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let microseconds = microseconds(text)?;
    let (seconds, fraction) = (microseconds / MICROSECONDS, microseconds % MICROSECONDS);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hour:02}:{minute:02}:{second:02}").ok()?;
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        write!(out, ".{}", digits.trim_end_matches('0')).ok()?;
    }
    Some(())
}

/// Microseconds since midnight, 8 bytes.
fn write_binary(text: &str, out: &mut Vec<u8>) {
    // What was not read by us would be a fault of ours.
    out.extend_from_slice(&microseconds(text).unwrap_or_default().to_be_bytes());
}

/// Since midnight.
fn microseconds(text: &str) -> Option<i64> {
    let (hour, rest) = two_digits(text)?;
    let (minute, rest) = two_digits(rest.strip_prefix(':')?)?;
    let (second, fraction) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (second, rest) = two_digits(rest)?;
            let digits = rest.strip_prefix('.');
            (second, digits.map_or_else(|| rest.is_empty().then_some(0), rounded_fraction)?)
        }
        None => (0, rest.is_empty().then_some(0)?),
    };
    let whole = (hour * 60 + minute) * 60 + second;
    let found = whole * MICROSECONDS + fraction;
    (minute < 60 && second <= 60 && found <= DAY_MICROSECONDS).then_some(found)
}

/// The digits behind the point in microseconds, a half to the even one.
fn rounded_fraction(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (kept, beyond) = digits.split_at(digits.len().min(6));
    let microseconds: i64 = format!("{kept:0<6}").parse().ok()?;
    let is_above_half = beyond.trim_end_matches('0') > "5";
    let is_half = beyond.trim_end_matches('0') == "5";
    Some(microseconds + i64::from(is_above_half || is_half && microseconds % 2 == 1))
}

fn two_digits(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| is_number)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was tried on PostgreSQL 15.
    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        for (text, normal) in [
            ("08:30", "08:30:00"),
            ("08:30:00.500", "08:30:00.5"),
            ("23:59:60", "24:00:00"),
            ("24:00:00", "24:00:00"),
            ("00:00:00.0000005", "00:00:00"),
            ("00:00:00.0000015", "00:00:00.000002"),
            ("00:00:00.00000051", "00:00:00.000001"),
            ("12:34:56.123456", "12:34:56.123456"),
        ] {
            assert_eq!(TIME.normal(text).as_deref(), Some(normal), "{text}");
        }
        for text in [
            "",
            "8:30",
            "08:60",
            "24:00:01",
            "08:30:",
            "08:30:00.",
            "08:30+02",
            "08:30:61",
            "ab:cd",
        ] {
            assert_eq!(TIME.normal(text), None, "{text}");
        }
    }

    #[test]
    fn the_binary_form_is_microseconds() {
        let mut binary = Vec::new();
        (TIME.write_binary)("00:00:01.5", &mut binary);
        assert_eq!(binary, 1_500_000_i64.to_be_bytes());
    }
}
