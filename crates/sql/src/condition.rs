//! A check's condition: planned once, run batch by batch.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::Schema;

use crate::problem::SqlProblem;
use crate::select::{FailedRow, Select, plan_condition_as_select};

/// A planned condition. It is evaluated by any number of threads at once.
#[derive(Debug)]
pub struct Condition(Select);

/// What a condition says of a batch.
#[derive(Debug, Clone)]
pub struct ConditionOutput {
    /// For each row whether the condition is TRUE; NULL is not, and neither is a failure.
    pub passed: BooleanArray,
    /// Rows whose condition could not be evaluated.
    pub failed: Vec<FailedRow>,
}

/// Plans a condition over records of this schema.
pub fn plan_condition(sql: &str, record: &Schema) -> Result<Condition, Vec<SqlProblem>> {
    plan_condition_as_select(sql, record).map(Condition)
}

impl Condition {
    /// Whether the record's column at this place of the schema is looked at.
    pub fn uses(&self, place: usize) -> bool {
        self.0.uses(place)
    }

    /// The condition of every row; `clock_micros` is what now() answers, in microseconds since 1970
    /// UTC.
    pub fn run(&self, records: &RecordBatch, clock_micros: i64) -> ConditionOutput {
        let output = self.0.run(records, clock_micros);
        let Some(column) = output.columns.first().and_then(|column| column.as_boolean_opt()) else {
            // A condition that is NULL whatever the record passes none.
            return ConditionOutput {
                passed: BooleanArray::from(vec![false; records.num_rows()]),
                failed: output.failed,
            };
        };
        let column =
            if column.null_count() > 0 { prep_null_mask_filter(column) } else { column.clone() };
        if output.failed.is_empty() {
            return ConditionOutput { passed: column, failed: output.failed };
        }
        let mut passed = vec![false; records.num_rows()];
        for (row, value) in output.row_record.iter().zip(column.values()) {
            passed[*row as usize] = value;
        }
        ConditionOutput { passed: BooleanArray::from(passed), failed: output.failed }
    }
}
