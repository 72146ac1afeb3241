//! Constants.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::i256;
use datafusion_common::ScalarValue;
use datafusion_expr::lit;
use sqlparser::ast::{self, Interval, TypedString, Value, ValueWithSpan};

use super::{Planned, Planner};
use crate::decimal::parse_decimal;

impl Planner<'_> {
    pub(super) fn literal(&mut self, node: &ast::Expr, value: &ValueWithSpan) -> Option<Planned> {
        let scalar = match &value.value {
            Value::Null => ScalarValue::Null,
            Value::Boolean(value) => ScalarValue::Boolean(Some(*value)),
            Value::Number(number, _) => {
                match number_literal(&number.to_string().replace('_', "")) {
                    Some(scalar) => scalar,
                    None => {
                        return self.problem(
                            "sql.literal.range",
                            node,
                            format!("{number} has too many digits"),
                        );
                    }
                }
            }
            other => match other.clone().into_string() {
                Some(text) if !matches!(other, Value::Placeholder(_)) => {
                    ScalarValue::Utf8(Some(text))
                }
                _ => {
                    return self.problem(
                        "sql.construct.unsupported",
                        node,
                        format!("`{other}` cannot be used here"),
                    );
                }
            },
        };
        Some(constant(scalar))
    }

    /// `DATE '2024-05-20'`.
    pub(super) fn typed_literal(
        &mut self,
        node: &ast::Expr,
        typed: &TypedString,
    ) -> Option<Planned> {
        let text = typed.value.value.clone().into_string().unwrap_or_default();
        self.cast_planned(node, constant(ScalarValue::Utf8(Some(text))), &typed.data_type)
    }

    /// `INTERVAL '1 day'`, `INTERVAL '1' DAY`.
    pub(super) fn interval(&mut self, node: &ast::Expr, interval: &Interval) -> Option<Planned> {
        let ast::Expr::Value(value) = &*interval.value else {
            return self.problem(
                "sql.construct.unsupported",
                node,
                "an interval is written as a text, such as INTERVAL '1 day'",
            );
        };
        let text = value.value.clone().into_string().unwrap_or_else(|| value.value.to_string());
        let text = match &interval.leading_field {
            Some(unit) => format!("{text} {unit}"),
            None => text,
        };
        match parse_interval_month_day_nano(&text) {
            Ok(interval) => Some(constant(ScalarValue::IntervalMonthDayNano(Some(interval)))),
            Err(_) => {
                let message = format!("{text:?} is not a valid INTERVAL");
                let problem = self.text.problem("sql.literal.invalid", node, message);
                self.refuse(problem.help(
                    "write numbers and their units, such as INTERVAL '1 day 2 hours -30 minutes'",
                ))
            }
        }
    }
}

/// A constant as an expression.
pub(super) fn constant(scalar: ScalarValue) -> Planned {
    let (data_type, nullable) = (scalar.data_type(), scalar.is_null());
    Planned { expr: lit(scalar), data_type, nullable }
}

/// Whole numbers are BIGINT, or NUMERIC where they are too large; what has a point or an exponent
/// is NUMERIC with its own places.
pub(super) fn number_literal(number: &str) -> Option<ScalarValue> {
    if let Ok(whole) = number.parse::<i64>() {
        return Some(ScalarValue::Int64(Some(whole)));
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    let scale = i8::try_from((fraction - exponent.parse::<i64>().ok()?).max(0))
        .ok()
        .filter(|scale| *scale <= 76)?;
    let value = parse_decimal(number, scale)?;
    let digits = value.to_string().trim_start_matches('-').len().max(scale as usize + 1);
    let narrow = value.to_i128().filter(|_| digits <= 38 && scale <= 38);
    Some(match narrow {
        Some(narrow) => ScalarValue::Decimal128(Some(narrow), digits as u8, scale),
        None if digits <= 76 => ScalarValue::Decimal256(Some(value), digits as u8, scale),
        None => return None,
    })
}

/// The same constant with the other sign, where it is a number.
pub(super) fn negated_literal(planned: &Planned) -> Option<ScalarValue> {
    let datafusion_expr::Expr::Literal(scalar, _) = &planned.expr else { return None };
    match scalar {
        ScalarValue::Int64(Some(value)) => {
            value.checked_neg().map(|value| ScalarValue::Int64(Some(value)))
        }
        ScalarValue::Decimal128(Some(value), 19, 0) if *value == i128::from(i64::MAX) + 1 => {
            Some(ScalarValue::Int64(Some(i64::MIN)))
        }
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            Some(ScalarValue::Decimal128(Some(-value), *precision, *scale))
        }
        ScalarValue::Decimal256(Some(value), precision, scale) => {
            Some(ScalarValue::Decimal256(Some(i256::ZERO.wrapping_sub(*value)), *precision, *scale))
        }
        _ => None,
    }
}
