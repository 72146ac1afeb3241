//! Texts as values, in the forms that PostgreSQL reads.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType,
    Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    i256,
};

use crate::decimal::parse_decimal;
use crate::moment::{parse_date, parse_timestamp};
use crate::type_name::type_name;

/// Every text as a value of the type.
pub(super) fn parse(texts: &StringArray, to: &DataType) -> Result<ArrayRef, String> {
    Ok(match to {
        DataType::Boolean => Arc::new(each(texts, to, parse_boolean)?.collect::<BooleanArray>()),
        DataType::Int16 => numbers::<Int16Type>(texts, to, |text| text.parse().ok())?,
        DataType::Int32 => numbers::<Int32Type>(texts, to, |text| text.parse().ok())?,
        DataType::Int64 => numbers::<Int64Type>(texts, to, |text| text.parse().ok())?,
        DataType::Float32 => numbers::<Float32Type>(texts, to, |text| {
            let value: f32 = text.parse().ok()?;
            holds(f64::from(value), text).then_some(value)
        })?,
        DataType::Float64 => numbers::<Float64Type>(texts, to, parse_float)?,
        DataType::Date32 => numbers::<Date32Type>(texts, to, parse_date)?,
        DataType::Decimal128(precision, scale) => {
            let decimal = |text: &str| {
                let decimal = parse_decimal(text, *scale).and_then(i256::to_i128);
                decimal.filter(|decimal| {
                    Decimal128Type::is_valid_decimal_precision(*decimal, *precision)
                })
            };
            let decimals: Decimal128Array = each(texts, to, decimal)?.collect();
            Arc::new(
                decimals
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|error| error.to_string())?,
            )
        }
        DataType::Decimal256(precision, scale) => {
            let decimal = |text: &str| {
                parse_decimal(text, *scale).filter(|decimal| {
                    Decimal256Type::is_valid_decimal_precision(*decimal, *precision)
                })
            };
            let decimals: Decimal256Array = each(texts, to, decimal)?.collect();
            Arc::new(
                decimals
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|error| error.to_string())?,
            )
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let moment = |text: &str| parse_timestamp(text, zone.is_some());
            let moments: PrimitiveArray<TimestampMicrosecondType> =
                each(texts, to, moment)?.collect();
            Arc::new(moments.with_timezone_opt(zone.clone()))
        }
        _ => return Err(format!("a text cannot be cast to {}", type_name(to))),
    })
}

fn numbers<T: ArrowPrimitiveType>(
    texts: &StringArray,
    to: &DataType,
    convert: fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef, String>
where
    PrimitiveArray<T>: FromIterator<Option<T::Native>>,
{
    Ok(Arc::new(each(texts, to, convert)?.collect::<PrimitiveArray<T>>()))
}

fn each<V>(
    texts: &StringArray,
    to: &DataType,
    convert: impl Fn(&str) -> Option<V>,
) -> Result<std::vec::IntoIter<Option<V>>, String> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        values.push(match text {
            None => None,
            Some(text) => Some(
                convert(text.trim())
                    .ok_or_else(|| format!("{text:?} is not a valid {}", type_name(to)))?,
            ),
        });
    }
    Ok(values.into_iter())
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn parse_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    holds(value, text).then_some(value)
}

/// Whether a float is what stands in the text: digits that overflow are no infinity, which only its
/// word makes, and digits that are too small are no zero.
fn holds(value: f64, text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let has = |wanted: fn(&u8) -> bool| mantissa.as_bytes().iter().any(wanted);
    if value.is_infinite() {
        !has(u8::is_ascii_digit)
    } else {
        value != 0.0 || !has(|byte| (b'1'..=b'9').contains(byte))
    }
}
