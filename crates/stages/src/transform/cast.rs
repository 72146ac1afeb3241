//! The last step: every output column as its table's column holds it, as PostgreSQL would on
//! INSERT. Whole columns at once; only where something does not fit are the single rows looked for.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use duto_sql::{Failure, cast, run_in_halves};

use super::text_rule::TextRule;
use duto_definition::{Column, ColumnType};

/// How an output column becomes a table's column.
#[derive(Debug)]
pub(super) struct ColumnCast {
    pub(super) name: String,
    /// The output column's place in the SELECT.
    pub(super) source: usize,
    column_type: ColumnType,
    data_type: DataType,
    not_null: bool,
    text_rule: Option<TextRule>,
}

/// A row whose value the column cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) row: u32,
    pub(super) rule: &'static str,
    pub(super) reason: String,
}

impl ColumnCast {
    pub(super) fn new(column: &Column, source: usize) -> Self {
        Self {
            name: column.name.clone(),
            source,
            column_type: column.column_type,
            data_type: column.column_type.arrow(),
            not_null: column.not_null || column.primary_key,
            text_rule: TextRule::of(column.column_type),
        }
    }

    /// The column in exactly the table's type, as long as it was; a refused row is NULL in it.
    pub(super) fn run(&self, values: &ArrayRef) -> (ArrayRef, Vec<Refusal>) {
        let mut refused = Vec::new();
        let mut column = match cast(values, &self.data_type) {
            Ok(column) => column,
            Err(_) => self.by_row(values, &mut refused),
        };
        self.refuse_nulls(values, &mut refused);
        if let Some(rule) = &self.text_rule {
            if let Some(texts) = column.as_string_opt::<i32>() {
                if let Some(stored) = rule.stored(&self.name, texts, &mut refused) {
                    column = Arc::new(stored);
                }
            } else if let Some(documents) = column.as_string_opt::<i64>() {
                rule.refuse_documents(&self.name, documents, &mut refused);
            }
        }
        (column, refused)
    }

    /// The rows that fit, in their places.
    fn by_row(&self, values: &ArrayRef, refused: &mut Vec<Refusal>) -> ArrayRef {
        let (pieces, failed) = run_in_halves(values.len(), |range| {
            let slice = values.slice(range.start, range.len());
            let column = cast(&slice, &self.data_type)
                .map_err(|message| Failure { name: String::new(), message })?;
            Ok((range, column))
        });
        for (row, failure) in failed {
            refused.push(Refusal {
                row,
                rule: self.rule(),
                reason: self.misfit(values, row, failure.message),
            });
        }
        let mut places: Vec<Option<u32>> = vec![None; values.len()];
        let mut next = 0u32;
        for (range, column) in &pieces {
            for (place, index) in range.clone().zip(next..) {
                places[place] = Some(index);
            }
            next += column.len() as u32;
        }
        let fitting: Vec<&dyn Array> = pieces.iter().map(|(_, column)| column.as_ref()).collect();
        let joined =
            concat(&fitting).and_then(|joined| take(&joined, &UInt32Array::from(places), None));
        joined.unwrap_or_else(|_| new_null_array(&self.data_type, values.len()))
    }

    fn refuse_nulls(&self, values: &ArrayRef, refused: &mut Vec<Refusal>) {
        let nulls = values.logical_nulls().filter(|nulls| self.not_null && nulls.null_count() > 0);
        let Some(nulls) = nulls else { return };
        let rows = (0u32..).zip(nulls.iter()).filter(|(_, valid)| !valid);
        refused.extend(rows.map(|(row, _)| Refusal {
            row,
            rule: "not_null",
            reason: format!("{} is NULL, and the column is NOT NULL", self.name),
        }));
    }

    fn rule(&self) -> &'static str {
        match self.column_type {
            ColumnType::Numeric(_) => "numeric_range",
            ColumnType::SmallInt
            | ColumnType::Integer
            | ColumnType::BigInt
            | ColumnType::Serial
            | ColumnType::BigSerial => "integer_range",
            ColumnType::Real | ColumnType::DoublePrecision => "float_range",
            _ => "type",
        }
    }

    /// `total_value 123456789.00 does not fit NUMERIC(10,2)`.
    fn misfit(&self, values: &ArrayRef, row: u32, message: String) -> String {
        let one = values.slice(row as usize, 1);
        let shown = cast(&one, &DataType::Utf8).ok();
        let shown = shown
            .as_ref()
            .and_then(|shown| shown.as_string_opt::<i32>())
            .filter(|shown| shown.is_valid(0));
        match shown {
            Some(shown) if !values.data_type().is_string() => {
                format!(
                    "{} {} does not fit {}",
                    self.name,
                    self.rounded(&one).unwrap_or_else(|| shown.value(0).to_owned()),
                    self.column_type
                )
            }
            _ => format!("{}: {message}", self.name),
        }
    }

    /// The number with the column's own places, where it is a decimal or a float that has them.
    fn rounded(&self, one: &ArrayRef) -> Option<String> {
        let ColumnType::Numeric(Some((_, scale))) = self.column_type else { return None };
        let finite = match one.data_type() {
            DataType::Float32 => one.as_primitive::<Float32Type>().value(0).is_finite(),
            DataType::Float64 => one.as_primitive::<Float64Type>().value(0).is_finite(),
            _ => true,
        };
        let wide = cast(one, &DataType::Decimal256(76, scale)).ok().filter(|_| finite)?;
        let shown = cast(&wide, &DataType::Utf8).ok()?;
        Some(shown.as_string_opt::<i32>()?.value(0).to_owned())
    }
}
