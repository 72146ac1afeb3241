//! What a value must satisfy beside its type: `minimum`, `enum`, `max_length` and others.

use serde_json::json;

use super::dependence::read_when;
use super::hints::{HINT_KEYS, read_hint};
use super::shape::Position;
use super::{Kind, Rules};
use crate::decimal::{self, Decimal};
use crate::keys::{Key, Keys, Presence, Value};
use crate::values::to_json;
use crate::walk::Fields;
use crate::{ColumnType, Problem};

const MAX_LENGTH: i64 = 1_000_000_000;

const TYPE: Key = Key {
    name: "type",
    about: "a PostgreSQL type, or LIST or OBJECT",
    presence: Presence::Required,
    value: Value::Text,
};
const EXAMPLE: Key = Key {
    name: "example",
    about: "a value for documents and hand-made messages",
    presence: Presence::Optional,
    value: Value::Other(|| json!({})),
};
const GENERATE: Key = Key {
    name: "generate",
    about: "how the generator makes the value",
    presence: Presence::Optional,
    value: Value::Keys(&HINT_KEYS),
};
const MIN_LENGTH: Key = Key {
    name: "min_length",
    about: "at least so many characters, or elements of a list",
    presence: Presence::Optional,
    value: Value::Integer { minimum: 0, maximum: MAX_LENGTH },
};
const MAX_LENGTH_KEY: Key = Key {
    name: "max_length",
    about: "at most so many characters, or elements of a list",
    presence: Presence::Optional,
    value: Value::Integer { minimum: 0, maximum: MAX_LENGTH },
};

/// A scalar written with its rules.
pub(super) static SCALAR_KEYS: Keys = Keys {
    of: "a field",
    keys: &[
        TYPE,
        Key {
            name: "minimum",
            about: "the least allowed number, an exact decimal",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": ["number", "string"] })),
        },
        Key {
            name: "maximum",
            about: "the greatest allowed number, an exact decimal",
            presence: Presence::Optional,
            value: Value::Other(|| json!({ "type": ["number", "string"] })),
        },
        Key {
            name: "enum",
            about: "the allowed texts",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } }),
            ),
        },
        MIN_LENGTH,
        MAX_LENGTH_KEY,
        Key {
            name: "coerce",
            about: "true: a number or a boolean may also come as a text that holds it, such \
                as \"1333\"",
            presence: Presence::Optional,
            value: Value::Boolean,
        },
        EXAMPLE,
        GENERATE,
    ],
    later: &[],
    note: "; an object's own field named type is written type: { type: TEXT }",
};

/// A list written with its rules.
pub(super) static LIST_KEYS: Keys = Keys {
    of: "a LIST",
    keys: &[
        TYPE,
        Key {
            name: "items",
            about: "the element that stands for all: a type, or an object's fields",
            presence: Presence::Required,
            value: Value::Other(|| json!({ "$ref": "#/$defs/record_value" })),
        },
        MIN_LENGTH,
        MAX_LENGTH_KEY,
        EXAMPLE,
        GENERATE,
    ],
    later: &[],
    note: "",
};

/// An object written with its rules.
pub(super) static OBJECT_KEYS: Keys = Keys {
    of: "an OBJECT",
    keys: &[
        TYPE,
        Key {
            name: "fields",
            about: "the object's fields",
            presence: Presence::Required,
            value: Value::Other(|| json!({ "$ref": "#/$defs/record_object" })),
        },
        EXAMPLE,
        GENERATE,
    ],
    later: &[],
    note: "",
};

/// Reads the rules of one value and reports those that do not suit its type or each other.
pub(super) fn read_rules(
    fields: &Fields<'_, '_>,
    title: &str,
    kind: &Kind,
    position: Position,
) -> Rules {
    let (is_number, is_text) = match kind {
        Kind::Scalar(scalar) => {
            (scalar.is_number(), matches!(scalar, ColumnType::Text | ColumnType::Varchar(_)))
        }
        _ => (false, false),
    };
    let is_list = matches!(kind, Kind::List(_));
    let is_boolean = matches!(kind, Kind::Scalar(ColumnType::Boolean));
    for (name, suits, instead) in [
        ("minimum", is_number, "a number"),
        ("coerce", is_number || is_boolean, "a number or a boolean"),
        ("maximum", is_number, "a number"),
        ("enum", is_text, "a text"),
        ("min_length", is_text || is_list, "a text or a list"),
        ("max_length", is_text || is_list, "a text or a list"),
    ] {
        if let (false, true, Some(entry)) = (suits, fields.knows(name), fields.entry(name)) {
            let message =
                format!("{name} is a rule of {instead}, and {title} is {}", describe(kind));
            fields.walk().report(Problem::new("record.rule.type", entry.key_span, message));
            return Rules::default();
        }
    }
    let bound = |name| if is_number { read_bound(fields, name, kind) } else { None };
    let mut rules = Rules {
        minimum: bound("minimum").map(|bound| bound.to_string()),
        maximum: bound("maximum").map(|bound| bound.to_string()),
        allowed: if is_text { read_allowed(fields, title) } else { Vec::new() },
        max_length: if is_text || is_list { fields.integer("max_length") } else { None },
        min_length: if is_text || is_list { fields.integer("min_length") } else { None },
        coerce: (is_number || is_boolean)
            && fields.knows("coerce")
            && fields.boolean("coerce").unwrap_or_default(),
        example: fields.value("example").and_then(|node| to_json(fields.walk(), node)),
        generate: None,
        generate_when: None,
    };
    check_contradictions(fields, title, kind, &rules);
    rules.generate = read_hint(fields, title, kind, &rules, position);
    rules.generate_when = fields
        .entry("generate")
        .and_then(|_| read_when(&fields.section("generate")?, title, position.required));
    rules
}

