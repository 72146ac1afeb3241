//! The decoder against a slow reference built on serde_json: for random documents of the record's
//! shape, whole and with bytes changed, both take the same ones and find the same values in them.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use duto_definition::{
    ColumnType, Field, Kind, RecordDefinition, Rules, Source, Span, TextCleaning,
};
use duto_ground::batch::{Batch, Place};
use duto_stages::decode::Decoder;
use proptest::prelude::*;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

const MAX_DEPTH: usize = 60;

#[derive(Debug, PartialEq)]
struct Order {
    number: i64,
    items: Vec<Item>,
    paid: Option<bool>,
}

#[derive(Debug, PartialEq)]
struct Item {
    qty: i32,
    value_unit: i128,
    item: Option<String>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn decoder_and_reference_agree_on_documents(document in document()) {
        agree(document.as_bytes());
    }

    #[test]
    fn decoder_and_reference_agree_on_damaged_documents(document in document(), changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = document.into_bytes();
        for (place, change, byte) in changes {
            let place = place.index(bytes.len() + 1);
            match change {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => drop(bytes.remove(place)),
                2 => bytes.truncate(place),
                _ => bytes.get_mut(place).into_iter().for_each(|there| *there = byte),
            }
        }
        agree(&bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes);
    }

    #[test]
    fn a_batch_is_the_sum_of_its_records(documents in prop::collection::vec(document(), 0..12)) {
        let alone: Vec<Option<Order>> = documents.iter().map(|document| decode(&[document.as_bytes()]).pop().flatten()).collect();
        let together: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
        prop_assert_eq!(decode(&together), alone);
    }
}

fn agree(bytes: &[u8]) {
    let expected = reference(bytes);
    let found = decode(&[bytes]).pop().flatten();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(bytes));
    let problems = decoder().problems(bytes);
    assert_eq!(
        problems.is_empty(),
        expected.is_some(),
        "{problems:?} in {}",
        String::from_utf8_lossy(bytes)
    );
    let reject = decoder().decode(&batch(&[bytes])).rejects.pop();
    assert_eq!(problems.first(), reject.as_ref());
}

// Documents that are nearly what was declared.

