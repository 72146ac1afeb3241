//! Numbers as other numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array};
use arrow::compute::cast as arrow_cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, i256,
};

use super::{by_arrow, does_not_fit, try_each};
use crate::decimal::{decimal_to_float, float_to_decimal};
use crate::type_name::type_name;

/// Significant digits that PostgreSQL keeps when it makes a NUMERIC of a DOUBLE PRECISION.
const DOUBLE_DIGITS: usize = 15;
/// The same for a REAL.
const REAL_DIGITS: usize = 6;

/// A float as an integer rounds half to even; as a decimal it is what it shows; NaN and infinity
/// fit neither.
pub(super) fn from_float(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let digits = if values.data_type() == &DataType::Float32 { REAL_DIGITS } else { DOUBLE_DIGITS };
    let doubles = arrow_cast(values, &DataType::Float64).map_err(|error| error.to_string())?;
    let refused = |value: f64| format!("{value} does not fit {}", type_name(to));
    let whole = |value: f64, low: f64, past_high: f64| {
        let rounded = value.round_ties_even();
        if rounded >= low && rounded < past_high { Ok(rounded) } else { Err(refused(value)) }
    };
    Ok(match to {
        DataType::Float64 => doubles,
        DataType::Float32 => Arc::new(try_each::<Float64Type, Float32Type>(&doubles, |value| {
            let narrow = value as f32;
            let overflows = narrow.is_infinite() && value.is_finite();
            if overflows || (narrow == 0.0 && value != 0.0) {
                return Err(refused(value));
            }
            Ok(narrow)
        })?),
        DataType::Int16 => Arc::new(try_each::<Float64Type, Int16Type>(&doubles, |value| {
            Ok(whole(value, -32768.0, 32768.0)? as i16)
        })?),
        DataType::Int32 => Arc::new(try_each::<Float64Type, Int32Type>(&doubles, |value| {
            Ok(whole(value, -2147483648.0, 2147483648.0)? as i32)
        })?),
        DataType::Int64 => Arc::new(try_each::<Float64Type, Int64Type>(&doubles, |value| {
            Ok(whole(value, -9223372036854775808.0, 9223372036854775808.0)? as i64)
        })?),
        DataType::Decimal128(precision, scale) => {
            let exact = |value: f64| {
                let decimal = float_to_decimal(value, digits, *scale).and_then(i256::to_i128);
                decimal
                    .filter(|decimal| {
                        Decimal128Type::is_valid_decimal_precision(*decimal, *precision)
                    })
                    .ok_or_else(|| refused(value))
            };
            let decimals: Decimal128Array =
                doubles.as_primitive::<Float64Type>().try_unary(exact)?;
            Arc::new(
                decimals
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|error| error.to_string())?,
            )
        }
        DataType::Decimal256(precision, scale) => {
            let exact =
                |value: f64| float_to_decimal(value, digits, *scale).ok_or_else(|| refused(value));
            let decimals: Decimal256Array =
                doubles.as_primitive::<Float64Type>().try_unary(exact)?;
            Arc::new(
                decimals
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|error| error.to_string())?,
            )
        }
        _ => return by_arrow(values, to),
    })
}

/// A decimal as an integer or as a decimal with fewer places rounds half away from zero; as a float
/// it is the nearest one.
pub(super) fn from_decimal(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    match to {
        DataType::Float32 | DataType::Float64 => {
            let doubles: Float64Array = match values.data_type() {
                DataType::Decimal128(_, scale) => {
                    let scale = *scale;
                    values
                        .as_primitive::<Decimal128Type>()
                        .unary(|value| decimal_to_float(i256::from_i128(value), scale))
                }
                DataType::Decimal256(_, scale) => {
                    let scale = *scale;
                    values
                        .as_primitive::<Decimal256Type>()
                        .unary(|value| decimal_to_float(value, scale))
                }
                _ => return by_arrow(values, to),
            };
            from_float(&(Arc::new(doubles) as ArrayRef), to)
        }
        _ if to.is_integer() => {
            let whole = by_arrow(values, &DataType::Decimal256(76, 0))?;
            // Arrow keeps the low bits of a number that is too large.
            let narrow = |value: i256| {
                value
                    .to_i128()
                    .and_then(|value| i64::try_from(value).ok())
                    .ok_or_else(|| does_not_fit(values, to))
            };
            let narrow: ArrayRef = Arc::new(try_each::<Decimal256Type, Int64Type>(&whole, narrow)?);
            by_arrow(&narrow, to).map_err(|_| does_not_fit(values, to))
        }
        DataType::Decimal128(precision, scale) => match values.data_type() {
            DataType::Decimal128(_, from_scale) if from_scale > scale => {
                narrow(values, *from_scale, *precision, *scale)
            }
            _ => by_arrow(values, to),
        },
        _ => by_arrow(values, to),
    }
}

