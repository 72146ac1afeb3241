//! What to write where a value of one type is needed as another. Each piece of advice is an
//! expression that can be planned, in which `...` stands for the value.

use arrow::datatypes::DataType;

use super::castable;
use crate::type_name::{Class, class, type_name};

/// The expressions that make a value of the other type, the likeliest first; none where there is no
/// such thing.
pub fn conversions(from: &DataType, to: &DataType) -> Vec<String> {
    let seconds_of = |interval: &DataType| matches!(interval, DataType::Duration(_));
    match (class(from), class(to)) {
        (Class::Object | Class::List, Class::Text) => vec!["to_json(...)".to_owned()],
        (Class::Number, Class::Moment) => {
            vec!["to_timestamp(...)".to_owned(), "to_timestamp(... / 1000.0)".to_owned()]
        }
        (Class::Moment, Class::Number) => vec!["extract(epoch FROM ...)".to_owned()],
        (Class::Interval, Class::Number) if seconds_of(from) => {
            vec!["extract(epoch FROM ...)".to_owned()]
        }
        (Class::Number, Class::Boolean) => vec!["(... <> 0)".to_owned()],
        (Class::Boolean, Class::Number) => vec!["CAST(... AS INTEGER)".to_owned()],
        // JSONB has no name in a CAST.
        (_, Class::Text) if castable(from, to) => vec!["CAST(... AS TEXT)".to_owned()],
        _ if castable(from, to) && from != to => vec![format!("CAST(... AS {})", type_name(to))],
        _ => Vec::new(),
    }
}

/// The same as a sentence, about this value.
pub(crate) fn conversion_help(value: &str, from: &DataType, to: &DataType) -> Option<String> {
    help_of(&conversions(from, to), value)
}

/// ``write `to_timestamp(ts)`, or `to_timestamp(ts / 1000.0)` of milliseconds``.
pub fn help_of(conversions: &[String], value: &str) -> Option<String> {
    let written: Vec<String> = conversions
        .iter()
        .map(|conversion| format!("`{}`", conversion.replace("...", value)))
        .collect();
    match written.as_slice() {
        [] => None,
        [one] => Some(format!("write {one}")),
        [seconds, milliseconds, ..] => Some(format!(
            "write {seconds} where it counts seconds since 1970, {milliseconds} where it counts \
                milliseconds"
        )),
    }
}
