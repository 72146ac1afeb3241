//! Numbers, exact from their digits to the column: nothing on the way is a float unless the column
//! is one.

use super::fault::{Fault, Outcome};
use super::json::Scanner;

/// Digits that a u64 always holds.
const SHORT_DIGITS: usize = 19;
/// Digits that an i64 always holds, and a digit to spare.
const PLAIN_DIGITS: usize = 17;
/// Digits of the widest decimal.
const LONG_DIGITS: usize = 38;
/// PostgreSQL's bounds of an unconstrained numeric: digits before the point, digits after it.
const NUMERIC_WHOLE_DIGITS: i64 = 131_072;
const NUMERIC_FRACTION_DIGITS: i64 = 16_383;

/// 10^0 to 10^38.
pub const POWERS_OF_TEN: [u128; LONG_DIGITS + 1] = {
    let mut powers = [1; LONG_DIGITS + 1];
    let mut power = 1;
    while power < powers.len() {
        powers[power] = powers[power - 1] * 10;
        power += 1;
    }
    powers
};

/// A number of the document: ±mantissa × 10^exponent.
#[derive(Debug, Clone, Copy)]
pub struct Number<'a> {
    /// As it was written.
    pub text: &'a str,
    negative: bool,
    mantissa: Mantissa,
    exponent: i64,
}

/// A number's digits as one integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mantissa {
    Short(u64),
    Long(u128),
    /// More than 38 digits, even without the zeros at both ends. The number's exponent is that of
    /// the last digit.
    TooLong,
}

/// Why a number is no multiple of 10^-scale within 38 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It has digits behind the last place.
    TooFine,
    TooLarge,
}

impl<'a> Scanner<'a> {
    /// Reads a number; a digit or a minus must be here.
    pub fn number(&mut self) -> Outcome<Number<'a>> {
        let start = self.at();
        let negative = self.take(b'-');
        let mut mantissa = 0;
        let whole_digits = if self.take(b'0') { 1 } else { self.digits(&mut mantissa)? };
        let fraction_digits = if self.take(b'.') { self.digits(&mut mantissa)? } else { 0 };
        let mut exponent = 0;
        if let Some(b'e' | b'E') = self.peek() {
            exponent = self.exponent()?;
        }
        let text = self.slice(start, self.at());
        if exponent != 0 || text.len() > NUMERIC_FRACTION_DIGITS as usize {
            let zero = !text
                .bytes()
                .take_while(|byte| !matches!(byte, b'e' | b'E'))
                .any(|byte| matches!(byte, b'1'..=b'9'));
            self.seen().number_beyond_numeric |=
                beyond_numeric(zero, whole_digits, fraction_digits, exponent);
        }
        if whole_digits + fraction_digits <= SHORT_DIGITS {
            let exponent = exponent.saturating_sub(fraction_digits as i64);
            return Ok(Number { text, negative, mantissa: Mantissa::Short(mantissa), exponent });
        }
        let (mantissa, exponent) = long_mantissa(text, exponent);
        Ok(Number { text, negative, mantissa, exponent })
    }

    /// Goes behind an integer that is written plainly and fits easily, as nearly all are; else
    /// None, and stays.
    #[inline]
    pub fn plain_integer(&mut self) -> Option<i64> {
        let bytes = self.bytes().get(self.at()..)?;
        let negative = bytes.first() == Some(&b'-');
        let digits = bytes.get(usize::from(negative)..)?;
        let (mut value, mut count) = (0_i64, 0);
        while let Some(digit) =
            digits.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10)
        {
            if count == PLAIN_DIGITS {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            count += 1;
        }
        let leading_zero = count > 1 && digits.first() == Some(&b'0');
        if count == 0 || leading_zero || matches!(digits.get(count), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.move_to(self.at() + usize::from(negative) + count);
        Some(if negative { -value } else { value })
    }

    /// At least one digit; the mantissa is wrong beyond 19 of them.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> Outcome<usize> {
        let start = self.at();
        let mut at = start;
        while let Some(digit) =
            self.bytes().get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10)
        {
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        self.move_to(at);
        if at == start { Err(Fault::syntax("a digit", at)) } else { Ok(at - start) }
    }

    fn exponent(&mut self) -> Outcome<i64> {
        self.move_to(self.at() + 1);
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let start = self.at();
        self.digits(&mut 0)?;
        let magnitude = self
            .slice(start, self.at())
            .parse()
            .unwrap_or(i64::from(i32::MAX))
            .min(i64::from(i32::MAX));
        Ok(if negative { -magnitude } else { magnitude })
    }
}

