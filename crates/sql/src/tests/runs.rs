//! Whole batches: which rows come out of which records, and what a failure costs.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::{CLOCK, printed, records, schema};
use crate::{Select, plan_condition, plan_select};

fn planned(sql: &str) -> Select {
    plan_select(sql, &schema()).unwrap_or_else(|problems| panic!("{sql}: {problems:?}"))
}

const THREE: [&str; 3] = [
    r#"{"id": 1, "qty": 5, "items": [{"qty": 1, "value_unit": "2"}, {"qty": 3, "value_unit": "4"}]}"#,
    r#"{"id": 2, "items": []}"#,
    r#"{"id": 3, "qty": 1, "items": [{"qty": 9, "value_unit": "1"}]}"#,
];

#[test]
fn where_leaves_records_out() {
    let output =
        planned("SELECT id FROM record WHERE qty < 5 OR qty IS NULL").run(&records(&THREE), CLOCK);
    assert_eq!(printed(&output.columns[0]), ["2", "3"]);
    assert_eq!(output.row_record, [1, 2]);
    assert!(output.failed.is_empty());
}

#[test]
fn unnest_makes_a_row_of_every_element() {
    let output = planned(
        "SELECT id, item.qty AS q, qty AS outer_qty
        FROM record, UNNEST(items) AS item WHERE item.qty > 1",
    )
    .run(&records(&THREE), CLOCK);
    assert_eq!(printed(&output.columns[0]), ["1", "3"]);
    assert_eq!(printed(&output.columns[1]), ["3", "9"]);
    assert_eq!(printed(&output.columns[2]), ["5", "1"]);
    assert_eq!(output.row_record, [0, 2]);
}

/// A nested SELECT is an object; NULLs within it stay, and each row has its own.
#[test]
fn a_nested_select_is_an_object() {
    let sql = "SELECT (SELECT id, (SELECT qty AS n, 'x' AS c) AS inner, list_transform(items, i ->
        (SELECT i.qty AS q)) AS lines) AS o FROM record";
    let output = planned(sql).run(&records(&THREE), CLOCK);
    let texts = crate::to_json(&output.columns[0]).expect("a form in JSON");
    let expected = [
        r#"{"id":1,"inner":{"n":5,"c":"x"},"lines":[{"q":1},{"q":3}]}"#,
        r#"{"id":2,"inner":{"n":null,"c":"x"},"lines":[]}"#,
        r#"{"id":3,"inner":{"n":1,"c":"x"},"lines":[{"q":9}]}"#,
    ];
    assert_eq!(printed(&texts), expected);
    let output = planned("SELECT to_json(tags) AS t FROM record");
    assert_eq!(output.output()[0].data_type, DataType::LargeUtf8);
}

#[test]
fn unnest_of_plain_values_and_by_cross_join() {
    let batch = records(&[r#"{"id": 1, "tags": ["x", "y"]}"#, r#"{"id": 2}"#]);
    for join in [", UNNEST(tags) AS tag", " CROSS JOIN UNNEST(tags) AS tag"] {
        let output = planned(&format!("SELECT tag FROM record{join}")).run(&batch, CLOCK);
        assert_eq!(printed(&output.columns[0]), ["x", "y"]);
        assert_eq!(output.row_record, [0, 0]);
    }
}

#[test]
fn a_failing_element_fails_its_record_alone() {
    let output = planned("SELECT id, 12 / (item.qty - 3) AS q FROM record, UNNEST(items) AS item")
        .run(&records(&THREE), CLOCK);
    assert_eq!(printed(&output.columns[0]), ["3"]);
    assert_eq!(output.failed.len(), 1);
    assert_eq!(
        (output.failed[0].row, output.failed[0].column.as_str(), output.failed[0].message.as_str()),
        (0, "q", "division by zero")
    );
}

/// AND guards what stands behind it, for records, for elements in a lambda and for unnested
/// elements.
#[test]
fn and_guards_its_right_side() {
    let batch = records(&[
        r#"{"id": 1, "qty": 0, "items": [{"qty": 0, "value_unit": "1"}, {"qty": 2, "value_unit": "1"}, {"qty": 50, "value_unit": "1"}]}"#,
        r#"{"id": 2, "qty": 4, "items": [{"qty": 3, "value_unit": "1"}]}"#,
        r#"{"id": 3, "qty": 20, "items": []}"#,
    ]);
    let cases = [
        ("SELECT id FROM record WHERE qty <> 0 AND 10 / qty > 1", vec!["2"]),
        (
            "SELECT CASE WHEN qty = 0 THEN false ELSE 10 / qty > 1 END AS v FROM record",
            vec!["false", "true", "false"],
        ),
        (
            "SELECT list_count(items, i -> i.qty <> 0 AND 10 / i.qty > 1) AS v FROM record",
            vec!["1", "1", "0"],
        ),
        (
            "SELECT item.qty AS v FROM record, UNNEST(items) AS item WHERE item.qty <> 0
                AND 10 / item.qty > 1",
            vec!["2", "3"],
        ),
    ];
    for (sql, expected) in cases {
        let output = planned(sql).run(&batch, CLOCK);
        assert_eq!(output.failed, [], "{sql}");
        assert_eq!(printed(&output.columns[0]), expected, "{sql}");
    }
}

#[test]
fn one_overflow_among_ten_thousand() {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..10_000).map(|n| if n == 6_789 { i64::MAX } else { n }),
    ));
    let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![numbers]).expect("a batch");
    let select = plan_select("SELECT n + 1 AS n FROM record", &schema).expect("a plan");
    let output = select.run(&batch, CLOCK);
    assert_eq!(output.columns[0].len(), 9_999);
    assert_eq!(output.failed.len(), 1);
    assert_eq!(output.failed[0].row, 6_789);
    assert_eq!(output.failed[0].message, "9223372036854775807 + 1 is out of range of BIGINT");
    let expected: Vec<u32> = (0..10_000).filter(|row| *row != 6_789).collect();
    assert_eq!(output.row_record, expected);
}

