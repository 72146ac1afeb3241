//! Types whose values travel as texts.

mod time;
mod uuid;

use serde_json::Value as Json;

pub use time::TIME;
pub use uuid::UUID;

/// Every one, for casts.
static ALL: [&Form; 2] = [&TIME, &UUID];

/// A type whose values travel as texts, each in the one form in which PostgreSQL prints it: equal
/// texts are equal values. Reading, casts, COPY, parameters, documents and generated records all
/// go by this.
#[derive(Debug)]
pub struct Form {
    /// As SQL writes it.
    pub name: &'static str,
    /// One of its values, for messages: `a UUID`.
    pub wanted: &'static str,
    /// The rule that is broken by a text that holds no value of the type.
    pub rule: &'static str,
    /// Reads a text as PostgreSQL's input does and appends the value's own text; None if it holds
    /// no value. Then nothing of use was appended.
    pub read: fn(&str, &mut Vec<u8>) -> Option<()>,
    /// Appends the type's binary form, as its `typsend` writes it, of a text that `read` made.
    pub write_binary: fn(&str, &mut Vec<u8>),
    /// The JSON Schema of a value.
    pub schema: fn() -> Json,
    /// Values for generated records.
    pub examples: &'static [&'static str],
}

/// The type that is written so in a cast.
pub(crate) fn named(written: &str) -> Option<&'static Form> {
    ALL.into_iter().find(|form| form.name.eq_ignore_ascii_case(written))
}

/// Their names, for messages.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|form| form.name).collect()
}

impl Form {
    /// The value's own text.
    pub fn normal(&self, text: &str) -> Option<String> {
        let mut written = Vec::new();
        (self.read)(text, &mut written)?;
        String::from_utf8(written).ok()
    }
}

/// There is one of each.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Form {}
