//! The names that PostgreSQL gives to columns without AS, as its `FigureColname` does.

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, Expr, ObjectName, TimezoneInfo, TrimWhereField, Value,
};

use super::expression::unnested;
use super::functions::last_name;
use super::{Resolver, folded};

/// A name, and how much it says: a cast takes its value's name only if that says more than its type
/// does.
enum Name {
    /// `?column?`
    None,
    OfType(String),
    Good(String),
    /// PostgreSQL's choice is not known here.
    Unknown,
}

impl Resolver<'_> {
    /// None where it is not known.
    pub(super) fn output_name(&self, expr: &Expr) -> Option<String> {
        match self.figure(expr) {
            Name::None => Some("?column?".to_owned()),
            Name::OfType(name) | Name::Good(name) => Some(name),
            Name::Unknown => None,
        }
    }

    fn figure(&self, expr: &Expr) -> Name {
        let good = |name: &str| Name::Good(name.to_owned());
        match unnested(expr) {
            Expr::Identifier(ident) => Name::Good(folded(ident)),
            Expr::CompoundIdentifier(idents) => {
                idents.last().map_or(Name::Unknown, |ident| Name::Good(folded(ident)))
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let field = access_chain.iter().rev().find_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => Some(folded(ident)),
                    _ => None,
                });
                field.map_or_else(|| self.figure(root), Name::Good)
            }
            Expr::Function(function) => last_name(function).map_or(Name::Unknown, Name::Good),
            Expr::Cast { expr, data_type, .. } => match self.figure(expr) {
                Name::None | Name::OfType(_) => {
                    type_name(data_type).map_or(Name::Unknown, Name::OfType)
                }
                name => name,
            },
            Expr::TypedString(typed) => {
                type_name(&typed.data_type).map_or(Name::Unknown, Name::OfType)
            }
            Expr::Interval(_) => Name::OfType("interval".to_owned()),
            Expr::Collate { expr, .. } => self.figure(expr),
            Expr::Case { else_result, .. } => {
                match else_result.as_ref().map(|result| self.figure(result)) {
                    Some(Name::Good(name)) => Name::Good(name),
                    Some(Name::Unknown) => Name::Unknown,
                    Some(Name::None | Name::OfType(_)) | None => Name::OfType("case".to_owned()),
                }
            }
            Expr::Value(value) => match (&value.value, self.parameter(value)) {
                (_, Some(parameter)) => Name::OfType(parameter.name.clone()),
                // `bool` before PostgreSQL 15.
                (Value::Boolean(_), None) => Name::Unknown,
                (Value::Number(..) | Value::Null, None) => Name::None,
                (value, None) if value.clone().into_string().is_some() => Name::None,
                _ => Name::Unknown,
            },
            Expr::Exists { .. } => good("exists"),
            Expr::Subquery(query) => {
                let first = self
                    .outputs
                    .get(&std::ptr::from_ref(query.as_ref()))
                    .and_then(|columns| columns.columns.first());
                first.and_then(|column| column.name.clone()).map_or(Name::Unknown, Name::Good)
            }
            Expr::Array(_) => good("array"),
            Expr::Tuple(_) => good("row"),
            Expr::AtTimeZone { .. } => good("timezone"),
            Expr::Extract { .. } => good("extract"),
            Expr::Ceil { .. } => good("ceil"),
            Expr::Floor { .. } => good("floor"),
            Expr::Position { .. } => good("position"),
            Expr::Overlay { .. } => good("overlay"),
            Expr::Substring { shorthand, .. } => {
                good(if *shorthand { "substr" } else { "substring" })
            }
            Expr::Trim { trim_where, .. } => good(match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                Some(TrimWhereField::Both) | None => "btrim",
            }),
            Expr::BinaryOp { .. }
            | Expr::UnaryOp { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. } => Name::None,
            // What PostgreSQL does not have, or names in ways of its own.
            _ => Name::Unknown,
        }
    }
}

/// The name of a type in `pg_type`; None where it is not known.
fn type_name(data_type: &DataType) -> Option<String> {
    let name = match data_type {
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::Real | DataType::Float4 => "float4",
        DataType::DoublePrecision | DataType::Float8 => "float8",
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
        DataType::Text => "text",
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => {
            "varchar"
        }
        DataType::Char(_) | DataType::Character(_) => "bpchar",
        DataType::Bool | DataType::Boolean => "bool",
        DataType::Date => "date",
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => "timestamp",
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => "timestamptz",
        DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => "time",
        DataType::Time(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => "timetz",
        DataType::Interval { .. } => "interval",
        DataType::Uuid => "uuid",
        DataType::JSON => "json",
        DataType::JSONB => "jsonb",
        DataType::Bytea => "bytea",
        DataType::Regclass => "regclass",
        DataType::Custom(ObjectName(parts), _) => {
            return parts.last().and_then(|part| part.as_ident()).map(folded);
        }
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => return type_name(inner),
        _ => return None,
    };
    Some(name.to_owned())
}
