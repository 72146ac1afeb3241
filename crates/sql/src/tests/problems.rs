//! What may not be written: every refusal with its place and its advice.

use super::schema;
use crate::{plan_condition, plan_select};

/// The problems of a SELECT: code, underlined text, message and advice.
fn problems(sql: &str) -> Vec<(&'static str, String, String, String)> {
    let problems = plan_select(sql, &schema()).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| {
            (
                problem.code,
                sql[problem.start..problem.end].to_owned(),
                problem.message,
                problem.help.unwrap_or_default(),
            )
        })
        .collect()
}

/// What mixes records is refused with its place.
#[test]
fn constructs_that_mix_records() {
    let cases = [
        (
            "SELECT DISTINCT id FROM record",
            "sql.construct.unsupported",
            "SELECT",
            "DISTINCT cannot be used here",
        ),
        (
            "SELECT id FROM record GROUP BY id",
            "sql.construct.unsupported",
            "id",
            "GROUP BY cannot be used here",
        ),
        (
            "SELECT id FROM record HAVING id > 1",
            "sql.construct.unsupported",
            "id > 1",
            "HAVING cannot be used here",
        ),
        (
            "SELECT id FROM record ORDER BY qty",
            "sql.construct.unsupported",
            "qty",
            "ORDER BY cannot be used here",
        ),
        (
            "SELECT id FROM record LIMIT 10",
            "sql.construct.unsupported",
            "10",
            "LIMIT cannot be used here",
        ),
        (
            "SELECT id FROM record FETCH FIRST 5 ROWS ONLY",
            "sql.construct.unsupported",
            "5",
            "FETCH cannot be used here",
        ),
        (
            "SELECT id FROM record JOIN other ON true",
            "sql.construct.unsupported",
            "other",
            "JOIN cannot be used here",
        ),
        (
            "SELECT id FROM record, other",
            "sql.table.unknown",
            "other",
            "there is no table other; a record has only itself",
        ),
        (
            "SELECT id FROM record, record",
            "sql.construct.unsupported",
            "record",
            "the record a second time cannot be used here",
        ),
        (
            "SELECT id FROM record UNION SELECT id FROM record",
            "sql.construct.unsupported",
            "SELECT id FROM record UNION SELECT id FROM record",
            "UNION cannot be used here",
        ),
        (
            "SELECT sum(qty) AS q FROM record",
            "sql.function.aggregate",
            "sum(qty",
            "sum is an aggregate; a table's SELECT sees one record",
        ),
        (
            "SELECT count(*) AS q FROM record",
            "sql.function.aggregate",
            "count",
            "count is an aggregate; a table's SELECT sees one record",
        ),
        (
            "SELECT lag(qty) OVER (ORDER BY id) AS q FROM record",
            "sql.function.aggregate",
            "",
            "lag is a window function; a table's SELECT sees one record",
        ),
        (
            "SELECT (SELECT 1) AS q FROM record",
            "sql.name.missing",
            "1",
            "this expression has no name",
        ),
        (
            "SELECT (SELECT id FROM record) AS q FROM record",
            "sql.construct.unsupported",
            "record",
            "FROM cannot be used in a nested SELECT",
        ),
        (
            "SELECT id FROM record WHERE id IN (SELECT 1)",
            "sql.construct.unsupported",
            "",
            "a subquery cannot be used here",
        ),
        (
            "SELECT id FROM record WHERE EXISTS (SELECT 1)",
            "sql.construct.unsupported",
            "",
            "a subquery cannot be used here",
        ),
        (
            "SELECT id FROM (SELECT 1 AS id) AS t",
            "sql.construct.unsupported",
            "",
            "a subquery cannot be used here",
        ),
        ("SELECT * FROM record", "sql.construct.unsupported", "*", "* cannot be used here"),
        ("SELECT id + 1 FROM record", "sql.name.missing", "id + 1", "this expression has no name"),
        (
            "SELECT id, qty AS id FROM record",
            "sql.name.duplicate",
            "id",
            "two columns have the name \"id\"",
        ),
        (
            "INSERT INTO t VALUES (1)",
            "sql.statement.unsupported",
            "",
            "a table is filled by one SELECT and nothing else",
        ),
        (
            "SELECT id FROM record; SELECT id FROM record",
            "sql.statement.unsupported",
            "",
            "a table is filled by one SELECT and nothing else",
        ),
        (
            "SELECT t FROM record, UNNEST(tags) AS t, UNNEST(tags) AS u",
            "sql.unnest.unsupported",
            "tags",
            "a second UNNEST cannot be used here",
        ),
        (
            "SELECT id FROM record, UNNEST(tags)",
            "sql.unnest.unsupported",
            "tags",
            "UNNEST needs a name for the element",
        ),
        (
            "SELECT id FROM record, UNNEST(text) AS t",
            "sql.type.mismatch",
            "text",
            "UNNEST takes a list; this is TEXT",
        ),
        (
            "SELECT id FROM record, UNNEST(tags) AS id",
            "sql.name.duplicate",
            "id",
            "the record has a column \"id\" already",
        ),
        (
            "WITH a AS (SELECT 1) SELECT id FROM record",
            "sql.construct.unsupported",
            "",
            "WITH cannot be used here",
        ),
    ];
    for (sql, code, underlined, message) in cases {
        let found = problems(sql);
        assert!(!found.is_empty(), "{sql}: no problem");
        let (found_code, found_text, found_message, _) = &found[0];
        assert_eq!((*found_code, found_message.as_str()), (code, message), "{sql}");
        if !underlined.is_empty() {
            assert_eq!(found_text, underlined, "{sql}");
        }
    }
}

