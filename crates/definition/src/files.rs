//! `files:`, CSV files that `duto load` takes: each line is a record.

use serde_json::json;

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::suggest::did_you_mean_or_list;
use super::walk::Fields;
use super::{ColumnType, Field, Kind, Pipeline, Problem};

/// How the lines of a file become records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Between two values of a line; an ASCII character.
    pub delimiter: u8,
    pub encoding: Encoding,
    /// Texts that stand for no value, once blanks around them are taken away.
    pub nulls: Vec<String>,
    /// A field of the record and the heading of its column, where that is not the field's own name.
    pub headings: Vec<(String, String)>,
    /// Optional fields of which the files have no column, whatever columns of a like name they
    /// have.
    pub absent: Vec<String>,
}

/// What the bytes of a file are. A file that is not what is declared is refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// ISO 8859-1 with the characters that Windows put where that has none, as everybody means who
    /// says Latin-1.
    Latin1,
}

impl Files {
    /// The heading of a field's column.
    pub fn heading<'a>(&'a self, field: &'a str) -> &'a str {
        self.headings.iter().find(|(name, _)| name == field).map_or(field, |(_, heading)| heading)
    }

    /// Whether a column can hold the field's values, which are no objects and no lists.
    pub fn can_hold(field: &Field) -> bool {
        matches!(&field.kind, Kind::Scalar(_))
    }

    /// Whether the values of a field's column are JSON.
    pub fn is_json(field: &Field) -> bool {
        matches!(&field.kind, Kind::Scalar(ColumnType::Jsonb))
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "files",
        about: "CSV files, which `duto load` stores like records of the topic; {} takes UTF-8 with \
            commas and the record's own names as headings",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "files",
    keys: &[
        Key {
            name: "delimiter",
            about: "the character between two values of a line, or tab",
            presence: Presence::Default(","),
            value: Value::Text,
        },
        Key {
            name: "encoding",
            about: "what the bytes are: utf-8 (with or without a byte order mark) or latin1 (also \
                as Windows writes it)",
            presence: Presence::Default("utf-8"),
            value: Value::Word(&["utf-8", "latin1"]),
        },
        Key {
            name: "nulls",
            about: "texts that stand for no value, without the blanks around them; without this \
                key, the empty one",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "items": { "type": ["string", "null"] } }),
            ),
        },
        Key {
            name: "headings",
            about: "the headings of columns that are not called like their fields: { id_pacote: ID \
                do pacote }",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            ),
        },
        Key {
            name: "absent",
            about: "optional fields of which the files have no column, although they have one of a \
                like name: [nota]",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "items": { "type": "string" } })),
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    if file.entry("files").is_none() {
        return;
    }
    let Some(fields) = file.section("files") else { return };
    let encoding = match fields.word("encoding") {
        Some("latin1") => Encoding::Latin1,
        _ => Encoding::Utf8,
    };
    let delimiter = read_delimiter(&fields).unwrap_or(b',');
    let (nulls, headings, absent) =
        (read_nulls(&fields), read_headings(&fields, pipeline), read_absent(&fields, pipeline));
    let span = file.entry("files").map(|entry| entry.key_span).unwrap_or_default();
    for field in
        pipeline.record.fields.iter().filter(|field| field.required && !Files::can_hold(field))
    {
        let message = format!(
            "files can never be loaded: the record requires {}, which no column of a file can hold",
            field.name
        );
        let problem = Problem::new("files.field.shape", span, message);
        let advice = "objects and lists come by the topic; declare the field as JSONB, whose \
            column holds JSON, make it optional, or take files away";
        file.walk().report(problem.help(advice));
    }
    pipeline.files = Some(Files { delimiter, encoding, nulls, headings, absent });
}

