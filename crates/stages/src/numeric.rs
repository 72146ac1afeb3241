//! PostgreSQL's binary NUMERIC: groups of four decimal digits (`numeric_send` in PostgreSQL's
//! numeric.c).

const NEGATIVE: u16 = 0x4000;

/// Writes `value` x 10^-`scale` as a sized field: digit groups, weight of the first, sign, digits
/// after the point, the groups.
pub fn write_numeric(out: &mut Vec<u8>, value: i128, scale: u8) {
    // 38 digits before the point and 38 after fill 20 groups.
    let mut groups = [0u16; 24];
    let (count, whole_groups) = match u64::try_from(value.unsigned_abs()) {
        Ok(small) if scale <= 18 => split_small(small, u32::from(scale), &mut groups),
        _ => split_large(value.unsigned_abs(), u32::from(scale), &mut groups),
    };
    let leading = groups[..count].iter().take_while(|group| **group == 0).count();
    let trailing = groups[leading..count].iter().rev().take_while(|group| **group == 0).count();
    let digits = &groups[leading..count - trailing];
    let weight = if digits.is_empty() { 0 } else { whole_groups as i16 - 1 - leading as i16 };
    let sign = if value < 0 { NEGATIVE } else { 0 };

    out.extend_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    out.extend_from_slice(&(digits.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::from(scale).to_be_bytes());
    for group in digits {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// The groups before and after the point, and how many stand before it. One version a width:
/// dividing 128 bits costs ten times as much.
macro_rules! split {
    ($name:ident, $int:ty) => {
        fn $name(value: $int, scale: u32, groups: &mut [u16; 24]) -> (usize, usize) {
            let one = <$int>::pow(10, scale);
            let (mut whole, mut fraction) = (value / one, value % one);
            let mut whole_groups = 0;
            let mut reversed = [0u16; 12];
            while whole > 0 {
                reversed[whole_groups] = (whole % 10_000) as u16;
                whole /= 10_000;
                whole_groups += 1;
            }
            for place in 0..whole_groups {
                groups[place] = reversed[whole_groups - 1 - place];
            }
            let (mut count, mut left) = (whole_groups, scale);
            while left > 0 {
                let group = if left >= 4 {
                    left -= 4;
                    let unit = <$int>::pow(10, left);
                    let group = fraction / unit;
                    fraction %= unit;
                    group
                } else {
                    let group = fraction * <$int>::pow(10, 4 - left);
                    left = 0;
                    group
                };
                groups[count] = group as u16;
                count += 1;
            }
            (count, whole_groups)
        }
    };
}
split!(split_small, u64);
split!(split_large, u128);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the field back as PostgreSQL does, as text with `scale` decimals.
    fn read_back(field: &[u8]) -> String {
        let word = |at: usize| i16::from_be_bytes([field[at], field[at + 1]]);
        assert_eq!(i32::from_be_bytes(field[..4].try_into().unwrap()) as usize, field.len() - 4);
        let (count, weight, sign, scale) = (word(4), word(6), word(8) as u16, word(10) as usize);
        let group = |place: i16| {
            if (0..count).contains(&place) { word(12 + 2 * place as usize) } else { 0 }
        };
        let mut whole = String::from("0");
        let mut fraction = String::new();
        for exponent in (0..=weight.max(0)).rev() {
            whole.push_str(&format!("{:04}", group(weight - exponent)));
        }
        for place in 0..scale.div_ceil(4) as i16 {
            fraction.push_str(&format!("{:04}", group(weight + 1 + place)));
        }
        fraction.truncate(scale);
        let whole = whole.trim_start_matches('0');
        let sign = if sign == NEGATIVE { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    #[test]
    fn values_come_back_as_they_were() {
        let cases: &[(i128, u8, &str)] = &[
            (0, 2, "0.00"),
            (20000, 2, "200.00"),
            (1, 2, "0.01"),
            (-1, 2, "-0.01"),
            (10_000, 0, "10000"),
            (100_000_000, 4, "10000.0000"),
            (9_999_999_999, 2, "99999999.99"),
            (123_456_789, 5, "1234.56789"),
            (1, 18, "0.000000000000000001"),
            (
                -12_345_678_901_234_567_890_123_456_789_012_345_678,
                18,
                "-12345678901234567890.123456789012345678",
            ),
            (
                99_999_999_999_999_999_999_999_999_999_999_999_999,
                38,
                "0.99999999999999999999999999999999999999",
            ),
            (
                99_999_999_999_999_999_999_999_999_999_999_999_999,
                0,
                "99999999999999999999999999999999999999",
            ),
        ];
        for (value, scale, text) in cases {
            let mut field = Vec::new();
            write_numeric(&mut field, *value, *scale);
            assert_eq!(read_back(&field), *text, "{value} at scale {scale}");
        }
    }
}
