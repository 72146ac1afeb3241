//! A table's SELECT: planned once, run batch by batch.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions,
    TimestampMicrosecondArray, UInt32Array, new_empty_array,
};
use arrow::compute::{concat, filter_record_batch, prep_null_mask_filter, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_physical_expr::PhysicalExpr;
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Span;

use crate::compile::{compile, reason};
use crate::halves::{Failure, run_in_halves};
use crate::lists::{elements_of, parents_of};
use crate::plan::{Planned, Planner, Recomputed};
use crate::problem::{At, HasSpan, SourceText, SqlProblem, at};
use crate::scope::{CLOCK_COLUMN, ELEMENT_COLUMN, Scope, fold};
use crate::statement::{RECORD, RecordSelect, parse_expression, parse_select};
use crate::type_name::type_name;

/// A column that a SELECT gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// As PostgreSQL folds it.
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// Whether it is a literal text, which may stand for a value of any type.
    pub literal: bool,
    /// Byte offsets in the SQL of the name.
    pub start: usize,
    pub end: usize,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct SelectOutput {
    /// In the order of [`Select::output`].
    pub columns: Vec<ArrayRef>,
    /// For each row the place of its record among the input's rows; it never falls.
    pub row_record: Vec<u32>,
    /// Records that could not be evaluated; they have no rows.
    pub failed: Vec<FailedRow>,
}

/// A record that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// The place among the input's rows.
    pub row: u32,
    /// The output column whose expression failed; empty where it was the WHERE or the UNNEST.
    pub column: String,
    /// Why, without the column's name.
    pub message: String,
}

/// A planned SELECT. It is evaluated by any number of threads at once.
#[derive(Debug)]
pub struct Select {
    output: Vec<OutputColumn>,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    unnest: Option<Unnest>,
    /// The columns that the expressions see.
    schema: SchemaRef,
    sources: Vec<ColumnSource>,
}

/// The list whose elements are rows, over columns of its own.
#[derive(Debug)]
struct Unnest {
    list: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    sources: Vec<ColumnSource>,
}

/// Where a column of the expressions' batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnSource {
    Record(usize),
    Clock,
    Element,
}

/// Plans `SELECT expr AS name, ... FROM record [, UNNEST(list) AS item] [WHERE ...]` over records
/// of this schema.
pub fn plan_select(sql: &str, record: &Schema) -> Result<Select, Vec<SqlProblem>> {
    plan_select_from(RECORD, sql, record)
}

/// As [`plan_select`], over rows that FROM calls by another name.
pub fn plan_select_from(
    relation: &str,
    sql: &str,
    record: &Schema,
) -> Result<Select, Vec<SqlProblem>> {
    let text = SourceText(sql);
    let shape = parse_select(text, relation)?;
    let mut planner = Planner::new(text, Scope::of_record(record));
    let list = shape.unnest.as_ref().and_then(|unnest| planner.unnest(unnest));
    if shape.unnest.is_some() && list.is_none() {
        return Err(planner.problems);
    }
    let condition = shape.condition.as_ref().and_then(|condition| planner.boolean(condition));
    let columns: Vec<_> = shape.items.iter().map(|item| planner.plan(&item.expr)).collect();
    let output = planner.output(&shape, &columns);
    if !planner.problems.is_empty() {
        return Err(planner.problems);
    }
    let columns: Vec<_> = columns.into_iter().flatten().collect();
    let built = build(&planner.scope, record, output, columns, condition, list);
    built.map_err(|message| vec![text.problem("sql.plan", &At(Span::empty()), message)])
}

/// Plans one expression over rows of this schema: a SELECT of one column without a name.
pub fn plan_expression(sql: &str, record: &Schema) -> Result<Select, Vec<SqlProblem>> {
    plan_as_select(sql, record, |planner, node| planner.plan(node))
}

/// An expression over rows of this schema as PostgreSQL has to write it to get the same value, or
/// why there is no such text.
pub fn recompute(sql: &str, record: &Schema) -> Result<Recomputed, Vec<SqlProblem>> {
    let text = SourceText(sql);
    let node = parse_expression(text)?;
    let mut planner = Planner::new(text, Scope::of_record(record));
    match planner.recomputed(&node) {
        Some(recomputed) if planner.problems.is_empty() => Ok(recomputed),
        _ => Err(planner.problems),
    }
}

/// A condition is the one column of a SELECT without a name.
pub(crate) fn plan_condition_as_select(
    sql: &str,
    record: &Schema,
) -> Result<Select, Vec<SqlProblem>> {
    plan_as_select(sql, record, |planner, node| planner.boolean(node))
}

