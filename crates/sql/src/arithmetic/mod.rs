//! `+ - * / %`. Integers are checked, where DataFusion wraps. Decimals are exact, in 256 bits where
//! 128 would lose digits; only a division rounds, at 20 places or more. A float that overflows
//! fails, as in PostgreSQL.

mod decimals;
mod result_type;

use arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray, Scalar};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type};
use arrow::error::ArrowError;
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Expr};

pub(crate) use result_type::{digits, result_type};

use crate::cast::cast;
use crate::native::call;
use crate::type_name::type_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Operation {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// The operation as an expression; `data_type` is what [`result_type`] said.
pub(crate) fn calculate(
    operation: Operation,
    left: Expr,
    right: Expr,
    data_type: DataType,
    nullable: bool,
) -> Expr {
    let result = data_type.clone();
    call(operation.sign(), data_type, nullable, vec![left, right], move |values, rows| {
        let [left, right] = values else {
            return Err(format!("{} takes two values", operation.sign()));
        };
        let constant =
            matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let array = evaluate(operation, left, right, &result, if constant { 1 } else { rows })?;
        if constant {
            return ScalarValue::try_from_array(&array, 0)
                .map(ColumnarValue::Scalar)
                .map_err(|error| error.to_string());
        }
        Ok(ColumnarValue::Array(array))
    })
}

fn evaluate(
    operation: Operation,
    left: &ColumnarValue,
    right: &ColumnarValue,
    to: &DataType,
    rows: usize,
) -> Result<ArrayRef, String> {
    match to {
        DataType::Decimal128(precision, scale) => {
            let (left, right) =
                (decimals::operand_128(left, rows)?, decimals::operand_128(right, rows)?);
            decimals::calculate::<Decimal128Type>(operation, &left, &right, *precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            let (left, right) =
                (decimals::operand_256(left, rows)?, decimals::operand_256(right, rows)?);
            decimals::calculate::<Decimal256Type>(operation, &left, &right, *precision, *scale)
        }
        _ => {
            let (left, right) = (datum(left, to)?, datum(right, to)?);
            let result = plain(operation, left.as_ref(), right.as_ref(), to)?;
            if matches!(to, DataType::Float32 | DataType::Float64) {
                refuse_out_of_range(operation, &result, left.as_ref(), right.as_ref())?;
            }
            Ok(result)
        }
    }
}

fn plain(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
    to: &DataType,
) -> Result<ArrayRef, String> {
    let result = match operation {
        Operation::Add => numeric::add(left, right),
        Operation::Subtract => numeric::sub(left, right),
        Operation::Multiply => numeric::mul(left, right),
        Operation::Divide => numeric::div(left, right),
        Operation::Modulo => numeric::rem(left, right),
    };
    result.map_err(|error| match error {
        ArrowError::DivideByZero => "division by zero".into(),
        ArrowError::ArithmeticOverflow(what) => {
            format!(
                "{} is out of range of {}",
                what.trim_start_matches("Overflow happened on: "),
                type_name(to)
            )
        }
        other => other.to_string(),
    })
}

fn datum(value: &ColumnarValue, to: &DataType) -> Result<Box<dyn Datum>, String> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(cast(array, to)?),
        ColumnarValue::Scalar(scalar) => {
            Box::new(Scalar::new(cast(&scalar.to_array().map_err(|error| error.to_string())?, to)?))
        }
    })
}

fn doubles(value: &dyn Datum) -> Result<ArrayRef, String> {
    let array = arrow::array::make_array(value.get().0.to_data());
    cast(&array, &DataType::Float64)
}

/// What PostgreSQL refuses of a float: a division by zero, an infinity that comes of numbers, and a
/// zero that comes of others. NaN and infinity go on as they are. Row by row: what one record holds
/// excuses no other.
fn refuse_out_of_range(
    operation: Operation,
    result: &ArrayRef,
    left: &dyn Datum,
    right: &dyn Datum,
) -> Result<(), String> {
    let (results, lefts, rights) =
        (cast(result, &DataType::Float64)?, doubles(left)?, doubles(right)?);
    let (results, lefts, rights) = (
        results.as_primitive::<Float64Type>(),
        lefts.as_primitive::<Float64Type>(),
        rights.as_primitive::<Float64Type>(),
    );
    let suspicious = |value: f64| value.is_infinite() || value.is_nan() || value == 0.0;
    for (row, value) in results.iter().enumerate() {
        let Some(value) = value.filter(|value| suspicious(*value)) else { continue };
        // A constant is one row, whatever the other side has.
        let of =
            |side: &PrimitiveArray<Float64Type>| side.value(if side.len() == 1 { 0 } else { row });
        let (left, right) = (of(lefts), of(rights));
        if operation == Operation::Divide && right == 0.0 && !left.is_nan() {
            return Err("division by zero".into());
        }
        let overflows = value.is_infinite() && left.is_finite() && right.is_finite();
        let underflows = value == 0.0
            && match operation {
                Operation::Multiply => left != 0.0 && right != 0.0,
                Operation::Divide => left != 0.0 && right.is_finite(),
                _ => false,
            };
        if overflows || underflows {
            return Err(format!("value out of range of {}", type_name(result.data_type())));
        }
    }
    Ok(())
}

/// The value as whole rows, for kernels that see arrays alone.
fn expanded(value: &ColumnarValue, rows: usize) -> Result<ArrayRef, String> {
    value.to_array(rows).map_err(|error| error.to_string())
}
