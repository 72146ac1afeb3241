//! Syntax into expressions, node by node. Every node's operands are planned first, so that a type
//! that does not serve is told where it stands. A node that cannot be planned leaves its problem
//! and None, and the others are planned nevertheless.

mod calls;
mod casts;
mod clock;
mod conditional;
mod lambda;
mod literals;
mod moments;
mod names;
mod objects;
mod operators;
mod patterns;
mod periods;
mod recompute;
mod replaced;
mod unify;

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};
use sqlparser::tokenizer::Span;

pub use recompute::Recomputed;

use crate::compile::coerce;
use crate::problem::{At, HasSpan, SourceText, SqlProblem};
use crate::scope::Scope;
use crate::type_name::{Class, class, type_name};

/// An expression, its operands already of the types that it wants.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) expr: Expr,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// The expressions of one statement, over one scope.
pub(crate) struct Planner<'t> {
    pub(crate) text: SourceText<'t>,
    pub(crate) scope: Scope,
    pub(crate) problems: Vec<SqlProblem>,
    /// How many nodes stand around the one in hand.
    depth: usize,
}

/// Each node takes stack where it is planned, where it is optimized and where it runs.
const MOST_DEPTH: usize = 100;

impl Planned {
    /// The text of a literal, which takes the type of what it meets, as in PostgreSQL.
    pub(crate) fn literal_text(&self) -> Option<&str> {
        match &self.expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
            _ => None,
        }
    }

    fn literal_integer(&self) -> Option<i64> {
        match &self.expr {
            Expr::Literal(ScalarValue::Int64(number), _) => *number,
            _ => None,
        }
    }
}

impl<'t> Planner<'t> {
    pub(crate) fn new(text: SourceText<'t>, scope: Scope) -> Self {
        Self { text, scope, problems: Vec::new(), depth: 0 }
    }

    pub(crate) fn plan(&mut self, node: &ast::Expr) -> Option<Planned> {
        if self.depth >= MOST_DEPTH {
            return self.too_deep(node);
        }
        self.depth += 1;
        let planned = self.plan_node(node);
        self.depth -= 1;
        planned
    }

    fn too_deep(&mut self, node: &ast::Expr) -> Option<Planned> {
        const CODE: &str = "sql.expression.depth";
        if self.problems.iter().any(|problem| problem.code == CODE) {
            return None;
        }
        // Its last operand: to find where the whole begins would go as deep again.
        let place: &dyn HasSpan = match node {
            ast::Expr::BinaryOp { right, .. } => right.as_ref(),
            _ => &At(Span::empty()),
        };
        let message = format!("the expression nests more than {MOST_DEPTH} deep");
        let problem = self.text.problem(CODE, place, message);
        self.refuse(
            problem
                .help("many alternatives are one `x IN (...)`, many texts are one `concat(...)`"),
        )
    }