fn plan_as_select(
    sql: &str,
    record: &Schema,
    plan: impl for<'a> FnOnce(&mut Planner<'a>, &Expr) -> Option<Planned>,
) -> Result<Select, Vec<SqlProblem>> {
    let text = SourceText(sql);
    let node = parse_expression(text)?;
    let mut planner = Planner::new(text, Scope::of_record(record));
    let planned = plan(&mut planner, &node);
    let Some(planned) = planned.filter(|_| planner.problems.is_empty()) else {
        return Err(planner.problems);
    };
    let (data_type, nullable) = (planned.data_type.clone(), planned.nullable);
    let output = OutputColumn {
        name: String::new(),
        data_type,
        nullable,
        literal: false,
        start: 0,
        end: sql.len(),
    };
    let built = build(&planner.scope, record, vec![output], vec![planned], None, None);
    built.map_err(|message| vec![text.problem("sql.plan", &At(Span::empty()), message)])
}

impl Select {
    /// The columns that it gives, in order.
    pub fn output(&self) -> &[OutputColumn] {
        &self.output
    }

    /// Whether the record's column at this place of the schema is looked at.
    pub fn uses(&self, place: usize) -> bool {
        let unnested = self.unnest.iter().flat_map(|unnest| &unnest.sources);
        self.sources.iter().chain(unnested).any(|source| *source == ColumnSource::Record(place))
    }

    /// Whether it reads the clock, so that its answer is another tomorrow.
    pub fn reads_clock(&self) -> bool {
        self.sources.contains(&ColumnSource::Clock)
    }

    /// The rows of a batch of records, which may lack columns behind those that are used;
    /// `clock_micros` is what now() answers, in microseconds since 1970 UTC.
    pub fn run(&self, records: &RecordBatch, clock_micros: i64) -> SelectOutput {
        let (pieces, failed) =
            run_in_halves(records.num_rows(), |range| self.evaluate(records, range, clock_micros));
        let failed = failed
            .into_iter()
            .map(|(row, failure)| FailedRow { row, column: failure.name, message: failure.message })
            .collect();
        let Piece { columns, row_record } = self.joined(pieces);
        SelectOutput { columns, row_record, failed }
    }

    /// For each record, about how many bytes the columns have that its rows are made of; None where
    /// a record has at most one row. What a list of a record multiplies is known before it is
    /// multiplied.
    pub fn unnested_bytes(&self, records: &RecordBatch) -> Option<Vec<u64>> {
        let unnest = self.unnest.as_ref()?;
        let columns = columns_of(&unnest.sources, records, 0, None, records.num_rows()).ok()?;
        let outer = batch_of(&unnest.schema, columns, records.num_rows()).ok()?;
        // Of a list that fails as a whole the records are looked for one by one, and then none has
        // more than its own rows.
        let list = unnest
            .list
            .evaluate(&outer)
            .and_then(|list| list.into_array(records.num_rows()))
            .ok()?;
        let list = list.as_list::<i32>();
        let carried: Vec<&ArrayRef> = self
            .sources
            .iter()
            .filter_map(|source| match source {
                ColumnSource::Record(place) if *place < records.num_columns() => {
                    Some(records.column(*place))
                }
                ColumnSource::Record(_) | ColumnSource::Clock | ColumnSource::Element => None,
            })
            .collect();
        let elements =
            |row: usize| if list.is_null(row) { 0 } else { list.value_length(row) as u64 };
        let bytes = |row: usize| {
            carried.iter().map(|column| value_bytes(column, row)).sum::<u64>() + SMALL_VALUE_BYTES
        };
        Some((0..records.num_rows()).map(|row| elements(row) * bytes(row)).collect())
    }

    fn joined(&self, mut pieces: Vec<Piece>) -> Piece {
        if pieces.len() == 1 {
            return pieces.remove(0);
        }
        let column = |place: usize| {
            let columns: Vec<_> =
                pieces.iter().map(|piece| piece.columns[place].as_ref()).collect();
            // Concatenating fails for no columns at all, and for more text than 2 GiB, which a
            // batch does not hold.
            concat(&columns).unwrap_or_else(|_| new_empty_array(&self.output[place].data_type))
        };
        Piece {
            columns: (0..self.output.len()).map(column).collect(),
            row_record: pieces.iter().flat_map(|piece| &piece.row_record).copied().collect(),
        }
    }