fn read_delimiter(fields: &Fields<'_, '_>) -> Option<u8> {
    let text = fields.text("delimiter")?;
    let delimiter = match text.as_bytes() {
        b"tab" => Some(b'\t'),
        [one]
            if one.is_ascii()
                && !one.is_ascii_alphanumeric()
                && !matches!(one, b'"' | b'\n' | b'\r' | 0) =>
        {
            Some(*one)
        }
        _ => None,
    };
    if delimiter.is_none() {
        let message =
            format!("{} must be one character such as `;`, or tab", fields.named("delimiter"));
        let problem =
            Problem::new("files.delimiter", fields.span("delimiter").unwrap_or_default(), message);
        fields.walk().report(
            problem.help("letters, digits, quotes and line breaks cannot stand between values"),
        );
    }
    delimiter
}

fn read_nulls(fields: &Fields<'_, '_>) -> Vec<String> {
    let walk = fields.walk();
    let Some(entry) = fields.entry("nulls") else { return vec![String::new()] };
    let items = walk.list(&fields.named("nulls"), &entry.value).unwrap_or_default();
    let texts = items.iter().filter_map(|item| walk.scalar("a text of files.nulls", item));
    texts.map(|scalar| scalar.value.text.trim().to_owned()).collect()
}

fn read_headings(fields: &Fields<'_, '_>, pipeline: &Pipeline) -> Vec<(String, String)> {
    let walk = fields.walk();
    let entries = fields
        .value("headings")
        .and_then(|node| walk.entries(&fields.named("headings"), node))
        .unwrap_or_default();
    let mut headings: Vec<(String, String)> = Vec::new();
    for entry in entries {
        let known = &pipeline.record.fields;
        if !known.is_empty() && !known.iter().any(|field| field.name == entry.key) {
            let names = known.iter().map(|field| field.name.as_str());
            let problem = Problem::new(
                "files.heading.field",
                entry.key_span,
                format!("unknown field \"{}\"", entry.key),
            );
            walk.report(problem.help(did_you_mean_or_list(&entry.key, "the fields are", names)));
        }
        let Some(scalar) =
            walk.scalar(&fields.named(&format!("headings.{}", entry.key)), &entry.value)
        else {
            continue;
        };
        let heading = scalar.value.text.trim().to_owned();
        let is_renamed = |field: &str| entries.iter().any(|entry| entry.key == field);
        let is_own = known.iter().any(|field| {
            field.name == heading && field.name != entry.key && !is_renamed(&field.name)
        });
        if is_own || headings.iter().any(|(_, other)| *other == heading) {
            let message = format!("two fields have the heading {}", walk.quote(entry.value.span));
            walk.report(Problem::new("files.heading.duplicate", entry.value.span, message));
        }
        headings.push((entry.key.clone(), heading));
    }
    headings
}

fn read_absent(fields: &Fields<'_, '_>, pipeline: &Pipeline) -> Vec<String> {
    let walk = fields.walk();
    let Some(entry) = fields.entry("absent") else { return Vec::new() };
    let known = &pipeline.record.fields;
    let mut absent = Vec::new();
    for item in walk.list(&fields.named("absent"), &entry.value).unwrap_or_default() {
        let Some(scalar) = walk.scalar("a field of files.absent", item) else { continue };
        let name = scalar.value.text.trim().to_owned();
        match known.iter().find(|field| field.name == name) {
            None if !known.is_empty() => {
                let names = known.iter().map(|field| field.name.as_str());
                let problem = Problem::new(
                    "files.absent.field",
                    item.span,
                    format!("unknown field \"{name}\""),
                );
                walk.report(problem.help(did_you_mean_or_list(&name, "the fields are", names)));
            }
            Some(field) if field.required => {
                let problem = Problem::new(
                    "files.absent.required",
                    item.span,
                    format!("the record requires {name}"),
                );
                walk.report(problem.help(format!(
                    "only an optional field, declared as `{name}?`, may have no column"
                )));
            }
            _ => absent.push(name),
        }
    }
    absent
}
