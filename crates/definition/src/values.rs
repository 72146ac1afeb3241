//! Values of the file as JSON, by YAML's core schema. Numbers keep their digits.

use serde_json::{Map, Number, Value as Json};

use super::Problem;
use super::walk::Walk;
use super::yaml::{Content, Node, Scalar};

/// A value as JSON; what JSON does not have, an infinity, is reported.
pub(super) fn to_json(walk: &Walk<'_>, node: &Node) -> Option<Json> {
    match &node.content {
        Content::Scalar(scalar) if scalar.broken => None,
        Content::Scalar(scalar) => {
            let value = scalar_to_json(scalar);
            if value.is_none() {
                walk.report(Problem::new(
                    "file.value.type",
                    node.span,
                    format!("JSON has no {}", walk.quote(node.span)),
                ));
            }
            value
        }
        Content::List(items) => {
            items.iter().map(|item| to_json(walk, item)).collect::<Option<_>>().map(Json::Array)
        }
        Content::Mapping(entries) => {
            let mut object = Map::new();
            for entry in entries {
                object.insert(entry.key.clone(), to_json(walk, &entry.value)?);
            }
            Some(Json::Object(object))
        }
    }
}

/// None for infinities and not-a-number.
fn scalar_to_json(scalar: &Scalar) -> Option<Json> {
    let text = scalar.value.text.as_str();
    if !scalar.plain {
        return Some(Json::String(text.to_string()));
    }
    if scalar.is_null() {
        return Some(Json::Null);
    }
    match text {
        "true" | "True" | "TRUE" => return Some(Json::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Json::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    Some(number(text).map_or_else(|| Json::String(text.to_string()), Json::Number))
}

/// A number by the core schema: decimal, `0x`, `0o`, and the forms that JSON writes otherwise
/// (`+1`, `.5`, `1.`).
fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u128::from_str_radix(digits, radix)
                .ok()
                .and_then(|number| number.to_string().parse().ok());
        }
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let mantissa_end = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(mantissa_end);
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, ""), |(whole, fraction)| (whole, fraction));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}{exponent}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_keep_their_digits() {
        for (text, json) in [
            ("50.0", "50.0"),
            ("0.10000000000000000000000001", "0.10000000000000000000000001"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("-7", "-7"),
            ("+1", "1"),
            (".5", "0.5"),
            ("1.", "1"),
            ("007", "7"),
            ("0x1F", "31"),
            ("0o17", "15"),
        ] {
            assert_eq!(
                number(text).map(|number| number.to_string()).as_deref(),
                Some(json),
                "{text}"
            );
        }
        assert!(
            number("1e400").is_some_and(|number| number
                .to_string()
                .to_lowercase()
                .replace('+', "")
                == "1e400")
        );
        for text in ["", "-", ".", "1.2.3", "1_000", "abc", "2024-05-20", "0x", "e5", "1e", "12:30"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