fn check_contradictions(fields: &Fields<'_, '_>, title: &str, kind: &Kind, rules: &Rules) {
    let contradiction = |name: &str, message: String| {
        if let Some(span) = fields.span(name) {
            fields.walk().report(Problem::new("record.rule.contradiction", span, message));
        }
    };
    let decimal = |text: &Option<String>| text.as_deref().and_then(Decimal::parse);
    if let (Some(minimum), Some(maximum)) = (decimal(&rules.minimum), decimal(&rules.maximum))
        && minimum > maximum
    {
        contradiction(
            "minimum",
            format!(
                "{title}: minimum {minimum} is more than maximum {maximum}, so every record would \
                    be a reject"
            ),
        );
    }
    if let (Some(least), Some(most)) = (rules.min_length, rules.max_length)
        && least > most
    {
        contradiction(
            "min_length",
            format!(
                "{title}: min_length {least} is more than max_length {most}, so every record would \
                    be a reject"
            ),
        );
    }
    if let Kind::Scalar(ColumnType::Varchar(characters)) = kind {
        if rules.max_length.is_some_and(|most| most > *characters) {
            contradiction(
                "max_length",
                format!("{title}: a VARCHAR({characters}) is never longer than {characters}"),
            );
        }
        if rules.min_length.is_some_and(|least| least > *characters) {
            contradiction(
                "min_length",
                format!("{title}: a VARCHAR({characters}) is never longer than {characters}"),
            );
        }
    }
    for allowed in &rules.allowed {
        let characters = u32::try_from(allowed.chars().count()).unwrap_or(u32::MAX);
        let limit = match kind {
            Kind::Scalar(ColumnType::Varchar(limit)) => {
                Some(rules.max_length.map_or(*limit, |most| most.min(*limit)))
            }
            _ => rules.max_length,
        };
        if limit.is_some_and(|limit| characters > limit)
            || rules.min_length.is_some_and(|least| characters < least)
        {
            contradiction(
                "enum",
                format!("{title}: the allowed text \"{allowed}\" breaks the rule of its length"),
            );
        }
    }
}

/// A bound as the exact decimal that is written; it must be a value of the type itself.
fn read_bound(fields: &Fields<'_, '_>, name: &'static str, kind: &Kind) -> Option<Decimal> {
    let node = fields.value(name)?;
    let walk = fields.walk();
    let title = fields.named(name);
    let scalar = walk.scalar(&title, node)?;
    let Some(bound) = Decimal::parse(&scalar.value.text) else {
        let message = format!("{title} must be a decimal number, got {}", walk.got(node));
        walk.report(walk.value_problem("file.value.type", node, message));
        return None;
    };
    let Kind::Scalar(scalar_type) = kind else { return None };
    if let Some((low, high)) = decimal::integer_range(*scalar_type)
        && (!bound.is_integer() || bound < Decimal::from(low) || bound > Decimal::from(high))
    {
        let message = format!(
            "{title} must be a value of {scalar_type}, a whole number from {low} to {high}, got {}",
            walk.got(node)
        );
        walk.report(walk.value_problem("record.rule.range", node, message));
        return None;
    }
    Some(bound)
}

fn read_allowed(fields: &Fields<'_, '_>, title: &str) -> Vec<String> {
    let walk = fields.walk();
    let Some(node) = fields.value("enum") else { return Vec::new() };
    let Some(items) = walk.list(&fields.named("enum"), node) else { return Vec::new() };
    if items.is_empty() {
        let message = format!("{title}: no text is allowed, so every record would be a reject");
        walk.report(Problem::new("record.rule.contradiction", node.span, message));
    }
    let mut allowed: Vec<String> = Vec::new();
    for item in items {
        let Some(scalar) = walk.scalar(&format!("a text of {}", fields.named("enum")), item) else {
            continue;
        };
        if allowed.contains(&scalar.value.text) {
            walk.report(Problem::new(
                "record.rule.duplicate",
                item.span,
                format!("the text {} stands twice", walk.quote(item.span)),
            ));
        }
        allowed.push(scalar.value.text.clone());
    }
    allowed
}

pub(super) fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Scalar(scalar) => scalar.to_string(),
        Kind::Object(_) => "an object".to_string(),
        Kind::List(_) => "a list".to_string(),
    }
}
