//! One expression over one record: what it answers, as PostgreSQL prints it.

use arrow::array::{Array, ArrayRef};

use super::{CLOCK, printed, records};
use crate::plan_select;

const RECORD: &str = r#"{"id": 7, "small": 3, "qty": 3, "price": "19.99", "amount": "0.1", "ratio": 2.5, "text": " Ana ", "productId": "P1", "flag": true,
    "day": "2024-05-20", "at": "2024-05-20T10:20:30.5Z", "local": "2024-05-20T10:20:30", "tags": ["b", "a"],
    "items": [{"qty": 2, "value_unit": "50.0", "name": "x"}, {"qty": 1, "value_unit": "100.000000000000000001"}], "address": {"city": "Natal"}}"#;

/// What the expression answers, or why it fails.
fn answer(expression: &str) -> Result<String, String> {
    answer_over(expression, RECORD)
}

fn answer_over(expression: &str, record: &str) -> Result<String, String> {
    let batch = records(&[&record.replace('\n', " ")]);
    let sql = format!("SELECT {expression} AS answer FROM record");
    let select = plan_select(&sql, &batch.schema())
        .map_err(|problems| format!("problem: {}", problems[0].message))?;
    let output = select.run(&batch, CLOCK);
    if let Some(failed) = output.failed.first() {
        return Err(failed.message.clone());
    }
    let column: &ArrayRef = &output.columns[0];
    assert_eq!(column.data_type(), &select.output()[0].data_type, "{expression}");
    assert_eq!(column.len(), 1, "{expression}");
    Ok(printed(column).remove(0))
}

/// Every case is tried, so that all that differ are told.
fn compare(cases: &[(&str, &str)], expected: fn(&str) -> Result<String, String>) {
    let differing: Vec<_> = cases
        .iter()
        .map(|(expression, wanted)| (expression, expected(wanted), answer(expression)))
        .filter(|(_, expected, answer)| expected != answer)
        .collect();
    assert!(differing.is_empty(), "expression, expected, answer: {differing:#?}");
}

fn check(cases: &[(&str, &str)]) {
    compare(cases, |expected| Ok(expected.to_owned()));
}

fn check_failures(cases: &[(&str, &str)]) {
    compare(cases, |expected| Err(expected.to_owned()));
}

