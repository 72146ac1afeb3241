//! An expression that PostgreSQL has to compute again, written for PostgreSQL: it gives the same
//! value there, to the last digit, for every row. A rollup's rows are counted here as they come,
//! and there when it is filled or verified.
//!
//! What is written is made from the plan and not copied from the file: every operand has its type
//! and its parentheses, so that neither the precedence of an operator nor the type of a constant is
//! decided twice. What is not on the list is refused; the list is what a test compares with a real
//! server over edge values.

mod calls;
mod casts;
mod constants;
mod operators;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_expr::Expr;
use sqlparser::ast::{self, BinaryOperator, Ident, UnaryOperator};

use super::unify::COMPARED;
use super::{Planned, Planner};
use crate::problem::HasSpan;
use crate::scope::fold;
use crate::type_name::type_name;
use constants::constant;

/// PostgreSQL's text of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// An expression over the table's columns, in parentheses where it needs them.
    pub sql: String,
    /// Its type in PostgreSQL.
    pub sql_type: &'static str,
}

/// What to do about an expression that is not on the list.
const ADVICE: &str =
    "give the table a column for it, computed in the table's SELECT, and use that column here";

/// PostgreSQL's type for values of an Arrow type; None where nothing can be computed with them
/// there.
pub(crate) fn postgres_type(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "boolean",
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 => "text",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz",
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval",
        _ => return None,
    })
}

