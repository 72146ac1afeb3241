//! JSON documents made of rows: the body of a call, a message to publish, an answer. One SELECT
//! whose columns are the document's keys, or one expression that is the whole document.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use duto_sql::{FailedRow, Select, plan_expression, plan_select_from, to_json};

use super::problem_of;
use duto_definition::{Problem, SqlText};

/// A planned document.
#[derive(Debug)]
pub struct Document {
    select: Select,
    /// The keys; None where one expression is the whole document.
    keys: Option<Fields>,
}

/// Documents, each with the row that it was made of.
#[derive(Debug, Clone)]
pub struct Documents {
    /// None where the whole document is NULL.
    pub texts: LargeStringArray,
    /// For each text, the place of its row; it never falls. A row that WHERE left out is missing,
    /// one that UNNEST multiplied stands more than once.
    pub row: Vec<u32>,
    pub failed: Vec<FailedRow>,
}

impl Document {
    /// Plans it over rows of this schema, which its FROM calls `relation`.
    pub fn plan(sql: &SqlText, relation: &str, schema: &Schema) -> Result<Self, Vec<Problem>> {
        let found = |problems: Vec<duto_sql::SqlProblem>| {
            problems.into_iter().map(|problem| problem_of(sql, problem)).collect::<Vec<_>>()
        };
        let begins_with_select =
            sql.text.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        if !begins_with_select {
            return Ok(Self {
                select: plan_expression(&sql.text, schema).map_err(found)?,
                keys: None,
            });
        }
        let select = plan_select_from(relation, &sql.text, schema).map_err(found)?;
        let field = |output: &duto_sql::OutputColumn| {
            Arc::new(Field::new(&output.name, output.data_type.clone(), true))
        };
        let keys = Some(select.output().iter().map(field).collect());
        Ok(Self { select, keys })
    }

    /// Whether the column at this place of the schema is looked at.
    pub fn uses(&self, place: usize) -> bool {
        self.select.uses(place)
    }

    /// What the document is: an object of its keys, or what its one expression gives.
    pub fn data_type(&self) -> DataType {
        let whole = || {
            self.select.output().first().map_or(DataType::Null, |output| output.data_type.clone())
        };
        self.keys.as_ref().map_or_else(whole, |keys| DataType::Struct(keys.clone()))
    }

    /// The documents of these rows. `clock_micros` is what now() answers, in microseconds since
    /// 1970 UTC.
    pub fn run(&self, rows: &RecordBatch, clock_micros: i64) -> Documents {
        let output = self.select.run(rows, clock_micros);
        let made = output.row_record.len();
        let texts = self.value(output.columns, made).and_then(|value| to_json(&value));
        match texts {
            Ok(texts) => Documents {
                texts: texts.as_string::<i64>().clone(),
                row: output.row_record,
                failed: output.failed,
            },
            // A type without a form in JSON fails every row alike.
            Err(message) => {
                let failed = output.row_record.iter().map(|row| FailedRow {
                    row: *row,
                    column: String::new(),
                    message: message.clone(),
                });
                let failed = failed.chain(output.failed).collect();
                Documents { texts: LargeStringArray::new_null(0), row: Vec::new(), failed }
            }
        }
    }

    fn value(&self, mut columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef, String> {
        match &self.keys {
            None => columns.pop().ok_or_else(|| "the document is empty".to_owned()),
            Some(keys) => {
                let fields: Fields = keys
                    .iter()
                    .zip(&columns)
                    .map(|(key, column)| {
                        key.as_ref().clone().with_data_type(column.data_type().clone())
                    })
                    .collect();
                let object = StructArray::try_new_with_length(fields, columns, None, rows);
                object.map(|object| Arc::new(object) as ArrayRef).map_err(|error| error.to_string())
            }
        }
    }
}
