//! `generate:` of a field: how the generator makes its value.

use serde_json::json;

use super::dependence::{
    AGO, ALIVE, KEPT, LATER, RENEWED, STEPS, kept_field, read_kept_by, read_later, read_numbered,
    read_product, read_steps,
};
use super::rules::describe;
use super::shape::Position;
use super::{GenerateHint, Kind, Rules};
use crate::decimal::Decimal;
use crate::keys::{Key, Keys, Presence, Value};
use crate::values::to_json;
use crate::walk::Fields;
use crate::{ColumnType, Problem};

pub(super) static HINT_KEYS: Keys = Keys {
    of: "generate",
    keys: &[
        Key {
            name: "sequence",
            about: "counts upwards from this number, one a record",
            presence: Presence::Optional,
            value: Value::Integer { minimum: i64::MIN, maximum: i64::MAX },
        },
        Key {
            name: "index",
            about: "the element's place in its list, counted from this number",
            presence: Presence::Optional,
            value: Value::Integer { minimum: i64::MIN, maximum: i64::MAX },
        },
        Key {
            name: "between",
            about: "a number between these two, both included",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": ["number", "string"] } }),
            ),
        },
        Key {
            name: "decimals",
            about: "digits behind the point, with between; without it, as many as between is \
                written with",
            presence: Presence::Optional,
            value: Value::Integer { minimum: 0, maximum: 18 },
        },
        Key {
            name: "one_of",
            about: "one of these values",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": "array", "minItems": 1 })),
        },
        Key {
            name: "length",
            about: "how many elements a list gets, between these two",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": ["integer", "string"] } }),
            ),
        },
        Key {
            name: "probability",
            about: "with this probability, 0 to 1, an optional key is there",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": ["number", "string"] })),
        },
        Key {
            name: "uuid",
            about: "true: a random UUID",
            presence: Presence::Optional,
            value: Value::Boolean,
        },
        Key {
            name: "numbered",
            about: "a text and a number behind it, between these two: USER001..USER100",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "kept_by",
            about: "what is made stays with the value of this field, which stands before it: a \
                random UUID, or what one_of, steps or later say",
            presence: Presence::Optional,
            value: Value::Text,
        },
        RENEWED,
        STEPS,
        LATER,
        AGO,
        ALIVE,
        Key {
            name: "product_of",
            about: "the exact product of these numbers of the record, each a path such as \
                product.price",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
            ),
        },
        Key {
            name: "when",
            about: "the key is there only when a field before it has this value, or one of these: \
                { event_type: purchase }",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "object", "minProperties": 1, "maxProperties": 1 }),
            ),
        },
    ],
    later: &[],
    note: "",
};

const HINTS: [&str; 12] = [
    "sequence",
    "index",
    "between",
    "one_of",
    "length",
    "probability",
    "uuid",
    "numbered",
    "steps",
    "later",
    "kept_by",
    "product_of",
];

