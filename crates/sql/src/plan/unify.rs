//! Operands that must be of one type: those of a comparison, the branches of a CASE, the arguments
//! of COALESCE.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_expr::{Cast, Expr};
use sqlparser::ast;

use super::literals::{constant, number_literal};
use super::{Planned, Planner};
use crate::arithmetic::digits;
use crate::cast::conversion_help;
use crate::moment::{timestamp, timestamptz};
use crate::native::call_arrays;
use crate::problem::HasSpan;
use crate::type_name::{Class, class, type_name};

/// What is done with operands whose order or equality is asked for.
pub(super) const COMPARED: &str = "compared";

impl Planner<'_> {
    /// The operands in one type, widened and never narrowed. Literal texts take the others' type,
    /// as in PostgreSQL.
    pub(super) fn unify(
        &mut self,
        node: &dyn HasSpan,
        operands: Vec<(&ast::Expr, Planned)>,
        together: &str,
    ) -> Option<Vec<Planned>> {
        let settled = |planned: &Planned| {
            planned.literal_text().is_none() && class(&planned.data_type) != Class::Null
        };
        let first = operands
            .iter()
            .find(|(_, planned)| settled(planned))
            .map(|(_, planned)| planned.data_type.clone());
        let first = first.unwrap_or(DataType::Utf8);
        let leader = operands
            .iter()
            .find(|(_, planned)| settled(planned))
            .map(|(place, _)| place.to_string());
        for (place, planned) in operands.iter().filter(|(_, planned)| settled(planned)) {
            if class(&planned.data_type) != class(&first) {
                let message = format!(
                    "{} and {} cannot be {together}",
                    type_name(&first),
                    type_name(&planned.data_type)
                );
                let problem = self.text.problem("sql.type.mismatch", node, message);
                let of_this = conversion_help(&place.to_string(), &planned.data_type, &first);
                let help = of_this
                    .or_else(|| conversion_help(leader.as_deref()?, &first, &planned.data_type));
                return self.refuse(problem.maybe_help(help));
            }
        }
        let mut converted = Vec::with_capacity(operands.len());
        for (place, planned) in operands {
            converted.push((place, self.literal_as(place, planned, &first)?));
        }
        let common = converted
            .iter()
            .filter(|(_, planned)| settled(planned))
            .map(|(_, planned)| &planned.data_type);
        let Some(common) = common
            .cloned()
            .map(Some)
            .reduce(|left, right| wider(&left?, &right?))
            .unwrap_or(Some(first))
        else {
            return self.problem(
                "sql.type.mismatch",
                node,
                format!("these types cannot be {together}"),
            );
        };
        let unified: Option<Vec<_>> = converted
            .into_iter()
            .map(|(place, planned)| self.widened(place, planned, &common))
            .collect();
        Some(if together == COMPARED {
            unified?.into_iter().map(comparable).collect()
        } else {
            unified?
        })
    }

    fn literal_as(
        &mut self,
        place: &ast::Expr,
        planned: Planned,
        to: &DataType,
    ) -> Option<Planned> {
        let Some(text) = planned.literal_text().filter(|_| class(to) != Class::Text) else {
            return Some(planned);
        };
        // NaN and infinity are floats, and no numbers by themselves.
        let word = to.is_floating() && number_literal(text.trim()).is_none();
        if class(to) != Class::Number || word {
            return self.cast_to(place, planned, to);
        }
        match number_literal(text.trim()) {
            Some(number) => Some(constant(number)),
            None => self.problem(
                "sql.literal.invalid",
                place,
                format!("{text:?} is not a valid {}", type_name(to)),
            ),
        }
    }

    fn widened(&mut self, place: &ast::Expr, planned: Planned, to: &DataType) -> Option<Planned> {
        if &planned.data_type == to {
            return Some(planned);
        }
        // An exact widening is left to DataFusion, which takes it away again where a literal can be
        // narrowed instead.
        let exact = planned.data_type == DataType::Null
            || (class(to) == Class::Number && !to.is_floating());
        if exact && !planned.data_type.is_floating() {
            let expr = Expr::Cast(Cast::new(Box::new(planned.expr), to.clone()));
            return Some(Planned { expr, data_type: to.clone(), nullable: planned.nullable });
        }
        self.cast_to(place, planned, to)
    }
}

/// A float as PostgreSQL compares it: -0 equals 0, and every NaN the others. Arrow compares their
/// bits.
fn comparable(planned: Planned) -> Planned {
    if !planned.data_type.is_floating() {
        return planned;
    }
    let (data_type, nullable) = (planned.data_type, planned.nullable);
    let expr =
        call_arrays("comparable", data_type.clone(), nullable, vec![planned.expr], |arguments| {
            let values = arguments.first().ok_or("no value")?;
            Ok(match values.data_type() {
                DataType::Float32 => {
                    let plain = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
                    Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(plain))
                        as ArrayRef
                }
                DataType::Float64 => {
                    let plain = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
                    Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(plain))
                        as ArrayRef
                }
                _ => Arc::clone(values),
            })
        });
    Planned { expr, data_type, nullable }
}

/// The narrowest type that holds every value of both.
fn wider(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return Some(left.clone());
    }
    match class(left) {
        Class::Text => Some(DataType::Utf8),
        Class::Moment => {
            let zoned = |side: &DataType| matches!(side, DataType::Timestamp(_, Some(_)));
            Some(if zoned(left) || zoned(right) { timestamptz() } else { timestamp() })
        }
        Class::Number if left.is_floating() || right.is_floating() => Some(DataType::Float64),
        Class::Number => {
            let ((left_digits, left_scale), (right_digits, right_scale)) =
                (digits(left)?, digits(right)?);
            if left.is_integer() && right.is_integer() && left_digits.max(right_digits) < 20 {
                return Some(if left_digits >= right_digits {
                    left.clone()
                } else {
                    right.clone()
                });
            }
            let scale = left_scale.max(right_scale);
            let all = (left_digits - left_scale).max(right_digits - right_scale) + scale;
            Some(match all {
                ..=38 => DataType::Decimal128(all as u8, scale as i8),
                _ => DataType::Decimal256(all.min(76) as u8, scale as i8),
            })
        }
        // Intervals have several forms, which DataFusion brings together.
        Class::Interval => Some(right.clone()),
        _ => None,
    }
}
