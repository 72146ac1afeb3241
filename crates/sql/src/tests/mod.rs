//! Statements over small batches, as tables of cases.

mod expressions;
mod names;
mod problems;
mod runs;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow_json::ReaderBuilder;

use crate::cast;
use crate::moment::{timestamp, timestamptz};

/// 2024-05-20 10:00:00 UTC.
const CLOCK: i64 = 1_716_199_200_000_000;
const NUMERIC: DataType = DataType::Decimal128(38, 18);

/// A record with a field of every kind.
fn schema() -> Schema {
    let item = Fields::from(vec![
        Field::new("qty", DataType::Int32, false),
        Field::new("value_unit", NUMERIC, false),
        Field::new("name", DataType::Utf8, true),
    ]);
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, false)));
    let address = Fields::from(vec![
        Field::new("city", DataType::Utf8, true),
        Field::new("zipCode", DataType::Utf8, true),
    ]);
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("small", DataType::Int16, true),
        Field::new("qty", DataType::Int32, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("amount", NUMERIC, true),
        Field::new("ratio", DataType::Float64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("productId", DataType::Utf8, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", timestamptz(), true),
        Field::new("local", timestamp(), true),
        Field::new("items", list(DataType::Struct(item)), true),
        Field::new("tags", list(DataType::Utf8), true),
        Field::new("address", DataType::Struct(address), true),
    ])
}

/// Records from JSON, decimals as texts.
fn records(lines: &[&str]) -> RecordBatch {
    let schema = Arc::new(schema());
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(1 << 16)
        .build_decoder()
        .expect("a decoder");
    decoder.decode(lines.join("\n").as_bytes()).expect("records");
    decoder.flush().expect("a batch").unwrap_or_else(|| RecordBatch::new_empty(schema))
}

/// The values as PostgreSQL prints them.
fn printed(column: &ArrayRef) -> Vec<String> {
    let texts = cast(column, &DataType::Utf8).expect("a printable column");
    texts.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}