impl Number<'_> {
    /// The number times 10^scale, if that is whole.
    #[inline]
    pub fn scaled(&self, scale: u32) -> Result<i128, Misfit> {
        let shift = self.exponent.saturating_add(i64::from(scale));
        let power = usize::try_from(shift.unsigned_abs())
            .ok()
            .and_then(|power| POWERS_OF_TEN.get(power).copied());
        // Nearly every price ends here: 64 bits times 64 bits cannot overflow.
        if let (Mantissa::Short(mantissa), 0..=18, Some(power)) = (self.mantissa, shift, power) {
            let magnitude = (u128::from(mantissa) * u128::from(power as u64)) as i128;
            return Ok(if self.negative { -magnitude } else { magnitude });
        }
        self.scaled_slowly(shift, power)
    }

    fn scaled_slowly(&self, shift: i64, power: Option<u128>) -> Result<i128, Misfit> {
        let misfit = if shift < 0 { Misfit::TooFine } else { Misfit::TooLarge };
        let mantissa = match self.mantissa {
            Mantissa::Short(0) | Mantissa::Long(0) => return Ok(0),
            Mantissa::Short(mantissa) => mantissa.into(),
            Mantissa::Long(mantissa) => mantissa,
            Mantissa::TooLong => return Err(misfit),
        };
        let power = power.ok_or(misfit)?;
        let magnitude =
            if shift < 0 { divided(mantissa, power) } else { mantissa.checked_mul(power) }
                .ok_or(misfit)?;
        let magnitude = i128::try_from(magnitude).map_err(|_| Misfit::TooLarge)?;
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    fn is_zero(&self) -> bool {
        matches!(self.mantissa, Mantissa::Short(0) | Mantissa::Long(0))
    }

    /// The nearest double; None beyond its range, also where a number that is not 0 would become 0,
    /// as PostgreSQL has it.
    pub fn double(&self) -> Option<f64> {
        let value: f64 = self.text.parse().ok()?;
        (value.is_finite() && (value != 0.0 || self.is_zero())).then_some(value)
    }

    /// The nearest single float; None as for [`Self::double`].
    pub fn single(&self) -> Option<f32> {
        let value: f32 = self.text.parse().ok()?;
        (value.is_finite() && (value != 0.0 || self.is_zero())).then_some(value)
    }
}

/// The exact quotient; 64 bits are enough nearly always, and much faster.
fn divided(mantissa: u128, divisor: u128) -> Option<u128> {
    if let (Ok(mantissa), Ok(divisor)) = (u64::try_from(mantissa), u64::try_from(divisor)) {
        return mantissa.is_multiple_of(divisor).then(|| u128::from(mantissa / divisor));
    }
    mantissa.is_multiple_of(divisor).then(|| mantissa / divisor)
}

/// A long number's digits without the zeros at both ends, and the exponent of the last one.
fn long_mantissa(text: &str, exponent: i64) -> (Mantissa, i64) {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (digits, _) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = format!("{whole}{fraction}");
    let significant = joined.trim_end_matches('0');
    let zeros = (joined.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return (Mantissa::Short(0), 0);
    }
    let mantissa = if significant.len() <= LONG_DIGITS {
        significant.parse().map_or(Mantissa::TooLong, Mantissa::Long)
    } else {
        Mantissa::TooLong
    };
    (mantissa, exponent.saturating_sub(fraction.len() as i64).saturating_add(zeros))
}

