//! Each expression over rows of edge values, here and in PostgreSQL. Where it has a value here
//! PostgreSQL must have the same one, or a rollup could not be verified; where it fails here the
//! row's record is a reject, which is never wrong.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use duto_servers::shared::TestDatabase;
use duto_sql::{cast, plan_expression, recompute};

use super::{connect, wait_for};

/// Columns: name, type in PostgreSQL, and the values of their rows; a column of fewer values begins
/// again.
const COLUMNS: &[(&str, &str, &[Option<&str>])] = &[
    (
        "s",
        "smallint",
        &[Some("0"), Some("1"), Some("-1"), Some("32767"), Some("-32768"), None, Some("7")],
    ),
    (
        "i",
        "integer",
        &[
            Some("0"),
            Some("-1"),
            Some("2147483647"),
            Some("-2147483648"),
            Some("3"),
            None,
            Some("100000"),
        ],
    ),
    (
        "b",
        "bigint",
        &[
            Some("0"),
            Some("9223372036854775807"),
            Some("-9223372036854775808"),
            Some("-7"),
            None,
            Some("5000000000"),
            Some("2"),
        ],
    ),
    (
        "n",
        "numeric",
        &[
            Some("0"),
            Some("1"),
            Some("0.000000000000000001"),
            Some("-0.5"),
            Some("2.5"),
            Some("99999999999999999999.999999999999999999"),
            None,
            Some("-12345.678"),
        ],
    ),
    (
        "p",
        "numeric(10,2)",
        &[
            Some("0.00"),
            Some("1.00"),
            Some("-0.05"),
            Some("99999999.99"),
            Some("10.50"),
            None,
            Some("-2.25"),
        ],
    ),
    (
        "r",
        "real",
        &[
            Some("0"),
            Some("-0"),
            Some("1.5"),
            Some("-2.5"),
            Some("3.4e38"),
            Some("1e-30"),
            None,
            Some("NaN"),
        ],
    ),
    (
        "d",
        "double precision",
        &[
            Some("0"),
            Some("-0"),
            Some("2.5"),
            Some("-0.5"),
            Some("1e300"),
            Some("1e-300"),
            Some("0.1"),
            None,
            Some("NaN"),
            Some("1e-18"),
            Some("-3.5"),
        ],
    ),
    ("f", "boolean", &[Some("true"), Some("false"), None]),
    (
        "x",
        "text",
        &[
            Some(""),
            Some("a"),
            Some("São Paulo"),
            Some(" b "),
            Some("B"),
            Some("a,b,,c"),
            Some("%_"),
            Some("\u{1F600}x"),
            None,
            Some("a\nb"),
        ],
    ),
    ("v", "varchar(20)", &[Some("a"), Some("Z"), Some(""), Some("ünï"), None]),
    (
        "u",
        "uuid",
        &[
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Some("00000000-0000-0000-0000-000000000000"),
            None,
        ],
    ),
    (
        "day",
        "date",
        &[
            Some("0001-01-01"),
            Some("9999-12-31"),
            Some("1970-01-01"),
            Some("1969-12-31"),
            Some("2024-02-29"),
            Some("2000-12-31"),
            None,
            Some("1901-01-01"),
        ],
    ),
    (
        "at",
        "timestamptz",
        &[
            Some("0001-01-01 00:00:00+00"),
            Some("9999-12-31 23:59:59.999999+00"),
            Some("1970-01-01 00:00:00+00"),
            Some("1969-12-31 23:59:59.999999+00"),
            Some("2024-05-20 10:20:30.5+00"),
            Some("1677-09-21 00:12:43+00"),
            Some("2262-04-12 00:00:00+00"),
            None,
            Some("2024-12-31 23:30:00.000001+00"),
            Some("0099-06-15 12:00:00+00"),
            Some("2150-07-01 12:34:56.789+00"),
        ],
    ),
    (
        "local",
        "timestamp",
        &[
            Some("0001-01-01 00:00:00"),
            Some("9999-12-31 23:59:59.999999"),
            Some("2018-11-04 00:30:00"),
            Some("2024-03-31 02:30:00"),
            Some("1900-02-28 23:59:59"),
            None,
            Some("2024-10-27 02:30:00"),
            Some("2000-02-29 00:00:00"),
        ],
    ),
];
const ROWS: usize = 61;

