//! round, trunc, ceil, floor, abs and sign, on integers, decimals and floats, as PostgreSQL has
//! them.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeType, DataType, Decimal128Type, Decimal256Type, DecimalType, Float32Type,
    Float64Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;

use crate::cast::cast;
use crate::type_name::type_name;

/// What becomes of the digits that are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Half away from zero; of floats half to even.
    Nearest,
    TowardsZero,
    Up,
    Down,
}

/// The type of a number rounded to so many places.
pub(crate) fn rounded_type(data_type: &DataType, places: i8) -> DataType {
    let digits = |precision: u8, scale: i8, most: u8| {
        let kept = places.clamp(0, scale.max(0));
        // One digit more, for a carry such as 9.99 to 10.0.
        let precision = i16::from(precision) - i16::from(scale) + i16::from(kept) + 1;
        (precision.clamp(1, i16::from(most)) as u8, kept)
    };
    match data_type {
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = digits(*precision, *scale, 38);
            DataType::Decimal128(precision, scale)
        }
        DataType::Decimal256(precision, scale) => {
            let (precision, scale) = digits(*precision, *scale, 76);
            DataType::Decimal256(precision, scale)
        }
        DataType::Float32 => DataType::Float64,
        other => other.clone(),
    }
}

/// Every number rounded to so many places; fewer than none are tens, hundreds and so on.
pub(crate) fn round(values: &ArrayRef, rounding: Rounding, places: i8) -> Result<ArrayRef, String> {
    let to = rounded_type(values.data_type(), places);
    match (values.data_type(), &to) {
        (DataType::Decimal128(_, from), DataType::Decimal128(precision, scale)) => {
            round_decimals::<Decimal128Type>(values, *from, (*precision, *scale), rounding, places)
        }
        (DataType::Decimal256(_, from), DataType::Decimal256(precision, scale)) => {
            round_decimals::<Decimal256Type>(values, *from, (*precision, *scale), rounding, places)
        }
        (DataType::Float32 | DataType::Float64, _) => {
            let doubles = cast(values, &DataType::Float64)?;
            let rounded: PrimitiveArray<Float64Type> =
                doubles.as_primitive::<Float64Type>().unary(|value: f64| match rounding {
                    Rounding::Nearest => value.round_ties_even(),
                    Rounding::TowardsZero => value.trunc(),
                    Rounding::Up => value.ceil(),
                    Rounding::Down => value.floor(),
                });
            cast(&(Arc::new(rounded) as ArrayRef), &to)
        }
        _ if places < 0 => {
            let decimals = cast(values, &DataType::Decimal128(19, 0))?;
            cast(&round(&decimals, rounding, places)?, &to)
        }
        _ => Ok(Arc::clone(values)),
    }
}

fn round_decimals<T: DecimalType>(
    values: &ArrayRef,
    from: i8,
    (precision, scale): (u8, i8),
    rounding: Rounding,
    places: i8,
) -> Result<ArrayRef, String>
where
    T::Native: ArrowNativeTypeOp,
{
    let power =
        |places: i16| T::Native::usize_as(10).pow_checked(u32::try_from(places).unwrap_or(0));
    let cut = i16::from(from) - i16::from(places.min(from));
    // Beyond every digit that there is, all is cut.
    let Ok(divisor) = power(cut) else {
        return cast(&zeros(values), &T::TYPE_CONSTRUCTOR(precision, scale));
    };
    let again =
        power(i16::from(scale) - i16::from(places.min(from))).map_err(|error| error.to_string())?;
    let rounded: Result<PrimitiveArray<T>, ArrowError> = values
        .as_primitive::<T>()
        .try_unary(|value| round_one(value, divisor, rounding)?.mul_checked(again));
    let rounded =
        rounded.map_err(|_| format!("a value does not fit {}", type_name(values.data_type())))?;
    Ok(Arc::new(
        rounded.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?,
    ))
}

fn zeros(values: &ArrayRef) -> ArrayRef {
    let zeros = arrow::array::Int64Array::from(vec![0; values.len()]);
    let (_, numbers, _) = zeros.into_parts();
    Arc::new(arrow::array::Int64Array::new(numbers, values.nulls().cloned()))
}

fn round_one<N: ArrowNativeTypeOp>(
    value: N,
    divisor: N,
    rounding: Rounding,
) -> Result<N, ArrowError> {
    let quotient = value.div_checked(divisor)?;
    let rest = value.mod_checked(divisor)?;
    let negative = value.is_lt(N::ZERO);
    let away = match rounding {
        Rounding::TowardsZero => false,
        Rounding::Up => !negative && !rest.is_zero(),
        Rounding::Down => negative && !rest.is_zero(),
        Rounding::Nearest => {
            let rest = if negative { rest.neg_checked()? } else { rest };
            !rest.is_zero() && rest.is_ge(divisor.sub_checked(rest)?)
        }
    };
    match (away, negative) {
        (false, _) => Ok(quotient),
        (true, false) => quotient.add_checked(N::ONE),
        (true, true) => quotient.sub_checked(N::ONE),
    }
}

/// Every number without its sign.
pub(crate) fn magnitude(values: &ArrayRef) -> Result<ArrayRef, String> {
    match values.data_type() {
        DataType::Int16 => without_sign::<Int16Type>(values),
        DataType::Int32 => without_sign::<Int32Type>(values),
        DataType::Int64 => without_sign::<Int64Type>(values),
        DataType::Float32 => without_sign::<Float32Type>(values),
        DataType::Float64 => without_sign::<Float64Type>(values),
        DataType::Decimal128(..) => without_sign::<Decimal128Type>(values),
        DataType::Decimal256(..) => without_sign::<Decimal256Type>(values),
        other => Err(format!("abs does not take {}", type_name(other))),
    }
}

fn without_sign<T: ArrowPrimitiveType>(values: &ArrayRef) -> Result<ArrayRef, String>
where
    T::Native: ArrowNativeTypeOp,
{
    let positive = |value: T::Native| {
        if value.is_lt(T::Native::ZERO) { value.neg_checked() } else { Ok(value) }
    };
    let result: Result<PrimitiveArray<T>, ArrowError> =
        values.as_primitive::<T>().try_unary(positive);
    let result = result.map_err(|_| {
        format!("the magnitude is out of range of {}", type_name(values.data_type()))
    })?;
    Ok(Arc::new(result.with_data_type(values.data_type().clone())))
}

/// -1, 0 or 1, as a NUMERIC of a NUMERIC and as a DOUBLE PRECISION of all others.
pub(crate) fn sign(values: &ArrayRef) -> Result<ArrayRef, String> {
    let to = sign_type(values.data_type());
    let doubles = cast(values, &DataType::Float64)?;
    let signs = doubles
        .as_primitive::<Float64Type>()
        // Of NaN it is 0.
        .unary(|value: f64| f64::from(i8::from(value > 0.0) - i8::from(value < 0.0)));
    let signs: PrimitiveArray<Float64Type> = signs;
    cast(&(Arc::new(signs) as ArrayRef), &to)
}

/// See [`sign`].
pub(crate) fn sign_type(data_type: &DataType) -> DataType {
    if data_type.is_decimal() { DataType::Decimal128(1, 0) } else { DataType::Float64 }
}
