//! Hints that depend on other values: of the same record, or of earlier ones.

use serde_json::Value as Json;

use super::{GenerateHint, When};
use crate::Problem;
use crate::keys::{Key, Presence, Value, hours, milliseconds};
use crate::quantity::parse_duration;
use crate::values::to_json;
use crate::walk::Fields;
use crate::yaml::Content;

/// Keys of `generate:` that go with `kept_by`.
pub(super) const RENEWED: Key = Key {
    name: "renewed",
    about: "with this probability, 0 to 1, kept_by makes a new value; 0 without it",
    presence: Presence::Optional,
    value: Value::Other(|| serde_json::json!({ "type": ["number", "string"] })),
};

/// `USER001..USER100`: one text before the number, which has at least so many digits.
pub(super) fn read_numbered(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let text = hint.text("numbered")?;
    let read = || {
        let (first, last) = text.split_once("..")?;
        let digits = |text: &str| {
            text.len() - text.trim_end_matches(|character: char| character.is_ascii_digit()).len()
        };
        let ((prefix, low), (other, high)) =
            (first.split_at(first.len() - digits(first)), last.split_at(last.len() - digits(last)));
        let (from, to) = (low.parse::<u64>().ok()?, high.parse::<u64>().ok()?);
        (prefix == other && from <= to).then(|| GenerateHint::Numbered {
            prefix: prefix.to_owned(),
            from,
            to,
            digits: low.len(),
        })
    };
    let numbered = read();
    if numbered.is_none() {
        let message = format!("{title}: numbered must be like USER001..USER100");
        hint.walk().report(Problem::new(
            "record.generate.range",
            hint.span("numbered").unwrap_or_default(),
            message,
        ));
    }
    numbered
}

pub(super) fn read_kept_by(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let field = hint.text("kept_by")?;
    let renewed = match hint.value("renewed") {
        None => 0.0,
        Some(node) => {
            let scalar = hint.walk().scalar(&hint.named("renewed"), node)?;
            let probability = scalar
                .value
                .text
                .parse::<f64>()
                .ok()
                .filter(|probability| (0.0..=1.0).contains(probability));
            if probability.is_none() {
                let message = format!(
                    "{title}: a probability is a number from 0 to 1, got {}",
                    hint.walk().got(node)
                );
                hint.walk().report(Problem::new("record.generate.range", node.span, message));
            }
            probability?
        }
    };
    Some(GenerateHint::KeptBy { field, renewed })
}

pub(super) fn read_product(hint: &Fields<'_, '_>) -> Option<GenerateHint> {
    let node = hint.value("product_of")?;
    let items = hint.walk().list(&hint.named("product_of"), node)?;
    let paths = items
        .iter()
        .filter_map(|item| hint.walk().scalar("a factor of product_of", item))
        .map(|scalar| scalar.value.text.clone());
    Some(GenerateHint::ProductOf(paths.collect()))
}

/// Keys of `generate:` that go with `kept_by` and say what it is that stays, or how it goes on.
pub(super) const STEPS: Key = Key {
    name: "steps",
    about: "a text that goes on with every record of the field in kept_by: each text and those \
        that may follow it; the first is the beginning, one that nothing follows an end",
    presence: Presence::Optional,
    value: Value::Other(
        || serde_json::json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "array", "items": { "type": "string" } } }),
    ),
};
pub(super) const LATER: Key = Key {
    name: "later",
    about: "a time behind the last one of the field in kept_by, by a duration between these two: \
        [1h, 36h]; never in the future",
    presence: Presence::Optional,
    value: Value::Other(
        || serde_json::json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "string" } }),
    ),
};
pub(super) const AGO: Key = Key {
    name: "ago",
    about: "with later: the first time is at most so long ago",
    presence: Presence::Default("7d"),
    value: Value::Duration { minimum: milliseconds(1000), maximum: hours(24 * 3650) },
};
pub(super) const ALIVE: Key = Key {
    name: "alive",
    about: "with sequence: so many numbers come again and again; one whose steps have ended makes \
        room for the next",
    presence: Presence::Optional,
    value: Value::Integer { minimum: 1, maximum: 1_000_000 },
};

