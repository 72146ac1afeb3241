//! `+ - * / %`, `||`, comparisons, AND, OR and the pattern operators.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::{BinaryExpr, Expr, Like, Operator};
use sqlparser::ast::{self, BinaryOperator, ValueWithSpan};

use super::literals::{constant, negated_literal};
use super::unify::COMPARED;
use super::{Planned, Planner};
use crate::arithmetic::{Operation, calculate, result_type};
use crate::cast::{cast, conversion_help};
use crate::native::call_arrays;
use crate::problem::HasSpan;
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    pub(super) fn binary(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
    ) -> Option<Planned> {
        let pattern = |operator| (operator, true);
        let (operator, is_pattern) = match operator {
            BinaryOperator::Plus => return self.arithmetic(node, left, Operation::Add, right),
            BinaryOperator::Minus => {
                return self.arithmetic(node, left, Operation::Subtract, right);
            }
            BinaryOperator::Multiply => {
                return self.arithmetic(node, left, Operation::Multiply, right);
            }
            BinaryOperator::Divide => return self.arithmetic(node, left, Operation::Divide, right),
            BinaryOperator::Modulo => return self.arithmetic(node, left, Operation::Modulo, right),
            BinaryOperator::And => return self.logic(node, left, Operator::And, right),
            BinaryOperator::Or => return self.logic(node, left, Operator::Or, right),
            BinaryOperator::StringConcat => return self.concatenation(node, left, right),
            BinaryOperator::Eq => (Operator::Eq, false),
            BinaryOperator::NotEq => (Operator::NotEq, false),
            BinaryOperator::Lt => (Operator::Lt, false),
            BinaryOperator::LtEq => (Operator::LtEq, false),
            BinaryOperator::Gt => (Operator::Gt, false),
            BinaryOperator::GtEq => (Operator::GtEq, false),
            BinaryOperator::PGRegexMatch => pattern(Operator::RegexMatch),
            BinaryOperator::PGRegexIMatch => pattern(Operator::RegexIMatch),
            BinaryOperator::PGRegexNotMatch => pattern(Operator::RegexNotMatch),
            BinaryOperator::PGRegexNotIMatch => pattern(Operator::RegexNotIMatch),
            other => {
                return self.problem(
                    "sql.construct.unsupported",
                    node,
                    format!("the operator {other} cannot be used here"),
                );
            }
        };
        if is_pattern {
            let (text, pattern) = (self.text(left), self.text(right));
            let pattern = self.regular_expression(right, pattern?);
            return self.finish(node, binary_expr(text?.expr, operator, pattern?.expr));
        }
        self.compare(node, left, operator, right)
    }

    pub(super) fn compare(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: Operator,
        right: &ast::Expr,
    ) -> Option<Planned> {
        let (left_planned, right_planned) = (self.plan(left), self.plan(right));
        let operands =
            self.unify(node, vec![(left, left_planned?), (right, right_planned?)], COMPARED)?;
        let [left, right] = <[Planned; 2]>::try_from(operands).ok()?;
        if matches!(class(&left.data_type), Class::Object | Class::List) {
            return self.problem(
                "sql.type.mismatch",
                node,
                format!("{} cannot be compared", type_name(&left.data_type)),
            );
        }
        self.finish(node, binary_expr(left.expr, operator, right.expr))
    }

    fn logic(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operator: Operator,
        right: &ast::Expr,
    ) -> Option<Planned> {
        let (left, right) = (self.boolean(left), self.boolean(right));
        self.finish(node, binary_expr(left?.expr, operator, right?.expr))
    }

    fn arithmetic(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        operation: Operation,
        right: &ast::Expr,
    ) -> Option<Planned> {
        let (left_planned, right_planned) = (self.plan(left), self.plan(right));
        let (mut left_planned, mut right_planned) = (
            self.number_of_literal(node, left_planned?, operation)?,
            self.number_of_literal(node, right_planned?, operation)?,
        );
        if operation == Operation::Divide {
            left_planned = self.as_divided(left, left_planned)?;
            right_planned = self.as_divided(right, right_planned)?;
        }
        self.calculated(node, left_planned, operation, right_planned)
    }

    /// An operand of a division. Some functions give a whole number here and no integer in
    /// PostgreSQL, where the quotient of it keeps its fraction.
    fn as_divided(&mut self, node: &ast::Expr, planned: Planned) -> Option<Planned> {
        match fractional_type(node).filter(|_| planned.data_type.is_integer()) {
            Some(data_type) => self.cast_to(node, planned, &data_type),
            None => Some(planned),
        }
    }

    fn calculated(
        &mut self,
        node: &dyn HasSpan,
        left: Planned,
        operation: Operation,
        right: Planned,
    ) -> Option<Planned> {
        let classes = (class(&left.data_type), class(&right.data_type));
        if !matches!(classes, (Class::Number | Class::Null, Class::Number | Class::Null)) {
            return self.moment_arithmetic(node, left, operation, right);
        }
        match result_type(operation, &left.data_type, &right.data_type) {
            Ok(data_type) => {
                let nullable = left.nullable || right.nullable;
                let expr = calculate(operation, left.expr, right.expr, data_type.clone(), nullable);
                Some(Planned { expr, data_type, nullable })
            }
            Err(message) => self.problem("sql.type.mismatch", node, message),
        }
    }

    /// A literal text in an arithmetic is a number, as in PostgreSQL.
    fn number_of_literal(
        &mut self,
        node: &dyn HasSpan,
        planned: Planned,
        operation: Operation,
    ) -> Option<Planned> {
        let Some(text) = planned.literal_text() else { return Some(planned) };
        match super::literals::number_literal(text.trim()) {
            Some(number) => Some(constant(number)),
            None => {
                let message = format!("{text:?} is not a number for {}", operation.sign());
                self.problem("sql.type.mismatch", node, message)
            }
        }
    }

    pub(super) fn negated(&mut self, node: &ast::Expr, operand: &ast::Expr) -> Option<Planned> {
        let operand = self.plan(operand)?;
        if let Some(scalar) = negated_literal(&operand) {
            return Some(constant(scalar));
        }
        match class(&operand.data_type) {
            // Of zero it is -0.
            Class::Number if operand.data_type.is_floating() => {
                self.finish(node, Expr::Negative(Box::new(operand.expr)))
            }
            Class::Number => {
                let zero = match ScalarValue::new_zero(&operand.data_type) {
                    Ok(zero) => constant(zero),
                    Err(error) => {
                        return self.problem("sql.type.mismatch", node, error.to_string());
                    }
                };
                self.calculated(node, zero, Operation::Subtract, operand)
            }
            Class::Interval => self.finish(node, Expr::Negative(Box::new(operand.expr))),
            _ => self.problem(
                "sql.type.mismatch",
                node,
                format!("there is no - {}", type_name(&operand.data_type)),
            ),
        }
    }

    fn concatenation(
        &mut self,
        node: &ast::Expr,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Option<Planned> {
        let (left_planned, right_planned) = (self.plan(left), self.plan(right));
        let (left_planned, right_planned) = (left_planned?, right_planned?);
        let text =
            |planned: &Planned| matches!(class(&planned.data_type), Class::Text | Class::Null);
        if !text(&left_planned) && !text(&right_planned) {
            let message = format!(
                "there is no {} || {}",
                type_name(&left_planned.data_type),
                type_name(&right_planned.data_type)
            );
            return self.problem("sql.type.mismatch", node, message);
        }
        let (left, right) =
            (self.as_text(left, left_planned)?, self.as_text(right, right_planned)?);
        self.finish(node, binary_expr(left.expr, Operator::StringConcat, right.expr))
    }

    pub(super) fn like(
        &mut self,
        node: &ast::Expr,
        text: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ValueWithSpan>,
        negated: bool,
        any_case: bool,
    ) -> Option<Planned> {
        let (text, pattern) = (self.text(text), self.text(pattern));
        let escape = match escape
            .and_then(|escape| escape.value.clone().into_string())
            .map(|escape| escape.chars().collect::<Vec<_>>())
        {
            None => None,
            Some(escape) if escape.len() == 1 => Some(escape[0]),
            Some(_) => {
                return self.problem("sql.literal.invalid", node, "ESCAPE takes one character");
            }
        };
        let like =
            Like::new(negated, Box::new(text?.expr), Box::new(pattern?.expr), escape, any_case);
        self.finish(node, Expr::Like(like))
    }

    /// An operand that must be a text.
    pub(super) fn text(&mut self, node: &ast::Expr) -> Option<Planned> {
        let planned = self.plan(node)?;
        if matches!(class(&planned.data_type), Class::Text | Class::Null) {
            return Some(planned);
        }
        let problem = self.text.problem(
            "sql.type.mismatch",
            node,
            format!("this is {}, where TEXT is needed", type_name(&planned.data_type)),
        );
        let help = conversion_help(&node.to_string(), &planned.data_type, &DataType::Utf8);
        self.refuse(problem.maybe_help(help))
    }

    /// Anything as PostgreSQL prints it.
    pub(super) fn as_text(&mut self, node: &dyn HasSpan, planned: Planned) -> Option<Planned> {
        if planned.data_type == DataType::Utf8 {
            return Some(planned);
        }
        if !crate::cast::castable(&planned.data_type, &DataType::Utf8) {
            return self.problem(
                "sql.type.mismatch",
                node,
                format!("{} cannot be shown as TEXT", type_name(&planned.data_type)),
            );
        }
        let expr = call_arrays(
            "text",
            DataType::Utf8,
            planned.nullable,
            vec![planned.expr],
            |arguments| cast(arguments.first().ok_or("no value")?, &DataType::Utf8),
        );
        Some(Planned { expr, data_type: DataType::Utf8, nullable: planned.nullable })
    }
}

/// The type that PostgreSQL computes a whole number in, where it is none of its integers.
fn fractional_type(node: &ast::Expr) -> Option<DataType> {
    use ast::Expr as Node;
    let of_two = |left: &ast::Expr, right: &ast::Expr| {
        let (left, right) = (fractional_type(left), fractional_type(right));
        if left == Some(DataType::Float64) { left } else { right.or(left) }
    };
    match node {
        Node::Nested(inner) | Node::UnaryOp { expr: inner, .. } => fractional_type(inner),
        Node::BinaryOp { left, right, .. } => of_two(left, right),
        Node::Extract { .. } => Some(DataType::Decimal128(19, 0)),
        Node::Ceil { .. } | Node::Floor { .. } => Some(DataType::Float64),
        Node::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let is_double =
                ["date_part", "ceil", "ceiling", "floor", "round", "trunc"].contains(&&*name);
            is_double.then_some(DataType::Float64)
        }
        _ => None,
    }
}

pub(super) fn binary_expr(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}
