//! Bytes become Arrow columns by the declared `record`. A bad record leaves here as a reject,
//! alone.
//!
//! A record is read once, straight into the columns; at its first fault the half-written row is cut
//! off again, so that its neighbours never notice. Numbers stay exact, keys that are not declared
//! are skipped with their grammar checked, and a position in a reason counts the record's bytes
//! from 0.
//!
//! The rules a reject may name: `json`, `utf8`, `surrogate`, `depth`, `size`, `empty` and
//! `tombstone` of the document, `csv` of a file's line, and `missing`, `null`, `type`,
//! `duplicate_key`, `minimum`, `maximum`, `enum`, `min_length`, `max_length`, `range`, `scale` and
//! `nul` of a value.

pub mod json;
pub mod meta;

mod base64;
mod column;
mod fault;
mod formats;
mod key;
mod number;
mod read;
mod rules;
mod scalar;
#[cfg(test)]
mod tests;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use column::Columns;
use duto_definition::{Pipeline, RecordDefinition, Source, TextCleaning};
use duto_ground::batch::Batch;
use duto_ground::index::RecordIndex;
use duto_ground::reject::Reject;
pub use fault::{Fault, Outcome};
use formats::ReadFormat;
pub use formats::{CsvLayout, Unclosed, Values};
use json::Scanner;
pub use key::key_of;
use read::{Problems, Reader, Scratch};
pub use rules::rounded_units;

/// The declared record, made ready. It holds no state between batches: threads may share it.
#[derive(Debug, Clone)]
pub struct Decoder {
    schema: SchemaRef,
    /// Empty; each batch begins with a copy.
    columns: Columns,
    cleaning: TextCleaning,
    max_record_bytes: usize,
    max_depth: usize,
    format: Arc<dyn ReadFormat>,
}

/// A batch after decoding: each of its records is either a row or a reject.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub rows: RecordBatch,
    /// For each row, its record.
    pub record: Vec<RecordIndex>,
    pub rejects: Vec<Reject>,
}

impl Decoder {
    pub fn new(pipeline: &Pipeline) -> Self {
        Self::of_record(&pipeline.record, pipeline.text, &pipeline.source)
    }

    /// As [`Self::new`], from the parts of a pipeline that matter here.
    pub fn of_record(record: &RecordDefinition, cleaning: TextCleaning, source: &Source) -> Self {
        Self {
            schema: Arc::new(record.arrow_schema()),
            columns: Columns::new(&record.fields),
            cleaning,
            max_record_bytes: source.max_record_bytes,
            max_depth: source.max_depth,
            format: formats::of(source),
        }
    }

    /// The same for the lines of a file.
    pub fn of_lines(self, layout: CsvLayout) -> Self {
        Self { format: Arc::new(layout), ..self }
    }

    /// The schema of [`Decoded::rows`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes every record of a batch, in its order. The payloads of one batch must stay below 2
    /// GiB.
    pub fn decode(&self, batch: &Batch) -> Decoded {
        let mut columns = self.columns.clone();
        let (mut scratch, mut room) = (Scratch::default(), Vec::new());
        let (mut record, mut rejects) = (Vec::with_capacity(batch.len()), Vec::new());
        for (place, payload) in RecordIndex::all().zip(batch.iter().map(|record| record.payload)) {
            let row = record.len();
            match self.decode_one(payload, &mut columns, row, &mut scratch, &mut room) {
                Ok(()) => record.push(place),
                Err(fault) => {
                    columns.truncate(row);
                    rejects.push(fault.into_reject(place));
                }
            }
        }
        Decoded { rows: self.finish(columns, record.len()), record, rejects }
    }

    /// Every problem of one body, in the document's order; none means that `decode` takes it. A
    /// value's problem does not hide those behind it as long as the grammar is intact. Slower than
    /// `decode`: meant for answering a person.
    pub fn problems(&self, body: &[u8]) -> Vec<Reject> {
        let mut columns = self.columns.clone();
        let (mut scratch, mut room) = (Scratch::default(), Vec::new());
        let mut faults = Vec::new();
        let outcome = self.open(Some(body), &mut room).and_then(|scanner| {
            let mut reader =
                Reader::new(scanner, self.cleaning, &mut scratch, Problems::All(Vec::new()));
            let outcome = reader.read_document(&mut columns, 0);
            faults = reader.into_problems();
            outcome
        });
        faults.extend(outcome.err().map(|fault| *fault));
        faults.into_iter().map(|fault| fault.into_reject(RecordIndex::new(0))).collect()
    }

    fn decode_one(
        &self,
        payload: Option<&[u8]>,
        columns: &mut Columns,
        row: usize,
        scratch: &mut Scratch,
        room: &mut Vec<u8>,
    ) -> Outcome<()> {
        let scanner = self.open(payload, room)?;
        Reader::new(scanner, self.cleaning, scratch, Problems::First).read_document(columns, row)
    }

    /// What can be said of a payload before it is read. `room` is for its document.
    fn open<'a>(&self, payload: Option<&'a [u8]>, room: &'a mut Vec<u8>) -> Outcome<Scanner<'a>> {
        let bytes = payload.ok_or_else(|| {
            Fault::document("tombstone", "the record has no payload, it is a tombstone")
        })?;
        let empty = || Fault::document("empty", "the record is empty");
        if bytes.is_empty() {
            return Err(empty());
        }
        if bytes.len() > self.max_record_bytes {
            let sentence = format!(
                "the record is {} bytes long, at most {} are allowed",
                bytes.len(),
                self.max_record_bytes
            );
            return Err(Fault::document("size", sentence));
        }
        let document = self.format.document(bytes, room)?;
        if document.is_empty() {
            return Err(empty());
        }
        Scanner::new(document, self.max_depth)
    }

    fn finish(&self, columns: Columns, rows: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        columns
            .finish()
            .and_then(|arrays| {
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            })
            .expect(
                "the columns and the schema are made from the same record, and every row was \
                written whole or cut off",
            )
    }
}
