//! What type the result of an operation has.

use arrow::datatypes::DataType;

use super::Operation;

/// With so many places or fewer a decimal stays in 128 bits, where 20 digits are left before the
/// point: as many as an undeclared NUMERIC has.
const MAX_NARROW_SCALE: i16 = 18;
const NARROW_DIGITS: i16 = 38;
const WIDE_DIGITS: i16 = 76;
/// The places of a quotient; PostgreSQL gives at least 16 significant digits.
const QUOTIENT_SCALE: i16 = 20;

/// The type of `left operation right`, or a sentence why there is none.
pub(crate) fn result_type(
    operation: Operation,
    left: &DataType,
    right: &DataType,
) -> Result<DataType, String> {
    let (left, right) = match (left, right) {
        (DataType::Null, DataType::Null) => (&DataType::Int64, &DataType::Int64),
        (DataType::Null, other) | (other, DataType::Null) => (other, other),
        both => both,
    };
    if left.is_floating() || right.is_floating() {
        if operation == Operation::Modulo {
            return Err("% does not take DOUBLE PRECISION".into());
        }
        let narrow = left == &DataType::Float32 && right == &DataType::Float32;
        return Ok(if narrow { DataType::Float32 } else { DataType::Float64 });
    }
    let wide_integer = |side: &DataType| side == &DataType::UInt64;
    if left.is_decimal() || right.is_decimal() || wide_integer(left) || wide_integer(right) {
        let wide = [left, right].into_iter().any(|side| matches!(side, DataType::Decimal256(..)));
        let (Some(left), Some(right)) = (digits(left), digits(right)) else {
            return Err("not a number".into());
        };
        return decimal_type(operation, left, right, wide);
    }
    let width = |side: &DataType| match side {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 0,
        DataType::UInt16 | DataType::Int32 => 1,
        _ => 2,
    };
    Ok([DataType::Int16, DataType::Int32, DataType::Int64][width(left).max(width(right))].clone())
}

/// How many digits a value of the type has at most, and how many of them stand behind the point.
pub(crate) fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (i16::from(*precision), i16::from(*scale)),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

fn decimal_type(
    operation: Operation,
    left: (i16, i16),
    right: (i16, i16),
    wide: bool,
) -> Result<DataType, String> {
    let whole = |side: (i16, i16)| side.0 - side.1;
    let (whole_digits, scale) = match operation {
        Operation::Add | Operation::Subtract => {
            (whole(left).max(whole(right)) + 1, left.1.max(right.1))
        }
        Operation::Multiply => (whole(left) + whole(right), left.1 + right.1),
        Operation::Divide => (whole(left) + right.1, QUOTIENT_SCALE.max(left.1).max(right.1)),
        Operation::Modulo => (whole(left).max(whole(right)), left.1.max(right.1)),
    };
    let all = whole_digits + scale;
    if scale > WIDE_DIGITS {
        return Err(format!(
            "the exact result has {scale} places; at most {WIDE_DIGITS} can be held"
        ));
    }
    if !wide && (all <= NARROW_DIGITS || scale <= MAX_NARROW_SCALE) {
        return Ok(DataType::Decimal128(all.clamp(1, NARROW_DIGITS) as u8, scale as i8));
    }
    Ok(DataType::Decimal256(all.clamp(1, WIDE_DIGITS) as u8, scale as i8))
}