/// Whether PostgreSQL's numeric would refuse the number. Leading zeros count as digits: a little
/// strict, never too lax.
fn beyond_numeric(zero: bool, whole_digits: usize, fraction_digits: usize, exponent: i64) -> bool {
    let whole_digits = exponent.saturating_add(whole_digits as i64);
    let fraction_digits = (fraction_digits as i64).saturating_sub(exponent);
    // Its parser refuses a huge exponent even of 0.
    let exponent_beyond = exponent.abs() >= i64::from(i32::MAX / 2);
    exponent_beyond
        || (!zero && whole_digits > NUMERIC_WHOLE_DIGITS)
        || fraction_digits > NUMERIC_FRACTION_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str, scale: u32) -> Result<i128, Misfit> {
        let mut scanner = Scanner::new(text.as_bytes(), 1).unwrap();
        let number = scanner.number().unwrap();
        assert_eq!(number.text, text);
        number.scaled(scale)
    }

    #[test]
    fn decimals_are_exact() {
        let nines = "9".repeat(38);
        for (text, scale, value) in [
            ("500.10", 18, Ok(500_100_000_000_000_000_000)),
            ("500.10", 2, Ok(50_010)),
            ("-0", 18, Ok(0)),
            ("-0.0e5", 0, Ok(0)),
            ("1e2", 0, Ok(100)),
            ("1E-2", 2, Ok(1)),
            ("1E-2", 1, Err(Misfit::TooFine)),
            ("2.0", 0, Ok(2)),
            ("2e1", 0, Ok(20)),
            ("20e-1", 0, Ok(2)),
            ("2.5", 0, Err(Misfit::TooFine)),
            ("1e400", 0, Err(Misfit::TooLarge)),
            ("1e-400", 18, Err(Misfit::TooFine)),
            ("0e400", 0, Ok(0)),
            ("1e99999999999999999999", 18, Err(Misfit::TooLarge)),
            ("1e-99999999999999999999", 18, Err(Misfit::TooFine)),
            ("0.000000000000000001", 18, Ok(1)),
            ("0.0000000000000000010000000000000000000000000000", 18, Ok(1)),
            ("0.0000000000000000001", 18, Err(Misfit::TooFine)),
            ("12345678901234567890", 0, Ok(12_345_678_901_234_567_890)),
            ("1000000000000000000000000000000000000000000e-42", 0, Ok(1)),
            (&nines, 0, Ok(10_i128.pow(38) - 1)),
            (&format!("-{nines}"), 0, Ok(1 - 10_i128.pow(38))),
            (&format!("{nines}9"), 0, Err(Misfit::TooLarge)),
            (&format!("{nines}9.5"), 0, Err(Misfit::TooFine)),
            ("9223372036854775808", 0, Ok(9_223_372_036_854_775_808)),
        ] {
            assert_eq!(scaled(text, scale), value, "{text} at scale {scale}");
        }
    }

    #[test]
    fn floats_are_the_nearest_or_refused() {
        for (text, double, single) in [
            ("0.1", Some(0.1), Some(0.1)),
            ("-0.0", Some(0.0), Some(0.0)),
            ("1e39", Some(1e39), None),
            ("1e400", None, None),
            ("1e-400", None, None),
            ("1e-300", Some(1e-300), None),
            ("0e-400", Some(0.0), Some(0.0)),
        ] {
            let number = Scanner::new(text.as_bytes(), 1).unwrap().number().unwrap();
            assert_eq!((number.double(), number.single()), (double, single), "{text}");
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["-", "-a", "1.", "1.e1", "1e", "1e+", "1e-", ".5", "--1"] {
            let number = Scanner::new(text.as_bytes(), 1).unwrap().number();
            assert_eq!(number.map(|_| ()).map_err(|fault| fault.rule), Err("json"), "{text}");
        }
    }
}
