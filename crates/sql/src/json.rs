//! Values as JSON, in the forms that most clients read: exact numbers, ISO 8601 for moments,
//! `\x...` for bytes as PostgreSQL has it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray};
use arrow::compute::cast as arrow_cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};

use crate::cast::cast;
use crate::moment::{format_iso, timestamp};
use crate::type_name::type_name;

/// Every value as the text of a JSON value; NULL stays NULL.
pub fn to_json(values: &ArrayRef) -> Result<ArrayRef, String> {
    let writer = Writer::of(values)?;
    let written = (0..values.len()).map(|row| {
        (!values.is_null(row) && values.data_type() != &DataType::Null).then(|| {
            let mut text = String::new();
            writer.write(row, &mut text);
            text
        })
    });
    Ok(Arc::new(written.collect::<LargeStringArray>()))
}

/// A column whose values are already texts; a row is only put together.
enum Writer {
    Null,
    /// Numbers and booleans.
    Plain(StringArray),
    Quoted(StringArray),
    /// JSON already.
    Json(LargeStringArray),
    /// Each key with its quotes and its colon.
    Object(ArrayRef, Vec<(String, Writer)>),
    List(ArrayRef, Box<Writer>),
}

impl Writer {
    fn of(values: &ArrayRef) -> Result<Self, String> {
        Ok(match values.data_type() {
            DataType::Null => Self::Null,
            DataType::LargeUtf8 => Self::Json(values.as_string::<i64>().clone()),
            DataType::Struct(fields) => {
                let columns = values.as_struct().columns();
                let keys = fields.iter().zip(columns).map(|(field, column)| {
                    Ok((format!("{}:", quoted(field.name())), Self::of(column)?))
                });
                Self::Object(Arc::clone(values), keys.collect::<Result<_, String>>()?)
            }
            DataType::List(_) => Self::List(
                Arc::clone(values),
                Box::new(Self::of(values.as_list::<i32>().values())?),
            ),
            DataType::Timestamp(_, zone) => {
                let micros = arrow_cast(values, &timestamp()).map_err(|error| error.to_string())?;
                let print = |micros| {
                    format_iso(micros, zone.is_some())
                        .ok_or_else(|| "timestamp out of range".to_owned())
                };
                let texts = micros
                    .as_primitive::<TimestampMicrosecondType>()
                    .iter()
                    .map(|micros| micros.map(print).transpose());
                Self::Quoted(texts.collect::<Result<_, String>>()?)
            }
            number if number.is_numeric() || number == &DataType::Boolean => {
                Self::Plain(texts(values)?)
            }
            DataType::Utf8 | DataType::Utf8View | DataType::Date32 | DataType::Binary => {
                Self::Quoted(texts(values)?)
            }
            other => return Err(format!("{} has no form in JSON", type_name(other))),
        })
    }

    fn write(&self, row: usize, out: &mut String) {
        match self {
            Self::Plain(texts) if texts.is_valid(row) => match texts.value(row) {
                // JSON knows no such numbers.
                special @ ("NaN" | "Infinity" | "-Infinity") => out.push_str(&quoted(special)),
                number => out.push_str(number),
            },
            Self::Quoted(texts) if texts.is_valid(row) => out.push_str(&quoted(texts.value(row))),
            Self::Json(texts) if texts.is_valid(row) => out.push_str(texts.value(row)),
            Self::Object(objects, keys) if objects.is_valid(row) => {
                for (place, (key, value)) in keys.iter().enumerate() {
                    out.push(if place == 0 { '{' } else { ',' });
                    out.push_str(key);
                    value.write(row, out);
                }
                out.push_str(if keys.is_empty() { "{}" } else { "}" });
            }
            Self::List(lists, element) if lists.is_valid(row) => {
                let ends = lists.as_list::<i32>().value_offsets();
                out.push('[');
                for place in ends[row]..ends[row + 1] {
                    if place > ends[row] {
                        out.push(',');
                    }
                    element.write(place as usize, out);
                }
                out.push(']');
            }
            _ => out.push_str("null"),
        }
    }
}

fn texts(values: &ArrayRef) -> Result<StringArray, String> {
    cast(values, &DataType::Utf8).map(|texts| texts.as_string::<i32>().clone())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, Float64Array, ListArray, NullArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn written(values: ArrayRef) -> Vec<String> {
        let texts = to_json(&values).expect("a form in JSON");
        texts.as_string::<i64>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
    }

    #[test]
    fn scalars_have_the_form_of_their_type() {
        let price = Decimal128Array::from(vec![10_000, -5])
            .with_precision_and_scale(12, 2)
            .expect("a decimal");
        assert_eq!(written(Arc::new(price)), ["100.00", "-0.05"]);
        assert_eq!(written(Arc::new(Float64Array::from(vec![1.5, f64::NAN]))), ["1.5", "\"NaN\""]);
        assert_eq!(
            written(Arc::new(StringArray::from(vec![Some("a \"b\"\n\u{1}é"), None]))),
            ["\"a \\\"b\\\"\\n\\u0001é\"", "NULL"]
        );
        let at = TimestampMicrosecondArray::from(vec![1_716_199_200_500_000]);
        assert_eq!(
            written(Arc::new(at.clone().with_timezone("UTC"))),
            ["\"2024-05-20T10:00:00.5Z\""]
        );
        assert_eq!(written(Arc::new(at)), ["\"2024-05-20T10:00:00.5\""]);
        assert_eq!(written(Arc::new(LargeStringArray::from(vec!["{\"a\": 1}"]))), ["{\"a\": 1}"]);
        assert_eq!(written(Arc::new(NullArray::new(1))), ["NULL"]);
    }

    #[test]
    fn objects_and_lists_nest() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        let fields = vec![
            Field::new("tags", list.data_type().clone(), true),
            Field::new("n", DataType::Null, true),
        ];
        let object = StructArray::new(
            fields.into(),
            vec![Arc::new(list), Arc::new(NullArray::new(3))],
            Some(vec![true, true, false].into()),
        );
        assert_eq!(
            written(Arc::new(object)),
            ["{\"tags\":[1,null],\"n\":null}", "{\"tags\":null,\"n\":null}", "NULL"]
        );
    }
}
