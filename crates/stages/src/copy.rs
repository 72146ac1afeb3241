//! Arrow columns as PostgreSQL's binary COPY format (PostgreSQL manual, "COPY", section "Binary
//! Format").
//!
//! Our own encoder because the rows are columns already: the client's row-wise writer takes several
//! times as long.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};

use super::numeric::write_numeric;
use duto_definition::ColumnType;
use duto_definition::column_type::ValueKind;
use duto_ground::index::RowIndex;
use duto_sql::forms::Form;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;

/// Writes the given rows of the columns. `with_row` adds two INTEGER columns: the row's own number,
/// by which it is known again, and its place among the rows, in whose order it is to be written.
/// The arrays have the types that [`ColumnType::arrow`] names.
pub fn encode(
    columns: &[(ColumnType, ArrayRef)],
    rows: impl Iterator<Item = RowIndex>,
    with_row: bool,
) -> Vec<u8> {
    let fields: Vec<Column<'_>> =
        columns.iter().map(|(column_type, array)| Column::new(*column_type, array)).collect();
    let field_count = (fields.len() + if with_row { 2 } else { 0 }) as i16;
    let mut out =
        Vec::with_capacity(SIGNATURE.len() + rows.size_hint().0 * (fields.len() * 12 + 2) + 2);
    out.extend_from_slice(SIGNATURE);
    for (place, row) in (0i32..).zip(rows) {
        out.extend_from_slice(&field_count.to_be_bytes());
        for field in &fields {
            field.write(row.place(), &mut out);
        }
        if with_row {
            write_sized(&mut out, &(row.number() as i32).to_be_bytes());
            write_sized(&mut out, &place.to_be_bytes());
        }
    }
    out.extend_from_slice(&(-1i16).to_be_bytes());
    out
}

/// The given values of one column, one behind the other, as [`encode`] writes them.
pub fn encode_column(
    column_type: ColumnType,
    array: &ArrayRef,
    rows: &[RowIndex],
    out: &mut Vec<u8>,
) {
    let column = Column::new(column_type, array);
    rows.iter().for_each(|row| column.write(row.place(), out));
}

/// One value as the key of a repeat: equal bytes mean equal values of one column.
pub fn key_bytes(columns: &[(ColumnType, ArrayRef)], row: RowIndex, out: &mut Vec<u8>) {
    out.clear();
    let row = row.place();
    for (column_type, array) in columns {
        match column_type {
            // As PostgreSQL compares: 0 and -0 are equal, and so is every NaN.
            ColumnType::Real => {
                plain_float(array.as_primitive::<Float32Type>().value(row).into(), out)
            }
            ColumnType::DoublePrecision => {
                plain_float(array.as_primitive::<Float64Type>().value(row), out)
            }
            _ => Column::new(*column_type, array).write(row, out),
        }
    }
}

fn plain_float(value: f64, out: &mut Vec<u8>) {
    let value = if value == 0.0 {
        0.0
    } else if value.is_nan() {
        f64::NAN
    } else {
        value
    };
    out.extend_from_slice(&value.to_be_bytes());
}

