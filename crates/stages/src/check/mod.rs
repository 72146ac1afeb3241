//! `checks:`, rules in SQL that a record must pass before anything is made of it.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use duto_sql::{Condition, plan_condition};

use crate::decode::Decoded;
use crate::transform::{meta_place, problem_of, schema_with_meta};
use duto_definition::{Pipeline, Problem};
use duto_ground::clock::now_micros;
use duto_ground::index::RecordIndex;
use duto_ground::reject::{Reject, Stage};

/// A pipeline's checks, planned.
#[derive(Debug)]
pub struct Checks {
    rules: Vec<Rule>,
    uses_meta: bool,
}

#[derive(Debug)]
struct Rule {
    name: String,
    /// As it stands in the file, on one line.
    told: String,
    condition: Condition,
}

impl Checks {
    /// Plans every check over the pipeline's record and its `meta`; all problems are told at once.
    pub fn plan(pipeline: &Pipeline) -> Result<Self, Vec<Problem>> {
        let schema = schema_with_meta(&pipeline.record);
        let meta_place = meta_place(&pipeline.record);
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for check in &pipeline.checks {
            match plan_condition(&check.condition.text, &schema) {
                Ok(condition) => {
                    let told =
                        check.condition.text.split_whitespace().collect::<Vec<_>>().join(" ");
                    rules.push(Rule { name: check.name.clone(), told, condition });
                }
                Err(found) => problems
                    .extend(found.into_iter().map(|problem| problem_of(&check.condition, problem))),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let uses_meta = meta_place
            .is_some_and(|place| rules.iter().any(|rule: &Rule| rule.condition.uses(place)));
        Ok(Self { rules, uses_meta })
    }

    /// Whether a check looks at `meta`: then the rows need [`crate::transform::with_meta`] first.
    pub fn uses_meta(&self) -> bool {
        self.uses_meta
    }

    /// The records that pass every check, in their order; the others are rejects, each by the first
    /// check that it does not pass. A record passes only when the condition is TRUE. now() is the
    /// time of the call.
    pub fn run(&self, decoded: Decoded) -> Decoded {
        self.run_at(decoded, now_micros())
    }

    /// As [`Self::run`] at a time of its own, in microseconds since 1970 UTC.
    pub fn run_at(&self, decoded: Decoded, clock_micros: i64) -> Decoded {
        self.rules.iter().fold(decoded, |decoded, rule| rule.run(decoded, clock_micros))
    }
}

impl Rule {
    fn run(&self, decoded: Decoded, clock_micros: i64) -> Decoded {
        let output = self.condition.run(&decoded.rows, clock_micros);
        if output.passed.true_count() == decoded.record.len() {
            return decoded;
        }
        let Decoded { rows, record, mut rejects } = decoded;
        let passed = output.passed.values();
        let mut failed = output.failed.into_iter().peekable();
        for (row, record) in record.iter().enumerate().filter(|(row, _)| !passed.value(*row)) {
            let failure = failed.next_if(|failure| failure.row as usize == row);
            rejects.push(self.reject(*record, failure.map(|failure| failure.message)));
        }
        let record = record
            .into_iter()
            .zip(passed)
            .filter_map(|(record, passed)| passed.then_some(record))
            .collect();
        Decoded { rows: kept(&rows, &output.passed), record, rejects }
    }

    fn reject(&self, record: RecordIndex, failure: Option<String>) -> Reject {
        let reason = match failure {
            None => format!("{} is not satisfied: {}", self.name, self.told),
            Some(failure) => format!("{} cannot be evaluated: {failure}", self.name),
        };
        Reject {
            record,
            stage: Stage::Check,
            path: String::new(),
            rule: self.name.clone(),
            reason,
            sqlstate: None,
        }
    }
}

fn kept(rows: &RecordBatch, passed: &BooleanArray) -> RecordBatch {
    // The filter is as long as the batch, the only thing that could be wrong with it.
    filter_record_batch(rows, passed).unwrap_or_else(|_| rows.slice(0, 0))
}

#[cfg(test)]
mod tests;
