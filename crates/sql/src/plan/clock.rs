//! The clock. Its value is a column of the batch, since DataFusion would fold `now()` when it
//! plans.

use arrow::datatypes::DataType;

use super::{Planned, Planner};
use crate::moment::{timestamp, timestamptz};
use crate::problem::HasSpan;
use crate::scope::{CLOCK_COLUMN, column_expr};

/// The functions that read the clock, and the type of their answers.
pub(super) fn clock_type(name: &str) -> Option<DataType> {
    match name {
        "now"
        | "current_timestamp"
        | "transaction_timestamp"
        | "statement_timestamp"
        | "clock_timestamp" => Some(timestamptz()),
        "localtimestamp" => Some(timestamp()),
        "current_date" => Some(DataType::Date32),
        _ => None,
    }
}

impl Planner<'_> {
    /// The time of the batch's transformation, in UTC.
    pub(super) fn clock(&mut self, node: &dyn HasSpan, data_type: &DataType) -> Option<Planned> {
        let clock =
            Planned { expr: column_expr(CLOCK_COLUMN), data_type: timestamptz(), nullable: false };
        self.cast_to(node, clock, data_type)
    }
}
