use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use duto_sql::cast;

use super::*;
use crate::decode::Decoder;
use duto_definition::parse;
use duto_ground::batch::{Batch, Place};
use duto_ground::index::RecordIndex;

/// 2024-05-20 10:00:00 UTC.
const CLOCK: i64 = 1_716_199_200_000_000;

const SALES: &str = "
pipeline: sales
source: { topic: sales, group: sales-group, partitions: 1, format: json }
database: { name: sales_db }
record:
  order_number: BIGINT
  order_items:
    - qty: { type: INTEGER, minimum: 0 }
      value_unit: { type: NUMERIC, minimum: 0 }
tables:
  sales:
    columns:
      order_number: BIGINT PRIMARY KEY
      total_value: NUMERIC(10,2) NOT NULL
      processed_at: TIMESTAMP NOT NULL
    repeat: ignore
    select: |
      SELECT now() AS processed_at, order_number,
             list_sum(order_items, i -> i.qty * i.value_unit) AS total_value
      FROM record
";

fn pipeline(text: &str) -> Pipeline {
    parse("test.yaml", text, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A pipeline of one table over a record with a field of most types.
fn one_table(columns: &str, select: &str) -> String {
    format!(
        "
pipeline: one
source: {{ topic: one, group: one-group, partitions: 1, format: json }}
database: {{ name: one_db }}
record:
  id: BIGINT
  amount?: NUMERIC
  ratio?: DOUBLE PRECISION
  text?: TEXT
  productId?: TEXT
  at?: TIMESTAMPTZ
  tags?: [TEXT]
tables:
  one:
    columns: {{ {columns} }}
    repeat: append
    select: {select}
"
    )
}

fn batch_of(bodies: &[String]) -> Batch {
    let mut batch = Batch::default();
    for (offset, body) in (0..).zip(bodies) {
        batch.push(
            Place { partition: 3, offset, leader_epoch: -1, timestamp_ms: 1000 },
            None,
            Some(body.as_bytes()),
            None,
        );
    }
    batch
}

fn run(text: &str, bodies: &[&str]) -> (Pipeline, Transformed) {
    let pipeline = pipeline(text);
    let transform = Transform::plan(&pipeline).unwrap_or_else(|problems| panic!("{problems:?}"));
    let bodies: Vec<_> = bodies.iter().map(|body| (*body).to_owned()).collect();
    let decoded = Decoder::new(&pipeline).decode(&batch_of(&bodies));
    let transformed = transform.run(&decoded, CLOCK);
    (pipeline, transformed)
}

fn printed(column: &ArrayRef) -> Vec<String> {
    let texts = cast(column, &DataType::Utf8).expect("a printable column");
    texts.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}

fn told(transformed: &Transformed) -> Vec<(u32, &str, &str, &str)> {
    transformed
        .rejects
        .iter()
        .map(|reject| {
            (
                reject.record.number(),
                reject.path.as_str(),
                reject.rule.as_str(),
                reject.reason.as_str(),
            )
        })
        .collect()
}

#[test]
fn sales() {
    let (pipeline, transformed) = run(
        SALES,
        &[
            r#"{"order_number": 123, "order_items": [{"qty": 2, "value_unit": 50.0}, {"qty": 1, "value_unit": 100.0}]}"#,
            r#"{"wrong_field": "no_order_number"}"#,
            r#"{"order_number": 2, "order_items": []}"#,
            r#"{"order_number": 3, "order_items": [{"qty": 1, "value_unit": 123456789}]}"#,
            r#"{"order_number": 4, "order_items": [{"qty": 3, "value_unit": 0.1}, {"qty": 1, "value_unit": 0.005}]}"#,
            r#"{"order_number": 5, "order_items": [{"qty": 1, "value_unit": 99999999.995}]}"#,
            r#"{"order_number": 6, "order_items": [{"qty": 2147483647, "value_unit": 99999999999999999999}]}"#,
        ],
    );
    let sales = &transformed.tables[0];
    let types: Vec<_> = sales.columns.iter().map(|column| column.data_type().clone()).collect();
    assert_eq!(
        types,
        pipeline.tables[0]
            .columns
            .iter()
            .map(|column| column.column_type.arrow())
            .collect::<Vec<_>>()
    );
    assert_eq!(printed(&sales.columns[0]), ["123", "2", "4"]);
    assert_eq!(printed(&sales.columns[1]), ["200.00", "0.00", "0.31"]);
    assert_eq!(printed(&sales.columns[2])[0], "2024-05-20 10:00:00");
    assert_eq!(sales.record, [0, 2, 4].map(RecordIndex::new));
    assert_eq!(
        told(&transformed),
        [
            (
                3,
                "total_value",
                "numeric_range",
                "total_value 123456789.00 does not fit NUMERIC(10,2)"
            ),
            (
                5,
                "total_value",
                "numeric_range",
                "total_value 100000000.00 does not fit NUMERIC(10,2)"
            ),
            (
                6,
                "total_value",
                "expression",
                "total_value: 2147483647 * 99999999999999999999 does not fit NUMERIC"
            ),
        ]
    );
    assert!(transformed.filtered.is_empty());
}

#[test]
fn columns_take_only_what_they_hold() {
    let long = "a".repeat(300);
    type Case<'a> = (&'a str, &'a str, &'a str, Result<&'a str, (&'a str, &'a str)>);
    let cases: &[Case<'_>] = &[
        ("v: SMALLINT", "SELECT amount AS v FROM record", r#""amount": 2.5"#, Ok("3")),
        (
            "v: SMALLINT",
            "SELECT amount AS v FROM record",
            r#""amount": 40000"#,
            Err(("integer_range", "v 40000 does not fit SMALLINT")),
        ),
        ("v: INTEGER", "SELECT ratio AS v FROM record", r#""ratio": 2.5"#, Ok("2")),
        (
            "v: NUMERIC(3,1)",
            "SELECT ratio AS v FROM record",
            r#""ratio": 99.96"#,
            Err(("numeric_range", "v 100.0 does not fit NUMERIC(3,1)")),
        ),
        ("v: NUMERIC(4,2)", "SELECT amount AS v FROM record", r#""amount": -2.345"#, Ok("-2.35")),
        (
            "v: NUMERIC",
            "SELECT ratio AS v FROM record",
            r#""ratio": 0.30000000000000004"#,
            Ok("0.3"),
        ),
        ("v: TEXT", "SELECT amount AS v FROM record", r#""amount": 1.50"#, Ok("1.5")),
        (
            "v: DATE",
            "SELECT at AS v FROM record",
            r#""at": "2024-05-20T23:30:00-03:00""#,
            Ok("2024-05-21"),
        ),
        (
            "v: TIMESTAMP",
            "SELECT at AS v FROM record",
            r#""at": "2024-05-20T23:30:00-03:00""#,
            Ok("2024-05-21 02:30:00"),
        ),
        ("v: DATE", "SELECT '2024-05-20' AS v FROM record", r#""text": "x""#, Ok("2024-05-20")),
        (
            "v: TEXT NOT NULL",
            "SELECT text AS v FROM record",
            r#""ratio": 1"#,
            Err(("not_null", "v is NULL, and the column is NOT NULL")),
        ),
        ("v: VARCHAR(3)", "SELECT text AS v FROM record", r#""text": "São""#, Ok("São")),
        ("v: VARCHAR(3)", "SELECT text AS v FROM record", r#""text": "São   ""#, Ok("São")),
        ("v: VARCHAR(3)", "SELECT text AS v FROM record", r#""text": "ã    ""#, Ok("ã  ")),
        (
            "v: UUID",
            "SELECT text AS v FROM record",
            r#""text": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
            Ok("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            "v: UUID",
            "SELECT text AS v FROM record",
            r#""text": "a0eebc99""#,
            Err(("uuid", "v \"a0eebc99\" is not a UUID")),
        ),
        // In the one form in which PostgreSQL prints it, or a rollup by it would count two.
        (
            "v: UUID",
            "SELECT text AS v FROM record",
            r#""text": "A0EEBC999C0B4EF8BB6D6BB9BD380A11""#,
            Ok("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("v: TIME", "SELECT text AS v FROM record", r#""text": "08:30:60.250""#, Ok("08:31:00.25")),
        ("v: TIME", "SELECT text::time AS v FROM record", r#""text": "24:00""#, Ok("24:00:00")),
        (
            "v: TIME",
            "SELECT text AS v FROM record",
            r#""text": "8:30""#,
            Err(("time", "v \"8:30\" is not a time of day such as 08:30:00")),
        ),
        ("v: JSONB", "SELECT text AS v FROM record", r#""text": "{\"a\": 1}""#, Ok("{\"a\": 1}")),
        (
            "v: JSONB",
            "SELECT text AS v FROM record",
            r#""text": "{a: 1}""#,
            Err(("json", "v is not JSON that PostgreSQL can store")),
        ),
        (
            "v: JSONB",
            "SELECT text AS v FROM record",
            r#""text": "\"\\u0000\"""#,
            Err(("json", "v is not JSON that PostgreSQL can store")),
        ),
        (
            "v: NUMERIC",
            "SELECT CAST(text AS DOUBLE PRECISION) AS v FROM record",
            r#""text": "NaN""#,
            Err(("numeric_range", "v NaN does not fit NUMERIC")),
        ),
    ];
    for (columns, select, field, expected) in cases {
        let columns = columns
            .replace("NUMERIC(3,1)", "'NUMERIC(3,1)'")
            .replace("NUMERIC(4,2)", "'NUMERIC(4,2)'");
        let body = format!(r#"{{"id": 1, {field}}}"#);
        let (_, transformed) = run(
            &one_table(&columns, select),
            &[r#"{"id": 0, "amount": 1, "ratio": 1, "text": "[]"}"#, &body],
        );
        let rejected = transformed.rejects.iter().find(|reject| reject.record.number() == 1);
        match expected {
            Ok(value) => {
                assert_eq!(rejected, None, "{columns} {field}");
                assert_eq!(
                    printed(&transformed.tables[0].columns[0]).last().map(String::as_str),
                    Some(*value),
                    "{columns} {field}"
                );
            }
            Err((rule, reason)) => {
                let rejected = rejected.unwrap_or_else(|| panic!("{columns} {field}: no reject"));
                assert_eq!(
                    (rejected.rule.as_str(), rejected.reason.as_str(), rejected.path.as_str()),
                    (*rule, *reason, "v")
                );
            }
        }
    }
    let body = format!(r#"{{"id": 1, "text": "{long}"}}"#);
    let (_, transformed) =
        run(&one_table("v: VARCHAR(255)", "SELECT text AS v FROM record"), &[&body]);
    assert_eq!(
        told(&transformed),
        [(0, "v", "varchar_length", "v is 300 characters long, VARCHAR(255) holds 255")]
    );
}

const TWO: &str = "
pipeline: two
source: { topic: two, group: two-group, partitions: 1, format: json }
database: { name: two_db }
record:
  id: BIGINT
  sale?: BOOLEAN
  tags?: [TEXT]
tables:
  sales:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record WHERE sale
  tags:
    columns: { id: SMALLINT NOT NULL, tag: TEXT NOT NULL }
    repeat: append
    select: SELECT id, tag FROM record, UNNEST(tags) AS tag
";

#[test]
fn a_record_that_fails_in_one_table_leaves_all() {
    let (_, transformed) = run(
        TWO,
        &[
            r#"{"id": 1, "sale": true, "tags": ["a", "b"]}"#,
            r#"{"id": 2, "sale": false}"#,
            r#"{"id": 70000, "sale": true, "tags": ["c"]}"#,
            r#"not json"#,
            r#"{"id": 80000, "sale": true}"#,
            r#"{"id": 5, "tags": ["d"]}"#,
        ],
    );
    assert_eq!(transformed.tables[0].record, [0, 4].map(RecordIndex::new));
    assert_eq!(transformed.tables[1].record, [0, 0, 5].map(RecordIndex::new));
    assert_eq!(printed(&transformed.tables[1].columns[1]), ["a", "b", "d"]);
    assert_eq!(told(&transformed), [(2, "id", "integer_range", "id 70000 does not fit SMALLINT")]);
    assert_eq!(transformed.filtered, [1].map(RecordIndex::new));
}

#[test]
fn problems_stand_where_the_file_has_them() {
    let cases = [
        (
            "v: TEXT",
            "SELECT txt AS v FROM record",
            "txt",
            "unknown column \"txt\"",
            "did you mean \"text\"?",
        ),
        (
            "value: TEXT",
            "SELECT text AS valu FROM record",
            "valu",
            "one has no column \"valu\"",
            "did you mean \"value\"?",
        ),
        (
            "v: TEXT, '\"Zip\"': TEXT",
            "SELECT text AS Zip, text AS v FROM record",
            "Zip",
            "one has no column \"zip\"",
            "did you mean \"Zip\", with its quotes? A name without them is lower case",
        ),
        (
            "v: BIGINT",
            "SELECT text AS v FROM record",
            "v",
            "v is BIGINT, and TEXT cannot stand in it",
            "write `CAST(... AS BIGINT)`",
        ),
        (
            "v: TEXT",
            "SELECT tags AS v FROM record",
            "v",
            "v is TEXT, and a list cannot stand in it",
            "write `to_json(...)`",
        ),
        (
            "v: TEXT, w: TEXT NOT NULL",
            "SELECT text AS v FROM record",
            "w",
            "the SELECT gives no w, which is NOT NULL and has no default",
            "add `... AS w` to the SELECT",
        ),
    ];
    for (columns, select, underlined, message, help) in cases {
        let text = one_table(columns, select);
        let problems = Transform::plan(&pipeline(&text)).expect_err("a problem");
        let problem = &problems[0];
        assert_eq!(
            (problem.message.as_str(), problem.help.as_deref()),
            (message, Some(help)),
            "{select}"
        );
        let place = &text[problem.span.start..problem.span.end];
        assert!(place.starts_with(underlined), "{select}: {place}");
    }
}

#[test]
fn columns_with_a_default_may_be_left_out() {
    let text = one_table(
        "id: SERIAL PRIMARY KEY, v: TEXT, made: TIMESTAMPTZ NOT NULL DEFAULT now()",
        "SELECT text AS v FROM record",
    );
    let transform = Transform::plan(&pipeline(&text)).expect("a plan");
    assert_eq!(transform.written_columns(0), [1]);
    assert!(transform.written_columns(9).is_empty());
}

#[test]
fn meta_tells_where_a_record_came_from() {
    let text = one_table(
        "place: INTEGER, at_offset: BIGINT, topic: TEXT",
        "SELECT meta.partition AS place, meta.\"offset\" AS at_offset, meta.topic FROM record",
    );
    let pipeline = pipeline(&text);
    let transform = Transform::plan(&pipeline).expect("a plan");
    assert!(transform.uses_meta());
    let batch = batch_of(&["{}".into(), r#"{"id": 1}"#.into()]);
    let decoded = with_meta(Decoder::new(&pipeline).decode(&batch), "one", &batch);
    let transformed = transform.run(&decoded, CLOCK);
    let row: Vec<_> =
        transformed.tables[0].columns.iter().map(|column| printed(column).remove(0)).collect();
    assert_eq!(row, ["3", "1", "one"]);
    assert_eq!(transformed.tables[0].record, [1].map(RecordIndex::new));
    assert!(!Transform::plan(&self::pipeline(SALES)).expect("a plan").uses_meta());
}

/// The whole stage over 10,000 records of three items; the time is told with `--nocapture`.
#[test]
fn ten_thousand_sales_in_a_moment() {
    let pipeline = pipeline(SALES);
    let transform = Transform::plan(&pipeline).expect("a plan");
    let bodies: Vec<_> = (0..10_000)
        .map(|n| {
            let item = |place: i32| {
                format!(
                    r#"{{"qty": {}, "value_unit": {}.{:02}}}"#,
                    1 + (n + place) % 5,
                    10 + n % 490,
                    n % 100
                )
            };
            format!(
                r#"{{"order_number": {n}, "order_items": [{}, {}, {}]}}"#,
                item(0),
                item(1),
                item(2)
            )
        })
        .collect();
    let decoded = Decoder::new(&pipeline).decode(&batch_of(&bodies));
    let best = (0..200).map(|_| {
        let start = Instant::now();
        let transformed = transform.run(&decoded, CLOCK);
        assert_eq!(transformed.tables[0].record.len(), 10_000);
        start.elapsed()
    });
    println!("10,000 sales, SELECT and casts: {:?} at best", best.min().unwrap_or_default());
}

/// Every pair of a record's type and a column's: where the one cannot stand in the other, whatever
/// is advised can be planned.
#[test]
fn advice_between_types_leads_somewhere() {
    let types = [
        "BOOLEAN",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "REAL",
        "DOUBLE PRECISION",
        "NUMERIC",
        "NUMERIC(10,2)",
        "TEXT",
        "VARCHAR(10)",
        "UUID",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "JSONB",
        "BYTEA",
    ];
    let planned = |given: &str, wanted: &str, expression: &str| {
        let text = format!(
            "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {{ id: BIGINT, \
                x: {given} }}\ntables:\n  t:\n    \
             columns: {{ id: BIGINT PRIMARY KEY, y: \"{wanted}\" }}\n    repeat: \
                ignore\n    select: SELECT id, {expression} AS y FROM record\n"
        );
        let pipeline = pipeline(&text);
        Transform::plan(&pipeline).map(|_| ())
    };
    let records = types
        .iter()
        .map(|name| format!("\"{name}\""))
        .chain(["[TEXT]".to_owned(), "{ a: TEXT }".to_owned()]);
    let (mut advised, mut failing) = (0, Vec::new());
    for given in records {
        for wanted in types {
            let Err(problems) = planned(&given, wanted, "x") else { continue };
            let help =
                problems.first().and_then(|problem| problem.help.clone()).unwrap_or_default();
            if help.is_empty() {
                failing.push(format!("{given} as {wanted}: no advice"));
            }
            for expression in help.split('`').skip(1).step_by(2) {
                advised += 1;
                if let Err(problems) = planned(&given, wanted, &expression.replace("...", "x")) {
                    failing.push(format!("{given} as {wanted}: {expression}: {problems:?}"));
                }
            }
        }
    }
    assert!(failing.is_empty(), "{}", failing.join("\n"));
    assert!(advised > 60, "{advised}");
    // The one that was told first.
    let problems = planned("\"BIGINT\"", "TIMESTAMPTZ", "x").expect_err("a number is no time");
    let help = problems[0].help.as_deref().unwrap_or_default();
    assert!(
        help.contains("`to_timestamp(...)`") && help.contains("`to_timestamp(... / 1000.0)`"),
        "{help}"
    );
}

/// Columns of ours that no SQL can name do not hide a record's own, whatever they are called.
#[test]
fn fields_are_called_as_they_like() {
    let file = r#"
pipeline: p
source: { topic: t }
database: { name: d }
record: { id: BIGINT, "?clock": TEXT, "?element": TEXT, items: [BIGINT] }
tables:
  t:
    columns: { clock: TEXT, both: TEXT, at: TIMESTAMPTZ, item: BIGINT, element: TEXT, sum: BIGINT }
    repeat: append
    select: |
      SELECT "?clock" AS clock, "?clock" || "?clock" AS both, now() AS at, item,
             "?element" AS element, list_sum(items, i -> i + id) AS sum
      FROM record, UNNEST(items) AS item
"#;
    let record = r#"{"id": 1, "?clock": "noon", "?element": "gold", "items": [7]}"#;
    let (_, transformed) = run(file, &[record]);
    assert_eq!(told(&transformed), []);
    let columns = &transformed.tables[0].columns;
    let values: Vec<String> = columns.iter().map(|column| printed(column)[0].clone()).collect();
    assert_eq!(values[0..2], ["noon", "noonnoon"]);
    assert_eq!(values[3..], ["7", "gold", "8"]);
}
