//! JSON texts that say the same, as the same text.

use crate::decimal::Decimal;
use crate::json_text::{Node, Value, parse};

/// Keys in order, numbers without zeros that do not matter, UTC as `Z`. What is no JSON stays as it
/// is.
pub fn canonical(text: &str) -> String {
    parse(text).map_or_else(|| text.to_owned(), |node| of(&node))
}

fn of(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Number(text) => {
            Decimal::parse(text).map_or_else(|| text.clone(), |decimal| decimal.to_string())
        }
        Value::Text(text) => match text.strip_suffix("+00:00") {
            Some(time) => format!("{time:?}Z"),
            None => match text.strip_suffix('Z') {
                Some(time) => format!("{time:?}Z"),
                None => format!("{text:?}"),
            },
        },
        Value::List(items) => format!("[{}]", items.iter().map(of).collect::<Vec<_>>().join(",")),
        Value::Object(entries) => {
            let mut entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key:?}:{}", of(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
    }
}
