//! What a column asks of its texts: no NUL, no more characters than it holds, the form of a UUID or of JSON.

use arrow::array::{LargeStringArray, StringArray};
use serde::de::IgnoredAny;

use super::cast::Refusal;
use duto_definition::ColumnType;

/// The form of a column's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRule {
    Any,
    AtMost(u32),
    Uuid,
    Json,
}

impl TextRule {
    /// None where the column holds no texts.
    pub(super) fn of(column_type: ColumnType) -> Option<Self> {
        match column_type {
            ColumnType::Text => Some(Self::Any),
            ColumnType::Varchar(characters) => Some(Self::AtMost(characters)),
            ColumnType::Uuid => Some(Self::Uuid),
            ColumnType::Jsonb => Some(Self::Json),
            _ => None,
        }
    }

    /// Notes the rows whose texts the column cannot hold. Blanks at the end are no reason: what there is no room for is [cut](Self::cut).
    pub(super) fn refuse(self, name: &str, texts: &StringArray, refused: &mut Vec<Refusal>) {
        // Most columns are cleared as a whole: no NUL among all their bytes, no text with more bytes than characters allowed.
        let start = texts.value_offsets().first().map_or(0, |start| *start as usize);
        let end = texts.value_offsets().last().map_or(0, |end| *end as usize);
        let has_nul = texts.value_data().get(start..end).is_some_and(|bytes| memchr::memchr(0, bytes).is_some());
        let all_short = match self {
            Self::Any => true,
            Self::AtMost(characters) => is_short(texts, characters),
            Self::Uuid | Self::Json => false,
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

    /// The texts without the blanks at their ends that the column has no room for, as PostgreSQL assigns them; None where all have room.
    pub(super) fn cut(self, texts: &StringArray) -> Option<StringArray> {
        let Self::AtMost(characters) = self else { return None };
        if is_short(texts, characters) {
            return None;
        }
        let cut = |text: &str| text.char_indices().nth(characters as usize).map_or(text.len(), |(end, _)| end);
        Some(texts.iter().map(|text| text.map(|text| &text[..cut(text)])).collect())
    }

    /// The same of JSON's texts.
    pub(super) fn refuse_documents(self, name: &str, documents: &LargeStringArray, refused: &mut Vec<Refusal>) {
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
                let reason = || format!("is {} characters long, VARCHAR({characters}) holds {characters}", text.chars().count());
                text.chars().skip(characters as usize).any(|character| character != ' ').then(|| ("varchar_length", reason()))
            }
            Self::Uuid => (!is_uuid(text)).then(|| ("uuid", format!("{text:?} is not a UUID"))),
            Self::Json => (!is_json(text)).then(|| ("json", "is not JSON that PostgreSQL can store".into())),
        }
    }
}

/// Whether no text has more bytes than characters allowed.
fn is_short(texts: &StringArray, characters: u32) -> bool {
    texts.value_offsets().windows(2).all(|ends| ends[1] - ends[0] <= characters as i32)
}

/// The canonical form: 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| if hyphens.contains(&place) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// JSONB refuses an escaped NUL as PostgreSQL's texts refuse a plain one.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok() && !has_escaped_nul(text)
}

fn has_escaped_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(place, _)| text[..place].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0)
}
