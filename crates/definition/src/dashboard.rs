//! `dashboard:`, a page over the endpoints.

mod kinds;
mod panel;

use serde_json::{Value as Json, json};

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::values::to_json;
use super::walk::Fields;
use super::yaml::Node;
use super::{Pipeline, Problem, Span};

/// A page of panels, as the page reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// A text, or one a language.
    pub title: Json,
    /// Of numbers, dates and, where the reader's language is not there, of texts: `pt-BR`.
    pub locale: String,
    /// ISO 4217.
    pub currency: String,
    /// Each with its defaults filled in.
    pub panels: Vec<Json>,
    /// What the panels show, field by field.
    pub fields: Vec<ShownField>,
}

/// A field of an endpoint's answer that a panel shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownField {
    /// The endpoint's path.
    pub from: String,
    pub name: String,
    pub needs: Needs,
    pub span: Span,
}

/// What the values of a field must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Any,
    Number,
    /// An interval, or a number of seconds.
    Duration,
    Moment,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "dashboard",
        about: "a page over the endpoints, at /",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "dashboard",
    keys: &[
        Key {
            name: "title",
            about: "a text, or one a language: { pt-BR: Vendas, en: Sales }",
            presence: Presence::Required,
            value: Value::Other(text_schema),
        },
        Key {
            name: "locale",
            about: "of numbers and dates: pt-BR",
            presence: Presence::Default("en"),
            value: Value::Text,
        },
        Key {
            name: "currency",
            about: "of amounts, as ISO 4217 has it: BRL",
            presence: Presence::Default("USD"),
            value: Value::Text,
        },
        Key {
            name: "panels",
            about: "the panels, in order",
            presence: Presence::Required,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": panel::schema() }),
            ),
        },
    ],
    later: &[],
    note: "",
};

pub(super) fn text_schema() -> Json {
    json!({ "oneOf": [{ "type": "string" }, { "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 }] })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    if file.value("dashboard").is_none() {
        return;
    }
    let Some(fields) = file.section("dashboard") else { return };
    let walk = file.walk();
    let title = fields.value("title").and_then(|node| text(&fields, "title", node));
    let (mut panels, mut shown) = (Vec::new(), Vec::new());
    for item in fields
        .value("panels")
        .and_then(|node| walk.list("dashboard.panels", node))
        .unwrap_or_default()
    {
        panels.extend(panel::read(walk, item, pipeline, &mut shown));
    }
    if let (Some(title), Some(locale), Some(currency)) =
        (title, fields.text("locale"), fields.text("currency"))
    {
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let span = fields.span("currency").unwrap_or_default();
            walk.report(
                Problem::new("dashboard.currency", span, "a currency has three capital letters")
                    .help("for example BRL, EUR or USD"),
            );
        }
        if !is_locale(&locale) {
            let span = fields.span("locale").unwrap_or_default();
            let problem =
                Problem::new("dashboard.locale", span, format!("{locale:?} is no locale"));
            walk.report(problem.help("a language, and a region behind it: pt-BR, en-US or de"));
        }
        pipeline.dashboard = Some(Dashboard { title, locale, currency, panels, fields: shown });
    }
}

/// As BCP 47 writes a language, a script and a region; a browser refuses anything else.
fn is_locale(locale: &str) -> bool {
    let mut parts = locale.split('-');
    let is_word = |part: &str, least: usize, byte: fn(&u8) -> bool| {
        (least..=8).contains(&part.len()) && part.as_bytes().iter().all(byte)
    };
    parts.next().is_some_and(|language| is_word(language, 2, u8::is_ascii_alphabetic))
        && parts.all(|part| is_word(part, 1, u8::is_ascii_alphanumeric))
}

/// A text, or one a language.
pub(super) fn text(fields: &Fields<'_, '_>, name: &str, node: &Node) -> Option<Json> {
    let walk = fields.walk();
    let value = to_json(walk, node)?;
    let good = match &value {
        Json::String(_) => true,
        Json::Object(languages) => !languages.is_empty() && languages.values().all(Json::is_string),
        _ => false,
    };
    if !good {
        let problem = Problem::new(
            "dashboard.text",
            node.span,
            format!("{} must be a text, or one a language", fields.named(name)),
        );
        walk.report(problem.help("for example { pt-BR: Vendas, en: Sales }"));
        return None;
    }
    Some(value)
}
