//! `cursor:` of a pull.

use crate::Problem;
use crate::keys::{Key, Keys, Presence, Value};
use crate::walk::Fields;
use crate::yaml::{Content, Entry};

/// How the next request knows what the answers so far held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// The answer holds a value, at this path, that the next request gives back in this query
    /// parameter.
    Value { query: String, answer: Vec<String> },
    /// The answer holds the next page's address, at this path.
    Page { answer: Vec<String> },
    /// The answer's `Link` header holds the next page's address, under this relation.
    Link { relation: String },
    /// The next request asks, in this query parameter, for items whose field is at least the
    /// greatest so far.
    Since { query: String, field: Vec<String> },
}

pub static KEYS: Keys = Keys {
    of: "a cursor",
    keys: &[
        Key {
            name: "query",
            about: "the query parameter of the next request that takes the cursor's value; a \
                cursor whose values are all empty is none",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "answer",
            about: "where the value for the next request stands in an answer, such as meta.next; \
                without `query` it is the next page's address",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "link",
            about: "the relation under which an answer's Link header holds the next page's \
                address, usually next",
            presence: Presence::Optional,
            value: Value::Text,
        },
        Key {
            name: "greatest",
            about: "the items' field whose greatest value so far the next request gives in \
                `query`; the endpoint must answer that one too, and all between",
            presence: Presence::Optional,
            value: Value::Text,
        },
    ],
    later: &[],
    note: "",
};

pub fn read(pull: &Fields<'_, '_>) -> Option<Cursor> {
    let entry = pull.entry("cursor")?;
    let fields = pull.section("cursor")?;
    let (query, answer, relation, field) = (
        fields.text("query"),
        path(&fields, "answer"),
        fields.text("link"),
        path(&fields, "greatest"),
    );
    match (query, answer, relation, field) {
        (Some(query), Some(answer), None, None) => Some(Cursor::Value { query, answer }),
        (None, Some(answer), None, None) => Some(Cursor::Page { answer }),
        (None, None, Some(relation), None) => Some(Cursor::Link { relation }),
        (Some(query), None, None, Some(field)) => Some(Cursor::Since { query, field }),
        // A key that is misspelt, or a path that is none, is reported already. Where all variables
        // are empty, so is the cursor.
        _ if !is_well_written(&fields, entry) || is_switched_off(entry) => None,
        _ => {
            let message = format!("{} is none of the ways to go on", pull.named("cursor"));
            let help = "{ query: after, answer: next_cursor }, { answer: next_url }, { link: next \
                } or { query: since, greatest: updated_at }";
            fields
                .walk()
                .report(Problem::new("pull.cursor.invalid", entry.key_span, message).help(help));
            None
        }
    }
}

fn is_well_written(fields: &Fields<'_, '_>, entry: &Entry) -> bool {
    let Content::Mapping(entries) = &entry.value.content else { return false };
    let is_path = |name| {
        fields.value(name).is_none_or(|node| matches!(&node.content, Content::Scalar(text) if keys_of(&text.value.text).is_some()))
    };
    entries.iter().all(|entry| KEYS.find(&entry.key).is_some())
        && is_path("answer")
        && is_path("greatest")
}

fn is_switched_off(entry: &Entry) -> bool {
    let Content::Mapping(entries) = &entry.value.content else { return false };
    !entries.is_empty() && entries.iter().all(|entry| entry.value.is_unset())
}

/// `a.b` as its keys.
pub fn path(fields: &Fields<'_, '_>, name: &'static str) -> Option<Vec<String>> {
    let text = fields.text(name)?;
    let keys = keys_of(&text);
    if keys.is_none() {
        let message = format!(
            "{} must be keys with a dot between them, such as data.events",
            fields.named(name)
        );
        fields.walk().report(Problem::new(
            "pull.path.invalid",
            fields.span(name).unwrap_or_default(),
            message,
        ));
    }
    keys
}

fn keys_of(text: &str) -> Option<Vec<String>> {
    let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
    keys.iter().all(|key| !key.is_empty()).then_some(keys)
}
