//! Hints that depend on other values: of the same record, or of earlier ones.

use serde_json::Value as Json;

use super::{GenerateHint, When};
use crate::definition::Problem;
use crate::definition::keys::{Key, Presence, Value};
use crate::definition::values::to_json;
use crate::definition::walk::Fields;
use crate::definition::yaml::Content;

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
        let digits = |text: &str| text.len() - text.trim_end_matches(|character: char| character.is_ascii_digit()).len();
        let ((prefix, low), (other, high)) = (first.split_at(first.len() - digits(first)), last.split_at(last.len() - digits(last)));
        let (from, to) = (low.parse::<u64>().ok()?, high.parse::<u64>().ok()?);
        (prefix == other && from <= to).then(|| GenerateHint::Numbered { prefix: prefix.to_owned(), from, to, digits: low.len() })
    };
    let numbered = read();
    if numbered.is_none() {
        let message = format!("{title}: numbered must be like USER001..USER100");
        hint.walk().report(Problem::new("record.generate.range", hint.span("numbered").unwrap_or_default(), message));
    }
    numbered
}

pub(super) fn read_kept_by(hint: &Fields<'_, '_>, title: &str) -> Option<GenerateHint> {
    let field = hint.text("kept_by")?;
    let renewed = match hint.value("renewed") {
        None => 0.0,
        Some(node) => {
            let scalar = hint.walk().scalar(&hint.named("renewed"), node)?;
            let probability = scalar.value.text.parse::<f64>().ok().filter(|probability| (0.0..=1.0).contains(probability));
            if probability.is_none() {
                let message = format!("{title}: a probability is a number from 0 to 1, got {}", hint.walk().got(node));
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
    let paths = items.iter().filter_map(|item| hint.walk().scalar("a factor of product_of", item)).map(|scalar| scalar.value.text.clone());
    Some(GenerateHint::ProductOf(paths.collect()))
}

/// `when: { event_type: purchase }`, or a list of values.
pub(super) fn read_when(hint: &Fields<'_, '_>, title: &str, required: bool) -> Option<When> {
    let entry = hint.entry("when")?;
    let walk = hint.walk();
    let entries = walk.entries(&hint.named("when"), &entry.value)?;
    let [condition] = entries else {
        let problem = Problem::new("record.generate.when", entry.key_span, format!("{title}: when names one field and its values"));
        walk.report(problem.help("for example when: { event_type: purchase }"));
        return None;
    };
    if required {
        let problem = Problem::new("record.generate.when", entry.key_span, format!("{title} is required, so it is always there"));
        walk.report(problem.help(format!("write {title}? with a question mark, or take `when` away")));
        return None;
    }
    let values: Vec<Json> = match &condition.value.content {
        Content::List(items) => items.iter().filter_map(|item| to_json(walk, item)).collect(),
        _ => to_json(walk, &condition.value).into_iter().collect(),
    };
    Some(When { field: condition.key.clone(), values: values.iter().map(Json::to_string).collect(), span: condition.key_span })
}
