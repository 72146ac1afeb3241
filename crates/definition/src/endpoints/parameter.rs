//! `parameters:` of an endpoint.

use chrono::Datelike;
use serde_json::{Value as Json, json};

use crate::column_type::ValueKind;
use crate::column_type::names::read_type;
use crate::keys::{Key, Keys, Presence, Value};
use crate::schema::keys_schema;
use crate::walk::Fields;
use crate::words::Words;
use crate::{ColumnType, Problem, Span};

/// A value that the caller gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub column_type: ColumnType,
    /// What stands for it when it is not given; without it it is required.
    pub default: Option<String>,
    /// Inclusive.
    pub minimum: Option<f64>,
    /// Inclusive.
    pub maximum: Option<f64>,
    /// The allowed texts; empty means any.
    pub allowed: Vec<String>,
    /// In characters.
    pub max_length: usize,
    pub span: Span,
}

/// Longer texts are refused where nothing else is said.
const DEFAULT_MAX_LENGTH: usize = 1000;
/// PostgreSQL takes no zone that is so many seconds from UTC or more.
const POSTGRES_ZONE_LIMIT_S: i32 = 16 * 3600;

static KEYS: Keys = Keys {
    of: "a parameter",
    keys: &[
        Key {
            name: "type",
            about: "a type in PostgreSQL's words",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "default",
            about: "what stands for it when it is not given",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "minimum",
            about: "the least number",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "maximum",
            about: "the greatest number",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "enum",
            about: "the only values that are taken",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "minItems": 1 })),
        },
        Key {
            name: "max_length",
            about: "characters of the longest text; 1000 without it",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 1, maximum: 1_000_000 },
        },
    ],
    later: &[],
    note: "",
};

pub(super) fn schema() -> Json {
    json!({ "type": "object", "additionalProperties": keys_schema(&KEYS) })
}

pub(super) fn read(endpoint: &Fields<'_, '_>) -> Vec<Parameter> {
    let walk = endpoint.walk();
    let title = endpoint.named("parameters");
    let entries = endpoint
        .value("parameters")
        .and_then(|node| walk.entries(&title, node))
        .unwrap_or_default();
    let mut parameters = Vec::new();
    for entry in entries {
        let Some(fields) =
            walk.fields(&format!("{title}.{}", entry.key), &KEYS, &entry.value, entry.key_span)
        else {
            continue;
        };
        let Some(written) = fields.text("type") else { continue };
        let span = fields.span("type").unwrap_or(entry.key_span);
        let column_type = match read_type(&mut Words::new(&written)) {
            Ok(column_type)
                if !matches!(column_type, ColumnType::Jsonb | ColumnType::Bytea)
                    && !column_type.is_serial() =>
            {
                column_type
            }
            _ => {
                let problem = Problem::new(
                    "endpoint.parameter.type",
                    span,
                    format!("{} is not a type of a parameter", walk.quote(span)),
                );
                walk.report(problem.help(
                    "for example INTEGER, NUMERIC, TEXT, BOOLEAN, DATE, TIMESTAMPTZ or UUID",
                ));
                continue;
            }
        };
        let bound = |name| {
            let text = fields.text(name)?;
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            let message = match number {
                None => format!("{name} of {} is not a number", entry.key),
                Some(_) if !column_type.is_number() => {
                    format!("{name} of {} means nothing to a {column_type}", entry.key)
                }
                Some(_) => return number,
            };
            let span = fields.span(name).unwrap_or(entry.key_span);
            let problem = Problem::new("endpoint.parameter.bound", span, message);
            walk.report(problem.help(
                "minimum and maximum are for numbers; what a text or a time may be is \
                    the SELECT's condition, or enum",
            ));
            None
        };
        let allowed = fields
            .value("enum")
            .and_then(|node| walk.list(&fields.named("enum"), node))
            .unwrap_or_default();
        let parameter = Parameter {
            name: entry.key.clone(),
            column_type,
            default: fields.text("default"),
            minimum: bound("minimum"),
            maximum: bound("maximum"),
            allowed: allowed
                .iter()
                .filter_map(|item| walk.scalar("a value of enum", item))
                .map(|scalar| scalar.value.text.clone())
                .collect(),
            max_length: fields.integer("max_length").unwrap_or(DEFAULT_MAX_LENGTH),
            span: entry.key_span,
        };
        if let (Some(minimum), Some(maximum)) = (parameter.minimum, parameter.maximum)
            && minimum > maximum
        {
            let span = fields.span("maximum").unwrap_or(entry.key_span);
            let message =
                format!("no value of {} is at least {minimum} and at most {maximum}", entry.key);
            walk.report(Problem::new("endpoint.parameter.bound", span, message));
        }
        let any = Parameter { allowed: Vec::new(), ..parameter.clone() };
        for (item, value) in allowed.iter().zip(&parameter.allowed) {
            if let Some(problem) = any.problem(value) {
                let message =
                    format!("the value {value} of {} can never be given: it {problem}", entry.key);
                walk.report(Problem::new("endpoint.parameter.enum", item.span, message));
            }
        }
        if let Some(problem) =
            parameter.default.as_deref().and_then(|default| parameter.problem(default))
        {
            let span = fields.span("default").unwrap_or(entry.key_span);
            walk.report(Problem::new(
                "endpoint.parameter.default",
                span,
                format!("the default of {}: {problem}", entry.key),
            ));
        }
        parameters.push(parameter);
    }
    parameters
}

