//! Good records are taken by the decoder, bad ones are refused by it, and hints are followed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Generator;
use duto_definition::record::GenerateHint;
use duto_definition::{
    ColumnType, Field, Kind, RecordDefinition, Rules, Source, Span, TextCleaning,
};
use duto_ground::batch::{Batch, Place};
use duto_ground::reject::Reject;
use duto_stages::decode::Decoder;

const MAX_DEPTH: usize = 32;

pub fn field(name: &str, kind: Kind, rules: Rules) -> Field {
    let (name, required) = name.strip_suffix('?').map_or((name, true), |name| (name, false));
    Field { name: name.to_owned(), required, kind, rules, span: Span::default() }
}

fn scalar(name: &str, column_type: ColumnType) -> Field {
    field(name, Kind::Scalar(column_type), Rules::default())
}

fn hinted(name: &str, column_type: ColumnType, hint: GenerateHint) -> Field {
    field(name, Kind::Scalar(column_type), Rules { generate: Some(hint), ..Rules::default() })
}

fn bounded(mut field: Field, minimum: &str, maximum: Option<&str>) -> Field {
    field.rules.minimum = Some(minimum.to_owned());
    field.rules.maximum = maximum.map(str::to_owned);
    field
}

/// The sales record with the hints of its generator.
pub fn sales() -> RecordDefinition {
    let between = |low: &str, high: &str, decimals| GenerateHint::Between {
        low: low.to_owned(),
        high: high.to_owned(),
        decimals,
    };
    let item = vec![
        hinted("item_id?", ColumnType::BigInt, GenerateHint::Index { from: 0 }),
        bounded(hinted("qty", ColumnType::Integer, between("1", "5", 0)), "0", None),
        bounded(
            hinted("value_unit", ColumnType::Numeric(None), between("10", "500", 2)),
            "0",
            None,
        ),
        field(
            "item?",
            Kind::Scalar(ColumnType::Text),
            Rules { generate: Some(GenerateHint::Probability(0.0)), ..Rules::default() },
        ),
    ];
    let length =
        Rules { generate: Some(GenerateHint::Length { low: 1, high: 5 }), ..Rules::default() };
    let items = field(
        "order_items",
        Kind::List(Box::new(field("item", Kind::Object(item), Rules::default()))),
        length,
    );
    RecordDefinition {
        fields: vec![
            hinted("order_number", ColumnType::BigInt, GenerateHint::Sequence { from: 1 }),
            items,
        ],
    }
}

/// Every type and every rule, without hints.
fn everything() -> RecordDefinition {
    use ColumnType as T;
    let lengths =
        |least, most| Rules { min_length: Some(least), max_length: Some(most), ..Rules::default() };
    let allowed = Rules {
        allowed: vec!["page_view".to_owned(), "it's \"quoted\"".to_owned()],
        ..Rules::default()
    };
    let address = Kind::Object(vec![
        scalar("city", T::Text),
        field("zip?", Kind::Scalar(T::Varchar(8)), lengths(8, 9)),
    ]);
    let grid = Kind::List(Box::new(field(
        "item",
        Kind::List(Box::new(scalar("item", T::SmallInt))),
        lengths(0, 2),
    )));
    let fields = vec![
        scalar("boolean", T::Boolean),
        bounded(scalar("small", T::SmallInt), "32000", None),
        bounded(scalar("integer?", T::Integer), "-10", Some("-5")),
        scalar("big", T::BigInt),
        bounded(scalar("real", T::Real), "0.5", Some("0.75")),
        scalar("double", T::DoublePrecision),
        scalar("numeric", T::Numeric(None)),
        bounded(scalar("tiny", T::Numeric(Some((3, 3)))), "0", None),
        scalar("whole", T::Numeric(Some((4, 0)))),
        field("text", Kind::Scalar(T::Text), lengths(30, 40)),
        field("kind", Kind::Scalar(T::Text), allowed),
        scalar("code?", T::Varchar(3)),
        scalar("date", T::Date),
        scalar("timestamp", T::Timestamp),
        scalar("timestamptz?", T::Timestamptz),
        scalar("uuid", T::Uuid),
        scalar("jsonb", T::Jsonb),
        field("bytea", Kind::Scalar(T::Bytea), lengths(4, 9)),
        field("address?", address, Rules::default()),
        field("grid?", grid, lengths(0, 1)),
    ];
    RecordDefinition { fields }
}

