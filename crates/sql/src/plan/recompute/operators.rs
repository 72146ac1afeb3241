//! Operators, CASE and LIKE.

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use sqlparser::ast::{self, BinaryOperator, CaseWhen};

use super::super::{Planned, Planner};
use super::comparison;
use super::constants::text_constant;
use crate::type_name::{Class, class};

impl Planner<'_> {
    pub(super) fn binary_sql(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
        planned: &Planned,
    ) -> Option<String> {
        if let Some(sign) = comparison(operator) {
            return self.comparison_sql(node, left, sign, right);
        }
        match operator {
            BinaryOperator::And => {
                Some(format!("({} AND {})", self.boolean_sql(left)?, self.boolean_sql(right)?))
            }
            BinaryOperator::Or => {
                Some(format!("({} OR {})", self.boolean_sql(left)?, self.boolean_sql(right)?))
            }
            BinaryOperator::StringConcat => {
                Some(format!("({} || {})", self.shown_sql(left)?, self.shown_sql(right)?))
            }
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => self.arithmetic_sql(node, left, operator, right, planned),
            _ => self.unproven(node),
        }
    }

    pub(super) fn comparison_sql(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        sign: &str,
        right: &ast::Expr,
    ) -> Option<String> {
        let operands = self.compared_sql(node, &[left, right])?;
        let [left, right] = operands.as_slice() else { return None };
        Some(format!("({left} {sign} {right})"))
    }

    pub(super) fn arithmetic_sql(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
        planned: &Planned,
    ) -> Option<String> {
        match &planned.data_type {
            // Both operands are widened first, so that an overflow is one on both sides.
            integer if integer.is_integer() && !self.counts_days(left, right)? => {
                let (left, right) = (self.operand(left, integer)?, self.operand(right, integer)?);
                Some(format!("({left} {operator} {right})"))
            }
            DataType::Decimal128(..) | DataType::Decimal256(..)
                if *operator == BinaryOperator::Divide =>
            {
                self.unproven_with(node, self.instead_of_division(left, right))
            }
            // Exact on both sides, or a failure here.
            decimal if decimal.is_decimal() => {
                let (left, right) = (self.exact_sql(left)?, self.exact_sql(right)?);
                Some(format!("({left} {operator} {right})"))
            }
            float if float.is_floating() => self.unproven_with(
                node,
                "make a NUMERIC of each operand first: `CAST(... AS NUMERIC(20,6))`",
            ),
            _ => self.moment_sql(node, left, operator, right),
        }
    }

    /// Whether two dates are subtracted, which counts days.
    fn counts_days(&mut self, left: &ast::Expr, right: &ast::Expr) -> Option<bool> {
        let (left, right) = (self.plan(left)?, self.plan(right)?);
        Some(class(&left.data_type) == Class::Moment && class(&right.data_type) == Class::Moment)
    }

    /// A date and days, two dates, or a moment and a constant interval.
    fn moment_sql(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
    ) -> Option<String> {
        let (of_left, of_right) = (self.plan(left)?.data_type, self.plan(right)?.data_type);
        let days_as_integer =
            |side: &DataType| if side.is_integer() { DataType::Int32 } else { side.clone() };
        let fits = match (class(&of_left), class(&of_right)) {
            (Class::Moment, Class::Moment) => {
                of_left == DataType::Date32 && of_right == DataType::Date32
            }
            (Class::Moment, Class::Number | Class::Interval)
            | (Class::Number | Class::Interval, Class::Moment) => true,
            _ => false,
        };
        if !fits {
            return self.unproven(node);
        }
        let (left, right) = (
            self.operand(left, &days_as_integer(&of_left))?,
            self.operand(right, &days_as_integer(&of_right))?,
        );
        Some(format!("({left} {operator} {right})"))
    }

    /// A number as a NUMERIC with the digits that it has.
    fn exact_sql(&mut self, node: &ast::Expr) -> Option<String> {
        let planned = self.plan(node)?;
        if let Some(text) = planned.literal_text() {
            return Some(format!("{}::numeric", text_constant(text.trim())));
        }
        let sql = self.sql_of(node, &planned)?;
        Some(if planned.data_type.is_decimal() { sql } else { format!("({sql})::numeric") })
    }

    /// `amount / 4` is `amount * 0.25`, exactly.
    fn instead_of_division(&self, left: &ast::Expr, right: &ast::Expr) -> String {
        let divisor = right.to_string().parse::<i64>().ok();
        let reciprocal = divisor.and_then(|divisor| {
            (1..=9)
                .map(|places| (places, 10i64.pow(places)))
                .find(|(_, power)| divisor > 1 && power % divisor == 0)
        });
        match (divisor, reciprocal) {
            (Some(divisor), Some((places, power))) => {
                let digits = format!("{:0>width$}", power / divisor, width = places as usize);
                format!("write `{left} * 0.{digits}`, which is exact")
            }
            _ => format!(
                "how many digits a quotient has is PostgreSQL's own matter: {}",
                super::ADVICE
            ),
        }
    }

    pub(super) fn like_sql(
        &mut self,
        node: &ast::Expr,
        text: &ast::Expr,
        pattern: &ast::Expr,
        negated: bool,
    ) -> Option<String> {
        let constant = self.plan(pattern)?.literal_text().map(str::to_owned);
        match constant.filter(|pattern| !pattern.contains('\\')) {
            Some(pattern) => {
                let text = self.operand(text, &DataType::Utf8)?;
                let operator = if negated { "NOT LIKE" } else { "LIKE" };
                Some(format!("({text} COLLATE \"C\" {operator} {})", text_constant(&pattern)))
            }
            None => self.unproven(node),
        }
    }

    pub(super) fn case_sql(
        &mut self,
        node: &ast::Expr,
        operand: Option<&ast::Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&ast::Expr>,
        planned: &Planned,
    ) -> Option<String> {
        let mut conditions = match operand {
            None => branches
                .iter()
                .map(|branch| self.boolean_sql(&branch.condition))
                .collect::<Option<Vec<_>>>()?,
            Some(operand) => {
                let compared: Vec<&ast::Expr> = std::iter::once(operand)
                    .chain(branches.iter().map(|branch| &branch.condition))
                    .collect();
                self.compared_sql(node, &compared)?
            }
        };
        let operand = operand.map(|_| conditions.remove(0)).unwrap_or_default();
        let mut sql = format!("CASE {operand}");
        for (condition, branch) in conditions.into_iter().zip(branches) {
            sql.push_str(&format!(
                " WHEN {condition} THEN {}",
                self.operand(&branch.result, &planned.data_type)?
            ));
        }
        if let Some(otherwise) = otherwise {
            sql.push_str(&format!(" ELSE {}", self.operand(otherwise, &planned.data_type)?));
        }
        Some(format!("({sql} END)"))
    }

    /// A constant, where the node is one.
    pub(super) fn is_constant(&mut self, node: &ast::Expr) -> Option<bool> {
        Some(matches!(self.plan(node)?.expr, Expr::Literal(..)))
    }
}