#[test]
fn the_clock_is_not_frozen() {
    let select = planned("SELECT now() AS at, id FROM record");
    let batch = records(&THREE[..1]);
    assert_eq!(printed(&select.run(&batch, 0).columns[0]), ["1970-01-01 00:00:00+00"]);
    assert_eq!(printed(&select.run(&batch, CLOCK).columns[0]), ["2024-05-20 10:00:00+00"]);
}

#[test]
fn an_empty_batch_has_its_types() {
    let select =
        planned("SELECT id, list_sum(items, i -> i.value_unit) AS total FROM record WHERE qty > 1");
    let output = select.run(&records(&[]), CLOCK);
    let types: Vec<_> = output.columns.iter().map(|column| column.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int64, DataType::Decimal128(38, 18)]);
    assert!(output.row_record.is_empty());
}

#[test]
fn output_says_names_types_and_places() {
    let sql = "SELECT id AS Order_Number, \"productId\", 'x' AS kind FROM record";
    let select = planned(sql);
    let told: Vec<_> = select
        .output()
        .iter()
        .map(|column| {
            (column.name.as_str(), &sql[column.start..column.end], column.nullable, column.literal)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("order_number", "Order_Number", false, false),
            ("productId", "\"productId\"", true, false),
            ("kind", "kind", false, true)
        ]
    );
}

#[test]
fn a_condition_passes_only_when_true() {
    let condition = plan_condition("10 / (qty - 1) > 1", &schema()).expect("a plan");
    let output = condition.run(&records(&THREE), CLOCK);
    assert_eq!(output.passed.values().iter().collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(output.failed.len(), 1);
    assert_eq!((output.failed[0].row, output.failed[0].message.as_str()), (2, "division by zero"));
    assert_eq!(
        plan_condition("NULL", &schema())
            .expect("a plan")
            .run(&records(&THREE), CLOCK)
            .passed
            .true_count(),
        0
    );
}

#[test]
fn plans_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&planned("SELECT id FROM record"));
    let select = planned("SELECT list_sum(items, i -> i.qty) AS q FROM record");
    let batch = records(&THREE);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| printed(&select.run(&batch, CLOCK).columns[0])))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), ["4", "0", "9"]);
        }
    });
}

/// The sales SELECT over 10,000 records of three items; the time is told with `--nocapture`.
#[test]
fn ten_thousand_sales_in_a_moment() {
    let lines: Vec<_> = (0..10_000)
        .map(|n| {
            let item = |place: i32| {
                format!(
                    r#"{{"qty": {}, "value_unit": "{}.{:02}"}}"#,
                    1 + (n + place) % 5,
                    10 + n % 490,
                    n % 100
                )
            };
            format!(r#"{{"id": {n}, "items": [{}, {}, {}]}}"#, item(0), item(1), item(2))
        })
        .collect();
    let batch = records(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let select = planned(
        "SELECT id, list_sum(items, i -> i.qty * i.value_unit) AS total_value, now() AS processed_at
            FROM record",
    );
    let best = (0..200).map(|_| {
        let start = Instant::now();
        let output = select.run(&batch, CLOCK);
        assert_eq!(output.columns[1].len(), 10_000);
        start.elapsed()
    });
    println!("10,000 sales: {:?} at best", best.min().unwrap_or_default());
}
