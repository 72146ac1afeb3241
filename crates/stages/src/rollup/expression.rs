//! One expression of a rollup over the rows of a table.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{prep_null_mask_filter, take};
use arrow::datatypes::{DataType, Schema};
use duto_sql::{Recomputed, Select, SqlProblem, plan_expression, recompute};

use crate::transform::problem_of;
use duto_definition::{Problem, SqlText};
use duto_ground::index::RecordIndex;
use duto_ground::reject::{Reject, Stage};

/// A planned expression.
#[derive(Debug)]
pub(super) struct Expression {
    name: String,
    select: Select,
    pub data_type: DataType,
    /// What PostgreSQL computes where a rollup is filled or verified.
    pub recomputed: Recomputed,
}

impl Expression {
    /// Plans it over rows of this schema. What the clock says is refused: a recomputation would
    /// answer otherwise. So is what PostgreSQL is not known to compute alike.
    pub fn plan(name: &str, sql: &SqlText, schema: &Schema) -> Result<Self, Vec<Problem>> {
        let found = |problems: Vec<SqlProblem>| {
            problems.into_iter().map(|problem| problem_of(sql, problem)).collect::<Vec<_>>()
        };
        let select = plan_expression(&sql.text, schema).map_err(found)?;
        if select.reads_clock() {
            let message =
                format!("{name} reads the clock, so the same rows would count otherwise tomorrow");
            return Err(vec![
                Problem::new("rollup.clock", sql.span, message)
                    .help("use a time that the rows hold"),
            ]);
        }
        let data_type =
            select.output().first().map_or(DataType::Null, |output| output.data_type.clone());
        let recomputed = recompute(&sql.text, schema).map_err(found)?;
        Ok(Self { name: name.to_owned(), select, data_type, recomputed })
    }

    /// Its value for every row; NULL where it failed, which makes the row's record a reject.
    pub fn run(
        &self,
        rows: &RecordBatch,
        record: &[RecordIndex],
        rollup: &str,
        clock_micros: i64,
        rejects: &mut Vec<Reject>,
    ) -> ArrayRef {
        let mut output = self.select.run(rows, clock_micros);
        let values = output
            .columns
            .pop()
            .unwrap_or_else(|| arrow::array::new_null_array(&self.data_type, rows.num_rows()));
        if output.failed.is_empty() {
            return values;
        }
        for failed in &output.failed {
            rejects.push(Reject {
                record: record[failed.row as usize],
                stage: Stage::Transform,
                path: String::new(),
                rule: format!("{rollup}.{}", self.name),
                reason: format!("{} of the rollup {rollup}: {}", self.name, failed.message),
                sqlstate: None,
            });
        }
        let mut places: Vec<Option<u32>> = vec![None; rows.num_rows()];
        (0u32..)
            .zip(&output.row_record)
            .for_each(|(place, row)| places[*row as usize] = Some(place));
        take(&values, &UInt32Array::from(places), None)
            .unwrap_or_else(|_| arrow::array::new_null_array(&self.data_type, rows.num_rows()))
    }
}

/// A condition's values: NULL is not TRUE.
pub(super) fn passed(values: &ArrayRef) -> BooleanArray {
    match values.as_boolean_opt() {
        Some(values) if values.null_count() > 0 => prep_null_mask_filter(values),
        Some(values) => values.clone(),
        None => BooleanArray::from(vec![false; values.len()]),
    }
}
