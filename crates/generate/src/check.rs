//! Whether the hints of a record can be followed, and whether the record takes what they make.

use std::collections::BTreeMap;

use duto_definition::{Field, Kind, Pipeline, Problem, Span};
use duto_ground::batch::{Batch, Place};
use duto_stages::decode::Decoder;

use super::Generator;

/// So many records show most of what a hint can make.
const TRIED_RECORDS: i64 = 200;
const SEED: u64 = 1;

/// Every hint that cannot be followed, else every field whose hint makes what the record refuses.
/// What is made without a hint is nobody's mistake.
pub fn check(pipeline: &Pipeline) -> Vec<Problem> {
    let mut hinted = BTreeMap::new();
    collect(&pipeline.record.fields, "", &mut hinted);
    if hinted.is_empty() {
        return Vec::new();
    }
    let mut generator = match Generator::new(pipeline, Some(SEED)) {
        Ok(generator) => generator,
        Err(problems) => {
            let is_hinted = |problem: &Problem| hinted.values().any(|span| *span == problem.span);
            let of_when = |problem: &Problem| problem.code == "generate.path.unknown";
            return problems.into_iter().filter(|one| is_hinted(one) || of_when(one)).collect();
        }
    };
    let mut batch = Batch::default();
    for offset in 0..TRIED_RECORDS {
        let place = Place { partition: 0, offset, leader_epoch: -1, timestamp_ms: -1 };
        batch.push(place, None, Some(&generator.next_payload()), None);
    }
    let mut refused: BTreeMap<&str, Problem> = BTreeMap::new();
    for reject in Decoder::new(pipeline).decode(&batch).rejects {
        let path = without_places(&reject.path);
        let Some((path, span)) = hinted.get_key_value(path.as_str()) else { continue };
        refused.entry(path).or_insert_with(|| {
            let message = format!("what is generated for {path} is refused: {}", reject.reason);
            Problem::new("record.generate.refused", *span, message)
                .help("let generate make what the field's type and rules allow")
        });
    }
    refused.into_values().collect()
}

/// The fields with hints, by their paths: `items[].price`.
fn collect(fields: &[Field], above: &str, hinted: &mut BTreeMap<String, Span>) {
    for field in fields {
        let path = match above {
            "" => field.name.clone(),
            above if above.ends_with("[]") && field.name == "item" => above.to_owned(),
            above => format!("{above}.{}", field.name),
        };
        if field.rules.generate.is_some() || field.rules.generate_when.is_some() {
            hinted.insert(path.clone(), field.span);
        }
        match &field.kind {
            Kind::Object(fields) => collect(fields, &path, hinted),
            Kind::List(element) => {
                let element = std::slice::from_ref(element.as_ref());
                collect(element, &format!("{path}[]"), hinted);
            }
            Kind::Scalar(_) => {}
        }
    }
}

/// `items[2].price` as `items[].price`.
fn without_places(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut is_place = false;
    for character in path.chars() {
        is_place = (is_place || character == '[') && character != ']';
        if !is_place || character == '[' {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::parse;

    fn problems(record: &str) -> Vec<(&'static str, String)> {
        let file = format!(
            "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {record}\n\
             tables:\n  t:\n    columns: {{ id: BIGINT }}\n    repeat: append\n    \
             select: SELECT id FROM record\n"
        );
        let pipeline = parse("p.yaml", &file, &|_| None).expect("it can be read");
        check(&pipeline).into_iter().map(|problem| (problem.code, problem.message)).collect()
    }

    #[test]
    fn a_hint_makes_what_the_record_takes() {
        let refused = "record.generate.refused";
        for (record, code, told) in [
            (
                "{ id: BIGINT, kind: { type: TEXT, enum: [a], generate: { one_of: [a, b] } } }",
                refused,
                "what is generated for kind is refused: kind must be one of",
            ),
            (
                "{ id: { type: SMALLINT, generate: { sequence: 32760 } } }",
                refused,
                "what is generated for id is refused: id must be between",
            ),
            (
                "{ id: BIGINT, list: [{ code: { type: VARCHAR(3), generate: { numbered: AB1..AB99 } } }] }",
                refused,
                "what is generated for list[].code is refused: list[0].code must have at most",
            ),
            (
                "{ id: BIGINT, total: { type: NUMERIC, generate: { product_of: [price, id] } } }",
                "generate.path.unknown",
                "`total` is made from `price`, which does not stand before it",
            ),
        ] {
            let found = problems(record);
            assert_eq!(found.len(), 1, "{record}: {found:?}");
            assert!(found[0].0 == code && found[0].1.starts_with(told), "{record}: {found:?}");
        }
        for good in [
            "{ id: BIGINT, kind: { type: TEXT, enum: [a, b], generate: { one_of: [a] } } }",
            "{ id: { type: BIGINT, generate: { sequence: 1 } }, tags: [TEXT] }",
            // Nobody asked for values of it.
            "{ id: BIGINT, x: { type: NUMERIC, minimum: 0.001, maximum: 0.004 } }",
        ] {
            assert_eq!(problems(good), [], "{good}");
        }
    }
}
