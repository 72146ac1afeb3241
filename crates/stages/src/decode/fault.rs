//! What is wrong with a record, in words that stay the same: people read them, tests and dashboards
//! compare them.

use duto_ground::index::RecordIndex;
use duto_ground::reject::{Reject, Stage};

/// Characters of a value that a reason shows.
const EXCERPT_CHARACTERS: usize = 40;

/// Boxed, so that the way of a good record carries one pointer.
pub type Outcome<T> = Result<T, Box<Fault>>;

/// One problem of a record. On its way up it collects where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One stable word, see the rules in the module's description.
    pub rule: &'static str,
    /// From the record inwards, for example `order_items[2].qty`.
    path: String,
    /// What follows the path in the sentence, or the whole sentence where the document itself is
    /// broken.
    words: String,
    /// Nothing behind it can be read.
    pub of_document: bool,
}

impl Fault {
    /// The bytes are not a document that can be read any further.
    #[cold]
    pub fn document(rule: &'static str, sentence: impl Into<String>) -> Box<Self> {
        Box::new(Self { rule, path: String::new(), words: sentence.into(), of_document: true })
    }

    /// The document's grammar is broken; `at` counts bytes from 0.
    #[cold]
    pub fn syntax(expected: &str, at: usize) -> Box<Self> {
        Self::document("json", format!("the record is not JSON: expected {expected} at byte {at}"))
    }

    /// One value is not what was declared. `predicate` goes on after the path, for example `must
    /// not be null`.
    #[cold]
    pub fn value(rule: &'static str, predicate: impl Into<String>) -> Box<Self> {
        Box::new(Self { rule, path: String::new(), words: predicate.into(), of_document: false })
    }

    /// The same fault, seen from the object that holds this key.
    pub fn in_field(self: Box<Self>, name: &str) -> Box<Self> {
        self.prefixed(name)
    }

    /// The same fault, seen from the list that holds this element.
    pub fn in_element(self: Box<Self>, index: usize) -> Box<Self> {
        self.prefixed(&format!("[{index}]"))
    }

    /// The fault as the pipeline keeps it.
    pub fn into_reject(self, record: RecordIndex) -> Reject {
        let reason = match (self.of_document, self.path.is_empty()) {
            (true, _) => self.words,
            (false, true) => format!("the record {}", self.words),
            (false, false) => format!("{} {}", self.path, self.words),
        };
        Reject {
            record,
            stage: Stage::Decode,
            path: self.path,
            rule: self.rule.to_owned(),
            reason,
            sqlstate: None,
        }
    }

    fn prefixed(mut self: Box<Self>, segment: &str) -> Box<Self> {
        if !self.of_document {
            let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
            self.path = format!("{segment}{joint}{}", self.path);
        }
        self
    }
}

/// The beginning of a value as it stood in the document, fit to be printed and stored.
pub fn excerpt(raw: &str) -> String {
    let mut shown = String::new();
    let mut characters = raw.chars();
    for character in characters.by_ref().take(EXCERPT_CHARACTERS) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_collects_its_path_from_the_inside_out() {
        let fault = Fault::value("minimum", "must be at least 0, got -1")
            .in_field("qty")
            .in_element(2)
            .in_field("order_items")
            .in_field("order");
        let reject = fault.into_reject(RecordIndex::new(7));
        assert_eq!(reject.path, "order.order_items[2].qty");
        assert_eq!(reject.reason, "order.order_items[2].qty must be at least 0, got -1");
        assert_eq!(
            (reject.record.number(), reject.rule.as_str(), reject.stage),
            (7, "minimum", Stage::Decode)
        );
    }

    #[test]
    fn a_broken_document_has_no_path() {
        let reject = Fault::syntax("a value", 3).in_field("qty").into_reject(RecordIndex::new(0));
        assert_eq!(
            (reject.path.as_str(), reject.reason.as_str()),
            ("", "the record is not JSON: expected a value at byte 3")
        );
    }

    #[test]
    fn an_excerpt_is_short_and_printable() {
        for (raw, shown) in [
            ("true", "true".to_owned()),
            ("[1,\n\t2]", "[1,\\n\\t2]".to_owned()),
            ("\"a\u{0}b\u{85}\"", "\"a\\u{0}b\\u{85}\"".to_owned()),
            (&"é".repeat(40), "é".repeat(40)),
            (&"é".repeat(41), format!("{}…", "é".repeat(40))),
        ] {
            assert_eq!(excerpt(raw), shown);
        }
    }
}
