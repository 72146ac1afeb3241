use super::*;
use crate::decode::Decoder;
use duto_definition::parse;
use duto_ground::batch::{Batch, Place};
use duto_ground::index::RecordIndex;

const FILE: &str = "
pipeline: shop
source: { topic: shop, group: shop-group, partitions: 1, format: json }
database: { name: shop_db }
record:
  kind: TEXT
  quantity?: INTEGER
checks:
  quantity is positive: quantity > 0
  a sale has a quantity: >
    kind <> 'sale'
    OR 12 / (quantity - 7) IS NOT NULL
tables:
  events:
    columns:
      kind: TEXT NOT NULL
    repeat: append
    select: SELECT kind FROM record
";

fn decoded(pipeline: &Pipeline, bodies: &[&str]) -> Decoded {
    let mut batch = Batch::default();
    for (offset, body) in (0..).zip(bodies) {
        batch.push(
            Place { partition: 0, offset, leader_epoch: -1, timestamp_ms: -1 },
            None,
            Some(body.as_bytes()),
            None,
        );
    }
    Decoder::new(pipeline).decode(&batch)
}

fn pipeline(text: &str) -> Pipeline {
    parse("shop.yaml", text, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn what_does_not_pass_is_rejected_by_name() {
    let pipeline = pipeline(FILE);
    let checks = Checks::plan(&pipeline).expect("the checks are right");
    assert!(!checks.uses_meta());
    let bodies = [
        r#"{"kind": "sale", "quantity": 2}"#,
        r#"{"kind": "sale", "quantity": 0}"#,
        r#"{"kind": 5}"#,
        r#"{"kind": "view"}"#,
        r#"{"kind": "sale", "quantity": 7}"#,
        r#"{"kind": "view", "quantity": 1}"#,
    ];
    let passed = checks.run(decoded(&pipeline, &bodies));
    assert_eq!(passed.record, [0, 5].map(RecordIndex::new));
    assert_eq!(passed.rows.num_rows(), 2);
    let told: Vec<_> = passed
        .rejects
        .iter()
        .map(|reject| {
            (reject.record.number(), reject.stage, reject.rule.as_str(), reject.reason.as_str())
        })
        .collect();
    assert_eq!(told[0].1, Stage::Decode);
    assert_eq!(
        told[1..],
        [
            (
                1,
                Stage::Check,
                "quantity is positive",
                "quantity is positive is not satisfied: quantity > 0"
            ),
            (
                3,
                Stage::Check,
                "quantity is positive",
                "quantity is positive is not satisfied: quantity > 0"
            ),
            (
                4,
                Stage::Check,
                "a sale has a quantity",
                "a sale has a quantity cannot be evaluated: division by zero"
            ),
        ]
    );
}

#[test]
fn problems_stand_where_the_file_has_them() {
    let text = FILE.replace("(quantity - 7)", "(qantity - 7)").replace("quantity > 0", "quantity");
    let problems = Checks::plan(&pipeline(&text)).expect_err("two problems");
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (&text[problem.span.start..problem.span.end], problem.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("quantity", "this is INTEGER, where a condition (TRUE or FALSE) is needed"),
            ("qantity", "unknown column \"qantity\""),
        ]
    );
    assert_eq!(problems[1].help.as_deref(), Some("did you mean \"quantity\"?"));
}

#[test]
fn a_check_may_read_the_clock() {
    let text = FILE.replace("quantity > 0", "now() < '2000-01-01'");
    let pipeline = pipeline(&text);
    let checks = Checks::plan(&pipeline).expect("the checks are right");
    let one = [r#"{"kind": "view"}"#];
    assert_eq!(checks.run_at(decoded(&pipeline, &one), 0).record, [RecordIndex::new(0)]);
    assert!(checks.run(decoded(&pipeline, &one)).record.is_empty());
}
