//! `tests:`, examples that `duto test` runs without any server.

use serde_json::{Map, Value as Json, json};

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::table::{Declared, unknown_column};
use super::values::to_json;
use super::walk::{Fields, Walk};
use super::yaml::{Content, Entry, Node};
use super::{Pipeline, Problem, Span, identifier};

/// One example: what comes in and what must become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineTest {
    pub given: Given,
    pub expect: Expectation,
    pub span: Span,
}

/// The input, as a value or as raw bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    Value(serde_json::Value),
    Bytes(Vec<u8>),
}

/// What must become of the input.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// For each named table, its rows; a column that is not named is not compared.
    Rows(Vec<(String, Vec<serde_json::Map<String, serde_json::Value>>)>),
    /// A reject; what is None is not compared, and the reason is compared whole.
    Reject { stage: Option<String>, path: Option<String>, reason: Option<String> },
}

const GIVEN: [&str; 3] = ["given", "given_bytes", "given_base64"];

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "tests",
        about: "examples that `duto test` runs without any server: what comes in, and the rows or \
            the reject that it must become",
        presence: Presence::Optional,
        value: Value::Other(tests_schema),
    },
    read,
};

static REJECT_KEYS: Keys = Keys {
    of: "reject",
    keys: &[
        Key {
            name: "stage",
            about: "where the record must leave",
            presence: Presence::Optional,
            value: Value::Word(&["decode", "check", "transform", "load"]),
        },
        Key {
            name: "path",
            about: "where in the record, such as order_items[0].qty; not compared when absent",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "reason",
            about: "the whole sentence; not compared when absent",
            presence: Presence::Optional,
            value: Value::Text,
        },
    ],
    later: &[],
    note: "",
};

fn tests_schema() -> Json {
    let rows = json!({ "type": "array", "items": { "type": "object" }, "description": "the rows \
        that the table must get, or the bodies of the calls that `deliver` must make" });
    let mut reject = super::schema::keys_schema(&REJECT_KEYS);
    reject["description"] = json!("the reject that the record must become");
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "given": { "description": "the record, as a value" },
                "given_bytes": { "type": "string", "description": "the record's bytes, as a text" },
                "given_base64": { "type": "string", "description": "the record's bytes, in \
                    base64" },
                "reject": reject,
            },
            "additionalProperties": rows,
            "oneOf": GIVEN.map(|given| json!({ "required": [given] })),
        },
    })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let Some(node) = file.value("tests") else { return };
    let declared = Declared::of(file);
    for item in walk.list("tests", node).unwrap_or_default() {
        let Some(entries) = walk.entries("a test", item) else { continue };
        let place = entries.first().map_or(item.span, |entry| entry.key_span);
        let given = read_given(walk, entries, place);
        let expect = read_expectation(walk, entries, place, &declared, pipeline);
        if let (Some(given), Some(expect)) = (given, expect) {
            pipeline.tests.push(PipelineTest { given, expect, span: item.span });
        }
    }
}

fn read_given(walk: &Walk<'_>, entries: &[Entry], place: Span) -> Option<Given> {
    let mut given = entries.iter().filter(|entry| GIVEN.contains(&entry.key.as_str()));
    let Some(entry) = given.next() else {
        let problem = Problem::new("tests.given.missing", place, "the test gives no record");
        walk.report(
            problem.help("given: a value; or given_bytes: a text; or given_base64: raw bytes"),
        );
        return None;
    };
    if let Some(second) = given.next() {
        walk.report(Problem::new(
            "tests.given.twice",
            second.key_span,
            format!("the test has {} and {}", entry.key, second.key),
        ));
    }
    if entry.key == "given" {
        return to_json(walk, &entry.value).map(Given::Value);
    }
    let text = &walk.scalar(&entry.key, &entry.value)?.value.text;
    if entry.key == "given_bytes" {
        return Some(Given::Bytes(text.clone().into_bytes()));
    }
    let bytes = decode_base64(text);
    if bytes.is_none() {
        walk.report(Problem::new(
            "tests.given.base64",
            entry.value.span,
            "given_base64 is not base64",
        ));
    }
    bytes.map(Given::Bytes)
}

