//! What an answer holds: its items, each as it was written, and where the next request goes on.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::link;
use duto_definition::{Cursor, Pull};

/// An answer to one request.
pub struct Answer<'a> {
    pub items: Vec<&'a RawValue>,
    /// Of the next request; None where the answer names none.
    pub next: Option<String>,
    pub etag: Option<String>,
}

impl<'a> Answer<'a> {
    /// Reads the bytes. The error is the rest of a sentence that begins with "the answer".
    pub fn read(
        pull: &Pull,
        body: &'a [u8],
        etag: Option<&str>,
        links: &[&str],
    ) -> Result<Answer<'a>, String> {
        let root: Option<&'a RawValue> = match body.trim_ascii() {
            b"" => None,
            text => Some(
                serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"))?,
            ),
        };
        let items = match root {
            // An endpoint that always answers its latest item. Where pages follow, one object is a
            // page whose list was not named.
            Some(root)
                if root.get().starts_with('{')
                    && pull.items.is_empty()
                    && pull.cursor.is_none() =>
            {
                vec![root]
            }
            Some(root) => items(root, &pull.items)?,
            None => Vec::new(),
        };
        let next = match &pull.cursor {
            Some(Cursor::Value { answer, .. } | Cursor::Page { answer }) => {
                root.and_then(|root| at_path(root, answer)).and_then(scalar)
            }
            Some(Cursor::Link { relation }) => {
                links.iter().find_map(|header| link::target(header, relation))
            }
            Some(Cursor::Since { .. }) | None => None,
        };
        // A page whose next one stands in a header may be the same, and its tag too, when there is
        // a next one at last.
        let etag =
            etag.filter(|_| !matches!(pull.cursor, Some(Cursor::Link { .. }))).map(str::to_owned);
        Ok(Answer { items, next: next.filter(|next| !next.is_empty()), etag })
    }
}

/// A missing list is a mistake, null is an empty one.
fn items<'a>(root: &'a RawValue, path: &[String]) -> Result<Vec<&'a RawValue>, String> {
    let named =
        if path.is_empty() { "itself".to_owned() } else { format!("at {}", path.join(".")) };
    let list = at_path(root, path)
        .ok_or_else(|| format!("has nothing {named}: `items` says where its list is"))?;
    if list.get() == "null" {
        return Ok(Vec::new());
    }
    serde_json::from_str(list.get())
        .map_err(|_| format!("has no list {named}: `items` says where its list is"))
}

/// What stands there, key by key.
pub fn at_path<'a>(root: &'a RawValue, path: &[String]) -> Option<&'a RawValue> {
    path.iter().try_fold(root, |value, key| {
        let object: HashMap<std::borrow::Cow<'a, str>, &'a RawValue> =
            serde_json::from_str(value.get()).ok()?;
        object.get(key.as_str()).copied()
    })
}

/// A text without its quotes, a number or a boolean as it is written; None for null, lists and
/// objects.
pub fn scalar(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}
