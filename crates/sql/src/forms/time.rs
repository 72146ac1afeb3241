//! `TIME`: a time of day, without a zone.

use std::io::Write;

use serde_json::json;

use super::Form;
use crate::moment::{
    MICROS_PER_DAY, MICROS_PER_SECOND, fraction_micros, printed_fraction, two_digits,
};

pub static TIME: Form = Form {
    name: "TIME",
    wanted: "a time of day such as 08:30:00",
    rule: "time",
    read,
    write_binary,
    schema: || json!({ "type": "string", "pattern": r"^\d{2}:\d{2}(:\d{2}(\.\d+)?)?$" }),
    examples: &["00:00:00", "08:30:00", "12:00:00", "17:45:30.5", "23:59:59.999999"],
};

/// `08:30`, `08:30:00` or `08:30:00.5`. As in PostgreSQL a 60th second is the next minute's first,
/// `24:00:00` is the end of the day, and digits beyond the microsecond are rounded. A zone is
/// refused: PostgreSQL would drop it without a word.
fn read(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let micros = micros(text)?;
    let seconds = micros / MICROS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hour:02}:{minute:02}:{second:02}{}", printed_fraction(micros)).ok()
}

/// Microseconds since midnight, 8 bytes.
fn write_binary(text: &str, out: &mut Vec<u8>) {
    // What was not read by us would be a fault of ours.
    out.extend_from_slice(&micros(text).unwrap_or_default().to_be_bytes());
}

/// Since midnight.
fn micros(text: &str) -> Option<i64> {
    let mut rest = text;
    let hour = two_digits(&mut rest)?;
    let minute = behind_colon(&mut rest)?;
    let (mut second, mut fraction) = (0, 0);
    if !rest.is_empty() {
        second = behind_colon(&mut rest)?;
    }
    if let Some(digits) = rest.strip_prefix('.') {
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
        (fraction, _) = fraction_micros(digits.as_bytes()).filter(|_| are_digits)?;
    } else if !rest.is_empty() {
        return None;
    }
    let found = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + fraction;
    (minute < 60 && second <= 60 && found <= MICROS_PER_DAY).then_some(found)
}

/// Unlike in a timestamp the colon must be there: `0830` is a number of some kind.
fn behind_colon(rest: &mut &str) -> Option<i64> {
    *rest = rest.strip_prefix(':')?;
    two_digits(rest)
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
