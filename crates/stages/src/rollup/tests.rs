use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, StringArray, TimestampMicrosecondArray};

use super::Rollups;
use crate::transform::TableRows;
use duto_definition::{Pipeline, parse};
use duto_ground::index::{RecordIndex, RowIndex};

const HOUR: i64 = 3_600_000_000;

fn pipeline(rollup: &str) -> Pipeline {
    let text = format!(
        "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {{ id: TEXT \
            }}\ntables:\n  events:\n    columns: {{ at: TIMESTAMP NOT NULL, \
         who: TEXT, amount: \"NUMERIC(10,2)\" }}\n    repeat: append\n    select: SELECT NULL AS \
            at FROM record\nrollups:\n  r: {rollup}\n"
    );
    parse("p.yaml", &text, &|_| None).expect("a good file")
}

/// Three rows of one day and one of the next.
fn rows() -> Vec<TableRows> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(vec![HOUR, 2 * HOUR, 2 * HOUR, 25 * HOUR])),
        Arc::new(StringArray::from(vec![Some("ana"), Some("bo"), Some("ana"), None])),
        Arc::new(
            Decimal128Array::from(vec![Some(1050), None, Some(-50), Some(7)])
                .with_precision_and_scale(10, 2)
                .unwrap(),
        ),
    ];
    vec![TableRows { columns, record: RecordIndex::first(4).collect() }]
}

fn told(columns: &super::Columns) -> Vec<String> {
    columns
        .iter()
        .map(|column| {
            column
                .iter()
                .map(|text| text.as_deref().unwrap_or("NULL"))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

fn delta(rollup: &str, stored: &[u32]) -> super::Delta {
    let planned = Rollups::plan(&pipeline(rollup), &[vec![0, 1, 2]]).expect("it can be planned");
    let (evaluated, rejects) = planned.evaluate(&rows(), 0);
    assert!(rejects.is_empty());
    planned.plans[0]
        .delta(&evaluated[0], &stored.iter().copied().map(RowIndex::new).collect::<Vec<_>>())
        .expect("types that can be counted")
        .expect("rows were stored")
}

#[test]
fn stored_rows_are_grouped_and_counted() {
    let rollup = "{ from: events, by: { date: \"at::date\" }, measures: { n: count(*), total: \
        sum(amount), \
                  paid: count(*) FILTER (WHERE amount > 0), least: min(amount), who: last(who \
        ORDER BY at), mean: avg(amount) } }";
    let all = delta(rollup, &[0, 1, 2, 3]);
    assert_eq!(
        told(&all.counters),
        [
            "1970-01-01|1970-01-02",
            "3|1",
            "3|1",
            "10.00|0.07",
            "1|1",
            "-0.50|0.07",
            "bo|NULL",
            "1970-01-01 02:00:00|1970-01-02 01:00:00",
            "10.00|0.07",
            "2|1"
        ]
    );
    let some = delta(rollup, &[1]);
    assert_eq!(
        told(&some.counters),
        ["1970-01-01", "1", "1", "NULL", "0", "NULL", "bo", "1970-01-01 02:00:00", "NULL", "0"]
    );
}

#[test]
fn distinct_values_come_once_a_group_and_without_null() {
    let delta = delta(
        "{ from: events, by: { date: \"at::date\" }, measures: { people: count(distinct who) } }",
        &[0, 1, 2, 3],
    );
    assert_eq!(told(&delta.sets[0]), ["1970-01-01|1970-01-01", "ana|bo"]);
}

#[test]
fn no_column_is_one_group() {
    let delta = delta(
        "{ from: events, by: [], measures: { n: count(*), people: count(distinct who) } }",
        &[0, 2, 3],
    );
    assert_eq!(told(&delta.counters), ["3", "3"]);
    assert_eq!(told(&delta.sets[0]), ["ana"]);
}

#[test]
fn a_row_for_which_an_expression_fails_is_a_reject() {
    let planned = Rollups::plan(
        &pipeline("{ from: events, by: [], measures: { s: sum(1 % (amount - 10.50)) } }"),
        &[vec![0, 1, 2]],
    );
    let (_, rejects) = planned.expect("it can be planned").evaluate(&rows(), 0);
    assert_eq!(rejects.iter().map(|reject| reject.record.number()).collect::<Vec<_>>(), [0]);
    assert!(rejects[0].reason.starts_with("s of the rollup r: "), "{}", rejects[0].reason);
}

#[test]
fn buckets_of_each_grain_come_behind_the_whole_history() {
    let rollup = "{ from: events, over: at, grains: { hour: 2d, day: forever }, by: [who], \
        measures: { n: count(*), total: sum(amount) } }";
    let delta = delta(rollup, &[0, 2, 3]);
    assert_eq!(
        told(&delta.counters),
        [
            "0|0|3600|3600|3600|86400|86400",
            "-infinity|-infinity|1970-01-01 01:00:00|1970-01-01 02:00:00|1970-01-02 \
                01:00:00|1970-01-01 00:00:00|1970-01-02 00:00:00",
            "ana|NULL|ana|ana|NULL|ana|NULL",
            "2|1|1|1|1|2|1",
            "2|1|1|1|1|2|1",
            "10.00|0.07|10.50|-0.50|0.07|10.00|0.07",
        ]
    );
}

#[test]
fn a_time_before_1970_is_in_the_bucket_that_began_before_it() {
    let over: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![Some(-1), None, Some(-60_000_000)])
            .with_timezone("UTC"),
    );
    let starts = super::bucket::starts(&over, duto_definition::GrainUnit::Minute);
    assert_eq!(
        super::group::texts(&starts, &[0, 1, 2].map(|row| Some(RowIndex::new(row)))).unwrap(),
        [Some("1969-12-31 23:59:00".to_owned()), None, Some("1969-12-31 23:59:00".to_owned())]
    );
}
