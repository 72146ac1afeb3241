//! Exact sums. They are held in 256 bits, so that no batch of 128-bit decimals can overflow them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, i256};

/// Each group's sum of the values of these rows, as a decimal text; None where a group has none.
pub(super) fn sums(values: &ArrayRef, rows: impl Iterator<Item = (u32, usize)>, groups: usize) -> Vec<Option<String>> {
    let (decimals, scale) = match values.data_type() {
        DataType::Decimal128(_, scale) => (values.clone(), *scale),
        // Every integer fits.
        _ => (cast(values, &DataType::Decimal128(38, 0)).unwrap_or_else(|_| values.clone()), 0),
    };
    let Some(decimals) = decimals.as_primitive_opt::<Decimal128Type>() else { return vec![None; groups] };
    let mut sums: Vec<Option<i256>> = vec![None; groups];
    for (row, group) in rows {
        if decimals.is_valid(row as usize) {
            let value = i256::from_i128(decimals.value(row as usize));
            sums[group] = Some(sums[group].unwrap_or(i256::ZERO).wrapping_add(value));
        }
    }
    sums.into_iter().map(|sum| sum.map(|sum| with_point(&sum.to_string(), scale))).collect()
}

/// The digits of an integer with a decimal point so many digits from the right.
fn with_point(digits: &str, scale: i8) -> String {
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        return digits.to_owned();
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_stands_where_the_scale_says() {
        for (digits, scale, expected) in [("12345", 2, "123.45"), ("-5", 2, "-0.05"), ("0", 2, "0.00"), ("7", 0, "7"), ("100", 2, "1.00")] {
            assert_eq!(with_point(digits, scale), expected);
        }
    }
}