    fn plan_node(&mut self, node: &ast::Expr) -> Option<Planned> {
        use ast::Expr as Node;
        match node {
            Node::Nested(inner) => self.plan(inner),
            Node::Identifier(name) => self.name(name),
            Node::CompoundIdentifier(path) => self.path(path),
            Node::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Node::Value(value) => self.literal(node, value),
            Node::TypedString(typed) => self.typed_literal(node, typed),
            Node::Interval(interval) => self.interval(node, interval),
            Node::BinaryOp { left, op, right } => self.binary(node, left, op, right),
            Node::UnaryOp { op, expr } => self.unary(node, *op, expr),
            Node::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                array: false,
            } => self.cast(node, expr, data_type),
            Node::AtTimeZone { timestamp, time_zone } => {
                self.at_time_zone(node, timestamp, time_zone)
            }
            Node::Function(function) => self.function(node, function),
            Node::Ceil { expr, field } => self.ceil_or_floor(node, "ceil", expr, field),
            Node::Floor { expr, field } => self.ceil_or_floor(node, "floor", expr, field),
            Node::Extract { field, expr, .. } => self.extract(node, &field.to_string(), expr),
            Node::Position { expr, r#in } => self.call_of_nodes(node, "strpos", &[r#in, expr]),
            Node::Substring { expr, substring_from, substring_for, .. } => {
                self.substring(node, expr, substring_from, substring_for)
            }
            Node::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.trim(node, *trim_where, trim_what, expr)
            }
            Node::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![&**expr, &**overlay_what, &**overlay_from];
                arguments.extend(overlay_for.as_deref());
                self.call_of_nodes(node, "overlay", &arguments)
            }
            _ => self.plan_condition_node(node),
        }
    }

    /// The nodes that answer TRUE, FALSE or NULL, and CASE.
    fn plan_condition_node(&mut self, node: &ast::Expr) -> Option<Planned> {
        use ast::Expr as Node;
        match node {
            Node::IsNull(operand) => self.test(node, operand, Expr::IsNull),
            Node::IsNotNull(operand) => self.test(node, operand, Expr::IsNotNull),
            Node::IsTrue(operand) => self.test_boolean(node, operand, Expr::IsTrue),
            Node::IsNotTrue(operand) => self.test_boolean(node, operand, Expr::IsNotTrue),
            Node::IsFalse(operand) => self.test_boolean(node, operand, Expr::IsFalse),
            Node::IsNotFalse(operand) => self.test_boolean(node, operand, Expr::IsNotFalse),
            Node::IsUnknown(operand) => self.test_boolean(node, operand, Expr::IsUnknown),
            Node::IsNotUnknown(operand) => self.test_boolean(node, operand, Expr::IsNotUnknown),
            Node::IsDistinctFrom(left, right) => {
                self.compare(node, left, datafusion_expr::Operator::IsDistinctFrom, right)
            }
            Node::IsNotDistinctFrom(left, right) => {
                self.compare(node, left, datafusion_expr::Operator::IsNotDistinctFrom, right)
            }
            Node::InList { expr, list, negated } => self.in_list(node, expr, list, *negated),
            Node::Between { expr, negated, low, high } => {
                self.between(node, expr, *negated, low, high)
            }
            Node::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(node, expr, pattern, escape_char.as_ref(), *negated, false)
            }
            Node::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(node, expr, pattern, escape_char.as_ref(), *negated, true)
            }
            Node::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. }
                if !matches!(**right, Node::Subquery(_)) =>
            {
                let list = match &**right {
                    Node::Nested(list) => list,
                    list => list,
                };
                self.call_of_nodes(node, "array_contains", &[list, left])
            }
            Node::Case { operand, conditions, else_result, .. } => {
                self.case(node, operand.as_deref(), conditions, else_result.as_deref())
            }
            Node::Subquery(query) => self.object(query),
            Node::InSubquery { .. } | Node::Exists { .. } => {
                let problem = self.text.problem(
                    "sql.construct.unsupported",
                    node,
                    "a subquery cannot be used here",
                );
                self.refuse(problem.help("an expression sees one record and nothing else"))
            }
            Node::Lambda(_) => {
                let problem = self.text.problem(
                    "sql.construct.unsupported",
                    node,
                    "a lambda stands only in a list function",
                );
                self.refuse(problem.help("for example `list_sum(items, i -> i.qty * i.price)`"))
            }
            other => {
                let message = format!("`{other}` cannot be used here");
                self.problem("sql.construct.unsupported", node, message)
            }
        }
    }

    /// Notes a problem at a node.
    pub(super) fn problem<T>(
        &mut self,
        code: &'static str,
        node: &dyn HasSpan,
        message: impl Into<String>,
    ) -> Option<T> {
        let problem = self.text.problem(code, node, message);
        self.refuse(problem)
    }

    pub(super) fn refuse<T>(&mut self, problem: SqlProblem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// A finished node: DataFusion's coercions are applied, its refusal is a problem at the node.
    pub(super) fn finish(&mut self, node: &dyn HasSpan, expr: Expr) -> Option<Planned> {
        match coerce(expr, self.scope.schema()) {
            Ok((expr, data_type, nullable)) => Some(Planned { expr, data_type, nullable }),
            Err(message) => self.problem("sql.type.mismatch", node, message),
        }
    }

    /// An operand that must be TRUE, FALSE or NULL.
    pub(crate) fn boolean(&mut self, node: &ast::Expr) -> Option<Planned> {
        let planned = self.plan(node)?;
        if matches!(class(&planned.data_type), Class::Boolean | Class::Null) {
            return Some(planned);
        }
        let message = format!(
            "this is {}, where a condition (TRUE or FALSE) is needed",
            type_name(&planned.data_type)
        );
        self.problem("sql.type.mismatch", node, message)
    }

    fn test(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        test: fn(Box<Expr>) -> Expr,
    ) -> Option<Planned> {
        let operand = self.plan(operand)?;
        self.finish(node, test(Box::new(operand.expr)))
    }

    fn test_boolean(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        test: fn(Box<Expr>) -> Expr,
    ) -> Option<Planned> {
        let operand = self.boolean(operand)?;
        self.finish(node, test(Box::new(operand.expr)))
    }

    fn unary(
        &mut self,
        node: &ast::Expr,
        operator: UnaryOperator,
        operand: &ast::Expr,
    ) -> Option<Planned> {
        match operator {
            UnaryOperator::Not => {
                let operand = self.boolean(operand)?;
                self.finish(node, Expr::Not(Box::new(operand.expr)))
            }
            UnaryOperator::Minus => self.negated(node, operand),
            UnaryOperator::Plus => self.plan(operand),
            other => self.problem(
                "sql.construct.unsupported",
                node,
                format!("the operator {other} cannot be used here"),
            ),
        }
    }
}