#[test]
fn arithmetic_is_exact() {
    check(&[
        ("qty * amount", "0.3"),
        ("amount + amount + amount", "0.3"),
        ("0.1 + 0.2", "0.3"),
        ("price * 3", "59.97"),
        ("price * price", "399.6001"),
        ("amount * amount", "0.01"),
        ("amount * amount * amount", "0.001"),
        ("12345678901234567890.0 * amount", "1234567890123456789"),
        ("(price - 20) * 100", "-1.00"),
        ("7 / 2", "3"),
        ("7 % 4", "3"),
        ("7 / 2.0", "3.5"),
        ("price / 3", "6.66333333333333333333"),
        ("-price / 3", "-6.66333333333333333333"),
        ("2.0 / 3", "0.66666666666666666667"),
        ("amount / 3", "0.03333333333333333333"),
        ("ratio * 2", "5"),
        ("ratio + price", "22.49"),
        ("-id", "-7"),
        ("- price", "-19.99"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("3*-1", "-3"),
        ("small + small", "6"),
        ("1e3", "1000"),
        ("1.5e-3 * 2", "0.0030"),
        ("id + NULL", "NULL"),
        ("'5' + id", "12"),
        ("5 % 3.5", "1.5"),
    ]);
}

#[test]
fn what_does_not_fit_fails() {
    check_failures(&[
        ("9223372036854775807 + id", "9223372036854775807 + 7 is out of range of BIGINT"),
        ("qty * CAST(2147483647 AS INTEGER)", "3 * 2147483647 is out of range of INTEGER"),
        ("id / (id - 7)", "division by zero"),
        ("price / (qty - 3)", "division by zero"),
        ("ratio / (ratio - 2.5)", "division by zero"),
        ("ratio * CAST('1e308' AS DOUBLE PRECISION)", "value out of range of DOUBLE PRECISION"),
        ("CAST(id + 40000 AS SMALLINT)", "40007 does not fit SMALLINT"),
        (
            "CAST(price * 1000000000000000000 AS BIGINT)",
            "19990000000000000000.00 does not fit BIGINT",
        ),
        ("CAST(price * 10000000 AS NUMERIC(10,2))", "199900000.00 does not fit NUMERIC(10,2)"),
        ("CAST(text AS INTEGER)", "\" Ana \" is not a valid INTEGER"),
        (
            "abs(CAST('-9223372036854775808' AS BIGINT) + id - 7)",
            "the magnitude is out of range of BIGINT",
        ),
        (
            "list_sum(items, i -> i.value_unit * 9000000000000000000)",
            "50 * 9000000000000000000 does not fit NUMERIC",
        ),
        (
            "list_sum(items, i -> i.value_unit * 900000000000000000)",
            "the sum of the list does not fit NUMERIC",
        ),
        ("CAST(productId AS TEXT)", "problem: unknown column \"productid\""),
    ]);
}

#[test]
fn lists_fold_exactly() {
    check(&[
        ("list_sum(items, i -> i.qty * i.value_unit)", "200.000000000000000001"),
        ("list_sum(items, i -> i['qty'])", "3"),
        ("list_sum(items, (i) -> i.qty * price)", "59.97"),
        ("list_sum(list_filter(items, i -> i.name IS NOT NULL), i -> i.qty)", "2"),
        ("list_sum(list_transform(items, i -> i.qty * 10))", "30"),
        ("list_min(items, i -> i.value_unit)", "50"),
        ("list_max(items, i -> i.qty)", "2"),
        ("list_max(tags)", "b"),
        ("list_count(items, i -> i.qty > 1)", "1"),
        ("list_any(items, i -> i.qty = 2)", "true"),
        ("list_all(items, i -> i.name = 'x')", "NULL"),
        ("list_all(items, i -> i.qty > 0 AND id = 7)", "true"),
        ("list_any(items, i -> list_any(tags, t -> t = i.name))", "NULL"),
        ("list_any(items, i -> list_any(tags, t -> t = coalesce(i.name, 'a')))", "true"),
        ("cardinality(items)", "2"),
        ("array_length(items, 1)", "2"),
        ("items[1].qty", "2"),
        ("items[3].qty", "NULL"),
        ("tags[2]", "a"),
        ("'a' = ANY(tags)", "true"),
        ("array_to_string(tags, ', ')", "b, a"),
        ("array_to_string(list_transform(items, i -> coalesce(i.name, '?')), '+')", "x+?"),
        ("round(list_sum(items, i -> i.qty * i.value_unit), 2)", "200.00"),
    ]);
}

#[test]
fn lists_that_are_empty_or_missing() {
    let cases = [
        (r#"{"id": 1, "items": []}"#, ["0", "0", "NULL", "NULL", "false", "true"]),
        (r#"{"id": 1}"#, ["NULL", "NULL", "NULL", "NULL", "NULL", "NULL"]),
    ];
    let expressions = [
        "list_sum(items, i -> i.qty * i.value_unit)",
        "cardinality(items)",
        "array_length(items, 1)",
        "list_min(items, i -> i.qty)",
        "list_any(items, i -> i.qty > 0)",
        "list_all(items, i -> i.qty > 0)",
    ];
    for (record, expected) in cases {
        for (expression, expected) in expressions.iter().zip(expected) {
            assert_eq!(
                answer_over(expression, record).as_deref(),
                Ok(expected),
                "{expression} over {record}"
            );
        }
    }
}

#[test]
fn names_and_keys() {
    check(&[
        ("ID", "7"),
        ("record.id", "7"),
        ("\"productId\"", "P1"),
        ("address.city", "Natal"),
        ("(address).city", "Natal"),
        ("address['city']", "Natal"),
        ("address.\"zipCode\"", "NULL"),
        ("record.address.city", "Natal"),
    ]);
    assert_eq!(answer_over("address.city", r#"{"id": 1}"#).as_deref(), Ok("NULL"));
}

#[test]
fn conditions() {
    check(&[
        ("price > 19.98 AND qty BETWEEN 1 AND 3", "true"),
        ("text LIKE ' A%'", "true"),
        ("text ILIKE '%ANA%'", "true"),
        ("text NOT LIKE '%z%'", "true"),
        ("text ~ 'A.a'", "true"),
        ("qty IN (1, 2, 3)", "true"),
        ("\"productId\" NOT IN ('P2')", "true"),
        ("qty = '3'", "true"),
        ("day = '2024-05-20'", "true"),
        ("at > '2024-05-20 10:00:00'", "true"),
        ("at = local + INTERVAL '0.5 seconds'", "true"),
        ("amount = 0.1", "true"),
        ("amount * amount < 0.011", "true"),
        ("ratio > price", "false"),
        ("flag IS TRUE AND NOT (flag IS NULL)", "true"),
        ("NULL AND flag", "NULL"),
        ("qty IS DISTINCT FROM NULL", "true"),
        ("CASE WHEN qty > 2 THEN 'many' ELSE 'few' END", "many"),
        ("CASE qty WHEN 3 THEN price ELSE 0 END", "19.99"),
        ("CASE WHEN id = 7 THEN 1 ELSE 1 / (id - 7) END", "1"),
        ("coalesce(address.\"zipCode\", 'none')", "none"),
        ("coalesce(NULL, amount, 0)", "0.1"),
        ("nullif(qty, 3)", "NULL"),
        ("greatest(1, price, NULL)", "19.99"),
        ("least(qty, 2)", "2"),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("trim(text)", "Ana"),
        ("upper(text) || '!'", " ANA !"),
        ("'TXN_' || id", "TXN_7"),
        ("'R$ ' || price", "R$ 19.99"),
        ("'' || amount", "0.1"),
        ("concat('a', NULL, qty, flag)", "a3true"),
        ("length('São')", "3"),
        ("substring('abcdef' FROM 2 FOR 3)", "bcd"),
        ("substr('abcdef', 4)", "def"),
        ("left('abcdef', -2)", "abcd"),
        ("position('c' IN 'abc')", "3"),
        ("replace('a-b', '-', '+')", "a+b"),
        ("split_part('a,b,c', ',', 2)", "b"),
        ("lpad('7', 3, '0')", "007"),
        ("initcap('ana maria')", "Ana Maria"),
        ("regexp_replace('a1b2', '[0-9]', '', 'g')", "ab"),
        ("overlay('abcdef' PLACING 'XX' FROM 3 FOR 2)", "abXXef"),
        ("CAST('abcdef' AS VARCHAR(3))", "abc"),
        ("CAST(trim(text) AS VARCHAR(2))", "An"),
        (
            "CAST('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' AS UUID)",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("text || NULL", "NULL"),
    ]);
}

#[test]
fn casts_and_rounding() {
    check(&[
        ("CAST(2.5 AS INTEGER)", "3"),
        ("CAST(-2.5 AS INTEGER)", "-3"),
        ("CAST(ratio AS INTEGER)", "2"),
        ("CAST(ratio + 1 AS INTEGER)", "4"),
        ("price::integer", "20"),
        ("price::numeric(5,1)", "20.0"),
        ("ratio::numeric", "2.5"),
        ("CAST(0.1 AS DOUBLE PRECISION)", "0.1"),
        ("CAST('12.345' AS NUMERIC(10,2))", "12.35"),
        ("CAST(' 42 ' AS INTEGER)", "42"),
        ("CAST('yes' AS BOOLEAN)", "true"),
        ("flag::integer", "1"),
        ("flag::text", "true"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(price, 1)", "20.0"),
        ("round(1234.5, -2)", "1200"),
        ("round(ratio)", "2"),
        ("trunc(price)", "19"),
        ("trunc(-price, 1)", "-19.9"),
        ("ceil(price)", "20"),
        ("ceil(-19.5)", "-19"),
        ("floor(-19.5)", "-20"),
        ("floor(ratio)", "2"),
        ("abs(-price)", "19.99"),
        ("sign(-price)", "-1"),
        ("mod(7, 4)", "3"),
        ("sqrt(4)", "2"),
        ("power(2, 10)", "1024"),
    ]);
}

#[test]
fn moments() {
    check(&[
        ("now()", "2024-05-20 10:00:00+00"),
        ("CURRENT_TIMESTAMP", "2024-05-20 10:00:00+00"),
        ("localtimestamp", "2024-05-20 10:00:00"),
        ("current_date", "2024-05-20"),
        ("now() - INTERVAL '1 hour'", "2024-05-20 09:00:00+00"),
        ("at::date", "2024-05-20"),
        ("at::timestamp", "2024-05-20 10:20:30.5"),
        ("CAST('2024-05-20T12:00:00+02:00' AS TIMESTAMPTZ)", "2024-05-20 10:00:00+00"),
        ("DATE '2024-02-28' + INTERVAL '2 days'", "2024-03-01 00:00:00"),
        ("day + INTERVAL '1 month'", "2024-06-20 00:00:00"),
        ("INTERVAL '1 day' + day", "2024-05-21 00:00:00"),
        ("day + 1", "2024-05-21"),
        ("1 + day", "2024-05-21"),
        ("day - qty", "2024-05-17"),
        ("day - DATE '2024-05-01'", "19"),
        ("extract(epoch FROM (at - day))", "37230.500000"),
        ("date_trunc('hour', at)", "2024-05-20 10:00:00+00"),
        ("extract(year FROM at)", "2024"),
        ("extract(second FROM at)", "30.500000"),
        ("extract(epoch FROM at)", "1716200430.500000"),
        ("extract(epoch FROM (at - now()))", "1230.500000"),
        ("extract(dow FROM day)", "1"),
        ("date_part('month', day)", "5"),
        ("to_timestamp(1716199200)", "2024-05-20 10:00:00+00"),
        ("at AT TIME ZONE 'America/Sao_Paulo'", "2024-05-20 07:20:30.5"),
        ("local AT TIME ZONE 'America/Sao_Paulo'", "2024-05-20 13:20:30+00"),
        ("at::text", "2024-05-20 10:20:30.5+00"),
        ("make_date(2024, 5, 20)", "2024-05-20"),
        ("date_trunc('decade', at)", "2020-01-01 00:00:00+00"),
        ("date_trunc('day', at, 'America/Sao_Paulo')", "2024-05-20 03:00:00+00"),
        ("date_trunc('hour', TIMESTAMP '9999-12-31 23:59:59.9999999')", "9999-12-31 23:00:00"),
        ("date_bin(INTERVAL '15 minutes', at)", "2024-05-20 10:15:00+00"),
        (
            "TIMESTAMPTZ '0001-01-01 00:00:00Z' AT TIME ZONE 'America/Sao_Paulo'",
            "0001-12-31 20:53:32 BC",
        ),
        (
            "(TIMESTAMPTZ '0001-01-01 00:00:00Z' AT TIME ZONE 'America/Sao_Paulo')::date",
            "0001-12-31 BC",
        ),
        ("TIMESTAMP '2024-03-31 02:30:00' AT TIME ZONE 'Europe/Berlin'", "2024-03-31 01:30:00+00"),
        ("TIMESTAMP '2024-10-27 02:30:00' AT TIME ZONE 'Europe/Berlin'", "2024-10-27 01:30:00+00"),
        ("TIMESTAMPTZ '2024-10-27 02:30:00 Europe/Berlin'", "2024-10-27 01:30:00+00"),
        ("day AT TIME ZONE 'America/Sao_Paulo'", "2024-05-19 21:00:00"),
        ("(0 - ratio) * 0 = ratio * 0", "true"),
    ]);
}
