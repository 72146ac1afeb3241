//! `tables:`, each table's SELECT over the batch: one set of rows a table, every row knowing its
//! record.

mod cast;
mod document;
mod meta;
mod plan;
mod rows;
mod text_rule;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use duto_sql::{Select, SqlProblem};

use crate::decode::Decoded;
use cast::ColumnCast;
pub use document::{Document, Documents};
use duto_definition::{Pipeline, Problem, SqlText};
use duto_ground::index::RecordIndex;
use duto_ground::reject::Reject;
pub use meta::with_meta;
pub(crate) use meta::{meta_place, schema_with_meta};
use rows::{Failed, MadeDocuments, MadeRows, without};

/// A pipeline's tables, planned. It is shared by all workers.
#[derive(Debug)]
pub struct Transform {
    tables: Vec<TablePlan>,
    /// Of `deliver:`, in the file's order.
    bodies: Vec<(String, Document)>,
    /// Of the endpoints of `ingest:` whose records are this pipeline's own and are answered when
    /// they are stored.
    answers: Vec<(String, Document)>,
    uses_meta: bool,
}

/// A table's SELECT, and how its columns become the table's.
#[derive(Debug)]
struct TablePlan {
    select: Select,
    /// Indexes into the table's columns, rising.
    written_columns: Vec<usize>,
    /// For each written column.
    casts: Vec<ColumnCast>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct Transformed {
    /// One a table, in the pipeline's order.
    pub tables: Vec<TableRows>,
    /// The bodies of the calls to make, one list for each of `deliver:`.
    pub bodies: Vec<RecordDocuments>,
    /// The answers, one list for each endpoint that answers when a record is stored.
    pub answers: Vec<RecordDocuments>,
    /// Of this stage alone, by record. A record that is here has no row in any table.
    pub rejects: Vec<Reject>,
    /// The records that have no row in any table and are no rejects either: every WHERE left them
    /// out.
    pub filtered: Vec<RecordIndex>,
}

/// The rows of one table.
#[derive(Debug, Clone, Default)]
pub struct TableRows {
    /// In the order of [`Transform::written_columns`], each of exactly its column's Arrow type.
    pub columns: Vec<ArrayRef>,
    /// For each row its record; it never falls.
    pub record: Vec<RecordIndex>,
}

/// Documents that records made.
#[derive(Debug, Clone, Default)]
pub struct RecordDocuments {
    /// JSON.
    pub texts: Vec<String>,
    /// For each text its record; it never falls.
    pub record: Vec<RecordIndex>,
}

impl Transform {
    /// Plans every table's SELECT over the pipeline's record and its `meta`; all problems are told
    /// at once.
    pub fn plan(pipeline: &Pipeline) -> Result<Self, Vec<Problem>> {
        let schema = schema_with_meta(&pipeline.record);
        let (mut tables, mut problems) = (Vec::new(), Vec::new());
        for table in &pipeline.tables {
            match plan::table(table, &schema) {
                Ok(planned) => tables.push(planned),
                Err(found) => problems.extend(found),
            }
        }
        let mut document =
            |name: String, sql: &SqlText| match Document::plan(sql, "record", &schema) {
                Ok(document) => Some((name, document)),
                Err(found) => {
                    problems.extend(found);
                    None
                }
            };
        let bodies: Vec<_> = pipeline
            .deliver
            .iter()
            .filter_map(|deliver| document(deliver.name.clone(), &deliver.body))
            .collect();
        let stored = pipeline.ingest.iter().filter(|endpoint| endpoint.stored);
        let answered =
            stored.filter_map(|endpoint| Some((endpoint.name(), endpoint.answer.as_ref()?)));
        let answers: Vec<_> = answered.filter_map(|(name, sql)| document(name, sql)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let meta = meta_place(&pipeline.record);
        let documents = || bodies.iter().chain(&answers).map(|(_, document)| document);
        let uses_meta = meta.is_some_and(|place| {
            tables.iter().any(|table: &TablePlan| table.select.uses(place))
                || documents().any(|document| document.uses(place))
        });
        Ok(Self { tables, bodies, answers, uses_meta })
    }

    /// The endpoint's place among [`Transformed::answers`]; None where its answer says nothing of
    /// the record.
    pub fn answer_of(&self, endpoint: &str) -> Option<usize> {
        self.answers.iter().position(|(name, _)| name == endpoint)
    }

    /// The type of an answer; see [`Self::answer_of`].
    pub fn answer_type(&self, endpoint: &str) -> Option<DataType> {
        self.answer_of(endpoint).map(|place| self.answers[place].1.data_type())
    }

    /// Whether a table's SELECT looks at `meta`: then the rows need [`with_meta`] first.
    pub fn uses_meta(&self) -> bool {
        self.uses_meta
    }

    /// The columns that a table's SELECT gives: indexes into its columns, rising. The others are
    /// left to their defaults.
    pub fn written_columns(&self, table: usize) -> &[usize] {
        self.tables.get(table).map_or(&[], |table| &table.written_columns)
    }

    /// For each decoded row, about how many bytes it becomes where tables take a row of each
    /// element of a list.
    pub fn unnested_bytes(&self, decoded: &Decoded) -> Option<Vec<u64>> {
        let tables =
            self.tables.iter().filter_map(|table| table.select.unnested_bytes(&decoded.rows));
        tables.reduce(|sums, table| {
            sums.into_iter().zip(table).map(|(sum, bytes)| sum.saturating_add(bytes)).collect()
        })
    }

    /// The rows of all tables. A record that fails in one table leaves all of them. `clock_micros`
    /// is what now() answers, in microseconds since 1970 UTC.
    pub fn run(&self, decoded: &Decoded, clock_micros: i64) -> Transformed {
        let mut failed: Failed = Failed::new();
        let made: Vec<MadeRows> = self
            .tables
            .iter()
            .map(|table| rows::make(table, &decoded.rows, clock_micros, &mut failed))
            .collect();
        let mut document = |(name, document): &(String, Document)| {
            rows::make_documents(name, document, &decoded.rows, clock_micros, &mut failed)
        };
        let bodies: Vec<MadeDocuments> = self.bodies.iter().map(&mut document).collect();
        let answers: Vec<MadeDocuments> = self.answers.iter().map(&mut document).collect();
        let made: Vec<MadeRows> = made.into_iter().map(|made| without(made, &failed)).collect();
        let mut has_row = vec![false; decoded.record.len()];
        let rows = made
            .iter()
            .flat_map(|made| &made.decoded_row)
            .chain(bodies.iter().flat_map(|bodies| &bodies.decoded_row));
        for row in rows.chain(failed.keys()) {
            if let Some(has_row) = has_row.get_mut(*row as usize) {
                *has_row = true;
            }
        }
        let record_of = |row: u32| decoded.record[row as usize];
        let filtered = (0u32..)
            .zip(&has_row)
            .filter(|(_, has_row)| !**has_row)
            .map(|(row, _)| record_of(row))
            .collect();
        let placed = |documents: Vec<MadeDocuments>| -> Vec<RecordDocuments> {
            documents.into_iter().map(|documents| documents.placed(&failed, record_of)).collect()
        };
        let (bodies, answers) = (placed(bodies), placed(answers));
        let rejects =
            failed.into_iter().map(|(row, misfit)| misfit.into_reject(record_of(row))).collect();
        let tables = made
            .into_iter()
            .map(|made| TableRows {
                columns: made.columns,
                record: made.decoded_row.into_iter().map(record_of).collect(),
            })
            .collect();
        Transformed { tables, bodies, answers, rejects, filtered }
    }
}

/// A problem of the SQL as a problem of the file.
pub(crate) fn problem_of(sql: &SqlText, problem: SqlProblem) -> Problem {
    let found =
        Problem::new(problem.code, sql.span_of(problem.start, problem.end), problem.message);
    match problem.help {
        Some(help) => found.help(help),
        None => found,
    }
}

#[cfg(test)]
mod tests;
