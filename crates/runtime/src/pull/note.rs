//! How far an endpoint was read, as it stands in the journal beside the items.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The state between two requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where the next request goes on: a cursor's value, a page's address, a field's greatest
    /// value. None is the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The answer's tag when it was asked for at this place the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// So many items of the answer at this place were taken already, and this is their digest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digests of items that were taken and that the next answer will hold again: those with
    /// the field's greatest value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// The same of those without the field, as the last answer held them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Seconds since 1970: says that somebody still reads.
    #[serde(default)]
    pub read_at: i64,
}

impl Note {
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// None where the bytes are not a note of a pull.
    pub fn from_bytes(bytes: &[u8]) -> Option<Note> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Tells items from each other; no secret hangs on it.
pub fn digest<'a>(items: impl IntoIterator<Item = &'a RawValue>) -> String {
    let mut digest = Sha256::new();
    for item in items {
        digest.update((item.get().len() as u64).to_le_bytes());
        digest.update(item.get());
    }
    hex::encode(&digest.finalize()[..12])
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
