//! `rollups:`, what stored rows add to counters. Pure: the expressions are evaluated over a batch's
//! rows, and grouped when it is known which of them were stored.

mod expression; // one expression over a table's rows
mod countable; // which types can be grouped by and measured
mod group; // rows of one group
pub mod measures; // each kind of figure
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
use measures::{Counter, Measured};

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
    operation: Operation<Expression>,
    filter: Option<Expression>,
}

/// A measure, and what PostgreSQL computes for it.
#[derive(Debug, Clone)]
pub struct RecomputedMeasure<'a> {
    pub measure: &'a Measure,
    pub operation: Operation<&'a Recomputed>,
    /// The condition of its FILTER.
    pub filter: Option<&'a str>,
}

impl RecomputedMeasure<'_> {
    /// The columns in which it is kept.
    pub fn counters(&self) -> Vec<Counter> {
        measures::counters(&self.operation, &self.measured())
    }

    /// The figure of all of a group's counters: over its shards, and over buckets of time.
    pub fn over_counters(&self) -> String {
        measures::over_counters(&self.operation, &self.measured())
    }

    /// The figure over the rows of the base table, as a recomputation has it.
    pub fn over_base(&self) -> String {
        measures::over_base(&self.operation, &self.measured())
    }

    fn measured(&self) -> Measured<'_> {
        Measured::new(&self.measure.name, self.filter)
    }
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
    operation: Operation<ArrayRef>,
}

impl Rollups {
    /// Plans every expression over the columns that are written; all problems are told at once.
    pub fn plan(pipeline: &Pipeline, written: &[Vec<usize>]) -> Result<Self, Vec<Problem>> {
        let (mut plans, mut problems) = (Vec::new(), Vec::new());
        for rollup in &pipeline.rollups {
            let Some(place) = pipeline.tables.iter().position(|table| table.name == rollup.from)
            else {
                continue;
            };
            let columns = written
                .get(place)
                .into_iter()
                .flatten()
                .filter_map(|index| pipeline.tables[place].columns.get(*index));
            // A row that is refused is NULL in a column that is NOT NULL, until its record has left
            // the batch.
            let fields: Vec<Field> = columns
                .map(|column| Field::new(&column.name, column.column_type.arrow(), true))
                .collect();
            match RollupPlan::new(rollup, place, Schema::new(fields)) {
                Ok(plan) => plans.push(plan),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { plans }) } else { Err(problems) }
    }

    /// Every rollup's expressions over the rows of its table. A record for which one fails is a
    /// reject.
    pub fn evaluate(
        &self,
        tables: &[TableRows],
        clock_micros: i64,
    ) -> (Vec<Evaluated>, Vec<Reject>) {
        let mut rejects = Vec::new();
        let evaluated = self
            .plans
            .iter()
            .map(|plan| plan.evaluate(&tables[plan.table], clock_micros, &mut rejects))
            .collect();
        (evaluated, rejects)
    }
}

impl RollupPlan {
    fn new(rollup: &Rollup, table: usize, schema: Schema) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut expression = |name: &str, sql: &SqlText| match Expression::plan(name, sql, &schema)
        {
            Ok(expression) => Some(expression),
            Err(found) => {
                problems.extend(found);
                None
            }
        };
        let by: Vec<Expression> =
            rollup.by.iter().filter_map(|by| expression(&by.name, &by.expression)).collect();
        let over = rollup.windows.as_ref().and_then(|windows| expression("over", &windows.over));
        let mut measures = Vec::new();
        for measure in &rollup.measures {
            let filter = measure.filter.as_ref().and_then(|sql| expression(&measure.name, sql));
            // The problems of all arguments are told; where there is one there is no plan.
            let arguments = measure.operation.as_ref().map(|sql| expression(&measure.name, sql));
            measures.extend(
                arguments
                    .try_map(|argument| argument.ok_or(()))
                    .map(|operation| MeasurePlan { operation, filter }),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        problems.extend(
            rollup
                .by
                .iter()
                .zip(&by)
                .filter_map(|(by, planned)| ungroupable(&by.expression, planned)),
        );
        problems.extend(
            rollup.windows.iter().zip(&over).filter_map(|(windows, planned)| {
                bucket::timeless(&windows.over, &planned.data_type)
            }),
        );
        for (measure, planned) in rollup.measures.iter().zip(&measures) {
            problems.extend(unmeasurable(measure, planned));
        }
        if problems.is_empty() {
            Ok(Self { rollup: rollup.clone(), table, by, over, measures, schema })
        } else {
            Err(problems)
        }
    }

    /// What the rows are grouped by, as PostgreSQL computes it.
    pub fn by(&self) -> impl Iterator<Item = &Recomputed> {
        self.by.iter().map(|by| &by.recomputed)
    }

    /// Whether the rows' time is a TIMESTAMPTZ; of no meaning without windows.
    pub fn time_has_zone(&self) -> bool {
        self.over
            .as_ref()
            .is_some_and(|over| matches!(over.data_type, DataType::Timestamp(_, Some(_))))
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
            operation: planned.operation.as_ref().map(|argument| &argument.recomputed),
            filter: planned.filter.as_ref().map(|filter| filter.recomputed.sql.as_str()),
        }
    }

    fn evaluate(
        &self,
        rows: &TableRows,
        clock_micros: i64,
        rejects: &mut Vec<Reject>,
    ) -> Evaluated {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.record.len()));
        let schema = std::sync::Arc::new(self.schema.clone());
        // The columns are those that were planned for; nullability is checked when rows are
        // prepared.
        let batch = RecordBatch::try_new_with_options(schema, rows.columns.clone(), &options)
            .unwrap_or_else(|_| RecordBatch::new_empty(std::sync::Arc::new(self.schema.clone())));
        let mut run = |expression: &Expression| {
            expression.run(&batch, &rows.record, &self.rollup.name, clock_micros, rejects)
        };
        let by = self.by.iter().map(&mut run).collect();
        let over = self.over.as_ref().map(&mut run);
        let measures = self
            .measures
            .iter()
            .map(|measure| EvaluatedMeasure {
                passes: measure.filter.as_ref().map(|filter| expression::passed(&run(filter))),
                operation: measure.operation.as_ref().map(&mut run),
            })
            .collect();
        Evaluated { by, over, measures }
    }
}

#[cfg(test)]
mod tests;
