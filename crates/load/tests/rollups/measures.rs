//! Every measure over every type of column: what `duto check` accepts can be made in PostgreSQL,
//! and counts the same live, filled and recomputed; what it refuses comes with advice.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use duto_definition::{ColumnType, Pipeline, Problem, parse};
use duto_ground::index::{RecordIndex, RowIndex};
use duto_load::rollups::{FILLED_SETS_SHARD, RollupTarget, RollupTargets};
use duto_servers::shared::TestDatabase;
use duto_sql::cast;
use duto_stages::Stages;
use duto_stages::transform::TableRows;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{connect, wait_for};

/// Every type that a record and a table can have, with values of it.
const TYPES: &[(&str, &[&str])] = &[
    ("BOOLEAN", &["true", "false", "true"]),
    ("SMALLINT", &["-32768", "32767", "7", "7"]),
    ("INTEGER", &["-2147483648", "2147483647", "0"]),
    ("BIGINT", &["-9223372036854775808", "9223372036854775807", "9223372036854775807"]),
    ("REAL", &["1.5", "-0.1", "3e38"]),
    ("DOUBLE PRECISION", &["1.5", "-0.1", "1e300"]),
    ("NUMERIC", &["1", "0.000000000000000001", "-99999999999999999999.5"]),
    ("NUMERIC(10,2)", &["1.00", "99999999.99", "-0.05"]),
    ("TEXT", &["a", "B", "ü", ""]),
    ("VARCHAR(10)", &["a", "B", "ü", "a"]),
    ("UUID", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"]),
    ("DATE", &["0001-01-01", "9999-12-31", "2024-02-29"]),
    ("TIME", &["00:00:00", "24:00:00", "08:30:00.5"]),
    ("TIMESTAMP", &["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2024-02-29 12:00:00"]),
    (
        "TIMESTAMPTZ",
        &["0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "2024-02-29 12:00:00+00"],
    ),
    ("JSONB", &["{\"a\": 1}", "[]"]),
    ("BYTEA", &["\\x00ff"]),
];

/// Rollups over the column x, each by nothing or by x.
const ROLLUPS: &[(&str, &str)] = &[
    ("[]", "sum(x)"),
    ("[]", "min(x)"),
    ("[]", "max(x)"),
    ("[]", "count(distinct x)"),
    ("[]", "last(x ORDER BY id)"),
    ("[]", "last(id ORDER BY x)"),
    ("[]", "count(*) FILTER (WHERE x IS NULL)"),
    ("[]", "sum(id) FILTER (WHERE x)"),
    ("[x]", "count(*)"),
    ("[x]", "count(distinct id)"),
    ("{ k: x }", "last(id ORDER BY id)"),
    ("[]", "sum(CAST(x AS INTEGER))"),
    ("[]", "min(CAST(x AS INTEGER))"),
    ("[]", "sum(CAST(x AS NUMERIC(20,6)))"),
    ("{ k: \"CAST(x AS NUMERIC(20,6))\" }", "count(distinct CAST(x AS NUMERIC(20,6)))"),
    ("{ k: \"date_trunc('decade', x)\" }", "count(*)"),
    ("{ k: \"(x AT TIME ZONE 'America/Sao_Paulo')::date\" }", "count(*)"),
    ("[]", "sum(x * 0.25)"),
    ("[]", "sum(x * x)"),
    ("[]", "avg(x)"),
    ("[]", "avg(x * 0.25)"),
    ("[]", "avg(CAST(x AS NUMERIC(20,6))) FILTER (WHERE id <> 2)"),
    ("{ k: \"id % 2\" }", "avg(x)"),
];
/// What must be among the accepted: type, and the place of its rollup.
const OWED: &[(&str, &str)] = &[
    ("INTEGER", "sum(x)"),
    ("NUMERIC", "sum(x * 0.25)"),
    ("NUMERIC(10,2)", "sum(x * x)"),
    ("SMALLINT", "avg(x)"),
    ("BIGINT", "avg(x)"),
    ("NUMERIC", "avg(x * 0.25)"),
    ("REAL", "avg(CAST(x AS NUMERIC(20,6))) FILTER (WHERE id <> 2)"),
    ("UUID", "count(distinct x)"),
    ("TIME", "min(x)"),
    ("TIME", "last(id ORDER BY x)"),
    ("TIMESTAMPTZ", "max(x)"),
    ("REAL", "min(x)"),
    ("TEXT", "last(x ORDER BY id)"),
    ("BOOLEAN", "min(CAST(x AS INTEGER))"),
];

fn text(sql_type: &str, rollups: &[(&str, &str)]) -> String {
    let mut text = format!(
        "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {{ id: \
            BIGINT, \"x?\": \"{sql_type}\" }}\ntables:\n  t:\n    \
         columns: {{ id: BIGINT PRIMARY KEY, x: \"{sql_type}\" }}\n    repeat: ignore\n    select: \
            SELECT id, x FROM record\nrollups:\n"
    );
    for (place, (by, measure)) in rollups.iter().enumerate() {
        text.push_str(&format!(
            "  r{place}: {{ from: t, by: {by}, measures: {{ m: \"{measure}\" }} }}\n"
        ));
    }
    text
}

fn planned(sql_type: &str, rollups: &[(&str, &str)]) -> Result<(Pipeline, Stages), Vec<Problem>> {
    let pipeline = parse("p.yaml", &text(sql_type, rollups), &|_| None)?;
    let stages = Stages::plan(&pipeline)?;
    Ok((pipeline, stages))
}

/// The rows of the table: each value twice, and NULL.
fn values(values: &[&'static str]) -> Vec<Option<&'static str>> {
    values.iter().chain(values).map(|value| Some(*value)).chain([None]).collect()
}

/// The rows as the worker has them: an id and the value.
fn rows_of(pipeline: &Pipeline, values: &[Option<&str>]) -> TableRows {
    let ids: ArrayRef = Arc::new((1..=values.len() as i64).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(values.iter().copied().collect::<StringArray>());
    let data_type = pipeline.tables[0].columns[1].column_type.arrow();
    let column = match data_type {
        // Nothing is counted of bytes but whether they are there.
        DataType::Binary => arrow::compute::cast(&texts, &data_type).expect("bytes"),
        _ => cast(&texts, &data_type).expect("values"),
    };
    TableRows { columns: vec![ids, column], record: RecordIndex::first(values.len()).collect() }
}

/// Counts the rows that are no rejects as the worker does, in two batches; answers which rows were
/// stored.
async fn count_live(
    client: &Client,
    pipeline: &Pipeline,
    stages: &Stages,
    target: &RollupTarget,
    values: &[Option<&str>],
) -> Vec<RowIndex> {
    let (evaluated, rejects) = stages.rollups().evaluate(&[rows_of(pipeline, values)], 0);
    let is_good =
        |row: &RowIndex| rejects.iter().all(|reject| reject.record.place() != row.place());
    let stored: Vec<RowIndex> = RowIndex::first(values.len()).filter(is_good).collect();
    let (first, second) = stored.split_at(stored.len() / 2);
    for (shard, rows) in [(0, first), (1, second)] {
        let plan = &stages.rollups().plans[0];
        let Some(delta) = plan.delta(&evaluated[0], rows).expect("types that can be counted")
        else {
            continue;
        };
        add(client, &target.upsert, shard, &delta.counters).await;
        for (set, values) in target.sets.iter().zip(&delta.sets) {
            add(client, &set.insert, shard, values).await;
        }
    }
    stored
}

async fn insert_base(
    client: &Client,
    sql_type: &str,
    values: &[Option<&str>],
    stored: &[RowIndex],
) {
    let ids: Vec<i64> = stored.iter().map(|row| i64::from(row.number()) + 1).collect();
    let texts: Vec<Option<&str>> = stored.iter().map(|row| values[row.place()]).collect();
    let insert = format!(
        "INSERT INTO t SELECT id, value::{sql_type}
            FROM unnest($1::bigint[], $2::text[]) AS u (id, value)"
    );
    client.execute(&insert, &[&ids, &texts]).await.expect("rows");
}

async fn add(client: &Client, statement: &str, shard: i32, columns: &[Vec<Option<String>>]) {
    let values: Vec<&(dyn ToSql + Sync)> = std::iter::once(&shard as &(dyn ToSql + Sync))
        .chain(columns.iter().map(|column| column as &(dyn ToSql + Sync)))
        .collect();
    client
        .execute(statement, &values)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {:?}", error.as_db_error()));
}

async fn fill(client: &Client, target: &RollupTarget) {
    client
        .batch_execute(&format!("TRUNCATE {}", target.tables.join(", ")))
        .await
        .expect("empty counters");
    for set in &target.sets {
        let rows = client
            .query(&set.select, &[])
            .await
            .unwrap_or_else(|error| panic!("{}: {:?}", set.select, error.as_db_error()));
        let Some(first) = rows.first() else { continue };
        let columns: Vec<Vec<Option<String>>> = (0..first.len())
            .map(|column| rows.iter().map(|row| row.get(column)).collect())
            .collect();
        add(client, &set.insert, FILLED_SETS_SHARD, &columns).await;
    }
    client
        .batch_execute(&target.fill)
        .await
        .unwrap_or_else(|error| panic!("{}: {:?}", target.fill, error.as_db_error()));
}

/// What the view has and the table does not say, or the other way round.
async fn differences(client: &Client, target: &RollupTarget) -> Vec<String> {
    let (view, recompute) = (format!("SELECT * FROM {}", target.name), &target.recompute);
    let statement = format!(
        "SELECT 'rollup ' || row_to_json(r)::text FROM ({view} EXCEPT ALL {recompute}) r
         UNION ALL SELECT 'base ' || row_to_json(b)::text FROM ({recompute} EXCEPT ALL {view}) b"
    );
    let rows = client
        .query(&statement, &[])
        .await
        .unwrap_or_else(|error| panic!("{statement}: {:?}", error.as_db_error()));
    rows.iter().map(|row| row.get(0)).collect()
}

/// Means of one group that are not PostgreSQL's own to 15 digits, which has other places behind
/// them.
async fn wrong_means(
    client: &Client,
    target: &RollupTarget,
    (by, measure): (&str, &str),
) -> Vec<String> {
    if by != "[]" || !measure.starts_with("avg") {
        return Vec::new();
    }
    let statement = format!(
        "SELECT r.m || ' is not ' || t.m FROM {} r, (SELECT {measure} AS m FROM t) t
         WHERE (r.m IS NULL) <> (t.m IS NULL)
         OR abs(r.m - t.m) > 1e-15 * greatest(abs(t.m), 1e-10)",
        target.name
    );
    let rows = client
        .query(&statement, &[])
        .await
        .unwrap_or_else(|error| panic!("{statement}: {:?}", error.as_db_error()));
    rows.iter().map(|row| row.get(0)).collect()
}

/// One rollup over one type: live, then filled. Rows for which an expression fails are rejects, so
/// they are not in the table either.
async fn exercise(
    client: &Client,
    sql_type: &str,
    rollup: (&str, &str),
    pipeline: &Pipeline,
    stages: &Stages,
    given: &[&'static str],
) {
    let targets = RollupTargets::new(stages.rollups());
    let target = &targets.rollups[0];
    let made = client.batch_execute(&format!("{}{}", target.create, target.view)).await;
    made.unwrap_or_else(|error| panic!("{sql_type}: {}: {:?}", target.create, error.as_db_error()));
    let values = values(given);
    let stored = count_live(client, pipeline, stages, target, &values).await;
    insert_base(client, sql_type, &values, &stored).await;
    assert_eq!(
        differences(client, target).await,
        Vec::<String>::new(),
        "{sql_type} {rollup:?}, live"
    );
    assert_eq!(
        wrong_means(client, target, rollup).await,
        Vec::<String>::new(),
        "{sql_type} {rollup:?}"
    );
    fill(client, target).await;
    assert_eq!(
        differences(client, target).await,
        Vec::<String>::new(),
        "{sql_type} {rollup:?}, filled"
    );
    let gone =
        format!("DROP VIEW {}; DROP TABLE {}; TRUNCATE t", target.name, target.tables.join(", "));
    client.batch_execute(&gone).await.expect("nothing is left");
}

#[test]
fn no_type_is_left_out() {
    for column_type in ColumnType::ALL.into_iter().filter(|column_type| !column_type.is_serial()) {
        let name = column_type.postgres().name;
        assert!(
            TYPES.iter().any(|(known, _)| known.split('(').next() == Some(name)),
            "{name} is not among the types"
        );
    }
}

#[test]
fn what_is_accepted_counts_alike_live_filled_and_recomputed() {
    wait_for(async {
        for (number, (sql_type, given)) in TYPES.iter().enumerate() {
            let database =
                TestDatabase::create(&format!("rollup_measures_{number}")).expect("a database");
            let client = connect(&database.url()).await;
            client
                .batch_execute(&format!(
                    "CREATE SCHEMA duto; CREATE TABLE t (id bigint PRIMARY KEY, x {sql_type})"
                ))
                .await
                .expect("a table");
            let mut accepted: Vec<&str> = Vec::new();
            for rollup in ROLLUPS {
                match planned(sql_type, &[*rollup]) {
                    Ok((pipeline, stages)) => {
                        accepted.push(rollup.1);
                        exercise(&client, sql_type, *rollup, &pipeline, &stages, given).await;
                    }
                    // What the type itself does not have needs no other way.
                    Err(problems) => assert!(
                        problems.iter().all(|problem| problem.help.is_some()
                            || problem.code.starts_with("sql.type")
                            || problem.code.starts_with("sql.function")),
                        "{sql_type} {rollup:?}: no advice: {problems:?}"
                    ),
                }
            }
            for (owed, measure) in OWED.iter().filter(|(owed, _)| owed == sql_type) {
                assert!(accepted.contains(measure), "{owed} has no {measure}");
            }
        }
    });
}

/// Of BOOLEAN, and of types that PostgreSQL cannot order.
#[test]
fn what_postgresql_does_not_have_is_refused() {
    for (sql_type, rollup) in [
        ("BOOLEAN", ("[]", "min(x)")),
        ("BOOLEAN", ("[]", "max(x)")),
        ("BOOLEAN", ("[]", "last(id ORDER BY x)")),
        ("BOOLEAN", ("[]", "sum(x)")),
        ("JSONB", ("[]", "min(x)")),
        ("JSONB", ("[]", "count(distinct x)")),
        ("JSONB", ("[x]", "count(*)")),
        ("BYTEA", ("[]", "max(x)")),
        ("REAL", ("[]", "sum(x)")),
        ("REAL", ("[]", "avg(x)")),
        ("BOOLEAN", ("[]", "avg(x)")),
        ("TIMESTAMP", ("[]", "avg(x)")),
        ("DOUBLE PRECISION", ("[x]", "count(*)")),
        ("NUMERIC", ("[]", "sum(x / 4)")),
    ] {
        let problems =
            planned(sql_type, &[rollup]).map(|_| ()).expect_err(&format!("{sql_type} {rollup:?}"));
        assert!(problems.iter().all(|problem| problem.help.is_some()), "{problems:?}");
    }
}
