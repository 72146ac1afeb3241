//! The kind of an expression's values, where it is plain. What is not plain is unknown: nothing is
//! guessed.

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, UnaryOperator, Value, ValueWithSpan,
};

use super::expression::unnested;
use super::functions::{arguments, last_name};
use super::scope::Found;
use super::{ColumnKind, ParameterType, Resolver};

impl Resolver<'_> {
    pub(super) fn kind(&self, expr: &Expr) -> ColumnKind {
        match unnested(expr) {
            expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                match self.column_of(expr) {
                    Some(Found::Column(kind, _)) => kind,
                    _ => ColumnKind::Unknown,
                }
            }
            Expr::Value(value) => match (self.parameter(value), &value.value) {
                (Some(parameter), _) => parameter.kind,
                (None, Value::Number(..)) => ColumnKind::Number,
                (None, Value::Boolean(_)) => ColumnKind::Boolean,
                _ => ColumnKind::Unknown,
            },
            Expr::Cast { expr, data_type, .. } => match of_type(data_type) {
                // A number may be given as a text for the sake of its digits.
                ColumnKind::Text => ColumnKind::Text.or(self.kind(expr)),
                kind => kind,
            },
            Expr::TypedString(typed) => of_type(&typed.data_type),
            Expr::Interval(_) => ColumnKind::Interval,
            Expr::Collate { expr, .. } => self.kind(expr),
            Expr::UnaryOp { op: UnaryOperator::Not, .. } => ColumnKind::Boolean,
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => {
                self.kind(expr)
            }
            Expr::BinaryOp { left, op, right } => {
                of_operator(op, self.kind(left), self.kind(right))
            }
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::Exists { .. } => ColumnKind::Boolean,
            Expr::Extract { .. } | Expr::Position { .. } => ColumnKind::Number,
            Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => {
                ColumnKind::Number.or(self.kind(expr))
            }
            Expr::AtTimeZone { timestamp, .. } => ColumnKind::Moment.or(self.kind(timestamp)),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions
                    .iter()
                    .map(|when| &when.result)
                    .chain(else_result.iter().map(AsRef::as_ref));
                self.same_kind(results.filter(|result| !is_null(result)))
            }
            Expr::Subquery(query) => {
                let first = self
                    .outputs
                    .get(&std::ptr::from_ref(query.as_ref()))
                    .and_then(|columns| columns.columns.first());
                first.map(|column| column.kind).unwrap_or_default()
            }
            Expr::Function(function) => self.of_function(function),
            _ => ColumnKind::Unknown,
        }
    }

    /// The parameter that stands for this number.
    pub(super) fn parameter(&self, value: &ValueWithSpan) -> Option<&ParameterType> {
        if self.parameters.is_empty() {
            return None;
        }
        self.parameters.get(&self.text.range(value.span).0)
    }

    fn same_kind<'e>(&self, mut expressions: impl Iterator<Item = &'e Expr>) -> ColumnKind {
        let first = expressions.next().map(|expr| self.kind(expr)).unwrap_or_default();
        expressions.fold(first, |kind, expr| kind.or(self.kind(expr)))
    }

    fn of_function(&self, function: &Function) -> ColumnKind {
        let first = || arguments(function).next().map(|expr| self.kind(expr)).unwrap_or_default();
        match last_name(function).unwrap_or_default().as_str() {
            "count" | "row_number" | "rank" | "dense_rank" | "ntile" | "percent_rank"
            | "cume_dist" | "length" | "char_length" | "date_part" => ColumnKind::Number,
            "sum" | "avg" | "round" | "trunc" | "abs" | "ceil" | "floor" => match first() {
                kind @ (ColumnKind::Number | ColumnKind::Interval) => kind,
                _ => ColumnKind::Unknown,
            },
            "min" | "max" | "first_value" | "last_value" | "nth_value" | "lag" | "lead"
            | "nullif" => first(),
            "coalesce" | "greatest" | "least" => {
                self.same_kind(arguments(function).filter(|expr| !is_null(expr)))
            }
            "now" | "current_timestamp" | "current_date" | "localtimestamp" | "clock_timestamp"
            | "to_timestamp" => ColumnKind::Moment,
            "date_trunc" | "timezone" => {
                arguments(function).nth(1).map(|expr| self.kind(expr)).unwrap_or_default()
            }
            "age" | "justify_hours" | "justify_days" | "justify_interval" | "make_interval" => {
                ColumnKind::Interval
            }
            "lower" | "upper" | "initcap" => ColumnKind::Text.or(first()),
            _ => ColumnKind::Unknown,
        }
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(unnested(expr), Expr::Value(value) if value.value == Value::Null)
}

fn of_operator(operator: &BinaryOperator, left: ColumnKind, right: ColumnKind) -> ColumnKind {
    use BinaryOperator::{
        And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus, StringConcat,
    };
    match (operator, left, right) {
        (Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or, _, _) => ColumnKind::Boolean,
        (Plus | Minus | Multiply | Divide | Modulo, ColumnKind::Number, ColumnKind::Number) => {
            ColumnKind::Number
        }
        (Plus | Minus, ColumnKind::Moment, ColumnKind::Interval) => ColumnKind::Moment,
        (Multiply | Divide, ColumnKind::Interval, ColumnKind::Number) => ColumnKind::Interval,
        (StringConcat, ColumnKind::Text, ColumnKind::Text) => ColumnKind::Text,
        _ => ColumnKind::Unknown,
    }
}

fn of_type(data_type: &DataType) -> ColumnKind {
    match data_type {
        DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Int2(_)
        | DataType::Int4(_)
        | DataType::Int8(_)
        | DataType::Real
        | DataType::Float4
        | DataType::Float8
        | DataType::DoublePrecision
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Dec(_) => ColumnKind::Number,
        DataType::Text
        | DataType::Varchar(_)
        | DataType::CharacterVarying(_)
        | DataType::Char(_)
        | DataType::Character(_) => ColumnKind::Text,
        DataType::Bool | DataType::Boolean => ColumnKind::Boolean,
        DataType::Date | DataType::Timestamp(..) => ColumnKind::Moment,
        DataType::Interval { .. } => ColumnKind::Interval,
        DataType::Uuid | DataType::JSON | DataType::JSONB | DataType::Bytea => ColumnKind::Other,
        _ => ColumnKind::Unknown,
    }
}
