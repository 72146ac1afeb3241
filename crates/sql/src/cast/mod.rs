//! Values of one type as another, as PostgreSQL does it: numbers round half away from zero (floats
//! to even), nothing is cut or wrapped silently, texts print and read in PostgreSQL's forms.

mod advice;
mod from_text;
mod number;
mod to_text;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

pub(crate) use advice::conversion_help;
pub use advice::{conversions, help_of};

use crate::json::to_json;
use crate::moment::{as_date, as_moment};
use crate::type_name::{Class, class, type_name};

/// Every value in the other type. The error is a sentence about the first value that does not fit;
/// where there is more than one row it does not say which row: see [`crate::run_in_halves`].
pub fn cast(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let from = values.data_type();
    match (from, to) {
        _ if from == to => Ok(Arc::clone(values)),
        (DataType::Null, _) => Ok(new_null_array(to, values.len())),
        (DataType::Utf8View | DataType::LargeUtf8, DataType::Utf8)
        | (DataType::Utf8 | DataType::Utf8View, DataType::LargeUtf8) => by_arrow(values, to),
        (_, DataType::LargeUtf8) => to_json(values),
        (DataType::Utf8View | DataType::LargeUtf8, _) => {
            cast(&by_arrow(values, &DataType::Utf8)?, to)
        }
        (DataType::Utf8, _) => from_text::parse(values.as_string::<i32>(), to),
        (_, DataType::Utf8) => to_text::print(values),
        (DataType::Float32 | DataType::Float64, _) if to.is_numeric() => {
            number::from_float(values, to)
        }
        (DataType::Decimal128(..) | DataType::Decimal256(..), _) if to.is_numeric() => {
            number::from_decimal(values, to)
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Date32) => as_date(values),
        (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, _)) => as_moment(values, to),
        _ => by_arrow(values, to),
    }
}

/// Whether CAST can turn the one into the other.
pub(crate) fn castable(from: &DataType, to: &DataType) -> bool {
    match (class(from), class(to)) {
        (Class::Null, _) => true,
        (Class::Object | Class::List, _) if to == &DataType::LargeUtf8 => true,
        (Class::Object | Class::List | Class::Other, _)
        | (_, Class::Object | Class::List | Class::Other) => from == to,
        (Class::Text, target) => {
            matches!(target, Class::Text | Class::Boolean | Class::Number | Class::Moment)
        }
        (_, Class::Text) => class(from) != Class::Interval,
        (Class::Boolean, Class::Number) => to.is_integer(),
        (Class::Number, Class::Boolean) => from.is_integer(),
        (given, target) => given == target,
    }
}

/// Whether a value may stand in a column of the other type without a CAST. A literal text may stand
/// for anything, as in PostgreSQL.
pub fn assignable(from: &DataType, to: &DataType, literal: bool) -> bool {
    match (class(from), class(to)) {
        (Class::Text, target) if target != Class::Text => literal && castable(from, to),
        (Class::Boolean, Class::Number) | (Class::Number, Class::Boolean) => false,
        _ => castable(from, to),
    }
}

/// Arrow's own cast, which fails where a value does not fit.
fn by_arrow(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, to, &strict).map_err(|_| does_not_fit(values, to))
}

/// `300 does not fit SMALLINT`. Only a row that stands alone is told.
fn does_not_fit(values: &ArrayRef, to: &DataType) -> String {
    let told = if values.len() == 1 { shown(values) } else { None };
    format!("{} does not fit {}", told.as_deref().unwrap_or("a value"), type_name(to))
}

fn shown(values: &ArrayRef) -> Option<String> {
    match to_text::print(values) {
        Ok(text) => Some(text.as_string::<i32>().value(0).to_owned()),
        Err(_) => ArrayFormatter::try_new(values, &FormatOptions::default())
            .ok()
            .map(|format| format.value(0).to_string()),
    }
}

/// Each valid value through a function that fails with a sentence.
fn try_each<F, T>(
    values: &ArrayRef,
    convert: impl Fn(F::Native) -> Result<T::Native, String>,
) -> Result<PrimitiveArray<T>, String>
where
    F: ArrowPrimitiveType,
    T: ArrowPrimitiveType,
{
    values.as_primitive::<F>().try_unary(convert)
}
