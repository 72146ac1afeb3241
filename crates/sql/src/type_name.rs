//! PostgreSQL's names for Arrow's types, for messages.

use arrow::datatypes::DataType;

/// What a person would call this type.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "SMALLINT".into(),
        DataType::UInt16 | DataType::Int32 => "INTEGER".into(),
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => "BIGINT".into(),
        DataType::Float16 | DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE PRECISION".into(),
        DataType::Decimal128(38, 18) => "NUMERIC".into(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            format!("NUMERIC({precision},{scale})")
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("NUMERIC({precision},{scale})")
        }
        DataType::Utf8 | DataType::Utf8View => "TEXT".into(),
        DataType::LargeUtf8 => "JSONB".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA".into(),
        DataType::Struct(_) => "an object".into(),
        DataType::List(_) | DataType::LargeList(_) => "a list".into(),
        other => other.to_string(),
    }
}

/// Types that compare and mix with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Null,
    Boolean,
    Number,
    Text,
    Moment,
    Interval,
    Binary,
    Object,
    List,
    Other,
}

/// See [`Class`].
pub(crate) fn class(data_type: &DataType) -> Class {
    match data_type {
        DataType::Null => Class::Null,
        DataType::Boolean => Class::Boolean,
        number if number.is_numeric() => Class::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Class::Text,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Class::Moment,
        DataType::Interval(_) | DataType::Duration(_) => Class::Interval,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Class::Binary,
        DataType::Struct(_) => Class::Object,
        DataType::List(_) | DataType::LargeList(_) => Class::List,
        _ => Class::Other,
    }
}