pub fn generator(record: &RecordDefinition, seed: u64) -> Generator {
    let key = record.fields.first().map(|field| field.name.clone());
    Generator::of_record(record, TextCleaning::default(), key, MAX_DEPTH, Some(seed)).unwrap()
}

fn rejects(record: &RecordDefinition, bodies: &[Vec<u8>]) -> Vec<Reject> {
    let mut batch = Batch::default();
    for (offset, body) in (0..).zip(bodies) {
        batch.push(
            Place { partition: 0, offset, leader_epoch: 0, timestamp_ms: 0 },
            None,
            Some(body),
            None,
        );
    }
    let source = Source { max_record_bytes: 1 << 20, max_depth: MAX_DEPTH, ..Source::default() };
    Decoder::of_record(record, TextCleaning::default(), &source).decode(&batch).rejects
}

#[test]
fn a_good_record_is_taken() {
    for record in [sales(), everything(), RecordDefinition::default()] {
        let mut generator = generator(&record, 1);
        let bodies: Vec<Vec<u8>> = (0..500).map(|_| generator.next_payload()).collect();
        assert_eq!(rejects(&record, &bodies), []);
    }
}

#[test]
fn each_kind_of_bad_record_is_refused() {
    for (record, least_kinds) in
        [(sales(), 25), (everything(), 35), (RecordDefinition::default(), 14)]
    {
        let mut generator = generator(&record, 2);
        let mut kinds = BTreeSet::new();
        for damage in generator.damages.clone() {
            kinds.insert(damage.name);
            for _ in 0..20 {
                let body = generator.damaged(&damage);
                let rejects = rejects(&record, std::slice::from_ref(&body));
                assert_eq!(
                    rejects.len(),
                    1,
                    "{} in {:?}: {}",
                    damage.name,
                    damage.in_field,
                    String::from_utf8_lossy(&body)
                );
            }
        }
        assert!(kinds.len() >= least_kinds, "{}: {kinds:?}", kinds.len());
    }
}

#[test]
fn a_bad_field_is_refused_for_what_it_is() {
    let mut generator = generator(&sales(), 3);
    for damage in generator.damages.clone() {
        let body = generator.damaged(&damage);
        let reject = rejects(&sales(), &[body]).remove(0);
        let rules: &[&str] = match damage.name {
            "a key is missing" => &["missing"],
            "a key is null" => &["null"],
            "a key is given twice" => &["duplicate_key"],
            "below the minimum" => &["minimum"],
            "too many decimals" => &["scale"],
            "1e400" | "beyond the integer's range" => &["range"],
            "a NUL in a text" => &["nul"],
            "a lone surrogate" => &["surrogate"],
            "not UTF-8" => &["utf8"],
            "nested too deep" => &["depth"],
            "empty" => &["empty"],
            "a boolean as a number"
            | "a text as a number"
            | "a fraction as an integer"
            | "a list at the top" => &["type"],
            "a number as a text"
            | "an object as a text"
            | "an object instead of a list"
            | "a text instead of an object" => &["type"],
            _ => &["json"],
        };
        assert!(rules.contains(&reject.rule.as_str()), "{}: {}", damage.name, reject.reason);
    }
}

#[test]
fn hints_are_followed() {
    let mut generator = generator(&sales(), 4);
    for number in 1..=200 {
        let body = generator.next_payload();
        let order: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(order["order_number"], json!(number));
        assert_eq!(generator.key(&body), Some(number.to_string().into_bytes()));
        let items = order["order_items"].as_array().unwrap();
        assert!((1..=5).contains(&items.len()));
        for (index, item) in items.iter().enumerate() {
            assert_eq!(item["item_id"], json!(index));
            assert!(item.get("item").is_none());
            let value_unit = item["value_unit"].to_string();
            let (_, cents) = value_unit.split_once('.').unwrap();
            assert_eq!(cents.len(), 2, "{value_unit}");
            assert!((10.0..=500.0).contains(&value_unit.parse::<f64>().unwrap()));
            assert!((1..=5).contains(&item["qty"].as_i64().unwrap()));
        }
    }
}

#[test]
fn a_value_may_be_a_text_and_a_choice() {
    let users = GenerateHint::OneOf(vec![json!("USER001"), json!("USER\n002")]);
    let fields = vec![
        hinted("user_id", ColumnType::Text, users),
        hinted("page", ColumnType::Text, GenerateHint::Sequence { from: 7 }),
    ];
    let mut generator = generator(&RecordDefinition { fields }, 5);
    let mut seen = BTreeSet::new();
    for page in 7..107 {
        let body = generator.next_payload();
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["page"], json!(page.to_string()));
        seen.insert(String::from_utf8(generator.key(&body).unwrap()).unwrap());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["USER\n002", "USER001"]);
}

