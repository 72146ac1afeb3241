//! Values as texts, in the forms that PostgreSQL prints.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, StringArray};
use arrow::compute::cast as arrow_cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int64Type,
    TimestampMicrosecondType,
};

use crate::decimal::{format_decimal, format_float};
use crate::moment::{format_date, format_timestamp, timestamp};
use crate::type_name::type_name;

/// Every value as PostgreSQL prints it.
pub(super) fn print(values: &ArrayRef) -> Result<ArrayRef, String> {
    let as_type = |to: &DataType| arrow_cast(values, to).map_err(|error| error.to_string());
    let texts = match values.data_type() {
        DataType::Boolean => {
            values.as_boolean().iter().map(|value| value.map(|value| value.to_string())).collect()
        }
        DataType::Decimal128(_, scale) => each::<Decimal128Type>(values, |value| {
            Some(format_decimal(&value.to_string(), *scale))
        })?,
        DataType::Decimal256(_, scale) => each::<Decimal256Type>(values, |value| {
            Some(format_decimal(&value.to_string(), *scale))
        })?,
        DataType::Float32 => each::<Float32Type>(values, |value| {
            Some(format_float(f64::from(value), &format!("{value:e}"), 6))
        })?,
        DataType::Float64 => each::<Float64Type>(values, |value| {
            Some(format_float(value, &format!("{value:e}"), 15))
        })?,
        DataType::Date32 => each::<Date32Type>(values, format_date)?,
        DataType::Timestamp(_, zone) => {
            each::<TimestampMicrosecondType>(&as_type(&timestamp())?, |micros| {
                format_timestamp(micros, zone.is_some())
            })?
        }
        DataType::Binary => {
            values.as_binary::<i32>().iter().map(|value| value.map(hexadecimal)).collect()
        }
        integer if integer.is_integer() => {
            each::<Int64Type>(&as_type(&DataType::Int64)?, |value| Some(value.to_string()))?
        }
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            return as_type(&DataType::Utf8);
        }
        other => return Err(format!("{} cannot be cast to TEXT", type_name(other))),
    };
    Ok(Arc::new(texts))
}

/// A value that has no text is an error and never NULL.
fn each<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    print: impl Fn(T::Native) -> Option<String>,
) -> Result<StringArray, String> {
    let print = |value: T::Native| {
        print(value).ok_or_else(|| format!("a {} is out of range", type_name(values.data_type())))
    };
    values.as_primitive::<T>().iter().map(|value| value.map(print).transpose()).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16));
    "\\x".chars().chain(digits).collect()
}
