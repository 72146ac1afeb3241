//! The record that both engines read: a column of every type, each with its edge values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use duto_sql::cast;

/// A column of the record, its values as PostgreSQL reads them. Each is NULL in one row besides.
pub struct Column {
    pub name: &'static str,
    pub sql_type: &'static str,
    pub values: &'static [&'static str],
}

const fn column(
    name: &'static str,
    sql_type: &'static str,
    values: &'static [&'static str],
) -> Column {
    Column { name, sql_type, values }
}

pub const COLUMNS: &[Column] = &[
    column("b", "BOOLEAN", &["true", "false"]),
    column("i2", "SMALLINT", &["-32768", "-1", "0", "7", "32767"]),
    column("i4", "INTEGER", &["-2147483648", "-5", "0", "3", "2147483647"]),
    column(
        "i8",
        "BIGINT",
        &["-9223372036854775808", "-7", "0", "2", "65", "1790000000", "9223372036854775807"],
    ),
    column(
        "f4",
        "REAL",
        &["-0", "0.1", "2.5", "-2.5", "16777216", "3.4028235e38", "NaN", "Infinity", "-Infinity"],
    ),
    column(
        "f8",
        "DOUBLE PRECISION",
        &[
            "-0",
            "0",
            "0.1",
            "0.5",
            "1.5",
            "2.5",
            "-2.5",
            "1e15",
            "123456789012345.67",
            "0.00001",
            "1.7976931348623157e308",
            "5e-324",
            "NaN",
            "Infinity",
            "-Infinity",
        ],
    ),
    column(
        "n",
        "NUMERIC",
        &[
            "0",
            "0.5",
            "2.5",
            "-2.5",
            "0.000000000000000001",
            "1234.5678",
            "-99999999999999999999.5",
            "12345678901234567890.123456789",
        ],
    ),
    column(
        "d",
        "NUMERIC(10,2)",
        &["0.00", "0.05", "-0.05", "12.35", "-1.50", "100.00", "99999999.99"],
    ),
    column("t", "TEXT", TEXTS),
    column("p", "TEXT", &["", "a", "ß", "ab", "%", "_", "\\"]),
    column("s", "TEXT", READ),
    column(
        "on_day",
        "DATE",
        &[
            "0001-01-01",
            "1582-10-15",
            "1677-09-20",
            "1900-02-28",
            "1970-01-01",
            "2000-02-29",
            "2021-01-03",
            "2024-12-30",
            "2262-04-12",
            "9999-12-31",
        ],
    ),
    column(
        "at",
        "TIMESTAMPTZ",
        &[
            "0001-01-01 00:00:00+00",
            "1600-02-29 12:00:00+00",
            "1913-12-31 23:59:59.999999+00",
            "1969-12-31 23:59:59.999999+00",
            "2018-02-18 01:30:00+00",
            "2018-11-04 03:00:00+00",
            "2024-03-31 00:59:59.999999+00",
            "2024-03-31 01:00:00+00",
            "2024-10-27 00:30:00+00",
            "2024-10-27 01:30:00+00",
            "2262-04-12 00:00:00+00",
            "9999-12-31 23:59:59.999999+00",
        ],
    ),
    column(
        "local",
        "TIMESTAMP",
        &[
            "0001-01-01 00:00:00",
            "1677-09-20 00:12:43.145224",
            "1883-11-18 12:01:00",
            "2018-02-17 23:30:00",
            "2018-11-04 00:30:00",
            "2024-03-31 02:30:00",
            "2024-10-27 02:30:00",
            "2024-11-03 01:30:00",
            "2262-04-12 00:00:00",
            "9999-12-31 23:59:59.999999",
        ],
    ),
    column(
        "tags",
        "TEXT[]",
        &["{}", "{a}", "{a,b,a}", "{NULL,b}", "{\"\"}", "{ß,İ}", "{\"a\\\"b\",\"c d\"}"],
    ),
    column(
        "nums",
        "BIGINT[]",
        &["{}", "{1}", "{3,1,2}", "{NULL,5}", "{9223372036854775807,1}", "{0,-4}"],
    ),
    column("j", "JSONB", &["{\"a\": 1}", "[]", "\"x\"", "null", "7"]),
    column("y", "BYTEA", &["\\x", "\\x00ff", "\\x4f6cc3a1", "\\x61"]),
];

/// Texts as such.
const TEXTS: &[&str] = &[
    "",
    "a",
    "Amaro",
    "  ab\t",
    "ß",
    "İstanbul",
    "ı",
    "e\u{301}a",
    "ΟΔΟΣ",
    "são paulo",
    "100%_\\x",
    "a,b,,c",
    "ﬁne",
    "日本語",
    "😀x",
    "line\nbreak",
    "O'Neil-mc donald 3rd",
    "ǆ",
    "\u{a0}x\u{a0}",
    concat!(
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
    ),
];