/// What `duto check` accepts in a rollup.
const ACCEPTED: &[&str] = &[
    // columns and constants
    "s",
    "i",
    "b",
    "n",
    "p",
    "r",
    "d",
    "f",
    "x",
    "v",
    "u",
    "day",
    "at",
    "local",
    "record.i",
    "\"i\"",
    "(i)",
    "DATE '2024-05-20'",
    "'it''s \\ so'",
    "E'a\\nb'",
    "-9223372036854775808",
    "1.50",
    "1e3",
    "TRUE",
    // arithmetic
    "i + 1",
    "i - 1",
    "i * 2",
    "s + s",
    "s * s",
    "s * 1000",
    "i * i",
    "b + 1",
    "b * 2",
    "b - i",
    "-i",
    "-s",
    "+i",
    "- b",
    "i / 7",
    "i / s",
    "b / i",
    "s / 2",
    "b % 7",
    "i % s",
    "mod(i, 3)",
    "s % -1",
    "n + 1",
    "n - p",
    "n * p",
    "p * p",
    "n * n",
    "p * 0.25",
    "-n",
    "n % 3",
    "p % 0.7",
    "i * 2 + 3 * s",
    "2 + i * 2",
    "-i * 2",
    "i - 1 - 1",
    "p * 3 - 1",
    "(i + 1) * 2",
    "'5' + i",
    "3000000000 + i",
    // rounding
    "round(n)",
    "round(n, 2)",
    "round(p, 1)",
    "round(n, -2)",
    "trunc(n)",
    "trunc(p, 1)",
    "ceil(n)",
    "floor(n)",
    "ceiling(p)",
    "round(i, -2)",
    "round(i)",
    "trunc(i, -3)",
    "abs(i)",
    "abs(n)",
    "abs(s)",
    "floor(p) + 1",
    // casts
    "CAST(n AS NUMERIC(10,2))",
    "p::integer",
    "n::bigint",
    "p::smallint",
    "i::bigint",
    "b::integer",
    "i::smallint",
    "i::numeric",
    "b::numeric(20,0)",
    "s::numeric(5,2)",
    "i::double precision",
    "n::double precision",
    "r::double precision",
    "d::integer",
    "d::numeric(20,6)",
    "d::numeric",
    "r::numeric(12,3)",
    "r::numeric",
    "d::bigint",
    "r::smallint",
    "f::integer",
    "f::bigint",
    "i::boolean",
    "i::text",
    "b::text",
    "f::text",
    "x::text",
    "x::varchar(3)",
    "i::varchar(2)",
    "v::text",
    "u::text",
    "day::text",
    "at::text",
    "local::text",
    "at::date",
    "local::date",
    "day::timestamp",
    "day::timestamptz",
    "at::timestamp",
    "local::timestamptz",
    // conditions
    "i = 3",
    "i <> 3",
    "i < s",
    "b >= 5000000000",
    "n > 0.5",
    "p = 10.5",
    "i > 2.5",
    "d > 0",
    "d = 0",
    "d < 0.1",
    "r = 1.5",
    "r > d",
    "r <> r",
    "d >= n",
    "x = 'a'",
    "x <> 'a'",
    "x < 'b'",
    "x >= v",
    "v > 'Z'",
    "u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "u = x",
    "f",
    "NOT f",
    "f = TRUE",
    "f > FALSE",
    "f AND i > 0",
    "f OR i > 0",
    "NOT f = (i > 0)",
    "i = 3 OR i = 100000 AND f",
    "i IS NULL",
    "x IS NOT NULL",
    "f IS TRUE",
    "f IS NOT TRUE",
    "f IS FALSE",
    "f IS NOT FALSE",
    "f IS UNKNOWN",
    "f IS NOT UNKNOWN",
    "i IS DISTINCT FROM 3",
    "x IS NOT DISTINCT FROM v",
    "d IS DISTINCT FROM 0",
    "i IN (1, 2, 3)",
    "i NOT IN (3, NULL)",
    "i IN (1, 2) AND i IN (3, 4)",
    "NOT (i IN (1, 2) AND i IN (3, 4))",
    "i IN (1, 2) OR i NOT IN (1, 2)",
    "x IN ('a', 'B')",
    "d IN (0, 2.5)",
    "p IN (1, 10.5)",
    "i BETWEEN 0 AND 5",
    "n NOT BETWEEN -1 AND 1",
    "x BETWEEN 'A' AND 'b'",
    "day > '2000-01-01'",
    "at >= '2024-05-20T10:20:30.5Z'",
    "at >= '2024-05-20 12:00:00+02:00'",
    "at > day",
    "local <= at",
    "day = local",
    "local = '9999-12-31'",
    "x LIKE 'a%'",
    "x NOT LIKE '%b%'",
    "x LIKE '_'",
    "x LIKE '%\u{1F600}_'",
    "x LIKE 'S_o%'",
    "x LIKE '%'",
    "d BETWEEN -1 AND 1",
    // choices
    "CASE WHEN i > 0 THEN i ELSE 0 END",
    "CASE WHEN f THEN p END",
    "CASE i WHEN 3 THEN 'three' WHEN 0 THEN x ELSE 'other' END",
    "CASE x WHEN 'a' THEN 1 ELSE 2.5 END",
    "CASE WHEN s <> 0 THEN i / s END",
    "coalesce(i, 0)",
    "coalesce(s, i, b)",
    "coalesce(x, 'none')",
    "coalesce(p, n, 0)",
    "coalesce(d, 0)",
    "coalesce(at, local)",
    "nullif(i, 0)",
    "i / nullif(s, 0)",
    "nullif(x, '')",
    "nullif(p, 0)",
    "greatest(i, s, 5)",
    "least(n, p)",
    "greatest(x, v)",
    "least(at, local)",
    "greatest(day, '2000-01-01')",
    "CASE d WHEN 0 THEN 'zero' ELSE 'other' END",
    // texts
    "x || v",
    "x || i",
    "'n' || b || f",
    "length(x)",
    "char_length(v)",
    "left(x, 2)",
    "left(x, -2)",
    "right(x, 3)",
    "right(x, -1)",
    "substr(x, 2)",
    "substring(x FROM 2 FOR 3)",
    "substr(x, -1, 4)",
    "substring(x, 0)",
    "replace(x, 'a', 'zz')",
    "replace(x, '', 'z')",
    "split_part(x, ',', 1)",
    "split_part(x, ',', 3)",
    "split_part(x, ',', 9)",
    "split_part(x, ',', -1)",
    "strpos(x, 'b')",
    "strpos(x, '')",
    "position('a' IN x)",
    "starts_with(x, 'a')",
    "trim(x)",
    "btrim(x)",
    "ltrim(x)",
    "rtrim(x)",
    "concat(x, i, v)",
    // moments
    "date_trunc('microseconds', at)",
    "date_trunc('milliseconds', at)",
    "date_trunc('second', at)",
    "date_trunc('minute', local)",
    "date_trunc('hour', at)",
    "date_trunc('hour', local)",
    "date_trunc('day', at)",
    "date_trunc('day', day)",
    "date_trunc('week', at)",
    "date_trunc('week', local)",
    "date_trunc('month', at)",
    "date_trunc('quarter', local)",
    "date_trunc('year', at)",
    "date_trunc('decade', at)",
    "date_trunc('decade', local)",
    "date_trunc('century', at)",
    "date_trunc('millennium', local)",
    "date_trunc('hour', at AT TIME ZONE 'America/Sao_Paulo')",
    "date_trunc('day', at, 'America/Sao_Paulo')",
    "date_trunc('week', at, 'Europe/Berlin')",
    "date_trunc('hour', at, 'Asia/Kathmandu')",
    "date_trunc('decade', at AT TIME ZONE 'Asia/Tokyo')",
    "date_trunc('century', at AT TIME ZONE 'America/Sao_Paulo')",
    "date_trunc('millennium', at AT TIME ZONE 'America/Sao_Paulo')",
    "date_bin(INTERVAL '15 minutes', at, '2000-01-01')",
    "date_bin('1 day', local, '2001-02-03 04:05:06')",
    "date_bin(INTERVAL '7 days', at)",
    "date_bin(INTERVAL '250 milliseconds', local, local)",
    "date_bin(INTERVAL '15 minutes', day, '2000-01-01')",
    "extract(year FROM at)",
    "extract(month FROM day)",
    "extract(day FROM local)",
    "extract(hour FROM at)",
    "extract(minute FROM local)",
    "extract(second FROM at)",
    "extract(dow FROM at)",
    "extract(isodow FROM day)",
    "extract(doy FROM local)",
    "extract(week FROM at)",
    "extract(isoyear FROM day)",
    "extract(quarter FROM at)",
    "extract(epoch FROM at)",
    "extract(epoch FROM day)",
    "extract(milliseconds FROM local)",
    "extract(microseconds FROM at)",
    "extract(hour FROM day)",
    "CAST(extract(hour FROM at) AS INTEGER) / 2",
    "date_part('hour', at)",
    "extract(year FROM at AT TIME ZONE 'America/Sao_Paulo')",
    "extract(isoyear FROM at AT TIME ZONE 'America/Sao_Paulo')",
    "extract(week FROM at AT TIME ZONE 'America/Sao_Paulo')",
    "extract(epoch FROM (at - local))",
    "extract(epoch FROM (at - day))",
    "extract(epoch FROM at - at)",
    "day - day",
    "day + 1",
    "1 + day",
    "day - 1",
    "day + i",
    "day - s",
    "day - DATE '2024-05-01'",
    "at + INTERVAL '1 hour'",
    "at - INTERVAL '1 month'",
    "local + INTERVAL '1 month 1 day'",
    "day + INTERVAL '1 year'",
    "INTERVAL '90 minutes' + at",
    "local - INTERVAL '13 months'",
    "at - INTERVAL '0.5 seconds'",
    "at AT TIME ZONE 'America/Sao_Paulo'",
    "(at AT TIME ZONE 'America/Sao_Paulo')::date",
    "local AT TIME ZONE 'Europe/Berlin'",
    "local AT TIME ZONE 'America/Sao_Paulo'",
    "day AT TIME ZONE 'Asia/Tokyo'",
    "at AT TIME ZONE 'Etc/GMT+3'",
    "at AT TIME ZONE 'UTC'",
    "at AT TIME ZONE 'Pacific/Apia'",
];

