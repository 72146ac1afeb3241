//! Objects: a nested SELECT without FROM, and values as JSON.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, StructArray};
use arrow::compute::cast as arrow_cast;
use arrow::datatypes::{DataType, Field, Fields};
use sqlparser::ast;

use super::{Planned, Planner};
use crate::json::to_json;
use crate::native::call_arrays;
use crate::problem::at;
use crate::scope::fold;
use crate::statement::parse_object;
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    /// `(SELECT price AS amount, currency)`: an object of the keys amount and currency.
    pub(super) fn object(&mut self, query: &ast::Query) -> Option<Planned> {
        let items = match parse_object(self.text, query) {
            Ok(items) => items,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        let values: Vec<_> = items.iter().map(|item| self.plan(&item.expr)).collect();
        let values: Vec<Planned> = values.into_iter().collect::<Option<_>>()?;
        let mut fields: Vec<Arc<Field>> = Vec::with_capacity(items.len());
        for (item, value) in items.iter().zip(&values) {
            let name = fold(&item.name);
            if fields.iter().any(|field| *field.name() == name) {
                return self.problem(
                    "sql.name.duplicate",
                    &at(&item.name),
                    format!("two keys have the name \"{name}\""),
                );
            }
            fields.push(Arc::new(Field::new(name, value.data_type.clone(), true)));
        }
        let fields = Fields::from(fields);
        let data_type = DataType::Struct(fields.clone());
        let expr = call_arrays(
            "object",
            data_type.clone(),
            false,
            values.into_iter().map(|value| value.expr).collect(),
            move |values| {
                let column = |(field, value): (&Arc<Field>, &ArrayRef)| match value.data_type()
                    == field.data_type()
                {
                    true => Ok(Arc::clone(value)),
                    false => arrow_cast(value, field.data_type()),
                };
                let columns: Result<Vec<ArrayRef>, _> =
                    fields.iter().zip(values).map(column).collect();
                let object =
                    columns.and_then(|columns| StructArray::try_new(fields.clone(), columns, None));
                object.map(|object| Arc::new(object) as ArrayRef).map_err(|error| error.to_string())
            },
        );
        Some(Planned { expr, data_type, nullable: false })
    }

    /// `to_json(x)`, of any value.
    pub(super) fn json(&mut self, value: Planned) -> Planned {
        let nullable = value.nullable;
        let expr =
            call_arrays("to_json", DataType::LargeUtf8, nullable, vec![value.expr], |values| {
                to_json(values.first().ok_or("no value")?)
            });
        Planned { expr, data_type: DataType::LargeUtf8, nullable }
    }

    /// `convert_from(bytes, 'UTF8')`: the text that the bytes are.
    pub(super) fn text_of_bytes(
        &mut self,
        node: &ast::Expr,
        bytes: Planned,
        encoding: &Planned,
    ) -> Option<Planned> {
        if !encoding
            .literal_text()
            .is_some_and(|name| ["utf8", "utf-8"].contains(&name.to_lowercase().as_str()))
        {
            return self.problem(
                "sql.function.arguments",
                node,
                "convert_from knows one encoding: 'UTF8'",
            );
        }
        if class(&bytes.data_type) != Class::Binary {
            return self.problem(
                "sql.function.arguments",
                node,
                format!("convert_from takes BYTEA, not {}", type_name(&bytes.data_type)),
            );
        }
        let nullable = bytes.nullable;
        let expr =
            call_arrays("convert_from", DataType::Utf8, nullable, vec![bytes.expr], |values| {
                let bytes = values
                    .first()
                    .and_then(|bytes| bytes.as_binary_opt::<i32>())
                    .ok_or("not bytes")?;
                let text = |bytes: &[u8]| {
                    std::str::from_utf8(bytes)
                        .map(str::to_owned)
                        .map_err(|_| "the bytes are not UTF-8".to_owned())
                };
                let texts: Result<StringArray, String> =
                    bytes.iter().map(|bytes| bytes.map(text).transpose()).collect();
                Ok(Arc::new(texts?) as ArrayRef)
            });
        Some(Planned { expr, data_type: DataType::Utf8, nullable })
    }
}