/// Texts that hold values of other types, or nearly.
const READ: &[&str] = &[
    "",
    " 42 ",
    "-1",
    "+5",
    "- 1",
    "0x1F",
    "1_000",
    "1,000",
    "1e3",
    "3.14159",
    "2.5",
    "-0.5",
    ".5",
    "5.",
    "32768",
    "99999999999999999999",
    "1e-400",
    "4e38",
    "1e309",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "+infinity",
    "1e",
    "١",
    "true",
    " t ",
    "YES",
    "on",
    "of",
    "o",
    "2",
    "maybe",
    "0001-01-01",
    "0000-01-01",
    "9999-12-31",
    "2024-02-30",
    "2024-5-1",
    "20240520",
    "May 20, 2024",
    "0044-03-15 BC",
    "10000-01-01",
    "2024-05-20 10",
    "2024-05-20 10:00",
    "2024-05-20T10:00:00Z",
    "2024-05-20 10:00:00.1234565",
    "2024-05-20 10:00:00.1234575",
    "2024-05-20 10:00:00.12345650001",
    "2024-05-20 10:00:00.123456789-03:00",
    "2024-05-20 10:00:00+15:59",
    "2024-05-20 10:00:00+16",
    "2024-05-20 10:00:00-0330",
    "2024-05-20 24:00:00",
    "2024-05-20 24:00:01",
    "2024-05-20 23:59:60",
    "2024-05-20 10:00:00 BRT",
    "2024-05-20 10:00:00 EST",
    "2024-05-20 10:00:00 CEST",
    "2024-05-20 10:00:00 PM",
    "2024-10-27 02:30:00 Europe/Berlin",
    "9999-12-31 23:59:59.9999999",
    "infinity",
    "epoch",
    "today",
    "08:30",
    "8:30",
    "0830",
    "08:30:00.1234565",
    "23:59:60",
    "24:00:00",
    "24:00:01",
    "08:30 PM",
    "08:30+02",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
    "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
];

/// Rows over some of the columns: each value of one beside each of the others.
pub struct Rows {
    /// In the order of [`COLUMNS`]; a column that is not asked for is NULL everywhere.
    pub cells: Vec<Vec<Option<&'static str>>>,
}

/// At most this many rows are made of one set of columns; of more every so many is taken.
const MOST_ROWS: usize = 160;

impl Rows {
    pub fn over(names: &[&str]) -> Rows {
        let mut all: Vec<Vec<Option<&'static str>>> = vec![Vec::new()];
        for column in COLUMNS {
            let values: Vec<Option<&str>> = if names.contains(&column.name) {
                column.values.iter().map(|value| Some(*value)).chain([None]).collect()
            } else {
                vec![None]
            };
            all = all
                .into_iter()
                .flat_map(|row| {
                    values.iter().map(move |value| {
                        let mut row = row.clone();
                        row.push(*value);
                        row
                    })
                })
                .collect();
        }
        // A step that shares no factor with the number of values, so that each value is met.
        let step = all.len().div_ceil(MOST_ROWS);
        let step = if step > 1 { step | 1 } else { step };
        Rows { cells: all.into_iter().step_by(step).collect() }
    }

    pub fn batch(&self) -> RecordBatch {
        let columns: Vec<ArrayRef> = COLUMNS
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let texts: Vec<Option<&str>> = self.cells.iter().map(|row| row[place]).collect();
                array(column, &texts)
            })
            .collect();
        let fields: Vec<Field> = COLUMNS
            .iter()
            .zip(&columns)
            .map(|(column, values)| Field::new(column.name, values.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
    }
}

fn array(column: &Column, texts: &[Option<&str>]) -> ArrayRef {
    let micros = |zone: Option<&str>| {
        DataType::Timestamp(TimeUnit::Microsecond, zone.map(std::convert::Into::into))
    };
    let data_type = match column.sql_type {
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::Int16,
        "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "REAL" => DataType::Float32,
        "DOUBLE PRECISION" => DataType::Float64,
        "NUMERIC" => DataType::Decimal128(38, 18),
        "NUMERIC(10,2)" => DataType::Decimal128(10, 2),
        "TEXT" => DataType::Utf8,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => micros(None),
        "TIMESTAMPTZ" => micros(Some("UTC")),
        "JSONB" => DataType::LargeUtf8,
        "BYTEA" => {
            return Arc::new(BinaryArray::from_iter(texts.iter().map(|text| text.map(bytes))));
        }
        "TEXT[]" => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for text in texts {
                lists.append_option(text.map(elements));
            }
            return Arc::new(lists.finish());
        }
        "BIGINT[]" => {
            let mut lists = ListBuilder::new(Int64Builder::new());
            for text in texts {
                let numbers = text.map(|text| {
                    let number = |element: Option<String>| {
                        element.map(|element| element.parse::<i64>().expect("a number"))
                    };
                    elements(text).into_iter().map(number).collect::<Vec<_>>()
                });
                lists.append_option(numbers);
            }
            return Arc::new(lists.finish());
        }
        other => panic!("no column is made of {other}"),
    };
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    cast(&texts, &data_type).unwrap_or_else(|error| panic!("{}: {error}", column.name))
}

/// The bytes of `\x00ff`.
fn bytes(text: &str) -> Vec<u8> {
    let digits = &text[2..];
    (0..digits.len() / 2)
        .map(|place| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).expect("digits"))
        .collect()
}

/// The elements of an array as PostgreSQL writes it.
fn elements(text: &str) -> Vec<Option<String>> {
    let mut elements = Vec::new();
    let (mut element, mut quoted, mut was_quoted) = (String::new(), false, false);
    let mut characters = text[1..].chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => element.extend(characters.next()),
            '"' => (quoted, was_quoted) = (!quoted, true),
            ',' | '}' if !quoted => {
                if !element.is_empty() || was_quoted {
                    let null = element == "NULL" && !was_quoted;
                    elements.push((!null).then(|| std::mem::take(&mut element)));
                }
                element.clear();
                was_quoted = false;
            }
            other => element.push(other),
        }
    }
    elements
}