/// Packages as they travel: each begins, goes on step by step in time, and comes to an end.
#[test]
fn packages_live_through_their_steps() {
    let steps =
        [("SENT", vec!["ON THE ROAD"]), ("ON THE ROAD", vec!["ON THE ROAD", "DELIVERED", "LOST"])];
    let steps = steps
        .into_iter()
        .map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()))
        .collect();
    let id = || "id".to_owned();
    let fields = vec![
        hinted("id", ColumnType::Integer, GenerateHint::Alive { from: 100, count: 5 }),
        hinted(
            "city",
            ColumnType::Text,
            GenerateHint::KeptOneOf { field: id(), values: vec![json!("Natal"), json!("Acre")] },
        ),
        hinted("status", ColumnType::Text, GenerateHint::Steps { field: id(), steps }),
        hinted(
            "at",
            ColumnType::Timestamptz,
            GenerateHint::Later {
                field: id(),
                least_seconds: 3_600,
                most_seconds: 7_200,
                ago_seconds: 864_000,
            },
        ),
    ];
    let record = RecordDefinition { fields };
    let mut generator = generator(&record, 8);
    let mut packages: std::collections::BTreeMap<i64, Vec<(String, String, String)>> =
        std::collections::BTreeMap::new();
    for _ in 0..500 {
        let body: Value = serde_json::from_slice(&generator.next_payload()).unwrap();
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        packages.entry(body["id"].as_i64().unwrap()).or_default().push((
            text("status"),
            text("city"),
            text("at"),
        ));
    }
    assert!(packages.len() > 50, "{}", packages.len());
    assert_eq!(
        packages.keys().copied().collect::<Vec<_>>(),
        (100..100 + packages.len() as i64).collect::<Vec<_>>()
    );
    let is_end = |status: &str| ["DELIVERED", "LOST"].contains(&status);
    let mut open = 0;
    for (id, events) in &packages {
        assert_eq!(events[0].0, "SENT", "{id}");
        assert!(events.iter().all(|event| event.1 == events[0].1), "{id}: {events:?}");
        assert!(events.windows(2).all(|pair| pair[0].2 < pair[1].2), "{id}: {events:?}");
        assert!(events.iter().rev().skip(1).all(|event| !is_end(&event.0)), "{id}: {events:?}");
        open += usize::from(!is_end(&events[events.len() - 1].0));
    }
    assert!(open <= 5, "{open}");
    let bodies: Vec<Vec<u8>> = (0..200).map(|_| generator.next_payload()).collect();
    assert_eq!(rejects(&record, &bodies), []);
}

#[test]
fn a_seed_decides_the_records() {
    let mut record = everything();
    record.fields.retain(|field| !field.name.contains("time") && field.name != "date");
    let bodies =
        |seed| {
            let mut generator = generator(&record, seed);
            (0..50)
                .map(|n| {
                    if n % 5 == 0 {
                        generator.next_bad_payload().0
                    } else {
                        generator.next_payload()
                    }
                })
                .collect::<Vec<_>>()
        };
    assert_eq!(bodies(6), bodies(6));
    assert_ne!(bodies(6), bodies(7));
}

#[test]
fn every_hint_that_cannot_be_followed_is_named() {
    let between = |low: &str, high: &str| GenerateHint::Between {
        low: low.to_owned(),
        high: high.to_owned(),
        decimals: 0,
    };
    let fields = vec![
        hinted("word", ColumnType::Integer, between("one", "5")),
        hinted("turned", ColumnType::Integer, between("5", "1")),
        hinted("nothing", ColumnType::Text, GenerateHint::OneOf(Vec::new())),
        bounded(scalar("narrow", ColumnType::Integer), "0.1", Some("0.9")),
        scalar("fine", ColumnType::Integer),
    ];
    let problems = Generator::of_record(
        &RecordDefinition { fields },
        TextCleaning::default(),
        None,
        MAX_DEPTH,
        None,
    )
    .unwrap_err();
    let found: Vec<_> =
        problems.iter().map(|problem| (problem.code, problem.message.as_str())).collect();
    assert_eq!(
        found,
        [
            ("generate.between.number", "`one` is not a number"),
            ("generate.range.empty", "no value of `turned` lies between its least and its most"),
            ("generate.one_of.empty", "`nothing` has no value to choose from"),
            ("generate.range.empty", "no value of `narrow` lies between its least and its most"),
        ]
    );
}
