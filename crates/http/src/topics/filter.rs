//! Which messages are looked for: by key, by a text, or both.

use memchr::memmem::Finder;

use super::refusal::Refusal;
use duto_ground::batch::RecordRef;

/// What a message must have. Empty, it takes every one.
pub struct Filter {
    key: Option<KeyRule>,
    text: Option<Text>,
}

enum KeyRule {
    Is(Vec<u8>),
    BeginsWith(Vec<u8>),
}

struct Text {
    finder: Finder<'static>,
    /// Without a capital letter in it, a text is found whatever the case of its ASCII letters.
    folds_case: bool,
}

impl Filter {
    /// `key` ends in `*` for all keys that begin so. `text` is looked for in key, payload and
    /// headers.
    pub fn new(key: Option<&str>, text: Option<&str>) -> Result<Filter, Refusal> {
        if [key, text].into_iter().flatten().any(|part| part.len() > 10_000) {
            return Err(Refusal::bad_request("a filter has at most 10,000 bytes"));
        }
        let key = key.filter(|key| !key.is_empty()).map(|key| match key.strip_suffix('*') {
            Some(beginning) => KeyRule::BeginsWith(beginning.as_bytes().to_vec()),
            None => KeyRule::Is(key.as_bytes().to_vec()),
        });
        let text = text.filter(|text| !text.is_empty()).map(|text| Text {
            finder: Finder::new(text.as_bytes()).into_owned(),
            folds_case: !text.chars().any(char::is_uppercase),
        });
        Ok(Filter { key, text })
    }

    pub fn takes_all(&self) -> bool {
        self.key.is_none() && self.text.is_none()
    }

    /// `folded` is room for a copy of the bytes, kept between calls.
    pub fn takes(&self, record: RecordRef<'_>, folded: &mut Vec<u8>) -> bool {
        let key_fits = match &self.key {
            None => true,
            Some(KeyRule::Is(key)) => record.key == Some(key.as_slice()),
            Some(KeyRule::BeginsWith(beginning)) => {
                record.key.is_some_and(|key| key.starts_with(beginning))
            }
        };
        key_fits
            && self.text.as_ref().is_none_or(|text| {
                [record.payload, record.key, record.headers]
                    .into_iter()
                    .flatten()
                    .any(|bytes| text.is_in(bytes, folded))
            })
    }
}

impl Text {
    fn is_in(&self, bytes: &[u8], folded: &mut Vec<u8>) -> bool {
        if !self.folds_case {
            return self.finder.find(bytes).is_some();
        }
        folded.clear();
        folded.extend(bytes.iter().map(u8::to_ascii_lowercase));
        self.finder.find(folded).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_ground::batch::{Batch, Place, encode_headers};

    #[test]
    fn takes_what_has_the_key_and_the_text() {
        let mut batch = Batch::default();
        let headers = encode_headers([("trace", Some(b"Abc-1".as_slice()))]);
        let place = Place { partition: 0, offset: 0, leader_epoch: -1, timestamp_ms: 0 };
        batch.push(
            place,
            Some(b"USER001"),
            Some("{\"city\": \"São Paulo\"}".as_bytes()),
            Some(&headers),
        );
        let cases = [
            (None, None, true),
            (Some("USER001"), None, true),
            (Some("user001"), None, false),
            (Some("USER"), None, false),
            (Some("USER*"), None, true),
            (None, Some("paulo"), true),
            (None, Some("Paulo"), true),
            (None, Some("PAULO"), false),
            (None, Some("são"), true),
            (None, Some("abc-1"), true),
            (None, Some("user0"), true),
            (Some("USER001"), Some("rio"), false),
            (Some(""), Some(""), true),
        ];
        for (key, text, expected) in cases {
            let filter = Filter::new(key, text).unwrap();
            assert_eq!(filter.takes(batch.get(0), &mut Vec::new()), expected, "{key:?} {text:?}");
        }
    }
}