/// A column with its array already cast down, so that the row loop only matches on an enum.
struct Column<'a> {
    array: &'a ArrayRef,
    has_nulls: bool,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a arrow::array::BooleanArray),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], u8),
    Text(&'a arrow::array::StringArray),
    Jsonb(&'a arrow::array::LargeStringArray),
    Formed(&'a arrow::array::StringArray, &'static Form),
    Date(&'a [i32]),
    Timestamp(&'a [i64]),
    Bytea(&'a arrow::array::BinaryArray),
}

impl<'a> Column<'a> {
    fn new(column_type: ColumnType, array: &'a ArrayRef) -> Self {
        let values = match column_type.values() {
            ValueKind::Boolean => Values::Boolean(array.as_boolean()),
            ValueKind::SmallInt => Values::Int16(array.as_primitive::<Int16Type>().values()),
            ValueKind::Integer => Values::Int32(array.as_primitive::<Int32Type>().values()),
            ValueKind::BigInt => Values::Int64(array.as_primitive::<Int64Type>().values()),
            ValueKind::Real => Values::Float32(array.as_primitive::<Float32Type>().values()),
            ValueKind::DoublePrecision => {
                Values::Float64(array.as_primitive::<Float64Type>().values())
            }
            ValueKind::Numeric(_) => {
                let decimals = array.as_primitive::<Decimal128Type>();
                Values::Decimal(decimals.values(), decimals.scale().unsigned_abs())
            }
            ValueKind::Text(_) => Values::Text(array.as_string()),
            ValueKind::Jsonb => Values::Jsonb(array.as_string()),
            ValueKind::Formed(form) => Values::Formed(array.as_string(), form),
            ValueKind::Date => Values::Date(array.as_primitive::<Date32Type>().values()),
            ValueKind::Timestamp | ValueKind::Timestamptz => {
                Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            ValueKind::Bytea => Values::Bytea(array.as_binary()),
        };
        Self { array, has_nulls: array.null_count() > 0, values }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.has_nulls && self.array.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return;
        }
        match &self.values {
            Values::Boolean(values) => write_sized(out, &[u8::from(values.value(row))]),
            Values::Int16(values) => write_sized(out, &values[row].to_be_bytes()),
            Values::Int32(values) => write_sized(out, &values[row].to_be_bytes()),
            Values::Int64(values) => write_sized(out, &values[row].to_be_bytes()),
            Values::Float32(values) => write_sized(out, &values[row].to_be_bytes()),
            Values::Float64(values) => write_sized(out, &values[row].to_be_bytes()),
            Values::Decimal(values, scale) => write_numeric(out, values[row], *scale),
            Values::Text(values) => write_sized(out, values.value(row).as_bytes()),
            Values::Jsonb(values) => {
                let text = values.value(row).as_bytes();
                out.extend_from_slice(&(text.len() as i32 + 1).to_be_bytes());
                out.push(1); // jsonb's wire version
                out.extend_from_slice(text);
            }
            Values::Formed(values, form) => {
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                (form.write_binary)(values.value(row), out);
                let length = (out.len() - start - 4) as i32;
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
            Values::Date(values) => write_sized(out, &(values[row] - EPOCH_DAYS).to_be_bytes()),
            Values::Timestamp(values) => {
                write_sized(out, &(values[row] - EPOCH_MICROS).to_be_bytes())
            }
            Values::Bytea(values) => write_sized(out, values.value(row)),
        }
    }
}

fn write_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn rows_are_written_in_the_order_asked_for() {
        let columns: Vec<(ColumnType, ArrayRef)> = vec![
            (ColumnType::BigInt, Arc::new(Int64Array::from(vec![Some(1), None]))),
            (ColumnType::Text, Arc::new(StringArray::from(vec![Some("a"), Some("bc")]))),
        ];
        let encoded = encode(&columns, [1, 0].map(RowIndex::new).into_iter(), true);
        let mut expected = SIGNATURE.to_vec();
        expected.extend_from_slice(&[
            0, 4, 255, 255, 255, 255, 0, 0, 0, 2, b'b', b'c', 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4,
            0, 0, 0, 0,
        ]);
        expected.extend_from_slice(&[0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, b'a']);
        expected.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1]);
        expected.extend_from_slice(&[255, 255]);
        assert_eq!(encoded, expected);
    }

    #[test]
    fn keys_of_different_rows_differ_also_where_texts_run_together() {
        let columns: Vec<(ColumnType, ArrayRef)> = vec![
            (ColumnType::Text, Arc::new(StringArray::from(vec!["ab", "a"]))),
            (ColumnType::Text, Arc::new(StringArray::from(vec!["c", "bc"]))),
            (
                ColumnType::Numeric(Some((10, 2))),
                Arc::new(
                    Decimal128Array::from(vec![100, 100]).with_precision_and_scale(10, 2).unwrap(),
                ),
            ),
        ];
        let (mut first, mut second) = (Vec::new(), Vec::new());
        key_bytes(&columns, RowIndex::new(0), &mut first);
        key_bytes(&columns, RowIndex::new(1), &mut second);
        assert_ne!(first, second);
    }
}