impl Parameter {
    /// What is wrong with a value that was given, as a sentence.
    pub fn problem(&self, given: &str) -> Option<String> {
        if given.chars().count() > self.max_length {
            return Some(format!("must have at most {} characters", self.max_length));
        }
        if given.contains('\0') {
            return Some("must hold no NUL".to_owned());
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == given) {
            return Some(format!("must be one of {}", self.allowed.join(", ")));
        }
        if !self.is_of_type(given) {
            return Some(format!(
                "must be {}, got \"{}\"",
                self.column_type,
                given.chars().take(40).collect::<String>()
            ));
        }
        let number = given.parse::<f64>().ok();
        let below = self.minimum.filter(|minimum| number.is_some_and(|number| number < *minimum));
        let above = self.maximum.filter(|maximum| number.is_some_and(|number| number > *maximum));
        below
            .map(|minimum| format!("must be at least {minimum}"))
            .or_else(|| above.map(|maximum| format!("must be at most {maximum}")))
    }

    fn is_of_type(&self, given: &str) -> bool {
        match self.column_type.values() {
            ValueKind::SmallInt => given.parse::<i16>().is_ok(),
            ValueKind::Integer => given.parse::<i32>().is_ok(),
            ValueKind::BigInt => given.parse::<i64>().is_ok(),
            ValueKind::Numeric(shape) => {
                let digits = given.strip_prefix('-').unwrap_or(given);
                digits.len() <= 200
                    && digits.starts_with(|first: char| first.is_ascii_digit())
                    && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                    && digits.matches('.').count() <= 1
                    && shape.is_none_or(|(precision, scale)| {
                        fits(digits, usize::from(precision), usize::try_from(scale).unwrap_or(0))
                    })
            }
            // PostgreSQL refuses what would become infinite or 0.
            ValueKind::Real => given
                .parse::<f32>()
                .is_ok_and(|value| value.is_finite() && (value != 0.0 || says_zero(given))),
            ValueKind::DoublePrecision => given
                .parse::<f64>()
                .is_ok_and(|value| value.is_finite() && (value != 0.0 || says_zero(given))),
            ValueKind::Text(most) => most.is_none_or(|most| given.chars().count() <= most as usize),
            ValueKind::Boolean => matches!(given, "true" | "false"),
            ValueKind::Date => chrono::NaiveDate::parse_from_str(given, "%Y-%m-%d")
                .is_ok_and(|date| is_plain_year(given, date.year())),
            ValueKind::Timestamp | ValueKind::Timestamptz => {
                let with_zone = chrono::DateTime::parse_from_rfc3339(given);
                let is_near = |zone: &chrono::FixedOffset| {
                    zone.local_minus_utc().abs() < POSTGRES_ZONE_LIMIT_S
                };
                let of_zone = |time: &chrono::DateTime<chrono::FixedOffset>| {
                    is_near(time.offset()) && is_plain_year(given, time.naive_utc().year())
                };
                with_zone.is_ok_and(|time| of_zone(&time))
                    || given
                        .parse::<chrono::NaiveDateTime>()
                        .is_ok_and(|time| is_plain_year(given, time.year()))
            }
            ValueKind::Formed(form) => form.normal(given).is_some(),
            // No parameter is of these.
            ValueKind::Jsonb | ValueKind::Bytea => false,
        }
    }
}

