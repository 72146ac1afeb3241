//! Operands that must be of one type: those of a comparison, the branches of a CASE, the arguments of COALESCE.

use arrow::datatypes::DataType;
use datafusion_expr::{Cast, Expr};
use sqlparser::ast;

use super::literals::{constant, number_literal};
use super::{Planned, Planner};
use crate::arithmetic::digits;
use crate::moment::{timestamp, timestamptz};
use crate::problem::HasSpan;
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    /// The operands in one type, widened and never narrowed. Literal texts take the others' type, as in PostgreSQL.
    pub(super) fn unify(&mut self, node: &dyn HasSpan, operands: Vec<(&ast::Expr, Planned)>, together: &str) -> Option<Vec<Planned>> {
        let settled = |planned: &Planned| planned.literal_text().is_none() && class(&planned.data_type) != Class::Null;
        let first = operands.iter().find(|(_, planned)| settled(planned)).map(|(_, planned)| planned.data_type.clone());
        let first = first.unwrap_or(DataType::Utf8);
        for (place, planned) in operands.iter().filter(|(_, planned)| settled(planned)) {
            if class(&planned.data_type) != class(&first) {
                let message = format!("{} and {} cannot be {together}", type_name(&first), type_name(&planned.data_type));
                let problem = self.text.problem("sql.type.mismatch", node, message);
                return self.refuse(problem.help(format!("cast one of them, for example `CAST({place} AS {})`", castable_name(&first))));
            }
        }
        let mut converted = Vec::with_capacity(operands.len());
        for (place, planned) in operands {
            converted.push((place, self.literal_as(place, planned, &first)?));
        }
        let common = converted.iter().filter(|(_, planned)| settled(planned)).map(|(_, planned)| &planned.data_type);
        let Some(common) = common.cloned().map(Some).reduce(|left, right| wider(&left?, &right?)).unwrap_or(Some(first)) else {
            return self.problem("sql.type.mismatch", node, format!("these types cannot be {together}"));
        };
        converted.into_iter().map(|(place, planned)| self.widened(place, planned, &common)).collect()
    }

    fn literal_as(&mut self, place: &ast::Expr, planned: Planned, to: &DataType) -> Option<Planned> {
        let Some(text) = planned.literal_text().filter(|_| class(to) != Class::Text) else { return Some(planned) };
        if class(to) != Class::Number {
            return self.cast_to(place, planned, to);
        }
        match number_literal(text.trim()) {
            Some(number) => Some(constant(number)),
            None => self.problem("sql.literal.invalid", place, format!("{text:?} is not a valid {}", type_name(to))),
        }
    }

    fn widened(&mut self, place: &ast::Expr, planned: Planned, to: &DataType) -> Option<Planned> {
        if &planned.data_type == to {
            return Some(planned);
        }
        // An exact widening is left to DataFusion, which takes it away again where a literal can be narrowed instead.
        let exact = planned.data_type == DataType::Null || (class(to) == Class::Number && !to.is_floating());
        if exact && !planned.data_type.is_floating() {
            let expr = Expr::Cast(Cast::new(Box::new(planned.expr), to.clone()));
            return Some(Planned { expr, data_type: to.clone(), nullable: planned.nullable });
        }
        self.cast_to(place, planned, to)
    }
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
            let ((left_digits, left_scale), (right_digits, right_scale)) = (digits(left)?, digits(right)?);
            if left.is_integer() && right.is_integer() && left_digits.max(right_digits) < 20 {
                return Some(if left_digits >= right_digits { left.clone() } else { right.clone() });
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

fn castable_name(data_type: &DataType) -> String {
    match class(data_type) {
        Class::Object | Class::List | Class::Other => "TEXT".into(),
        _ => type_name(data_type),
    }
}
