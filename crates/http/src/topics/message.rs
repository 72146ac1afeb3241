//! One message as JSON. Numbers within it stay as they were sent: its payload is a text here, never
//! parsed.

use serde_json::{Value, json};

use duto_ground::batch::{RecordRef, decode_headers};

/// Of a payload in a list so much is shown; of one that is opened, more. All of it is a file to
/// keep.
pub const LISTED_BYTES: usize = 2 << 10;
pub const OPENED_BYTES: usize = 512 << 10;
/// Of a key, and of a header's value.
const SMALL_BYTES: usize = 4 << 10;

/// A message, cut where it is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970; -1 where the log knows none.
    pub timestamp_ms: i64,
    pub key: Option<Piece>,
    /// None is a tombstone.
    pub payload: Option<Piece>,
    pub headers: Vec<(String, Option<Piece>)>,
}

/// The beginning of some bytes, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    shown: Vec<u8>,
    bytes: usize,
}

impl Piece {
    fn of(bytes: &[u8], most_bytes: usize) -> Piece {
        Piece { shown: bytes[..bytes.len().min(most_bytes)].to_vec(), bytes: bytes.len() }
    }

    /// `text` where it is UTF-8, else `hex`; `cut` where it is not all.
    fn to_json(&self) -> Value {
        let cut = self.shown.len() < self.bytes;
        match std::str::from_utf8(&self.shown) {
            Ok(text) => json!({ "text": text, "bytes": self.bytes, "cut": cut }),
            // The cut went through a character.
            Err(error) if cut && error.error_len().is_none() => {
                let whole = String::from_utf8_lossy(&self.shown[..error.valid_up_to()]);
                json!({ "text": whole, "bytes": self.bytes, "cut": cut })
            }
            Err(_) => json!({ "hex": hex::encode(&self.shown), "bytes": self.bytes, "cut": cut }),
        }
    }
}

impl Message {
    pub fn of(record: RecordRef<'_>, payload_bytes: usize) -> Message {
        let small = |bytes: &[u8]| Piece::of(bytes, SMALL_BYTES);
        Message {
            partition: record.head.partition,
            offset: record.head.offset,
            timestamp_ms: record.head.timestamp_ms,
            key: record.key.map(small),
            payload: record.payload.map(|payload| Piece::of(payload, payload_bytes)),
            headers: decode_headers(record.headers.unwrap_or_default())
                .into_iter()
                .map(|(name, value)| (name, value.as_deref().map(small)))
                .collect(),
        }
    }

    pub fn to_json(&self) -> Value {
        let piece = |piece: &Option<Piece>| piece.as_ref().map(Piece::to_json);
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": piece(value) }))
            .collect();
        json!({
            "partition": self.partition, "offset": self.offset, "time_ms": (self.timestamp_ms >= 0).then_some(self.timestamp_ms),
            "key": piece(&self.key), "payload": piece(&self.payload), "headers": headers,
        })
    }
}

pub fn list_to_json<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Value> {
    messages.into_iter().map(Message::to_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can_be() {
        let cases = [
            (
                b"{\"a\": 1.10}".as_slice(),
                100,
                json!({"text": "{\"a\": 1.10}", "bytes": 11, "cut": false}),
            ),
            ("añb".as_bytes(), 2, json!({"text": "a", "bytes": 4, "cut": true})),
            ("añb".as_bytes(), 3, json!({"text": "añ", "bytes": 4, "cut": true})),
            (b"\x00\xff", 100, json!({"hex": "00ff", "bytes": 2, "cut": false})),
            (b"a\xc3", 100, json!({"hex": "61c3", "bytes": 2, "cut": false})),
            (b"", 100, json!({"text": "", "bytes": 0, "cut": false})),
        ];
        for (bytes, most, expected) in cases {
            assert_eq!(Piece::of(bytes, most).to_json(), expected);
        }
    }
}