/// A year of four digits, which PostgreSQL and everybody else write alike.
fn is_plain_year(given: &str, year: i32) -> bool {
    given.starts_with(|first: char| first.is_ascii_digit()) && (1..=9999).contains(&year)
}

/// Whether a number without its sign has no more digits than its type: nothing is rounded without a
/// word.
fn fits(digits: &str, precision: usize, scale: usize) -> bool {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    whole.trim_start_matches('0').len() + scale <= precision
        && fraction.trim_end_matches('0').len() <= scale
}

fn says_zero(given: &str) -> bool {
    let mantissa = given.split(['e', 'E']).next().unwrap_or_default();
    !mantissa.contains(|digit: char| ('1'..='9').contains(&digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(column_type: ColumnType, given: &str) -> bool {
        let span = Span::default();
        let parameter = Parameter {
            name: "p".into(),
            column_type,
            default: None,
            minimum: None,
            maximum: None,
            allowed: Vec::new(),
            max_length: DEFAULT_MAX_LENGTH,
            span,
        };
        parameter.problem(given).is_none()
    }

    /// What PostgreSQL would refuse, or change without a word, is a problem of the parameter's.
    #[test]
    fn a_value_fits_its_type_as_it_is() {
        let cases: [(ColumnType, &[&str], &[&str]); 9] = [
            (
                ColumnType::Numeric(Some((5, 2))),
                &["999.99", "-0.1", "0001.50", "7"],
                &["1000", "1.239"],
            ),
            (ColumnType::Numeric(None), &["1000", "1.239"], &["1e5", ""]),
            (ColumnType::Real, &["0", "0e5", "-0.0", "1e38", "1e-40"], &["1e39", "1e-50", "nan"]),
            (ColumnType::DoublePrecision, &["0.0", "1e300"], &["1e-400", "1e400"]),
            (ColumnType::Varchar(3), &["abc", "äöü"], &["abcd"]),
            (ColumnType::Time, &["08:30", "24:00:00"], &["8:30", "08:30+02", "25:00"]),
            (
                ColumnType::Uuid,
                &["A0EEBC999C0B4EF8BB6D6BB9BD380A11"],
                &["urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
            ),
            (
                ColumnType::Date,
                &["0001-01-01", "9999-12-31"],
                &["0000-01-01", "-0044-03-15", "+2024-01-01"],
            ),
            (
                ColumnType::Timestamptz,
                &["2024-01-01T00:00:00Z"],
                &["0001-01-01T00:00:00+05:00", "+12345-01-01T00:00:00"],
            ),
        ];
        for (column_type, taken, refused) in cases {
            taken
                .iter()
                .for_each(|given| assert!(is_taken(column_type, given), "{column_type} {given}"));
            refused
                .iter()
                .for_each(|given| assert!(!is_taken(column_type, given), "{column_type} {given}"));
        }
    }
}