/// What it refuses, since the two may differ.
const REFUSED: &[&str] = &[
    "p / 4",
    "extract(hour FROM at) / 2",
    "n / 3",
    "i / 2.0",
    "n / i",
    "d + 1",
    "r * 2",
    "sqrt(i)",
    "power(2, i)",
    "ln(d)",
    "round(d)",
    "sign(p)",
    "n::text",
    "d::text",
    "x || p",
    "x::integer",
    "x::date",
    "x::uuid",
    "d::real",
    "i::real",
    "lower(x)",
    "upper(x)",
    "initcap(x)",
    "x ILIKE 'a%'",
    "x ~ 'a'",
    "x LIKE 'a\\_'",
    "x LIKE v",
    "regexp_replace(x, 'a', 'b')",
    "lpad(x, 3, '0')",
    "at AT TIME ZONE '-03:00'",
    "at AT TIME ZONE 'CET'",
    "at - at",
    "to_timestamp(i)",
    "to_json(x)",
    "left(x, i)",
    "greatest(d, r)",
    "make_date(i, i, i)",
    "(SELECT i)",
    "NULL",
    "date_trunc('fortnight', at)",
    "nullif(d, 0)",
];

fn arrow_type(sql_type: &str) -> DataType {
    match sql_type {
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "numeric" => DataType::Decimal128(38, 18),
        "numeric(10,2)" => DataType::Decimal128(10, 2),
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

/// The value of a column's row; columns of different lengths meet in many ways.
fn value(column: usize, row: usize) -> Option<&'static str> {
    let values = COLUMNS[column].2;
    values[(row * (1 + column % 3) + row / values.len()) % values.len()]
}

fn schema() -> Schema {
    Schema::new(
        COLUMNS
            .iter()
            .map(|(name, sql_type, _)| Field::new(*name, arrow_type(sql_type), true))
            .collect::<Vec<_>>(),
    )
}

fn batch() -> RecordBatch {
    let columns = COLUMNS.iter().enumerate().map(|(column, (name, sql_type, _))| {
        let texts: ArrayRef =
            Arc::new((0..ROWS).map(|row| value(column, row)).collect::<StringArray>());
        cast(&texts, &arrow_type(sql_type)).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    RecordBatch::try_new(Arc::new(schema()), columns.collect()).expect("a batch")
}

/// What it is here for each row: None where it fails, and NULL as a text.
fn here(expression: &str, batch: &RecordBatch) -> Vec<Option<String>> {
    let select = plan_expression(expression, &schema())
        .unwrap_or_else(|problems| panic!("{expression}: {problems:?}"));
    let output = select.run(batch, 0);
    let texts = cast(&output.columns[0], &DataType::Utf8)
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    let texts = texts.as_string::<i32>();
    let mut values = vec![None; ROWS];
    for (place, row) in output.row_record.iter().enumerate() {
        values[*row as usize] = Some(if texts.is_null(place) {
            "NULL".to_owned()
        } else {
            texts.value(place).to_owned()
        });
    }
    values
}

/// A number that has a point has no zeros at its end: how many there are is no matter of its value.
fn bare(text: Option<String>, sql_type: &str) -> Option<String> {
    text.map(|text| match sql_type {
        "numeric" if text.contains('.') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        // Arrow prints no sign of a zero that PostgreSQL equals with the other.
        "real" | "double precision" if text == "-0" => "0".to_owned(),
        _ => text,
    })
}

#[test]
fn accepted_expressions_have_one_value_in_both() {
    wait_for(async {
        let database = TestDatabase::create("rollup_expressions").expect("a database");
        let client = connect(&database.url()).await;
        let columns: Vec<String> =
            COLUMNS.iter().map(|(name, sql_type, _)| format!("{name} {sql_type}")).collect();
        let attempt = "CREATE FUNCTION attempt(expression text, place int) RETURNS text LANGUAGE
             plpgsql AS $$ DECLARE answer text; BEGIN
             EXECUTE 'SELECT coalesce((' || expression || ')::text, ''NULL'') FROM t WHERE place = '
             || place INTO answer; RETURN answer;
             EXCEPTION WHEN data_exception THEN RETURN NULL; END $$";
        client
            .batch_execute(&format!(
                "CREATE TABLE t (place int PRIMARY KEY, {}); {attempt}",
                columns.join(", ")
            ))
            .await
            .expect("a table");
        for row in 0..ROWS {
            let values: Vec<String> = (0..COLUMNS.len())
                .map(|column| {
                    value(column, row)
                        .map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
                })
                .collect();
            client
                .batch_execute(&format!("INSERT INTO t VALUES ({row}, {})", values.join(", ")))
                .await
                .expect("a row");
        }
        let batch = batch();
        let mut differing = Vec::new();
        for expression in ACCEPTED {
            let recomputed = match recompute(expression, &schema()) {
                Ok(recomputed) => recomputed,
                Err(problems) => {
                    differing.push(format!(
                        "{expression}: refused: {}",
                        problems.first().map_or("", |problem| &problem.message)
                    ));
                    continue;
                }
            };
            let typed = format!("({})::{}", recomputed.sql, recomputed.sql_type);
            let there = match client
                .query("SELECT attempt($1, place) FROM t ORDER BY place", &[&typed])
                .await
            {
                Ok(rows) => {
                    rows.iter().map(|row| row.get::<_, Option<String>>(0)).collect::<Vec<_>>()
                }
                Err(error) => {
                    differing.push(format!(
                        "{expression}: {typed}: {}",
                        error.as_db_error().map_or("", |error| error.message())
                    ));
                    continue;
                }
            };
            let (mut compared, mut told) = (0, 0);
            for (row, (ours, theirs)) in here(expression, &batch).into_iter().zip(there).enumerate()
            {
                let (ours, theirs) =
                    (bare(ours, recomputed.sql_type), bare(theirs, recomputed.sql_type));
                compared += usize::from(ours.is_some());
                if ours.is_some() && ours != theirs && told < 3 {
                    told += 1;
                    let row: Vec<String> = COLUMNS
                        .iter()
                        .enumerate()
                        .map(|(column, (name, ..))| format!("{name}={:?}", value(column, row)))
                        .collect();
                    differing.push(format!(
                        "{expression}: here {ours:?}, in PostgreSQL {theirs:?} ({typed}) of {}",
                        row.join(" ")
                    ));
                }
            }
            if compared == 0 {
                differing.push(format!("{expression}: fails for every row"));
            }
        }
        assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    });
}

#[test]
fn everything_else_is_refused_with_advice() {
    for expression in REFUSED {
        match recompute(expression, &schema()) {
            Ok(recomputed) => panic!("{expression} became {}", recomputed.sql),
            Err(problems) => {
                let problem = problems
                    .first()
                    .unwrap_or_else(|| panic!("{expression} is refused without a word"));
                assert!(
                    problem.help.is_some() || problem.code != "sql.recompute.unproven",
                    "{expression}: {problem:?}"
                );
            }
        }
    }
}
