//! Exact decimals as they stand in the file; they are compared, never calculated with.

use std::cmp::Ordering;

use super::ColumnType;
use super::column_type::ValueKind;

/// More digits than any type holds are a mistake.
const MAX_DIGITS: usize = 60;

/// A decimal number, without needless zeros before it; those behind the point are kept, for they
/// say how exact it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    /// `-12.50`; no exponent, no infinity.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits
            .split_once('.')
            .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole)
            || fraction.is_some_and(|fraction| !is_digits(fraction))
            || digits.len() > MAX_DIGITS
        {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.unwrap_or_default();
        let is_zero = whole.is_empty() && fraction.bytes().all(|byte| byte == b'0');
        let whole = if whole.is_empty() { "0" } else { whole };
        Some(Self {
            negative: negative && !is_zero,
            whole: whole.to_string(),
            fraction: fraction.to_string(),
        })
    }

    /// Digits behind the point, as written.
    pub fn decimals(&self) -> u32 {
        u32::try_from(self.fraction.len()).unwrap_or(u32::MAX)
    }

    pub fn is_integer(&self) -> bool {
        self.fraction.bytes().all(|byte| byte == b'0')
    }

    fn magnitude(&self) -> (usize, &str, &str) {
        (self.whole.len(), &self.whole, self.fraction.trim_end_matches('0'))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self {
            negative: number < 0,
            whole: number.unsigned_abs().to_string(),
            fraction: String::new(),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.magnitude().cmp(&other.magnitude()),
            (true, true) => other.magnitude().cmp(&self.magnitude()),
        })
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, point) =
            (if self.negative { "-" } else { "" }, if self.fraction.is_empty() { "" } else { "." });
        write!(f, "{sign}{}{point}{}", self.whole, self.fraction)
    }
}

/// The least and the greatest value of an integer type.
pub(super) fn integer_range(scalar: ColumnType) -> Option<(i64, i64)> {
    match scalar.values() {
        ValueKind::SmallInt => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
        ValueKind::Integer => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        ValueKind::BigInt => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stays_exact() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("007.50", "7.50"),
            ("+1", "1"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
            ("-99999999999999999999999999.9", "-99999999999999999999999999.9"),
        ] {
            assert_eq!(
                Decimal::parse(text).map(|decimal| decimal.to_string()).as_deref(),
                Some(shown),
                "{text}"
            );
        }
        for text in ["", "-", ".5", "5.", "1e3", "1,5", "NaN", "0x10", "--1", " 1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn order() {
        let ascending =
            ["-100", "-10.5", "-10.25", "-0.01", "0", "0.009", "0.01", "2", "10", "10.001"];
        for pair in ascending.windows(2) {
            assert!(Decimal::parse(pair[0]) < Decimal::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(
            Decimal::parse("1.50").partial_cmp(&Decimal::parse("1.5")),
            Some(Ordering::Equal)
        );
    }
}