#[test]
fn names_and_types_that_do_not_go() {
    let cases = [
        (
            "SELECT totl AS a, prise AS b FROM record",
            "sql.column.unknown",
            "totl",
            "unknown column \"totl\"",
            "",
        ),
        (
            "SELECT prise AS b FROM record",
            "sql.column.unknown",
            "prise",
            "unknown column \"prise\"",
            "did you mean \"price\"?",
        ),
        (
            "SELECT productId AS b FROM record",
            "sql.column.unknown",
            "productId",
            "unknown column \"productid\"",
            "did you mean \"productId\", with its quotes? A name without them is lower case",
        ),
        (
            "SELECT address.cty AS b FROM record",
            "sql.column.unknown",
            "cty",
            "the object has no key \"cty\"",
            "did you mean \"city\"?",
        ),
        (
            "SELECT list_sum(items, i -> i.qyt) AS b FROM record",
            "sql.column.unknown",
            "qyt",
            "the object has no key \"qyt\"",
            "did you mean \"qty\"?",
        ),
        (
            "SELECT text.x AS b FROM record",
            "sql.type.mismatch",
            "x",
            "\"x\" cannot be taken of TEXT",
            "",
        ),
        (
            "SELECT uper(text) AS b FROM record",
            "sql.function.unknown",
            "uper",
            "unknown function uper",
            "did you mean \"upper\"?",
        ),
        (
            "SELECT frobnicate(1) AS b FROM record",
            "sql.function.unknown",
            "frobnicate",
            "unknown function frobnicate",
            "",
        ),
        (
            "SELECT text * 2 AS b FROM record",
            "sql.type.mismatch",
            "text * 2",
            "there is no TEXT * BIGINT",
            "",
        ),
        (
            "SELECT text = 5 AS b FROM record",
            "sql.type.mismatch",
            "text = 5",
            "TEXT and BIGINT cannot be compared",
            "write `CAST(5 AS TEXT)`",
        ),
        (
            "SELECT qty = 'abc' AS b FROM record",
            "sql.literal.invalid",
            "'abc'",
            "\"abc\" is not a valid INTEGER",
            "",
        ),
        (
            "SELECT day = 'tomorrow' AS b FROM record",
            "sql.literal.invalid",
            "'tomorrow'",
            "\"tomorrow\" is not a valid DATE",
            "",
        ),
        (
            "SELECT id FROM record WHERE qty",
            "sql.type.mismatch",
            "qty",
            "this is INTEGER, where a condition (TRUE or FALSE) is needed",
            "",
        ),
        (
            "SELECT flag AND text AS b FROM record",
            "sql.type.mismatch",
            "text",
            "this is TEXT, where a condition (TRUE or FALSE) is needed",
            "",
        ),
        (
            "SELECT CASE WHEN flag THEN 1 ELSE text END AS b FROM record",
            "sql.type.mismatch",
            "",
            "BIGINT and TEXT cannot be answers of one CASE",
            "write `CAST(text AS BIGINT)`",
        ),
        (
            "SELECT qty LIKE 'a%' AS b FROM record",
            "sql.type.mismatch",
            "qty",
            "this is INTEGER, where TEXT is needed",
            "write `CAST(qty AS TEXT)`",
        ),
        (
            "SELECT items::integer AS b FROM record",
            "sql.type.mismatch",
            "",
            "a list cannot be cast to INTEGER",
            "",
        ),
        (
            "SELECT list_sum(items) AS b FROM record",
            "sql.type.mismatch",
            "",
            "list_sum cannot use an object for an element",
            "",
        ),
        (
            "SELECT list_sum(qty, i -> i) AS b FROM record",
            "sql.type.mismatch",
            "qty",
            "list_sum takes a list; this is INTEGER",
            "",
        ),
        (
            "SELECT extract(yeer FROM day) AS b FROM record",
            "sql.function.arguments",
            "",
            "there is no part yeer of a date",
            "did you mean \"year\"?",
        ),
        (
            "SELECT round(ratio, 2) AS b FROM record",
            "sql.function.arguments",
            "",
            "round to places takes a NUMERIC",
            "write `round(CAST(... AS NUMERIC), ...)`",
        ),
        (
            "SELECT split_part(id) AS b FROM record",
            "sql.function.arguments",
            "",
            "split_part does not take (BIGINT)",
            "",
        ),
        (
            "SELECT amount * amount * amount * amount * amount AS b FROM record",
            "sql.type.mismatch",
            "",
            "the exact result has 90 places; at most 76 can be held",
            "",
        ),
    ];
    for (sql, code, underlined, message, help) in cases {
        let found = problems(sql);
        assert!(!found.is_empty(), "{sql}: no problem");
        let (found_code, found_text, found_message, found_help) = &found[0];
        assert_eq!(
            (*found_code, found_message.as_str(), found_help.as_str()),
            (code, message, help),
            "{sql}"
        );
        if !underlined.is_empty() {
            assert_eq!(found_text, underlined, "{sql}");
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let found =
        problems("SELECT a AS x,\n  uper(text) AS y,\n  qty + text AS z\nFROM record\nWHERE b > c");
    let told: Vec<_> = found.iter().map(|(code, text, ..)| (*code, text.as_str())).collect();
    assert_eq!(
        told,
        [
            ("sql.column.unknown", "b"),
            ("sql.column.unknown", "c"),
            ("sql.column.unknown", "a"),
            ("sql.function.unknown", "uper"),
            ("sql.type.mismatch", "qty + text"),
        ]
    );
}

#[test]
fn syntax_errors_have_their_place() {
    let cases = [
        ("SELECT id FROM record WHRE id > 1", "id", "expected end of statement, found: id"),
        ("SELECT id,\n  (qty\nFROM record", "FROM", "expected ), found: FROM"),
        ("SELECT 'São', (id AS x FROM record", "AS", ""),
        ("", "", "expected a SELECT, found nothing"),
    ];
    for (sql, underlined, message) in cases {
        let (code, text, told, _) = problems(sql).remove(0);
        assert_eq!((code, text.as_str()), ("sql.syntax", underlined), "{sql}: {told}");
        if !message.is_empty() {
            assert_eq!(told.to_lowercase(), message.to_lowercase(), "{sql}");
        }
    }
}

#[test]
fn conditions_have_problems_too() {
    let told = |sql: &str| {
        let problem = plan_condition(sql, &schema()).expect_err("a problem").remove(0);
        (problem.message, sql[problem.start..problem.end].to_owned())
    };
    assert_eq!(
        told("qty + 1"),
        ("this is BIGINT, where a condition (TRUE or FALSE) is needed".into(), "qty + 1".into())
    );
    assert_eq!(told("qyt > 1"), ("unknown column \"qyt\"".into(), "qyt".into()));
    assert_eq!(told("qty > 1 qty").1, "qty");
}

/// Whatever is advised for two types that do not compare can be planned.
#[test]
fn advice_for_a_comparison_leads_somewhere() {
    let names = [
        "small", "id", "price", "amount", "ratio", "text", "flag", "day", "at", "local", "tags",
        "address",
    ];
    let (mut advised, mut failing) = (0, Vec::new());
    for left in names {
        for right in names {
            let told = problems(&format!("SELECT {left} = {right} AS q FROM record"));
            let Some((.., help)) = told.first() else { continue };
            for expression in help.split('`').skip(1).step_by(2) {
                advised += 1;
                let is_of_right = expression
                    .split(|character: char| !character.is_alphanumeric())
                    .any(|word| word == right);
                let (left, right) =
                    if is_of_right { (left, expression) } else { (expression, right) };
                let again = problems(&format!("SELECT {left} = {right} AS q FROM record"));
                if !again.is_empty() {
                    failing.push(format!("{left} = {right}: {again:?}"));
                }
            }
        }
    }
    assert!(failing.is_empty(), "{}", failing.join("\n"));
    assert!(advised > 50, "{advised}");
}
