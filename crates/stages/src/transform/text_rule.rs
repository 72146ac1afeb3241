//! What a column asks of its texts: no NUL, no more characters than it holds, the form of its type
//! or of JSON.

use arrow::array::{Array, LargeStringArray, StringArray};
use serde::de::IgnoredAny;

use super::cast::Refusal;
use duto_definition::ColumnType;
use duto_definition::column_type::ValueKind;
use duto_sql::forms::Form;

/// The form of a column's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRule {
    Any,
    AtMost(u32),
    Formed(&'static Form),
    Json,
}

impl TextRule {
    /// None where the column holds no texts.
    pub(super) fn of(column_type: ColumnType) -> Option<Self> {
        match column_type.values() {
            ValueKind::Text(None) => Some(Self::Any),
            ValueKind::Text(Some(characters)) => Some(Self::AtMost(characters)),
            ValueKind::Formed(form) => Some(Self::Formed(form)),
            ValueKind::Jsonb => Some(Self::Json),
            ValueKind::Boolean | ValueKind::SmallInt | ValueKind::Integer | ValueKind::BigInt => {
                None
            }
            ValueKind::Real | ValueKind::DoublePrecision | ValueKind::Numeric(_) => None,
            ValueKind::Date | ValueKind::Timestamp | ValueKind::Timestamptz | ValueKind::Bytea => {
                None
            }
        }
    }

    /// Notes the rows whose texts the column cannot hold, and answers the texts as PostgreSQL
    /// assigns them: without blanks at their ends that the column has no room for, or in the
    /// type's own form. None where all are so already.
    pub(super) fn stored(
        self,
        name: &str,
        texts: &StringArray,
        refused: &mut Vec<Refusal>,
    ) -> Option<StringArray> {
        match self {
            Self::Formed(form) => {
                let normal: StringArray = texts.iter().map(|text| form.normal(text?)).collect();
                // Only what has no form is looked at again, for its reason.
                if normal.null_count() > texts.null_count() {
                    self.refuse(name, texts, refused);
                }
                (normal != *texts).then_some(normal)
            }
            Self::AtMost(characters) => {
                self.refuse(name, texts, refused);
                let cut = |text: &str| {
                    text.char_indices().nth(characters as usize).map_or(text.len(), |(end, _)| end)
                };
                let cut = || texts.iter().map(|text| text.map(|text| &text[..cut(text)])).collect();
                (!is_short(texts, characters)).then(cut)
            }
            Self::Any | Self::Json => {
                self.refuse(name, texts, refused);
                None
            }
        }
    }

    /// Notes the rows whose texts the column cannot hold.
    fn refuse(self, name: &str, texts: &StringArray, refused: &mut Vec<Refusal>) {
        // Most columns are cleared as a whole: no NUL among all their bytes, no text with more
        // bytes than characters allowed.
        let start = texts.value_offsets().first().map_or(0, |start| *start as usize);
        let end = texts.value_offsets().last().map_or(0, |end| *end as usize);
        let has_nul = texts
            .value_data()
            .get(start..end)
            .is_some_and(|bytes| memchr::memchr(0, bytes).is_some());
        let all_short = match self {
            Self::Any => true,
            Self::AtMost(characters) => is_short(texts, characters),
            Self::Formed(_) | Self::Json => false,
        };
        if !has_nul && all_short {
            return;
        }
        for (row, text) in (0u32..).zip(texts) {
            if let Some((rule, reason)) = text.and_then(|text| self.misfit(text)) {
                refused.push(Refusal { row, rule, reason: format!("{name} {reason}") });
            }
        }
    }

    /// The same of JSON's texts.
    pub(super) fn refuse_documents(
        self,
        name: &str,
        documents: &LargeStringArray,
        refused: &mut Vec<Refusal>,
    ) {
        for (row, document) in (0u32..).zip(documents) {
            if let Some((rule, reason)) = document.and_then(|document| self.misfit(document)) {
                refused.push(Refusal { row, rule, reason: format!("{name} {reason}") });
            }
        }
    }

    fn misfit(self, text: &str) -> Option<(&'static str, String)> {
        if text.contains('\0') {
            return Some(("nul", "contains a NUL, which PostgreSQL cannot store".into()));
        }
        match self {
            Self::Any => None,
            Self::AtMost(characters) => {
                let reason = || {
                    format!(
                        "is {} characters long, VARCHAR({characters}) holds {characters}",
                        text.chars().count()
                    )
                };
                text.chars()
                    .skip(characters as usize)
                    .any(|character| character != ' ')
                    .then(|| ("varchar_length", reason()))
            }
            Self::Formed(form) => form
                .normal(text)
                .is_none()
                .then(|| (form.rule, format!("{text:?} is not {}", form.wanted))),
            Self::Json => {
                (!is_json(text)).then(|| ("json", "is not JSON that PostgreSQL can store".into()))
            }
        }
    }
}

/// Whether no text has more bytes than characters allowed.
fn is_short(texts: &StringArray, characters: u32) -> bool {
    texts.value_offsets().windows(2).all(|ends| ends[1] - ends[0] <= characters as i32)
}

/// JSONB refuses an escaped NUL as PostgreSQL's texts refuse a plain one.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok() && !has_escaped_nul(text)
}

fn has_escaped_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(place, _)| {
        text[..place].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
    })
}
