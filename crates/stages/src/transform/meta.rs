//! `meta` in SQL: where a record came from. A record that declares a key of that name hides it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, FieldRef, Schema};

use crate::decode::Decoded;
use crate::decode::meta::{meta_column, meta_field};
use duto_definition::RecordDefinition;
use duto_ground::batch::Batch;

/// The columns that SQL sees: the record's, and `meta` behind them.
pub(crate) fn schema_with_meta(record: &RecordDefinition) -> Schema {
    let schema = record.arrow_schema();
    match meta_place(record) {
        Some(_) => with_field(&schema, meta_field()),
        None => schema,
    }
}

/// The place of `meta` among the columns; None where the record has a key of that name.
pub(crate) fn meta_place(record: &RecordDefinition) -> Option<usize> {
    let hidden = record.fields.iter().any(|field| field.name == "meta");
    (!hidden).then_some(record.fields.len())
}

/// The rows with their `meta` behind them. Called once, between decoding and whatever uses it.
pub fn with_meta(decoded: Decoded, topic: &str, batch: &Batch) -> Decoded {
    let meta: ArrayRef = Arc::new(meta_column(topic, batch, &decoded.record));
    let schema = Arc::new(with_field(&decoded.rows.schema(), meta_field()));
    let columns = decoded.rows.columns().iter().cloned().chain([meta]).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(decoded.rows.num_rows()));
    match RecordBatch::try_new_with_options(schema, columns, &options) {
        Ok(rows) => Decoded { rows, ..decoded },
        // Not reached, as the column has a cell for every row; without it the SQL that asks for it
        // rejects the rows.
        Err(_) => decoded,
    }
}

fn with_field(schema: &Schema, field: Field) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain([Arc::new(field)]).collect();
    Schema::new(fields)
}