    fn evaluate(
        &self,
        records: &RecordBatch,
        range: Range<usize>,
        clock_micros: i64,
    ) -> Result<Piece, Failure> {
        let first = range.start as u32;
        let slice = records.slice(range.start, range.len());
        let (batch, mut rows) = self.batch(&slice, clock_micros)?;
        rows.iter_mut().for_each(|row| *row += first);
        match self.rows_of(batch.clone(), &rows) {
            // `a AND b` may evaluate b where a is FALSE for other rows alone. One row by itself
            // never does, so the elements of the one record that is left get their chance before it
            // is lost.
            Err(_) if range.len() == 1 && batch.num_rows() > 1 => {
                let part = |range: Range<usize>| {
                    self.rows_of(batch.slice(range.start, range.len()), &rows[range])
                };
                let (pieces, failed) = run_in_halves(batch.num_rows(), part);
                failed
                    .into_iter()
                    .next()
                    .map_or_else(|| Ok(self.joined(pieces)), |(_, failure)| Err(failure))
            }
            result => result,
        }
    }

    fn rows_of(&self, mut batch: RecordBatch, rows: &[u32]) -> Result<Piece, Failure> {
        let mut row_record = rows.to_vec();
        if let Some(condition) = &self.condition {
            let passed = condition
                .evaluate(&batch)
                .and_then(|passed| passed.into_array(batch.num_rows()))
                .map_err(unnamed)?;
            // Where the condition is NULL whatever the record, none passes.
            let passed = passed
                .as_boolean_opt()
                .cloned()
                .unwrap_or_else(|| BooleanArray::from(vec![false; rows.len()]));
            let passed =
                if passed.null_count() > 0 { prep_null_mask_filter(&passed) } else { passed };
            if passed.true_count() < batch.num_rows() {
                batch =
                    filter_record_batch(&batch, &passed).map_err(|error| unnamed(error.into()))?;
                row_record = row_record
                    .into_iter()
                    .zip(passed.values())
                    .filter_map(|(row, passed)| passed.then_some(row))
                    .collect();
            }
        }
        let mut columns = Vec::with_capacity(self.expressions.len());
        for (expression, output) in self.expressions.iter().zip(&self.output) {
            let column =
                expression.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
            columns.push(
                column.map_err(|error| Failure {
                    name: output.name.clone(),
                    message: reason(&error),
                })?,
            );
        }
        Ok(Piece { columns, row_record })
    }

    /// The batch that the expressions see, and for each of its rows the record.
    fn batch(
        &self,
        records: &RecordBatch,
        clock_micros: i64,
    ) -> Result<(RecordBatch, Vec<u32>), Failure> {
        let Some(unnest) = &self.unnest else {
            let columns =
                columns_of(&self.sources, records, clock_micros, None, records.num_rows())?;
            return Ok((
                batch_of(&self.schema, columns, records.num_rows())?,
                (0..records.num_rows() as u32).collect(),
            ));
        };
        let columns = columns_of(&unnest.sources, records, clock_micros, None, records.num_rows())?;
        let outer = batch_of(&unnest.schema, columns, records.num_rows())?;
        let list = unnest
            .list
            .evaluate(&outer)
            .and_then(|list| list.into_array(records.num_rows()))
            .map_err(unnamed)?;
        let list = list.as_list::<i32>();
        let (elements, parents) = (elements_of(list), parents_of(list));
        let rows = elements.len();
        let columns =
            columns_of(&self.sources, records, clock_micros, Some((&elements, &parents)), rows)?;
        Ok((batch_of(&self.schema, columns, rows)?, parents.values().to_vec()))
    }
}

/// A number, a date and the like, with what a row costs beside it.
const SMALL_VALUE_BYTES: u64 = 16;

/// About how many bytes a value has.
fn value_bytes(column: &ArrayRef, row: usize) -> u64 {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value_length(row).unsigned_abs().into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value_length(row).unsigned_abs(),
        DataType::Binary => column.as_binary::<i32>().value_length(row).unsigned_abs().into(),
        other if other.is_nested() => {
            column.slice(row, 1).to_data().get_slice_memory_size().map_or(0, |bytes| bytes as u64)
        }
        _ => SMALL_VALUE_BYTES,
    }
}

/// The rows that a range of records gives.
struct Piece {
    columns: Vec<ArrayRef>,
    row_record: Vec<u32>,
}

fn columns_of(
    sources: &[ColumnSource],
    records: &RecordBatch,
    clock_micros: i64,
    unnested: Option<(&ArrayRef, &UInt32Array)>,
    rows: usize,
) -> Result<Vec<ArrayRef>, Failure> {
    let column = |source: &ColumnSource| match (source, unnested) {
        (ColumnSource::Clock, _) => Ok(Arc::new(
            TimestampMicrosecondArray::from_value(clock_micros, rows).with_timezone("UTC"),
        ) as ArrayRef),
        (ColumnSource::Element, Some((elements, _))) => Ok(Arc::clone(elements)),
        (ColumnSource::Record(place), None) if *place < records.num_columns() => {
            Ok(Arc::clone(records.column(*place)))
        }
        (ColumnSource::Record(place), Some((_, parents))) if *place < records.num_columns() => {
            take(records.column(*place), parents, None).map_err(|error| unnamed(error.into()))
        }
        _ => Err(Failure {
            name: String::new(),
            message: "the records are not those that were planned for".into(),
        }),
    };
    sources.iter().map(column).collect()
}

