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
mod csv;
mod fault;
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
pub use csv::{CsvLayout, Unclosed, Values};
use duto_definition::{Pipeline, RecordDefinition, TextCleaning};
use duto_ground::batch::Batch;
use duto_ground::index::RecordIndex;
use duto_ground::reject::Reject;
pub use fault::{Fault, Outcome};
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
    unwrap_strings: bool,
    /// Where a record is a line of a file.
    layout: Option<CsvLayout>,
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
        let source = &pipeline.source;
        let decoder = Self::of_record(
            &pipeline.record,
            pipeline.text,
            source.max_record_bytes,
            source.max_depth,
        );
        Self { unwrap_strings: source.unwrap_strings, ..decoder }
    }

    /// As [`Self::new`], from the parts of a pipeline that matter here.
    pub fn of_record(
        record: &RecordDefinition,
        cleaning: TextCleaning,
        max_record_bytes: usize,
        max_depth: usize,
    ) -> Self {
        let columns = Columns::new(&record.fields);
        Self {
            schema: Arc::new(record.arrow_schema()),
            columns,
            cleaning,
            max_record_bytes,
            max_depth,
            unwrap_strings: false,
            layout: None,
        }
    }

    /// The same for the lines of a file.
    pub fn of_lines(self, layout: CsvLayout) -> Self {
        Self { layout: Some(layout), ..self }
    }

    /// The schema of [`Decoded::rows`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes every record of a batch, in its order. The payloads of one batch must stay below 2
    /// GiB.
    pub fn decode(&self, batch: &Batch) -> Decoded {
        let mut columns = self.columns.clone();
        let (mut scratch, mut object) = (Scratch::default(), Vec::new());
        let (mut record, mut rejects) = (Vec::with_capacity(batch.len()), Vec::new());
        for (place, payload) in RecordIndex::all().zip(batch.iter().map(|record| record.payload)) {
            let row = record.len();
            match self.decode_one(payload, &mut columns, row, &mut scratch, &mut object) {
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
        let (mut scratch, mut object) = (Scratch::default(), Vec::new());
        let mut faults = Vec::new();
        let unwrapped = self.unwrapped(Some(body));
        let body = unwrapped.as_deref().map_or(body, str::as_bytes);
        let outcome = self.open(Some(body), &mut object).and_then(|scanner| {
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
        object: &mut Vec<u8>,
    ) -> Outcome<()> {
        let unwrapped = self.unwrapped(payload);
        let scanner = self.open(unwrapped.as_deref().map(str::as_bytes).or(payload), object)?;
        Reader::new(scanner, self.cleaning, scratch, Problems::First).read_document(columns, row)
    }

    /// The text that a JSON string holds, where such strings are records. A broken string is left
    /// to the scanner, which says what is wrong.
    fn unwrapped(&self, payload: Option<&[u8]>) -> Option<String> {
        let payload = payload.filter(|payload| {
            self.unwrap_strings && self.layout.is_none() && payload.len() <= self.max_record_bytes
        })?;
        if payload.trim_ascii_start().first() != Some(&b'"') {
            return None;
        }
        serde_json::from_slice(payload).ok()
    }

    /// What can be said of a payload before it is read. `object` is room for a line as an object.
    fn open<'a>(&self, payload: Option<&'a [u8]>, object: &'a mut Vec<u8>) -> Outcome<Scanner<'a>> {
        let bytes = payload.ok_or_else(|| {
            Fault::document("tombstone", "the record has no payload, it is a tombstone")
        })?;
        if bytes.is_empty() {
            return Err(Fault::document("empty", "the record is empty"));
        }
        if bytes.len() > self.max_record_bytes {
            let sentence = format!(
                "the record is {} bytes long, at most {} are allowed",
                bytes.len(),
                self.max_record_bytes
            );
            return Err(Fault::document("size", sentence));
        }
        let Some(layout) = &self.layout else { return Scanner::new(bytes, self.max_depth) };
        layout.write_object(bytes, object)?;
        Scanner::new(object, self.max_depth)
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
