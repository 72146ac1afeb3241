//! Columns, and the keys of objects.

use arrow::datatypes::DataType;
use sqlparser::ast::{self, AccessExpr, Ident, Subscript, Value};

use super::{Planned, Planner};
use crate::field::key_of;
use crate::lists;
use crate::native::call_arrays;
use crate::problem::at;
use crate::scope::{advice, column_expr, fold};
use crate::type_name::type_name;

impl Planner<'_> {
    pub(super) fn name(&mut self, name: &Ident) -> Option<Planned> {
        match self.scope.find(&fold(name)) {
            Some(column) => Some(Planned {
                expr: column_expr(column.name()),
                data_type: column.data_type().clone(),
                nullable: column.is_nullable(),
            }),
            None => {
                let problem = self.text.problem(
                    "sql.column.unknown",
                    &at(name),
                    format!("unknown column \"{}\"", fold(name)),
                );
                let help = self.scope.advice(name);
                self.refuse(problem.maybe_help(help))
            }
        }
    }

    /// `object.key.key`, or `record.column`.
    pub(super) fn path(&mut self, path: &[Ident]) -> Option<Planned> {
        let (first, rest) = path.split_first()?;
        let qualified = fold(first) == "record" && self.scope.find("record").is_none();
        let (first, rest) = if qualified { rest.split_first()? } else { (first, rest) };
        let mut planned = self.name(first)?;
        for key in rest {
            planned = self.key(planned, key)?;
        }
        Some(planned)
    }

    /// `expr.key`, `expr['key']` and `list[1]`.
    pub(super) fn access(&mut self, root: &ast::Expr, chain: &[AccessExpr]) -> Option<Planned> {
        let mut planned = self.plan(root)?;
        for access in chain {
            planned = match access {
                AccessExpr::Dot(ast::Expr::Identifier(key)) => self.key(planned, key)?,
                AccessExpr::Subscript(Subscript::Index { index: ast::Expr::Value(value) }) => {
                    match &value.value {
                        Value::SingleQuotedString(key) => {
                            let mut key = Ident::with_quote('"', key);
                            key.span = value.span;
                            self.key(planned, &key)?
                        }
                        Value::Number(number, _) => {
                            self.element(planned, value, &number.to_string())?
                        }
                        _ => {
                            return self.problem(
                                "sql.construct.unsupported",
                                value,
                                "a list's place is a number, an object's key a text",
                            );
                        }
                    }
                }
                other => {
                    return self.problem(
                        "sql.construct.unsupported",
                        other,
                        format!("`{other}` cannot be used here"),
                    );
                }
            };
        }
        Some(planned)
    }

    fn key(&mut self, object: Planned, key: &Ident) -> Option<Planned> {
        let DataType::Struct(fields) = &object.data_type else {
            let message =
                format!("\"{}\" cannot be taken of {}", key.value, type_name(&object.data_type));
            return self.problem("sql.type.mismatch", &at(key), message);
        };
        let wanted = fold(key);
        match fields.iter().position(|field| field.name() == &wanted) {
            Some(place) => {
                let (expr, data_type, nullable) =
                    key_of(object.expr, object.nullable, place, &fields[place]);
                Some(Planned { expr, data_type, nullable })
            }
            None => {
                let problem = self.text.problem(
                    "sql.column.unknown",
                    &at(key),
                    format!("the object has no key \"{wanted}\""),
                );
                let help = advice(key, fields.iter().map(|field| field.name().as_str()));
                self.refuse(problem.maybe_help(help))
            }
        }
    }

    fn element(
        &mut self,
        list: Planned,
        value: &ast::ValueWithSpan,
        place: &str,
    ) -> Option<Planned> {
        let DataType::List(field) = &list.data_type else {
            let message = format!("{} has no places", type_name(&list.data_type));
            return self.problem("sql.type.mismatch", value, message);
        };
        let Ok(place) = place.parse::<i64>() else {
            return self.problem(
                "sql.construct.unsupported",
                value,
                "a list's place is a whole number, from 1",
            );
        };
        let data_type = field.data_type().clone();
        let expr =
            call_arrays("element", data_type.clone(), true, vec![list.expr], move |arguments| {
                lists::element(arguments.first().ok_or("no list")?, place)
            });
        Some(Planned { expr, data_type, nullable: true })
    }
}