fn document() -> impl Strategy<Value = String> {
    let entries = prop_oneof![
        30 => Just(r#""order_number""#).prop_flat_map(|key| number().prop_map(move |value| format!("{key}:{value}"))),
        30 => prop::collection::vec(item(), 0..4).prop_map(|items| format!(r#" "order_items" : [ {} ]"#, items.join(" , "))),
        4 => literal().prop_map(|value| format!(r#""paid":{value}"#)),
        4 => anything().prop_map(|value| format!(r#""order_items":{value}"#)),
        2 => text().prop_flat_map(|key| anything().prop_map(move |value| format!("{key}:{value}"))),
    ];
    let good = (1..99_i64, prop::collection::vec(item(), 0..4), text(), anything()).prop_map(
        |(number, items, key, other)| {
            vec![
                format!(r#""order_number":{number}"#),
                format!("{key}:{other}"),
                format!(r#""order_items":[{}]"#, items.join(",")),
            ]
        },
    );
    prop_oneof![2 => prop::collection::vec(entries, 0..4), 3 => good]
        .prop_map(|entries| format!("{{{}}}", entries.join(",")))
}

fn item() -> impl Strategy<Value = String> {
    let good = (0..9, 0..99_u32, 0..99_u32).prop_map(|(qty, whole, cents)| {
        format!(r#"{{"qty":{qty},"value_unit":{whole}.{cents:02}}}"#)
    });
    let odd =
        (number(), number(), prop_oneof![text(), literal()]).prop_map(|(qty, value, item)| {
            format!(r#"{{"item":{item},"qty":{qty},"value_unit":{value}}}"#)
        });
    prop_oneof![8 => good, 2 => odd, 1 => anything()]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..1000_u32).prop_map(|n| n.to_string()),
        1 => "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
        1 => "(0|[1-9][0-9]{0,3}|100)(\\.[0-9]0{0,19})?([eE][+-]?[0-9])?",
        1 => any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"[a-zé😀 ]{0,12}\"",
        r#""([a-z]|\\u00[0-9a-f]{2}|\\n|\\\\|\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}|\\"){0,6}""#,
        r#""([a-z]|\\u[0-9a-d][0-9a-f]{3}){0,3}""#,
    ]
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![Just("true"), Just("false"), Just("null"), Just("nul"), Just("True")]
        .prop_map(str::to_owned)
}

fn anything() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        text(),
        prop_oneof![Just("true"), Just("null")].prop_map(str::to_owned)
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4)
            .prop_map(|values| format!("[{}]", values.join(",")));
        let object = prop::collection::vec((text(), inner), 0..4).prop_map(|entries| {
            let entries: Vec<String> =
                entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            format!("{{{}}}", entries.join(", "))
        });
        prop_oneof![list, object]
    })
}

fn change() -> impl Strategy<Value = (prop::sample::Index, u8, u8)> {
    let byte = prop_oneof![4 => prop::sample::select(b"{}[]\",:\\0123456789.eE+-u \
        tn\0\n".to_vec()), 1 => any::<u8>()];
    (any::<prop::sample::Index>(), 0..4_u8, byte)
}

// The decoder.

fn decoder() -> Decoder {
    let field = |name: &str, required, kind, rules| Field {
        name: name.to_owned(),
        required,
        kind,
        rules,
        span: Span::default(),
    };
    let not_negative = || Rules { minimum: Some("0".to_owned()), ..Rules::default() };
    let short = Rules { max_length: Some(8), ..Rules::default() };
    let item = vec![
        field("qty", true, Kind::Scalar(ColumnType::Integer), not_negative()),
        field("value_unit", true, Kind::Scalar(ColumnType::Numeric(None)), not_negative()),
        field("item", false, Kind::Scalar(ColumnType::Text), short),
    ];
    let items = Kind::List(Box::new(field("item", true, Kind::Object(item), Rules::default())));
    let fields = vec![
        field("order_number", true, Kind::Scalar(ColumnType::BigInt), Rules::default()),
        field("order_items", true, items, Rules::default()),
        field("paid", false, Kind::Scalar(ColumnType::Boolean), Rules::default()),
    ];
    let source = Source { max_record_bytes: 1 << 20, max_depth: MAX_DEPTH, ..Source::default() };
    Decoder::of_record(&RecordDefinition { fields }, TextCleaning::default(), &source)
}

fn batch(bodies: &[&[u8]]) -> Batch {
    let mut batch = Batch::default();
    for (offset, body) in (0..).zip(bodies) {
        batch.push(
            Place { partition: 0, offset, leader_epoch: 0, timestamp_ms: 0 },
            None,
            Some(body),
            None,
        );
    }
    batch
}

/// For each body the order that was decoded; None where it was refused.
fn decode(bodies: &[&[u8]]) -> Vec<Option<Order>> {
    let decoded = decoder().decode(&batch(bodies));
    assert_eq!(decoded.rows.num_rows() + decoded.rejects.len(), bodies.len());
    let mut orders: Vec<Option<Order>> = bodies.iter().map(|_| None).collect();
    for (row, &record) in decoded.record.iter().enumerate() {
        orders[record.place()] = Some(order(&decoded.rows, row));
    }
    orders
}

fn order(rows: &RecordBatch, row: usize) -> Order {
    let list = rows.column(1).as_list::<i32>().value(row);
    let columns = list.as_struct();
    let item = |index| {
        let item = columns.column(2).as_string::<i32>();
        Item {
            qty: columns.column(0).as_primitive::<Int32Type>().value(index),
            value_unit: columns.column(1).as_primitive::<Decimal128Type>().value(index),
            item: item.is_valid(index).then(|| item.value(index).to_owned()),
        }
    };
    let paid = rows.column(2).as_boolean();
    Order {
        number: rows.column(0).as_primitive::<Int64Type>().value(row),
        items: (0..columns.len()).map(item).collect(),
        paid: paid.is_valid(row).then(|| paid.value(row)),
    }
}

// The reference. serde_json checks the grammar and splits the containers; numbers are compared as
// texts of digits.

fn reference(bytes: &[u8]) -> Option<Order> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    if depth(&value) > MAX_DEPTH {
        return None;
    }
    let raw = serde_json::from_slice::<&RawValue>(bytes).ok()?.get();
    let [number, items, paid] = declared(raw, ["order_number", "order_items", "paid"])?;
    let items: Vec<&RawValue> = serde_json::from_str(items?).ok()?;
    let paid: Option<bool> = paid.map_or(Some(None), |paid| serde_json::from_str(paid).ok())?;
    let items = items.into_iter().map(|raw| reference_item(raw.get())).collect::<Option<_>>()?;
    Some(Order { number: whole(number?)?.try_into().ok()?, items, paid })
}

fn reference_item(raw: &str) -> Option<Item> {
    let [qty, value_unit, item] = declared(raw, ["qty", "value_unit", "item"])?;
    let qty: i32 = whole(qty?)?.try_into().ok()?;
    let value_unit = units(value_unit?, 18)?;
    let item: Option<String> = item.map_or(Some(None), |item| serde_json::from_str(item).ok())?;
    let item_fits =
        item.as_ref().is_none_or(|item| item.chars().count() <= 8 && !item.contains('\0'));
    let value_fits = (0..10_i128.pow(38)).contains(&value_unit);
    (qty >= 0 && value_fits && item_fits).then_some(Item { qty, value_unit, item })
}

/// The raw values of these keys; None if this is no object or gives one of them twice.
fn declared<'a, const N: usize>(raw: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    let entries = serde_json::Deserializer::from_str(raw).deserialize_map(Entries).ok()?;
    let mut found = [None; N];
    for (key, value) in entries {
        if let Some(index) = names.iter().position(|name| *name == key)
            && found[index].replace(value.get()).is_some()
        {
            return None;
        }
    }
    Some(found)
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn whole(raw: &str) -> Option<i128> {
    units(raw, 0)
}

/// A number's text as units of 10^-scale, by moving the point through its digits.
fn units(raw: &str, scale: i64) -> Option<i128> {
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(())?;
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !digits.contains(|digit: char| ('1'..='9').contains(&digit)) {
        return Some(0);
    }
    let exponent: i64 = exponent.parse().ok()?;
    let point = exponent - fraction.len() as i64 + scale;
    let moved = if point >= 0 {
        format!("{digits}{}", "0".repeat(point.min(100) as usize))
    } else {
        let behind = digits.len().saturating_sub(point.unsigned_abs() as usize);
        let (kept, cut) = digits.split_at(behind);
        if cut.contains(|digit: char| ('1'..='9').contains(&digit)) {
            return None;
        }
        kept.to_owned()
    };
    moved.parse().ok()
}
