//! Decimals from and to text, exactly, rounding half away from zero as PostgreSQL's NUMERIC does.

use arrow::datatypes::i256;

/// From this scale on a value's trailing zeros are not digits that a person wrote.
const PADDED_SCALE: i8 = 18;
/// The digits that every i256 holds.
const MAX_DIGITS: usize = 76;

/// What stands in the text, rounded to so many places; None when it is no number or has too many
/// digits for an i256.
pub(crate) fn parse_decimal(text: &str, scale: i8) -> Option<i256> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let shift =
        i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let magnitude = shift_digits(digits, shift)?;
    if negative { magnitude.checked_neg() } else { Some(magnitude) }
}

/// The digits times ten to the power of `shift`, rounded half up.
fn shift_digits(digits: &str, shift: i32) -> Option<i256> {
    if digits.is_empty() {
        return Some(i256::ZERO);
    }
    let length = i32::try_from(digits.len()).ok()?.checked_add(shift)?;
    if length > MAX_DIGITS as i32 {
        return None;
    }
    if shift >= 0 {
        return i256::from_string(&format!("{digits}{}", "0".repeat(shift as usize)));
    }
    if length < 0 {
        return Some(i256::ZERO);
    }
    let (kept, cut) = digits.split_at(length as usize);
    let kept = if kept.is_empty() { i256::ZERO } else { i256::from_string(kept)? };
    let round_up = cut.as_bytes().first().is_some_and(|digit| *digit >= b'5');
    if round_up { kept.checked_add(i256::ONE) } else { Some(kept) }
}

/// The decimal as PostgreSQL prints it. What was held with more places than anybody wrote loses its
/// trailing zeros.
pub(crate) fn format_decimal(digits: &str, scale: i8) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let places = usize::try_from(scale).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = if scale >= PADDED_SCALE { fraction.trim_end_matches('0') } else { fraction };
    let sign = if padded.bytes().all(|byte| byte == b'0') { "" } else { sign };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The nearest float. Only what needs more than 53 bits goes through text.
pub(crate) fn decimal_to_float(mut value: i256, mut scale: i8) -> f64 {
    let ten = i256::from_i128(10);
    while scale > 0 && value.wrapping_rem(ten) == i256::ZERO {
        value = value.wrapping_div(ten);
        scale -= 1;
    }
    match value.to_i128() {
        Some(small) if small.unsigned_abs() < 1 << 53 && (0..=22).contains(&scale) => {
            small as f64 / 10f64.powi(i32::from(scale))
        }
        _ => format!("{value}e-{scale}").parse().unwrap_or(f64::NAN),
    }
}

/// A float in so many significant digits, as PostgreSQL makes a NUMERIC of it: what it shows, not
/// its binary tail.
pub(crate) fn float_to_decimal(value: f64, significant_digits: usize, scale: i8) -> Option<i256> {
    if !value.is_finite() {
        return None;
    }
    parse_decimal(&format!("{value:.*e}", significant_digits - 1), scale)
}

/// A float as PostgreSQL prints it: the shortest digits that read back as the same float.
pub(crate) fn format_float(value: f64, shortest_exponential: &str, exponent_from: i32) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let (mantissa, exponent) =
        shortest_exponential.split_once('e').unwrap_or((shortest_exponential, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..exponent_from).contains(&exponent) {
        let (sign, mantissa) =
            mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
        let digits = mantissa.replace('.', "");
        let whole = exponent + 1;
        return if whole <= 0 {
            format!("{sign}0.{}{digits}", "0".repeat((-whole) as usize))
        } else if digits.len() as i32 <= whole {
            format!("{sign}{digits}{}", "0".repeat((whole - digits.len() as i32) as usize))
        } else {
            let (whole, fraction) = digits.split_at(whole as usize);
            format!("{sign}{whole}.{fraction}")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_decimals_exactly() {
        let cases = [
            ("12.345", 2, Some(1235)),
            ("-12.345", 2, Some(-1235)),
            ("12.344", 2, Some(1234)),
            ("1e3", 2, Some(100_000)),
            ("1.5E-1", 2, Some(15)),
            (".5", 0, Some(1)),
            ("0.4999", 0, Some(0)),
            ("5.", 1, Some(50)),
            ("0.001", 1, Some(0)),
            ("0.05", 1, Some(1)),
            ("", 1, None),
            (".", 1, None),
            ("1.2.3", 1, None),
            ("twelve", 1, None),
            ("1e99", 0, None),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(parse_decimal(text, scale), expected.map(i256::from_i128), "{text}");
        }
    }

    #[test]
    fn decimals_print_as_in_postgresql() {
        let cases = [
            ("1235", 2, "12.35"),
            ("-5", 2, "-0.05"),
            ("0", 2, "0.00"),
            ("50000000000000000000", 18, "50"),
            ("7", 0, "7"),
        ];
        for (digits, scale, expected) in cases {
            assert_eq!(format_decimal(digits, scale), expected);
        }
    }

    #[test]
    fn floats_print_as_in_postgresql() {
        let cases = [
            (0.1, "0.1"),
            (100.0, "100"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (0.0, "0"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(format_float(value, &format!("{value:e}"), 15), expected);
        }
    }

    #[test]
    fn floats_and_decimals_meet_without_a_binary_tail() {
        assert_eq!(
            float_to_decimal(0.1 + 0.2, 15, 18),
            Some(i256::from_i128(300_000_000_000_000_000))
        );
        assert_eq!(float_to_decimal(f64::NAN, 15, 2), None);
        assert_eq!(decimal_to_float(i256::from_i128(1_100_000_000_000_000_000), 18), 1.1);
        assert_eq!(
            decimal_to_float(i256::from_i128(12_345_678_901_234_567_890_123), 18),
            12_345.678_901_234_567
        );
    }
}
