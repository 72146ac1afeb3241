//! The names that an expression sees. Identifiers fold as in PostgreSQL: unquoted ones are lower
//! case.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{Column, DFSchema, DFSchemaRef};
use datafusion_expr::Expr;
use sqlparser::ast::Ident;

use crate::problem::did_you_mean;

/// The clock's column of the batch; no SQL can name it, and no field of a record is called so.
pub(crate) const CLOCK_COLUMN: &str = "\0clock";
/// The column of UNNEST's element; SQL calls it by its alias.
pub(crate) const ELEMENT_COLUMN: &str = "\0element";

/// The columns of the batch, and the names by which an expression may call them.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Every column, those that no SQL can name among them.
    columns: Vec<Arc<Field>>,
    /// From a name to a column's place; the last one wins, so that a lambda's parameter hides a key
    /// of the record.
    names: Vec<(String, usize)>,
    schema: DFSchemaRef,
}

impl Scope {
    pub(crate) fn of_record(record: &Schema) -> Self {
        let clock = Field::new(CLOCK_COLUMN, crate::moment::timestamptz(), false);
        let columns: Vec<_> = record.fields().iter().cloned().chain([Arc::new(clock)]).collect();
        let names = record
            .fields()
            .iter()
            .enumerate()
            .map(|(place, field)| (field.name().clone(), place))
            .collect();
        let schema = as_df_schema(&columns);
        Self { columns, names, schema }
    }

    /// This scope and one more column, `hidden` in the batch and `name` in SQL.
    pub(crate) fn with_element(&self, name: &str, hidden: &str, data_type: DataType) -> Self {
        let mut columns = self.columns.clone();
        columns.push(Arc::new(Field::new(hidden, data_type, true)));
        let mut names = self.names.clone();
        names.push((name.to_owned(), columns.len() - 1));
        let schema = as_df_schema(&columns);
        Self { columns, names, schema }
    }

    pub(crate) fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    pub(crate) fn column(&self, hidden: &str) -> Option<&Arc<Field>> {
        self.columns.iter().rev().find(|field| field.name() == hidden)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Field>> {
        self.names
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, place)| &self.columns[*place])
    }

    /// How many columns there are; a number for the next hidden name.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Advice for a name that is not there.
    pub(crate) fn advice(&self, name: &Ident) -> Option<String> {
        advice(name, self.names.iter().map(|(known, _)| known.as_str()))
    }
}

/// A name as PostgreSQL folds it.
pub(crate) fn fold(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// Advice for a name that is not among the known ones.
pub(crate) fn advice<'n>(
    name: &Ident,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Option<String> {
    let by_case = known.clone().find(|known| known.to_lowercase() == name.value.to_lowercase());
    match by_case {
        Some(known) => Some(format!(
            "did you mean \"{known}\", with its quotes? A name without them is lower case"
        )),
        None => did_you_mean(&name.value, known),
    }
}

/// A column of the batch as an expression.
pub(crate) fn column_expr(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn as_df_schema(columns: &[Arc<Field>]) -> DFSchemaRef {
    let schema = Schema::new(columns.to_vec());
    Arc::new(
        DFSchema::from_unqualified_fields(schema.fields, Default::default())
            .unwrap_or_else(|_| DFSchema::empty()),
    )
}