impl Planner<'_> {
    /// The expression in PostgreSQL's SQL, or a problem. The node has been planned without one.
    pub(crate) fn recomputed(&mut self, node: &ast::Expr) -> Option<Recomputed> {
        let planned = self.plan(node)?;
        let sql = self.sql_of(node, &planned)?;
        match postgres_type(&planned.data_type) {
            Some(sql_type) => Some(Recomputed { sql, sql_type }),
            None => self.refuse_type(node, &planned.data_type),
        }
    }

    fn sql_of(&mut self, node: &ast::Expr, planned: &Planned) -> Option<String> {
        use ast::Expr as Node;
        if let Expr::Literal(scalar, _) = &planned.expr {
            return constant(scalar).or_else(|| self.refuse_type(node, &planned.data_type));
        }
        match node {
            Node::Nested(inner) => self.sql_of(inner, planned),
            Node::Identifier(name) => self.column_sql(node, name),
            Node::CompoundIdentifier(path) => match path.as_slice() {
                [record, name] if fold(record) == "record" => self.column_sql(node, name),
                _ => self.unproven(node),
            },
            Node::BinaryOp { left, op, right } => self.binary_sql(node, left, op, right, planned),
            Node::UnaryOp { op: UnaryOperator::Not, expr } => {
                Some(format!("(NOT {})", self.boolean_sql(expr)?))
            }
            Node::UnaryOp { op: UnaryOperator::Plus, expr } => {
                self.operand(expr, &planned.data_type)
            }
            Node::UnaryOp { op: UnaryOperator::Minus, expr } if planned.data_type.is_numeric() => {
                Some(format!("(- {})", self.operand(expr, &planned.data_type)?))
            }
            Node::IsNull(operand) => Some(format!("({} IS NULL)", self.any_operand(operand)?)),
            Node::IsNotNull(operand) => {
                Some(format!("({} IS NOT NULL)", self.any_operand(operand)?))
            }
            Node::IsTrue(operand) => Some(format!("({} IS TRUE)", self.boolean_sql(operand)?)),
            Node::IsNotTrue(operand) => {
                Some(format!("({} IS NOT TRUE)", self.boolean_sql(operand)?))
            }
            Node::IsFalse(operand) => Some(format!("({} IS FALSE)", self.boolean_sql(operand)?)),
            Node::IsNotFalse(operand) => {
                Some(format!("({} IS NOT FALSE)", self.boolean_sql(operand)?))
            }
            Node::IsUnknown(operand) => {
                Some(format!("({} IS UNKNOWN)", self.boolean_sql(operand)?))
            }
            Node::IsNotUnknown(operand) => {
                Some(format!("({} IS NOT UNKNOWN)", self.boolean_sql(operand)?))
            }
            Node::IsDistinctFrom(left, right) => {
                self.comparison_sql(node, left, "IS DISTINCT FROM", right)
            }
            Node::IsNotDistinctFrom(left, right) => {
                self.comparison_sql(node, left, "IS NOT DISTINCT FROM", right)
            }
            Node::InList { expr, list, negated } => {
                let compared: Vec<&ast::Expr> = std::iter::once(&**expr).chain(list).collect();
                let mut operands = self.compared_sql(node, &compared)?;
                let first = operands.remove(0);
                Some(format!(
                    "({first} {} ({}))",
                    if *negated { "NOT IN" } else { "IN" },
                    operands.join(", ")
                ))
            }
            Node::Between { expr, negated, low, high } => {
                let operands = self.compared_sql(node, &[&**expr, &**low, &**high])?;
                let [operand, low, high] = operands.as_slice() else { return None };
                Some(format!(
                    "({operand} {} {low} AND {high})",
                    if *negated { "NOT BETWEEN" } else { "BETWEEN" }
                ))
            }
            Node::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like_sql(node, expr, pattern, *negated)
            }
            Node::Case { operand, conditions, else_result, .. } => {
                self.case_sql(node, operand.as_deref(), conditions, else_result.as_deref(), planned)
            }
            Node::Cast { expr, data_type, .. } => {
                self.cast_sql(node, expr, data_type, &planned.data_type)
            }
            Node::AtTimeZone { timestamp, time_zone } => {
                self.at_time_zone_sql(timestamp, time_zone)
            }
            _ => self.call_sql(node, planned),
        }
    }

    /// The operand as a value of another type, which holds all of its own type's: `(x)::bigint`.
    pub(super) fn operand(&mut self, node: &ast::Expr, to: &DataType) -> Option<String> {
        let planned = self.plan(node)?;
        let literal = matches!(planned.expr, Expr::Literal(..));
        if literal && planned.data_type != *to {
            let cast = self.cast_to(node, planned, to)?;
            return self.sql_of(node, &cast);
        }
        let sql = self.sql_of(node, &planned)?;
        match (postgres_type(&planned.data_type), postgres_type(to)) {
            (Some(given), Some(wanted)) if given == wanted => Some(sql),
            (Some(_), Some(wanted)) => Some(format!("({sql})::{wanted}")),
            _ => self.refuse_type(node, &planned.data_type),
        }
    }

    pub(super) fn boolean_sql(&mut self, node: &ast::Expr) -> Option<String> {
        self.operand(node, &DataType::Boolean)
    }

    /// Operands in one type, which follows.
    pub(super) fn unified_sql(
        &mut self,
        node: &dyn HasSpan,
        nodes: &[&ast::Expr],
        together: &str,
    ) -> Option<(Vec<String>, DataType)> {
        let planned = self.all(nodes.iter().copied(), Self::plan)?;
        let unified = self.unify(node, nodes.iter().copied().zip(planned).collect(), together)?;
        let common = unified.first()?.data_type.clone();
        let operands: Option<Vec<String>> =
            nodes.iter().map(|node| self.operand(node, &common)).collect();
        Some((operands?, common))
    }

    /// Operands that are compared with the first one; texts by their bytes, as they are here.
    pub(super) fn compared_sql(
        &mut self,
        node: &ast::Expr,
        nodes: &[&ast::Expr],
    ) -> Option<Vec<String>> {
        let (mut operands, common) = self.unified_sql(node, nodes, COMPARED)?;
        match postgres_type(&common) {
            Some("text") => {
                if let Some(first) = operands.first_mut() {
                    first.push_str(" COLLATE \"C\"");
                }
            }
            // Intervals of different units compare in more than one way.
            Some("interval") | None => return self.refuse_type(node, &common),
            Some(_) => {}
        }
        Some(operands)
    }

    /// A column, as a value of its declared type: a UUID is a text here.
    fn column_sql(&mut self, node: &ast::Expr, name: &Ident) -> Option<String> {
        let name = fold(name);
        let data_type = self.scope.find(&name)?.data_type().clone();
        match postgres_type(&data_type) {
            Some(sql_type) => Some(format!("{}::{sql_type}", quoted(&name))),
            None => self.refuse_type(node, &data_type),
        }
    }

    /// An operand of which nothing is asked but whether it is NULL.
    fn any_operand(&mut self, node: &ast::Expr) -> Option<String> {
        match node {
            ast::Expr::Nested(inner) => self.any_operand(inner),
            ast::Expr::Identifier(name) => {
                self.plan(node)?;
                Some(quoted(&fold(name)))
            }
            _ => Some(self.recomputed(node)?.sql),
        }
    }

    /// Refuses what has not been shown to give the same in PostgreSQL.
    pub(super) fn unproven<T>(&mut self, node: &ast::Expr) -> Option<T> {
        self.unproven_with(node, ADVICE)
    }

    pub(super) fn unproven_with<T>(
        &mut self,
        node: &ast::Expr,
        advice: impl Into<String>,
    ) -> Option<T> {
        let message = format!(
            "`{node}` is not known to give the same value here and in PostgreSQL, which fills and \
                verifies rollups"
        );
        let problem = self.text.problem("sql.recompute.unproven", node, message);
        self.refuse(problem.help(advice))
    }

    pub(super) fn refuse_type<T>(&mut self, node: &dyn HasSpan, data_type: &DataType) -> Option<T> {
        let message = format!("nothing can be computed with {} in a rollup", type_name(data_type));
        let problem = self.text.problem("sql.recompute.type", node, message);
        self.refuse(problem.help(ADVICE))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How PostgreSQL writes a comparison.
fn comparison(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
}