fn batch_of(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, Failure> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| unnamed(error.into()))
}

fn unnamed(error: datafusion_common::DataFusionError) -> Failure {
    Failure { name: String::new(), message: reason(&error) }
}

impl Planner<'_> {
    /// The list of an UNNEST, planned over the record; afterwards its element has a name.
    fn unnest(&mut self, unnest: &crate::statement::Unnest) -> Option<Planned> {
        let list = self.plan(&unnest.list)?;
        let DataType::List(element) = &list.data_type else {
            return self.note(
                "sql.type.mismatch",
                &unnest.list,
                format!("UNNEST takes a list; this is {}", type_name(&list.data_type)),
            );
        };
        let name = fold(&unnest.name);
        if self.scope.find(&name).is_some() {
            return self.note(
                "sql.name.duplicate",
                &at(&unnest.name),
                format!("the record has a column \"{name}\" already"),
            );
        }
        self.scope = self.scope.with_element(&name, ELEMENT_COLUMN, element.data_type().clone());
        Some(list)
    }

    fn note<T>(&mut self, code: &'static str, node: &dyn HasSpan, message: String) -> Option<T> {
        let problem = self.text.problem(code, node, message);
        self.problems.push(problem);
        None
    }

    fn output(&mut self, shape: &RecordSelect, columns: &[Option<Planned>]) -> Vec<OutputColumn> {
        let mut output: Vec<OutputColumn> = Vec::with_capacity(columns.len());
        for (item, planned) in shape.items.iter().zip(columns) {
            let name = fold(&item.name);
            let place = self.text.problem(
                "sql.name.duplicate",
                &at(&item.name),
                format!("two columns have the name \"{name}\""),
            );
            let (start, end) = (place.start, place.end);
            if output.iter().any(|earlier| earlier.name == name) {
                self.problems.push(place);
            }
            let (data_type, nullable) =
                planned.as_ref().map_or((DataType::Null, true), |planned| {
                    (planned.data_type.clone(), planned.nullable)
                });
            let literal = planned.as_ref().is_some_and(|planned| planned.literal_text().is_some());
            output.push(OutputColumn { name, data_type, nullable, literal, start, end });
        }
        output
    }
}

fn build(
    scope: &Scope,
    record: &Schema,
    output: Vec<OutputColumn>,
    columns: Vec<Planned>,
    condition: Option<Planned>,
    list: Option<Planned>,
) -> Result<Select, String> {
    let (schema, sources) = used_columns(scope, record, columns.iter().chain(&condition));
    let seen =
        Arc::new(DFSchema::try_from(Arc::clone(&schema)).map_err(|error| error.to_string())?);
    let expressions =
        columns.into_iter().map(|column| compile(column.expr, &seen)).collect::<Result<_, _>>()?;
    let condition = condition.map(|condition| compile(condition.expr, &seen)).transpose()?;
    let unnest = match list {
        None => None,
        Some(list) => {
            let (schema, sources) = used_columns(scope, record, std::iter::once(&list));
            let seen = Arc::new(
                DFSchema::try_from(Arc::clone(&schema)).map_err(|error| error.to_string())?,
            );
            Some(Unnest { list: compile(list.expr, &seen)?, schema, sources })
        }
    };
    Ok(Select { output, expressions, condition, unnest, schema, sources })
}

/// The columns that these expressions use, and where they come from. What is not used is not
/// carried along.
fn used_columns<'p>(
    scope: &Scope,
    record: &Schema,
    planned: impl Iterator<Item = &'p Planned>,
) -> (SchemaRef, Vec<ColumnSource>) {
    let mut names: Vec<String> = planned
        .flat_map(|planned| {
            planned
                .expr
                .column_refs()
                .into_iter()
                .map(|column| column.name.clone())
                .collect::<Vec<_>>()
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut sources = Vec::new();
    for name in names {
        let source = match name.as_str() {
            CLOCK_COLUMN => ColumnSource::Clock,
            ELEMENT_COLUMN => ColumnSource::Element,
            name => match record.index_of(name) {
                Ok(place) => ColumnSource::Record(place),
                Err(_) => continue,
            },
        };
        if let Some(field) = scope.column(&name) {
            fields.push(Arc::clone(field));
            sources.push(source);
        }
    }
    (Arc::new(Schema::new(fields)), sources)
}
