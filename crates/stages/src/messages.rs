//! What is to be published of a batch: a message for each row of a table. Which rows are stored is
//! known later; only their messages are written.

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, LargeStringArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use duto_sql::{Select, cast, plan_expression};

use crate::transform::{Document, TableRows, problem_of};
use duto_definition::{Pipeline, Problem, Publish};
use duto_ground::index::RowIndex;
use duto_ground::reject::{Reject, Stage};

/// A pipeline's `publish:`, planned.
#[derive(Debug, Default)]
pub struct Messages {
    plans: Vec<Plan>,
}

#[derive(Debug)]
struct Plan {
    publish: Publish,
    /// The table's place among the pipeline's.
    table: usize,
    key: Option<Select>,
    value: Document,
    schema: Arc<Schema>,
}

/// The messages of one `publish` for every row of its table.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The place among `publish:`.
    pub publish: usize,
    pub table: usize,
    /// A message for each row of the table; none where a WHERE left the row out.
    messages: Vec<Option<u32>>,
    /// NULL is no key.
    keys: Option<StringArray>,
    values: LargeStringArray,
}

impl Messages {
    /// Plans every key and value over the columns that are written; all problems are told at once.
    pub fn plan(pipeline: &Pipeline, written: &[Vec<usize>]) -> Result<Self, Vec<Problem>> {
        let (mut plans, mut problems) = (Vec::new(), Vec::new());
        for publish in &pipeline.publish {
            let Some(table) = pipeline.tables.iter().position(|table| table.name == publish.from)
            else {
                continue;
            };
            let columns = written
                .get(table)
                .into_iter()
                .flatten()
                .filter_map(|index| pipeline.tables[table].columns.get(*index));
            let fields: Vec<Field> = columns
                .map(|column| Field::new(&column.name, column.column_type.arrow(), true))
                .collect();
            match Plan::new(publish, table, Schema::new(fields)) {
                Ok(plan) => plans.push(plan),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { plans }) } else { Err(problems) }
    }

    /// The messages of a batch's rows. A record for which one fails is a reject.
    pub fn evaluate(
        &self,
        tables: &[TableRows],
        clock_micros: i64,
    ) -> (Vec<Evaluated>, Vec<Reject>) {
        let mut rejects = Vec::new();
        let plans = self.plans.iter().enumerate();
        let evaluated = plans
            .map(|(place, plan)| {
                plan.evaluate(place, &tables[plan.table], clock_micros, &mut rejects)
            })
            .collect();
        (evaluated, rejects)
    }
}

impl Plan {
    fn new(publish: &Publish, table: usize, schema: Schema) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let value = Document::plan(&publish.value, &publish.from, &schema)
            .map_err(|found| problems.extend(found));
        let key = match &publish.key {
            None => Ok(None),
            Some(sql) => match plan_expression(&sql.text, &schema) {
                Ok(key) => {
                    problems.extend(unkeyable(sql, &key));
                    Ok(Some(key))
                }
                Err(found) => {
                    problems.extend(found.into_iter().map(|problem| problem_of(sql, problem)));
                    Err(())
                }
            },
        };
        match (value, key) {
            (Ok(value), Ok(key)) if problems.is_empty() => {
                Ok(Self { publish: publish.clone(), table, key, value, schema: Arc::new(schema) })
            }
            _ => Err(problems),
        }
    }

    fn evaluate(
        &self,
        place: usize,
        rows: &TableRows,
        clock_micros: i64,
        rejects: &mut Vec<Reject>,
    ) -> Evaluated {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.record.len()));
        let batch = RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            rows.columns.clone(),
            &options,
        )
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(&self.schema)));
        let made = self.value.run(&batch, clock_micros);
        let mut refuse = |row: RowIndex, what: &str, message: &str| {
            rejects.push(Reject {
                record: rows.record[row.place()],
                stage: Stage::Transform,
                path: String::new(),
                rule: format!("{}.{what}", self.publish.name),
                reason: format!("the {what} of the message {}: {message}", self.publish.name),
                sqlstate: None,
            });
        };
        made.failed
            .iter()
            .for_each(|failed| refuse(RowIndex::new(failed.row), "value", &failed.message));
        let keys = self.key.as_ref().map(|key| {
            let output = key.run(&batch, clock_micros);
            output
                .failed
                .iter()
                .for_each(|failed| refuse(RowIndex::new(failed.row), "key", &failed.message));
            let mut places: Vec<Option<u32>> = vec![None; batch.num_rows()];
            (0u32..)
                .zip(&output.row_record)
                .for_each(|(place, row)| places[*row as usize] = Some(place));
            let texts = output.columns.first().and_then(|keys| cast(keys, &DataType::Utf8).ok());
            let by_row =
                texts.and_then(|texts| take(&texts, &UInt32Array::from(places), None).ok());
            by_row.map_or_else(
                || StringArray::new_null(batch.num_rows()),
                |keys| keys.as_string::<i32>().clone(),
            )
        });
        let mut messages = vec![None; batch.num_rows()];
        (0u32..).zip(&made.row).for_each(|(place, row)| messages[*row as usize] = Some(place));
        Evaluated { publish: place, table: self.table, messages, keys, values: made.texts }
    }
}

impl Evaluated {
    /// The key and the value of a row's message, if it has one.
    pub fn message(&self, row: RowIndex) -> Option<(Option<&str>, Option<&str>)> {
        let place = (*self.messages.get(row.place())?)? as usize;
        let key = self
            .keys
            .as_ref()
            .filter(|keys| keys.is_valid(row.place()))
            .map(|keys| keys.value(row.place()));
        Some((key, self.values.is_valid(place).then(|| self.values.value(place))))
    }
}

fn unkeyable(sql: &duto_definition::SqlText, key: &Select) -> Option<Problem> {
    let data_type = &key.output().first()?.data_type;
    let single = !matches!(
        data_type,
        DataType::Struct(_) | DataType::List(_) | DataType::LargeUtf8 | DataType::Binary
    );
    (!single).then(|| {
        Problem::new(
            "publish.key.type",
            sql.span,
            "a message's key must be a single value".to_owned(),
        )
    })
}
