//! Exact arithmetic on decimals. What does not fit the result fails; no digit is lost.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::try_binary;
use arrow::datatypes::{
    ArrowNativeType, DataType, DecimalType, Int16Type, Int32Type, Int64Type, i256,
};
use arrow::error::ArrowError;
use datafusion_expr::ColumnarValue;

use super::{Operation, expanded};
use crate::cast::cast;
use crate::decimal::format_decimal;
use crate::type_name::type_name;

/// A number as a decimal of 128 bits, its scale unchanged.
pub(super) fn operand_128(value: &ColumnarValue, rows: usize) -> Result<(ArrayRef, i8), String> {
    let scale = scale_of(&value.data_type());
    let values = expanded(value, rows)?;
    let decimals: ArrayRef = match values.data_type() {
        // The digits alone are looked at, so that a decimal needs no copy whatever its precision.
        DataType::Decimal128(..) => values,
        DataType::Int16 => whole(values.as_primitive::<Int16Type>().unary(i128::from))?,
        DataType::Int32 => whole(values.as_primitive::<Int32Type>().unary(i128::from))?,
        DataType::Int64 => whole(values.as_primitive::<Int64Type>().unary(i128::from))?,
        _ => cast(&values, &DataType::Decimal128(38, scale))?,
    };
    Ok((decimals, scale))
}

fn whole(values: Decimal128Array) -> Result<ArrayRef, String> {
    Ok(Arc::new(values.with_precision_and_scale(38, 0).map_err(|error| error.to_string())?))
}

/// A number as a decimal of 256 bits, its scale unchanged.
pub(super) fn operand_256(value: &ColumnarValue, rows: usize) -> Result<(ArrayRef, i8), String> {
    let scale = scale_of(&value.data_type());
    Ok((cast(&expanded(value, rows)?, &DataType::Decimal256(76, scale))?, scale))
}

fn scale_of(data_type: &DataType) -> i8 {
    super::digits(data_type).map_or(0, |(_, scale)| scale as i8)
}

type Operand = (ArrayRef, i8);

/// The operation, row by row, into a decimal of this precision and scale.
pub(super) fn calculate<T: DecimalType>(
    operation: Operation,
    left: &Operand,
    right: &Operand,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, String>
where
    T::Native: Product + std::fmt::Display,
{
    let (left_scale, right_scale) = (left.1, right.1);
    let (left, right) = (left.0.as_primitive::<T>(), right.0.as_primitive::<T>());
    let to = || type_name(&T::TYPE_CONSTRUCTOR(precision, scale));
    let told = |value: T::Native, scale: i8| format_decimal(&value.to_string(), scale);
    let failed = |a: T::Native, b: T::Native| {
        let operands =
            format!("{} {} {}", told(a, left_scale), operation.sign(), told(b, right_scale));
        ArrowError::ComputeError(format!("{operands} does not fit {}", to()))
    };
    let fitting = |value: Result<T::Native, ArrowError>, a: T::Native, b: T::Native| match value {
        Ok(value) if T::is_valid_decimal_precision(value, T::MAX_PRECISION) => Ok(value),
        Err(ArrowError::DivideByZero) => Err(ArrowError::ComputeError("division by zero".into())),
        _ => Err(failed(a, b)),
    };
    let (widen_left, widen_right) = match operation {
        Operation::Multiply => (0, 0),
        Operation::Divide => (scale - left_scale + right_scale, 0),
        _ => (scale - left_scale, scale - right_scale),
    };
    let (factor_left, factor_right) =
        (power_of_ten::<T>(widen_left)?, power_of_ten::<T>(widen_right)?);
    let one = T::Native::ONE;
    let result: Result<PrimitiveArray<T>, ArrowError> = match operation {
        Operation::Multiply => try_binary(left, right, |a, b| match a.small_product(b) {
            Some(product) => Ok(product),
            None => fitting(a.mul_checked(b), a, b),
        }),
        _ if factor_left == one && factor_right == one => {
            try_binary(left, right, |a, b| fitting(apply(operation, a, b), a, b))
        }
        _ => try_binary(left, right, |a, b| {
            let widened = a
                .mul_checked(factor_left)
                .and_then(|wide| Ok((wide, b.mul_checked(factor_right)?)));
            fitting(widened.and_then(|(a, b)| apply(operation, a, b)), a, b)
        }),
    };
    let result = result.map_err(|error| match error {
        ArrowError::ComputeError(message) => message,
        other => other.to_string(),
    })?;
    Ok(Arc::new(
        result.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?,
    ))
}

/// Most products are far from the limit, and a checked multiplication of 128 bits costs several
/// times a plain one.
pub(super) trait Product: ArrowNativeTypeOp {
    /// The product where it surely fits every precision of its width.
    fn small_product(self, other: Self) -> Option<Self>;
}

impl Product for i128 {
    fn small_product(self, other: Self) -> Option<Self> {
        // Both magnitudes together have at most 126 bits: less than 38 digits.
        let spare_bits = self.unsigned_abs().leading_zeros() + other.unsigned_abs().leading_zeros();
        (spare_bits >= 130).then(|| self.wrapping_mul(other))
    }
}

impl Product for i256 {
    fn small_product(self, _: Self) -> Option<Self> {
        None
    }
}

fn power_of_ten<T: DecimalType>(places: i8) -> Result<T::Native, String>
where
    T::Native: ArrowNativeTypeOp,
{
    let ten = T::Native::usize_as(10);
    ten.pow_checked(u32::try_from(places).unwrap_or(0)).map_err(|_| "too many places".into())
}

fn apply<N: ArrowNativeTypeOp>(operation: Operation, a: N, b: N) -> Result<N, ArrowError> {
    match operation {
        Operation::Add => a.add_checked(b),
        Operation::Subtract => a.sub_checked(b),
        Operation::Multiply => a.mul_checked(b),
        Operation::Modulo => a.mod_checked(b),
        Operation::Divide => divide_rounding(a, b),
    }
}

/// The quotient, rounded half away from zero.
fn divide_rounding<N: ArrowNativeTypeOp>(a: N, b: N) -> Result<N, ArrowError> {
    let quotient = a.div_checked(b)?;
    let rest = a.mod_checked(b)?;
    let magnitude = |value: N| if value.is_lt(N::ZERO) { value.neg_checked() } else { Ok(value) };
    let (rest_size, divisor_size) = (magnitude(rest)?, magnitude(b)?);
    // `rest >= divisor - rest` is `2 * rest >= divisor` without its overflow.
    if rest.is_zero() || rest_size.compare(divisor_size.sub_checked(rest_size)?) == Ordering::Less {
        return Ok(quotient);
    }
    if a.is_lt(N::ZERO) == b.is_lt(N::ZERO) {
        quotient.add_checked(N::ONE)
    } else {
        quotient.sub_checked(N::ONE)
    }
}