/// What goes with `kept_by`.
pub(super) const KEPT: [&str; 3] = ["one_of", "steps", "later"];

/// The field in `kept_by`; reported where it is missing.
pub(super) fn kept_field(hint: &Fields<'_, '_>, name: &str, title: &str) -> Option<String> {
    let field = hint.text("kept_by");
    if field.is_none() {
        let span = hint.entry(name).map(|entry| entry.key_span).unwrap_or_default();
        let problem = Problem::new(
            "record.generate.choice",
            span,
            format!("{title}: {name} goes with kept_by"),
        );
        hint.walk().report(
            problem.help("kept_by names the field whose value it stays with: kept_by: id_pacote"),
        );
    }
    field
}

pub(super) fn read_steps(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let walk = hint.walk();
    let field = kept_field(hint, "steps", title)?;
    let entries = walk.entries(&hint.named("steps"), hint.value("steps")?)?;
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries {
        let items = walk.list(&hint.named(&format!("steps.{}", entry.key)), &entry.value)?;
        let following = items
            .iter()
            .filter_map(|item| walk.scalar("a step", item))
            .map(|scalar| scalar.value.text.clone());
        steps.push((entry.key.clone(), following.collect()));
    }
    if steps.is_empty() {
        walk.report(Problem::new(
            "record.generate.range",
            hint.span("steps").unwrap_or_default(),
            format!("{title}: steps has no beginning"),
        ));
        return None;
    }
    Some(GenerateHint::Steps { field, steps })
}

pub(super) fn read_later(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let walk = hint.walk();
    let field = kept_field(hint, "later", title)?;
    let node = hint.value("later")?;
    let items = walk.list(&hint.named("later"), node)?;
    let seconds = |item| {
        walk.scalar(&hint.named("later"), item)
            .and_then(|scalar| parse_duration(&scalar.value.text))
            .map(|time| time.as_secs())
    };
    let pair = match items {
        [low, high] => seconds(low).zip(seconds(high)).filter(|(low, high)| low <= high),
        _ => None,
    };
    let Some((least_seconds, most_seconds)) = pair else {
        let problem = Problem::new(
            "record.generate.range",
            node.span,
            format!("{title}: later must be two durations, the shorter first"),
        );
        walk.report(problem.help("for example [1h, 36h]"));
        return None;
    };
    Some(GenerateHint::Later {
        field,
        least_seconds,
        most_seconds,
        ago_seconds: hint.duration("ago")?.as_secs(),
    })
}

/// `when: { event_type: purchase }`, or a list of values.
pub(super) fn read_when(hint: &Fields<'_, '_>, title: &str, required: bool) -> Option<When> {
    let entry = hint.entry("when")?;
    let walk = hint.walk();
    let entries = walk.entries(&hint.named("when"), &entry.value)?;
    let [condition] = entries else {
        let problem = Problem::new(
            "record.generate.when",
            entry.key_span,
            format!("{title}: when names one field and its values"),
        );
        walk.report(problem.help("for example when: { event_type: purchase }"));
        return None;
    };
    if required {
        let problem = Problem::new(
            "record.generate.when",
            entry.key_span,
            format!("{title} is required, so it is always there"),
        );
        walk.report(
            problem.help(format!("write {title}? with a question mark, or take `when` away")),
        );
        return None;
    }
    let values: Vec<Json> = match &condition.value.content {
        Content::List(items) => items.iter().filter_map(|item| to_json(walk, item)).collect(),
        _ => to_json(walk, &condition.value).into_iter().collect(),
    };
    Some(When {
        field: condition.key.clone(),
        values: values.iter().map(Json::to_string).collect(),
        span: condition.key_span,
    })
}