/// The way of almost every sum into its column: fewer places, in 128 bits.
fn narrow(values: &ArrayRef, from_scale: i8, precision: u8, scale: i8) -> Result<ArrayRef, String> {
    let to = DataType::Decimal128(precision, scale);
    let places = u32::try_from(i32::from(from_scale) - i32::from(scale)).unwrap_or(0);
    let Some(divisor) = 10u128.checked_pow(places) else { return by_arrow(values, &to) };
    let half = divisor / 2;
    let Some(limit) = 10u128.checked_pow(u32::from(precision)) else {
        return by_arrow(values, &to);
    };
    let round = |value: i128| {
        let magnitude = value.unsigned_abs();
        let quotient = divide_by_power_of_ten(magnitude, places, divisor);
        let rest = magnitude - quotient * divisor;
        let rounded = if rest >= half { quotient + 1 } else { quotient };
        if rounded >= limit {
            return Err(());
        }
        // Below the limit, so far below what an i128 holds.
        Ok(if value < 0 { -(rounded as i128) } else { rounded as i128 })
    };
    let decimals: Result<Decimal128Array, ()> =
        values.as_primitive::<Decimal128Type>().try_unary(round);
    let decimals = decimals.map_err(|()| does_not_fit(values, &to))?;
    Ok(Arc::new(
        decimals.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?,
    ))
}

/// A division of 128 bits costs several times one of 64. Ten to a power is five to that power,
/// shifted: what is left after the shift mostly fits 64 bits.
fn divide_by_power_of_ten(magnitude: u128, places: u32, divisor: u128) -> u128 {
    match (u64::try_from(magnitude >> places), 5u64.checked_pow(places)) {
        (Ok(shifted), Some(fives)) => u128::from(shifted / fives),
        _ => magnitude / divisor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_places_round_half_away_from_zero() {
        let cases = [
            (1_005_000_000_000_000_000, Some(101)),
            (-1_005_000_000_000_000_000, Some(-101)),
            (1_004_999_999_999_999_999, Some(100)),
            (99_999_999_994_999_999_999_999_999, Some(9_999_999_999)),
            (99_999_999_995_000_000_000_000_000, None),
            (i128::MAX, None),
            (i128::MIN + 1, None),
            (0, Some(0)),
        ];
        for (value, expected) in cases {
            let one = Decimal128Array::from(vec![value])
                .with_precision_and_scale(38, 18)
                .expect("a decimal");
            let cast = narrow(&(Arc::new(one) as ArrayRef), 18, 10, 2).ok();
            assert_eq!(
                cast.map(|cast| cast.as_primitive::<Decimal128Type>().value(0)),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn the_short_division_is_the_long_one() {
        for places in [0, 1, 16, 18, 27, 28, 30] {
            let divisor = 10u128.pow(places);
            for magnitude in [
                0,
                1,
                divisor - 1,
                divisor,
                divisor + 1,
                u128::from(u64::MAX),
                u128::from(u64::MAX) << places,
                10u128.pow(38),
            ] {
                assert_eq!(
                    divide_by_power_of_ten(magnitude, places, divisor),
                    magnitude / divisor,
                    "{magnitude} / 10^{places}"
                );
            }
        }
    }
}
