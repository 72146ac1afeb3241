//! What can be wrong with a record: each kind as the declared record allows it, and each one
//! refused by decoding.

use rand::RngExt;
use rand::rngs::StdRng;

use duto_definition::column_type::ValueKind;
use duto_definition::{ColumnType, Field, Kind, TextCleaning};
use duto_stages::decode::rounded_units;

pub const EMPTY: &str = "empty";

/// One way to make a record bad.
#[derive(Debug, Clone)]
pub struct Damage {
    pub name: &'static str,
    /// Done while the body is written.
    pub in_field: Option<FieldDamage>,
    in_document: DocumentDamage,
}

/// What is done to one field.
#[derive(Debug, Clone)]
pub struct FieldDamage {
    /// See [`super::maker::FieldMaker::number`].
    pub field: usize,
    pub change: Change,
}

#[derive(Debug, Clone)]
pub enum Change {
    Omit,
    Replace(String),
    Twice,
}

/// What is done to the whole body.
#[derive(Debug, Clone, Copy)]
enum DocumentDamage {
    None,
    Prose,
    Empty,
    Cut,
    Behind(&'static str),
    Before(&'static [u8]),
    InList,
    SingleQuotes,
    /// A key that is not declared gets this value.
    Key(&'static [u8]),
    TooDeep,
}

/// Everything that can be done to this record.
pub fn possible(fields: &[Field], cleaning: TextCleaning) -> Vec<Damage> {
    let document = |name, in_document| Damage { name, in_field: None, in_document };
    let mut damages = vec![
        document("not JSON", DocumentDamage::Prose),
        document(EMPTY, DocumentDamage::Empty),
        document("cut off", DocumentDamage::Cut),
        document("bytes behind the document", DocumentDamage::Behind("}")),
        document("two documents", DocumentDamage::Behind(" {}")),
        document("a byte order mark", DocumentDamage::Before(b"\xef\xbb\xbf")),
        document("a list at the top", DocumentDamage::InList),
        document("single quotes", DocumentDamage::SingleQuotes),
        document("not UTF-8", DocumentDamage::Key(b"\"S\xe3o Paulo\"")),
        document("a lone surrogate", DocumentDamage::Key(b"\"\\ud83d\"")),
        document("a bare control character", DocumentDamage::Key(b"\"a\tb\"")),
        document("NaN", DocumentDamage::Key(b"NaN")),
        document("a number with a leading zero", DocumentDamage::Key(b"007")),
        document("nested too deep", DocumentDamage::TooDeep),
    ];
    let mut field_damages = Vec::new();
    collect(fields, &mut 0, cleaning, &mut field_damages);
    damages.extend(field_damages.into_iter().map(|(name, field, change)| Damage {
        name,
        in_field: Some(FieldDamage { field, change }),
        in_document: DocumentDamage::None,
    }));
    damages
}

impl Damage {
    /// Finishes a body whose field is bad already, or makes the whole of it bad.
    pub fn apply(&self, body: Vec<u8>, max_depth: usize, random: &mut StdRng) -> Vec<u8> {
        match self.in_document {
            DocumentDamage::None => body,
            DocumentDamage::Prose => b"this is not JSON".to_vec(),
            DocumentDamage::Empty => Vec::new(),
            DocumentDamage::Cut => {
                let length = random.random_range(1..body.len().max(2));
                body.into_iter().take(length).collect()
            }
            DocumentDamage::Behind(more) => [&body, more.as_bytes()].concat(),
            DocumentDamage::Before(more) => [more, &body].concat(),
            DocumentDamage::InList => [b"[", &body[..], b"]"].concat(),
            DocumentDamage::SingleQuotes => {
                [b"{'single': 'quotes', ", body.get(1..).unwrap_or_default()].concat()
            }
            DocumentDamage::Key(value) => with_key(&body, value),
            DocumentDamage::TooDeep => {
                with_key(&body, &[b"[".repeat(max_depth), b"]".repeat(max_depth)].concat())
            }
        }
    }
}

fn with_key(body: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = body.get(1..).unwrap_or_default();
    let comma: &[u8] = if rest == b"}" { b"" } else { b", " };
    [b"{\"unexpected\": ", value, comma, rest].concat()
}

type Found = (&'static str, usize, Change);

/// In the order in which [`super::maker::makers`] numbers the fields.
fn collect(fields: &[Field], next: &mut usize, cleaning: TextCleaning, found: &mut Vec<Found>) {
    for field in fields {
        let number = *next;
        if field.required {
            found.push(("a key is missing", number, Change::Omit));
            found.push(("a key is null", number, replaced("null")));
        }
        found.push(("a key is given twice", number, Change::Twice));
        value_damages(field, next, cleaning, found);
    }
}

/// What can be wrong with a value itself; it may be an element, which has no key.
fn value_damages(field: &Field, next: &mut usize, cleaning: TextCleaning, found: &mut Vec<Found>) {
    let number = *next;
    *next += 1;
    match &field.kind {
        Kind::Object(fields) => {
            found.push(("a text instead of an object", number, replaced("\"text\"")));
            collect(fields, next, cleaning, found);
        }
        Kind::List(element) => {
            found.push(("an object instead of a list", number, replaced("{}")));
            value_damages(element, next, cleaning, found);
        }
        Kind::Scalar(column_type) => {
            found.extend(
                scalar_damages(field, *column_type, cleaning)
                    .into_iter()
                    .map(|(name, value)| (name, number, Change::Replace(value))),
            );
        }
    }
}

fn scalar_damages(
    field: &Field,
    column_type: ColumnType,
    cleaning: TextCleaning,
) -> Vec<(&'static str, String)> {
    use ValueKind as V;
    let fixed = |damages: &[(&'static str, &str)]| {
        damages.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
    };
    // Of a text that holds a value only one that holds none is bad.
    let coerced =
        |plain: &'static str, other: &'static str| if field.rules.coerce { other } else { plain };
    let mut damages = match column_type.values() {
        V::Boolean => fixed(&[
            ("a number as a boolean", "1"),
            ("a text as a boolean", coerced("\"true\"", "\"maybe\"")),
        ]),
        V::SmallInt | V::Integer | V::BigInt => fixed(&[
            ("a boolean as a number", "true"),
            ("a text as a number", coerced("\"12\"", "\"twelve\"")),
            ("a fraction as an integer", "2.5"),
            ("beyond the integer's range", "9223372036854775808"),
            ("1e400", "1e400"),
        ]),
        V::Numeric(_) => fixed(&[
            ("a boolean as a number", "false"),
            ("a text as a number", coerced("\"12.50\"", "\"twelve\"")),
            ("too many decimals", "1.0000000000000000000000000000000000000001"),
            ("1e400", "1e400"),
        ]),
        V::Real | V::DoublePrecision => fixed(&[
            ("a boolean as a number", "true"),
            ("a text as a number", coerced("\"1.5\"", "\"one and a half\"")),
            ("1e400", "1e400"),
        ]),
        V::Text(_) => fixed(&[
            ("a number as a text", "12"),
            ("an object as a text", "{\"text\": \"inside\"}"),
        ]),
        V::Date => fixed(&[("no such day", "\"2023-02-30\""), ("a number as a date", "20230230")]),
        V::Timestamp | V::Timestamptz => fixed(&[
            ("no such time", "\"2024-05-20T24:61:00Z\""),
            ("a number as a time", "1716199200"),
            ("words as a time", "\"yesterday\""),
        ]),
        V::Formed(_) => fixed(&[("not of the type's form", "\"?\"")]),
        V::Jsonb => fixed(&[("a NUL in a document", "{\"nul\": \"\\u0000\"}")]),
        V::Bytea => fixed(&[("not base64", "\"***\"")]),
    };
    let is_text = matches!(column_type.values(), V::Text(_));
    if is_text && !cleaning.remove_nul {
        damages.push(("a NUL in a text", "\"a\\u0000b\"".to_owned()));
    }
    if is_text && !field.rules.allowed.is_empty() {
        damages.push(("not one of the allowed", "\"none of them, surely\"".to_owned()));
    }
    damages.extend(too_long(field, column_type, cleaning).map(|value| ("too long", value)));
    if !is_text {
        damages.extend(
            beside(&field.rules.minimum, false, -1).map(|value| ("below the minimum", value)),
        );
        damages.extend(
            beside(&field.rules.maximum, true, 1).map(|value| ("above the maximum", value)),
        );
    }
    damages
}

/// The integer next to a bound, outside of it.
fn beside(bound: &Option<String>, up: bool, step: i128) -> Option<String> {
    Some(rounded_units(bound.as_ref()?, 0, up)?.checked_add(step)?.to_string())
}

/// A text that stays too long when it is cleaned.
fn too_long(field: &Field, column_type: ColumnType, cleaning: TextCleaning) -> Option<String> {
    let ValueKind::Text(most) = column_type.values() else { return None };
    let limit = [most, field.rules.max_length].into_iter().flatten().min()?;
    let is_cut = cleaning.max_length.is_some_and(|cut| cut <= limit);
    (!is_cut && limit < 10_000).then(|| format!("\"{}\"", "x".repeat(limit as usize + 1)))
}

fn replaced(value: &str) -> Change {
    Change::Replace(value.to_owned())
}