/// Reads the hint of one value; None if there is none or it was wrong.
pub(super) fn read_hint(
    field: &Fields<'_, '_>,
    title: &str,
    kind: &Kind,
    rules: &Rules,
    position: Position,
) -> Option<GenerateHint> {
    let entry = field.entry("generate")?;
    let hint = field.section("generate")?;
    let walk = field.walk();
    // `when` says whether the key is there, and may stand alone.
    let only_when = hint.entry("when").is_some();
    let mut given: Vec<_> = HINTS.into_iter().filter(|name| hint.entry(name).is_some()).collect();
    if given.iter().any(|name| KEPT.contains(name)) {
        given.retain(|name| *name != "kept_by");
    }
    let [name] = given.as_slice() else {
        if given.is_empty() && only_when {
            return None;
        }
        let message = match given.as_slice() {
            [] => format!("{title}: generate says nothing"),
            _ => format!("{title}: generate says {} at once", given.join(" and ")),
        };
        walk.report(
            Problem::new("record.generate.choice", entry.key_span, message)
                .help(format!("choose one of {}", HINTS.join(", "))),
        );
        return None;
    };
    let number = matches!(kind, Kind::Scalar(scalar) if scalar.is_number());
    let text =
        matches!(kind, Kind::Scalar(ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid));
    let time = matches!(kind, Kind::Scalar(ColumnType::Timestamp | ColumnType::Timestamptz));
    let (suits, what) = match *name {
        "sequence" | "between" => (number, "makes a number"),
        "index" => (number && position.in_list, "makes a number in a list's element"),
        "length" => (matches!(kind, Kind::List(_)), "is for a list"),
        "one_of" => (!matches!(kind, Kind::List(_)), "is for a single value or an object"),
        "uuid" | "numbered" | "kept_by" | "steps" => (text, "makes a text"),
        "later" => (time, "makes a time"),
        "product_of" => (number, "makes a number"),
        _ => (!position.required, "is for an optional field, whose name ends in ?"),
    };
    let span = hint.entry(name).map_or(entry.key_span, |hint| hint.key_span);
    if !suits {
        let message =
            format!("{title}: {name} {what}, and this is {}", describe_with(kind, position));
        walk.report(Problem::new("record.generate.type", span, message));
        return None;
    }
    for (with, key) in [("between", "decimals"), ("sequence", "alive"), ("later", "ago")] {
        if let (false, Some(entry)) = (*name == with, hint.entry(key)) {
            walk.report(Problem::new(
                "record.generate.choice",
                entry.key_span,
                format!("{title}: {key} goes with {with}"),
            ));
        }
    }
    match *name {
        "sequence" => hint.integer("sequence").map(|from| match hint.integer("alive") {
            Some(count) => GenerateHint::Alive { from, count },
            None => GenerateHint::Sequence { from },
        }),
        "index" => hint.integer("index").map(|from| GenerateHint::Index { from }),
        "between" => read_between(&hint, title, kind, rules),
        "one_of" if hint.entry("kept_by").is_some() => {
            match (kept_field(&hint, name, title)?, read_one_of(&hint, title, kind)?) {
                (field, GenerateHint::OneOf(values)) => {
                    Some(GenerateHint::KeptOneOf { field, values })
                }
                (_, other) => Some(other),
            }
        }
        "one_of" => read_one_of(&hint, title, kind),
        "steps" => read_steps(&hint, title),
        "later" => read_later(&hint, title),
        "length" => read_length(&hint, title, rules),
        "uuid" => hint.boolean("uuid").filter(|wanted| *wanted).map(|_| GenerateHint::Uuid),
        "numbered" => read_numbered(&hint, title),
        "kept_by" => read_kept_by(&hint, title),
        "product_of" => read_product(&hint),
        _ => read_probability(&hint, title),
    }
}

fn describe_with(kind: &Kind, position: Position) -> String {
    let place = match (position.required, position.in_list) {
        (true, true) => "a required field in a list: ",
        (true, false) => "a required field: ",
        (false, _) => "an optional field: ",
    };
    format!("{place}{}", describe(kind))
}

/// Two decimals, the first not above the second.
fn read_pair(hint: &Fields<'_, '_>, name: &'static str, title: &str) -> Option<(Decimal, Decimal)> {
    let node = hint.value(name)?;
    let walk = hint.walk();
    let items = walk.list(&hint.named(name), node)?;
    let number = |item| {
        walk.scalar(&hint.named(name), item).and_then(|scalar| Decimal::parse(&scalar.value.text))
    };
    let pair = match items {
        [low, high] => number(low).zip(number(high)),
        _ => None,
    };
    let Some((low, high)) = pair else {
        let message = format!("{title}: {name} must be two numbers, [low, high]");
        walk.report(Problem::new("record.generate.range", node.span, message));
        return None;
    };
    if low > high {
        walk.report(Problem::new(
            "record.generate.range",
            node.span,
            format!("{title}: {low} is more than {high}"),
        ));
        return None;
    }
    Some((low, high))
}

