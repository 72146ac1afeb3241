//! `rollups:`, what stored rows add to counters. Pure: the expressions are evaluated over a batch's rows, and grouped when it is known
//! which of them were stored.

mod expression; // one expression over a table's rows
mod countable; // which types can be grouped by and measured
mod group; // rows of one group
mod sum; // figures of a group
mod bucket; // stretches of time
mod delta; // what a batch adds

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};

use crate::transform::TableRows;
pub use bucket::WHOLE_HISTORY;
use countable::{ungroupable, unmeasurable};
pub use delta::{Columns, Delta};
use duto_definition::{Measure, Operation, Pipeline, Problem, Rollup, SqlText};
use duto_ground::reject::Reject;
pub use duto_sql::Recomputed;
use expression::Expression;

/// A pipeline's rollups, planned.
#[derive(Debug, Default)]
pub struct Rollups {
    pub plans: Vec<RollupPlan>,
}

/// One rollup, planned against the columns that its table's SELECT gives.
#[derive(Debug)]
pub struct RollupPlan {
    pub rollup: Rollup,
    /// The table's place among the pipeline's.
    pub table: usize,
    by: Vec<Expression>,
    /// The time of a row, where the rollup has windows.
    over: Option<Expression>,
    measures: Vec<MeasurePlan>,
    schema: Schema,
}

#[derive(Debug)]
struct MeasurePlan {
    operation: Operation,
    filter: Option<Expression>,
    /// Of the operation, in its order.
    arguments: Vec<Expression>,
}

/// A measure, and what PostgreSQL computes for it.
#[derive(Debug, Clone)]
pub struct RecomputedMeasure<'a> {
    pub measure: &'a Measure,
    /// Of the operation, in its order.
    pub arguments: Vec<&'a Recomputed>,
    /// The condition of its FILTER.
    pub filter: Option<&'a str>,
}

/// The expressions of one rollup for every row of its table.
#[derive(Debug, Clone)]
pub struct Evaluated {
    by: Vec<ArrayRef>,
    over: Option<ArrayRef>,
    measures: Vec<EvaluatedMeasure>,
}

#[derive(Debug, Clone)]
struct EvaluatedMeasure {
    /// None lets every row pass.
    passes: Option<BooleanArray>,
    arguments: Vec<ArrayRef>,
}

impl Rollups {
    /// Plans every expression over the columns that are written; all problems are told at once.
    pub fn plan(pipeline: &Pipeline, written: &[Vec<usize>]) -> Result<Self, Vec<Problem>> {
        let (mut plans, mut problems) = (Vec::new(), Vec::new());
        for rollup in &pipeline.rollups {
            let Some(place) = pipeline.tables.iter().position(|table| table.name == rollup.from) else { continue };
            let columns = written.get(place).into_iter().flatten().filter_map(|index| pipeline.tables[place].columns.get(*index));
            // A row that is refused is NULL in a column that is NOT NULL, until its record has left the batch.
            let fields: Vec<Field> = columns.map(|column| Field::new(&column.name, column.column_type.arrow(), true)).collect();
            match RollupPlan::new(rollup, place, Schema::new(fields)) {
                Ok(plan) => plans.push(plan),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { plans }) } else { Err(problems) }
    }

    /// Every rollup's expressions over the rows of its table. A record for which one fails is a reject.
    pub fn evaluate(&self, tables: &[TableRows], clock_micros: i64) -> (Vec<Evaluated>, Vec<Reject>) {
        let mut rejects = Vec::new();
        let evaluated = self.plans.iter().map(|plan| plan.evaluate(&tables[plan.table], clock_micros, &mut rejects)).collect();
        (evaluated, rejects)
    }
}

impl RollupPlan {
    fn new(rollup: &Rollup, table: usize, schema: Schema) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut expression = |name: &str, sql: &SqlText| match Expression::plan(name, sql, &schema) {
            Ok(expression) => Some(expression),
            Err(found) => {
                problems.extend(found);
                None
            }
        };
        let by: Vec<Expression> = rollup.by.iter().filter_map(|by| expression(&by.name, &by.expression)).collect();
        let over = rollup.windows.as_ref().and_then(|windows| expression("over", &windows.over));
        let mut measures = Vec::new();
        for measure in &rollup.measures {
            let arguments: Vec<Expression> = arguments_of(&measure.operation).filter_map(|sql| expression(&measure.name, sql)).collect();
            let filter = measure.filter.as_ref().and_then(|sql| expression(&measure.name, sql));
            measures.push(MeasurePlan { operation: measure.operation.clone(), filter, arguments });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        problems.extend(rollup.by.iter().zip(&by).filter_map(|(by, planned)| ungroupable(&by.expression, planned)));
        problems
            .extend(rollup.windows.iter().zip(&over).filter_map(|(windows, planned)| bucket::timeless(&windows.over, &planned.data_type)));
        for (measure, planned) in rollup.measures.iter().zip(&measures) {
            problems.extend(unmeasurable(measure, planned));
        }
        if problems.is_empty() { Ok(Self { rollup: rollup.clone(), table, by, over, measures, schema }) } else { Err(problems) }
    }

    /// What the rows are grouped by, as PostgreSQL computes it.
    pub fn by(&self) -> impl Iterator<Item = &Recomputed> {
        self.by.iter().map(|by| &by.recomputed)
    }

    /// Whether the rows' time is a TIMESTAMPTZ; of no meaning without windows.
    pub fn time_has_zone(&self) -> bool {
        self.over.as_ref().is_some_and(|over| matches!(over.data_type, DataType::Timestamp(_, Some(_))))
    }

    /// The rows' time, as PostgreSQL computes it; None without windows.
    pub fn over(&self) -> Option<&Recomputed> {
        self.over.as_ref().map(|over| &over.recomputed)
    }

    /// The expressions of a measure, as PostgreSQL computes them.
    pub fn measure(&self, measure: usize) -> RecomputedMeasure<'_> {
        let planned = &self.measures[measure];
        RecomputedMeasure {
            measure: &self.rollup.measures[measure],
            arguments: planned.arguments.iter().map(|argument| &argument.recomputed).collect(),
            filter: planned.filter.as_ref().map(|filter| filter.recomputed.sql.as_str()),
        }
    }

    fn evaluate(&self, rows: &TableRows, clock_micros: i64, rejects: &mut Vec<Reject>) -> Evaluated {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.record.len()));
        let schema = std::sync::Arc::new(self.schema.clone());
        // The columns are those that were planned for; nullability is checked when rows are prepared.
        let batch = RecordBatch::try_new_with_options(schema, rows.columns.clone(), &options)
            .unwrap_or_else(|_| RecordBatch::new_empty(std::sync::Arc::new(self.schema.clone())));
        let mut run = |expression: &Expression| expression.run(&batch, &rows.record, &self.rollup.name, clock_micros, rejects);
        let by = self.by.iter().map(&mut run).collect();
        let over = self.over.as_ref().map(&mut run);
        let measures = self
            .measures
            .iter()
            .map(|measure| EvaluatedMeasure {
                passes: measure.filter.as_ref().map(|filter| expression::passed(&run(filter))),
                arguments: measure.arguments.iter().map(&mut run).collect(),
            })
            .collect();
        Evaluated { by, over, measures }
    }
}

fn arguments_of(operation: &Operation) -> impl Iterator<Item = &SqlText> {
    let (first, second) = match operation {
        Operation::Count => (None, None),
        Operation::Sum(value) | Operation::Min(value) | Operation::Max(value) | Operation::CountDistinct(value) => (Some(value), None),
        Operation::Last { value, order } => (Some(value), Some(order)),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests;
