//! Names in PostgreSQL's own SQL. What PostgreSQL says of the same statements is asked in
//! `tests/tests/names.rs`.

use crate::{Catalog, ColumnKind, Columns, NamedColumn, ParameterType, analyse_postgres};

const CASES: &str = include_str!("../../../../tests/names/cases.sql");

/// The relations of `tests/names/schema.sql`.
fn catalog() -> Catalog {
    use ColumnKind::{Moment, Number, Other, Text};
    let columns = |columns: &[(&str, ColumnKind)]| {
        Columns::new(columns.iter().map(|(name, kind)| NamedColumn::new(*name, *kind)).collect())
    };
    let mut catalog = Catalog::default();
    let events = [
        ("event_id", Text),
        ("event_type", Text),
        ("user_id", Number),
        ("product_id", Number),
        ("amount", Number),
        ("at", Moment),
        ("payload", Other),
    ];
    catalog.add_table("events", columns(&events));
    catalog.add_table(
        "products",
        columns(&[("product_id", Number), ("product_name", Text), ("category", Text)]),
    );
    catalog.add_table(
        "orders",
        columns(&[
            ("id", Number),
            ("user_id", Number),
            ("total", Number),
            ("Mixed Case", Text),
            ("note", Text),
        ]),
    );
    catalog.add_view("daily", columns(&[("date", Moment), ("events", Number), ("users", Number)]));
    catalog
}

/// The statements, each with the line that stands above it.
fn cases() -> Vec<(&'static str, String)> {
    let mut cases: Vec<(&str, String)> = Vec::new();
    for line in CASES.lines().skip(1) {
        match (line.strip_prefix("-- "), cases.last_mut()) {
            (Some(verdict), _) => cases.push((verdict, String::new())),
            (None, Some((_, sql))) => sql.push_str(line),
            (None, None) => {}
        }
    }
    cases
}

/// The SQLSTATE that PostgreSQL has for a problem.
fn sqlstate(code: &str) -> &'static str {
    match code {
        "sql.column.unknown" => "42703",
        "sql.column.ambiguous" => "42702",
        "sql.relation.unknown" | "sql.alias.unknown" => "42P01",
        "sql.alias.twice" => "42712",
        "sql.syntax" => "good, not read",
        _ => "another",
    }
}

#[test]
fn names_mean_what_they_mean_to_postgresql() {
    let (catalog, mut wrong) = (catalog(), Vec::new());
    for (verdict, sql) in cases() {
        let analysed = analyse_postgres(&sql, &catalog, &|_| ParameterType::default());
        let found = match &analysed {
            Ok(_) => "good",
            Err(problems) => problems.first().map_or("nothing", |problem| sqlstate(problem.code)),
        };
        if found != verdict {
            wrong.push(format!("{verdict}, not {found}: {sql}\n  {:?}", analysed.err()));
        }
    }
    assert!(cases().len() > 200 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an editor saves may end anywhere.
#[test]
fn no_cut_of_a_statement_is_too_much() {
    let catalog = catalog();
    for (_, sql) in cases() {
        for (at, _) in sql.char_indices().step_by(3) {
            for cut in [&sql[..at], &sql[at..]] {
                let problems = analyse_postgres(cut, &catalog, &|_| ParameterType::default())
                    .err()
                    .unwrap_or_default();
                assert!(
                    problems
                        .iter()
                        .all(|problem| problem.start <= problem.end && problem.end <= cut.len()),
                    "{cut}: {problems:?}"
                );
            }
        }
    }
}

/// What a SELECT gives: each column's name and kind.
fn given(sql: &str) -> Vec<(String, ColumnKind)> {
    let parameter = |_: &str| ParameterType { name: "int4".to_owned(), kind: ColumnKind::Number };
    let query = analyse_postgres(sql, &catalog(), &parameter)
        .unwrap_or_else(|problems| panic!("{sql}: {problems:?}"));
    assert!(!query.columns.open, "{sql}");
    query
        .columns
        .columns
        .into_iter()
        .map(|column| (column.name.unwrap_or_default(), column.kind))
        .collect()
}

#[test]
fn what_a_select_gives_is_known() {
    use ColumnKind::{Boolean, Interval, Moment, Number, Text, Unknown};
    for (sql, expected) in [
        (
            "SELECT event_type, amount AS worth, at FROM events",
            vec![("event_type", Text), ("worth", Number), ("at", Moment)],
        ),
        (
            "SELECT * FROM products",
            vec![("product_id", Number), ("product_name", Text), ("category", Text)],
        ),
        (
            "SELECT p.*, total FROM products p, orders",
            vec![
                ("product_id", Number),
                ("product_name", Text),
                ("category", Text),
                ("total", Number),
            ],
        ),
        (
            "SELECT count(*), sum(amount) AS s, amount > 1 AS b, at - at AS d FROM events",
            vec![("count", Number), ("s", Number), ("b", Boolean), ("d", Unknown)],
        ),
        (
            "SELECT max(at), min(event_type), coalesce(sum(total), 0)::bigint FROM events, orders",
            vec![("max", Moment), ("min", Text), ("coalesce", Number)],
        ),
        // A number may be given as a text for the sake of its digits.
        (
            "SELECT amount::text, event_type::text AS t, payload ->> 'a' AS a FROM events",
            vec![("amount", Unknown), ("t", Text), ("a", Unknown)],
        ),
        (
            "SELECT CASE WHEN amount > 1 THEN event_type ELSE 'none' END AS c, age(at) FROM events",
            vec![("c", Unknown), ("age", Interval)],
        ),
        ("SELECT :n, :n + 1 AS more", vec![("int4", Number), ("more", Number)]),
        ("SELECT user_id FROM events UNION SELECT note FROM orders", vec![("user_id", Unknown)]),
        (
            "WITH w AS (SELECT total FROM orders) SELECT (SELECT max(total) FROM w), users
                FROM daily",
            vec![("max", Number), ("users", Number)],
        ),
    ] {
        let expected: Vec<(String, ColumnKind)> =
            expected.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        assert_eq!(given(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_not_known_is_open() {
    for sql in [
        "SELECT * FROM pg_class",
        "SELECT * FROM some_function(1)",
        "SELECT p.* FROM other.products p",
    ] {
        let query = analyse_postgres(sql, &catalog(), &|_| ParameterType::default());
        assert!(
            query
                .unwrap_or_else(|problems| panic!("{sql}: {problems:?}"))
                .columns
                .may_have_others(),
            "{sql}"
        );
    }
    // Whatever it is called, it may be there.
    for sql in [
        "SELECT anything FROM some_function(1)",
        "SELECT f.anything, anything_else FROM some_function(1) f, events",
        "SELECT a.x.y FROM other.a",
    ] {
        let known = analyse_postgres(sql, &catalog(), &|_| ParameterType::default());
        assert_eq!(known.is_ok(), !sql.contains("a.x.y"), "{sql}: {known:?}");
    }
}