fn read_between(
    hint: &Fields<'_, '_>,
    title: &str,
    kind: &Kind,
    rules: &Rules,
) -> Option<GenerateHint> {
    let (low, high) = read_pair(hint, "between", title)?;
    let span = hint.span("between").unwrap_or_default();
    let bound = |text: &Option<String>| text.as_deref().and_then(Decimal::parse);
    let below = bound(&rules.minimum)
        .filter(|minimum| low < *minimum)
        .map(|minimum| format!("{low} is less than the minimum {minimum}"));
    let above = bound(&rules.maximum)
        .filter(|maximum| high > *maximum)
        .map(|maximum| format!("{high} is more than the maximum {maximum}"));
    for contradiction in below.into_iter().chain(above) {
        hint.walk().report(Problem::new(
            "record.generate.contradiction",
            span,
            format!("{title}: {contradiction}"),
        ));
    }
    let is_whole = matches!(
        kind,
        Kind::Scalar(ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt)
    );
    let decimals: u32 = hint.integer("decimals").unwrap_or(low.decimals().max(high.decimals()));
    if is_whole && (decimals > 0 || !low.is_integer() || !high.is_integer()) {
        hint.walk().report(Problem::new(
            "record.generate.range",
            span,
            format!("{title} is {}: its numbers are whole", describe(kind)),
        ));
        return None;
    }
    Some(GenerateHint::Between { low: low.to_string(), high: high.to_string(), decimals })
}

fn read_one_of(hint: &Fields<'_, '_>, title: &str, kind: &Kind) -> Option<GenerateHint> {
    let node = hint.value("one_of")?;
    let walk = hint.walk();
    let items = walk.list(&hint.named("one_of"), node)?;
    if items.is_empty() {
        walk.report(Problem::new(
            "record.generate.range",
            node.span,
            format!("{title}: one_of has no values"),
        ));
    }
    let mut values = Vec::new();
    for item in items {
        let value = to_json(walk, item)?;
        let suits = match kind {
            Kind::Scalar(ColumnType::Boolean) => value.is_boolean(),
            Kind::Scalar(scalar) if scalar.is_number() => value.is_number(),
            Kind::Scalar(ColumnType::Jsonb) => true,
            Kind::Object(_) => value.is_object(),
            _ => value.is_string(),
        };
        if !suits {
            let message =
                format!("{title}: {} is not a value of {}", walk.quote(item.span), describe(kind));
            walk.report(Problem::new("record.generate.type", item.span, message));
        }
        values.push(value);
    }
    Some(GenerateHint::OneOf(values))
}

fn read_length(hint: &Fields<'_, '_>, title: &str, rules: &Rules) -> Option<GenerateHint> {
    let (low, high) = read_pair(hint, "length", title)?;
    let span = hint.span("length").unwrap_or_default();
    let (Ok(low), Ok(high)) = (low.to_string().parse::<u32>(), high.to_string().parse::<u32>())
    else {
        hint.walk().report(Problem::new(
            "record.generate.range",
            span,
            format!("{title}: a length is a whole number, 0 or more"),
        ));
        return None;
    };
    if rules.min_length.is_some_and(|least| low < least)
        || rules.max_length.is_some_and(|most| high > most)
    {
        let message =
            format!("{title}: lengths from {low} to {high} break min_length or max_length");
        hint.walk().report(Problem::new("record.generate.contradiction", span, message));
    }
    Some(GenerateHint::Length { low, high })
}

fn read_probability(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let node = hint.value("probability")?;
    let scalar = hint.walk().scalar(&hint.named("probability"), node)?;
    match scalar.value.text.parse::<f64>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => {
            Some(GenerateHint::Probability(probability))
        }
        _ => {
            let message = format!(
                "{title}: a probability is a number from 0 to 1, got {}",
                hint.walk().got(node)
            );
            hint.walk().report(hint.walk().value_problem("record.generate.range", node, message));
            None
        }
    }
}
