//! Functions on DOUBLE PRECISION that refuse what PostgreSQL refuses, where the C library's answer
//! would be NaN, infinity or zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::try_binary;
use arrow::datatypes::Float64Type;
use arrow::error::ArrowError;

/// As PostgreSQL has it, digit by digit: the product and the quotient round differently from those
/// of other constants.
const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

/// A function by the number of its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Math {
    One { function: fn(f64) -> f64, underflows: bool },
    Two { function: fn(f64, f64) -> f64, underflows: bool },
}

impl Math {
    /// The function of that name, if it is one of these and can fail.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let one = |function| Self::One { function, underflows: false };
        let small = |function| Self::One { function, underflows: true };
        Some(match name {
            "acos" => one(f64::acos),
            "asin" => one(f64::asin),
            "atan" => one(f64::atan),
            "cbrt" => one(f64::cbrt),
            "cos" => one(f64::cos),
            "degrees" => small(|value| value / RADIANS_PER_DEGREE),
            "exp" => small(f64::exp),
            "ln" => one(f64::ln),
            "log10" => one(f64::log10),
            "radians" => small(|value| value * RADIANS_PER_DEGREE),
            "sin" => one(f64::sin),
            "sqrt" => one(f64::sqrt),
            "tan" => one(f64::tan),
            "atan2" => Self::Two { function: f64::atan2, underflows: false },
            "power" => Self::Two { function: power, underflows: true },
            _ => return None,
        })
    }

    /// The function of every row; a value that does not exist or does not fit is an error.
    pub(crate) fn of(self, arguments: &[ArrayRef]) -> Result<ArrayRef, String> {
        match (self, arguments) {
            (Self::One { function, underflows }, [values]) => {
                let checked = |value: f64| {
                    // exp(0) is 1, and 0 of no value but infinity.
                    let may_be_zero = !underflows || (value == 0.0 || value.is_infinite());
                    fitting(function(value), &[value], may_be_zero)
                };
                let results: PrimitiveArray<Float64Type> =
                    values.as_primitive::<Float64Type>().try_unary(checked)?;
                Ok(Arc::new(results))
            }
            (Self::Two { function, underflows }, [left, right]) => {
                let checked = |left: f64, right: f64| {
                    let given = [left, right];
                    let may_be_zero =
                        !underflows || left == 0.0 || given.iter().any(|side| side.is_infinite());
                    fitting(function(left, right), &given, may_be_zero)
                        .map_err(ArrowError::ComputeError)
                };
                let results: Result<PrimitiveArray<Float64Type>, ArrowError> = try_binary(
                    left.as_primitive::<Float64Type>(),
                    right.as_primitive::<Float64Type>(),
                    checked,
                );
                results.map(|results| Arc::new(results) as ArrayRef).map_err(|error| match error {
                    ArrowError::ComputeError(message) => message,
                    other => other.to_string(),
                })
            }
            _ => Err("another number of values is needed".into()),
        }
    }
}

fn fitting(result: f64, arguments: &[f64], may_be_zero: bool) -> Result<f64, String> {
    let any = |test: fn(f64) -> bool| arguments.iter().any(|argument| test(*argument));
    if result.is_nan() && !any(f64::is_nan) {
        return Err("input is out of range".into());
    }
    let overflows = result.is_infinite() && !any(f64::is_infinite);
    if overflows || (result == 0.0 && !may_be_zero) {
        return Err("value out of range of DOUBLE PRECISION".into());
    }
    Ok(result)
}

/// NaN also of infinities, where the C library ignores the sign or the zero.
fn power(base: f64, exponent: f64) -> f64 {
    let complex = base < 0.0 && exponent.floor() != exponent && !exponent.is_nan();
    let undefined = base == 0.0 && exponent < 0.0;
    if complex || undefined { f64::NAN } else { base.powf(exponent) }
}
