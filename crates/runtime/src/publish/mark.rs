//! How far a relay is: the last row that it sent. The journal's note holds it.

use serde_json::json;
use uuid::Uuid;

/// A row of the outbox. Its token was drawn by the transaction that wrote it, so that a row with
/// the same id which another transaction wrote, after a backup was restored, is known to be
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub id: i64,
    pub token: Uuid,
}

impl Mark {
    /// As a person may read it.
    pub fn to_note(self) -> Vec<u8> {
        json!({"id": self.id, "token": self.token.to_string()}).to_string().into_bytes()
    }

    /// None where the note is not one of a relay.
    pub fn from_note(note: &[u8]) -> Option<Mark> {
        let note: serde_json::Value = serde_json::from_slice(note).ok()?;
        Some(Mark {
            id: note.get("id")?.as_i64()?,
            token: note.get("token")?.as_str()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = Mark { id: i64::MAX, token: Uuid::new_v4() };
        assert_eq!(Mark::from_note(&mark.to_note()), Some(mark));
        for other in ["", "{}", "1", r#"{"id": 1}"#, r#"{"id": "1", "token": "x"}"#, "\u{0}"] {
            assert_eq!(Mark::from_note(other.as_bytes()), None, "{other}");
        }
    }
}