fn read_expectation(
    walk: &Walk<'_>,
    entries: &[Entry],
    place: Span,
    declared: &Declared,
    pipeline: &Pipeline,
) -> Option<Expectation> {
    let outcomes: Vec<&Entry> =
        entries.iter().filter(|entry| !GIVEN.contains(&entry.key.as_str())).collect();
    if outcomes.is_empty() {
        let problem = Problem::new(
            "tests.outcome.missing",
            place,
            "the test does not say what must become of the record",
        );
        walk.report(problem.help("name a table with its rows, or reject: { stage, path, reason }"));
        return None;
    }
    let Some(reject) = outcomes.iter().find(|entry| entry.key == "reject") else {
        let rows: Vec<_> =
            outcomes.iter().map(|entry| read_table_rows(walk, entry, declared, pipeline)).collect();
        return rows.into_iter().collect::<Option<_>>().map(Expectation::Rows);
    };
    if let Some(rows) = outcomes.iter().find(|entry| entry.key != "reject") {
        let problem = Problem::new(
            "tests.outcome.contradiction",
            rows.key_span,
            "a record that is a reject has no rows",
        );
        walk.report(problem.help("keep either reject or the rows"));
    }
    let fields = walk.fields("reject", &REJECT_KEYS, &reject.value, reject.key_span)?;
    let stage = fields.word("stage").map(str::to_string);
    Some(Expectation::Reject { stage, path: fields.text("path"), reason: fields.text("reason") })
}

fn read_table_rows(
    walk: &Walk<'_>,
    entry: &Entry,
    declared: &Declared,
    pipeline: &Pipeline,
) -> Option<(String, Vec<Map<String, Json>>)> {
    if pipeline.deliver.iter().any(|deliver| deliver.name == entry.key) {
        return read_bodies(walk, entry);
    }
    let name = identifier::fold(&entry.key).unwrap_or_else(|_| entry.key.clone());
    let Some(columns) = declared.columns(&name) else {
        walk.report(declared.unknown_table(entry.key_span, &name));
        return None;
    };
    let items = walk.list(&format!("the rows of {name}"), &entry.value)?;
    let rows: Vec<_> = items.iter().map(|item| read_row(walk, &name, item, columns)).collect();
    rows.into_iter().collect::<Option<_>>().map(|rows| (name, rows))
}

/// The bodies of the calls that the record makes.
fn read_bodies(walk: &Walk<'_>, entry: &Entry) -> Option<(String, Vec<Map<String, Json>>)> {
    let items = walk.list(&format!("the calls of {}", entry.key), &entry.value)?;
    let body = |item| match to_json(walk, item)? {
        Json::Object(body) => Some(body),
        _ => {
            let message = format!(
                "a call of {} must be a mapping of its body's keys, got {}",
                entry.key,
                walk.got(item)
            );
            walk.report(Problem::new("file.value.type", item.span, message));
            None
        }
    };
    items.iter().map(body).collect::<Option<_>>().map(|bodies| (entry.key.clone(), bodies))
}

fn read_row(
    walk: &Walk<'_>,
    table: &str,
    item: &Node,
    columns: &[String],
) -> Option<Map<String, Json>> {
    let Content::Mapping(entries) = &item.content else {
        let message =
            format!("a row of {table} must be a mapping of its columns, got {}", walk.got(item));
        walk.report(Problem::new("file.value.type", item.span, message));
        return None;
    };
    let mut row = Map::new();
    for entry in entries {
        // A row is written as JSON has it: a name with capitals needs no quotes within its own.
        let exact = columns.contains(&entry.key);
        let column = if exact {
            entry.key.clone()
        } else {
            identifier::fold(&entry.key).unwrap_or_else(|_| entry.key.clone())
        };
        if !columns.contains(&column) {
            walk.report(unknown_column(entry.key_span, &column, columns));
        }
        row.insert(column, to_json(walk, &entry.value)?);
    }
    Some(row)
}

/// The standard alphabet; white space does not count, and padding may be left out.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let padded = digits.len();
    while digits.last() == Some(&b'=') && padded - digits.len() < 2 {
        digits.pop();
    }
    if digits.len() % 4 == 1 || (padded != digits.len() && !padded.is_multiple_of(4)) {
        return None;
    }
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (held, bits) = ((held << 6 | u32::from(value)) & 0xFFFF, bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod unit {
    use super::decode_base64;

    #[test]
    fn base64() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("/w", b"\xff"),
            ("gIGC\n gw==", b"\x80\x81\x82\x83"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["Z", "Zm9v=", "Zm9=v", "====", "Zm-v"] {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }
}
