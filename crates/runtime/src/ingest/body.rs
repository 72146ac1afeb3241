//! What a request holds: one object, an array of them, or one object a line.

use axum::http::{HeaderMap, header};
use serde_json::value::RawValue;

/// The records of a body, as slices of it: their bytes go to the log as they came.
#[derive(Debug, PartialEq, Eq)]
pub enum Body<'a> {
    One(&'a [u8]),
    Many(Vec<&'a [u8]>),
    /// Neither can be told where its records begin and end.
    Broken(String),
}

impl<'a> Body<'a> {
    pub fn split(headers: &HeaderMap, body: &'a [u8]) -> Self {
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if media_type.contains("ndjson")
            || media_type.contains("jsonl")
            || media_type.contains("json-seq")
        {
            return Self::Many(
                body.split(|byte| *byte == b'\n')
                    .filter(|line| !line.trim_ascii().is_empty())
                    .collect(),
            );
        }
        match body.trim_ascii_start().first() {
            Some(b'[') => match serde_json::from_slice::<Vec<&RawValue>>(body) {
                Ok(records) => {
                    Self::Many(records.into_iter().map(|record| record.get().as_bytes()).collect())
                }
                Err(error) => Self::Broken(format!("the array is not JSON: {error}")),
            },
            _ => Self::One(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_fall_into_their_records() {
        let plain = HeaderMap::new();
        let mut lines = HeaderMap::new();
        lines.insert(header::CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
        assert_eq!(Body::split(&plain, b"{\"a\": 1}"), Body::One(b"{\"a\": 1}"));
        assert_eq!(
            Body::split(&plain, b" [{\"a\": 1.10}, 2]"),
            Body::Many(vec![b"{\"a\": 1.10}", b"2"])
        );
        assert_eq!(Body::split(&lines, b"{}\n\n[1]\r\n"), Body::Many(vec![b"{}", b"[1]\r"]));
        assert_eq!(Body::split(&plain, b""), Body::One(b""));
        assert!(matches!(Body::split(&plain, b"[1,"), Body::Broken(_)));
    }
}
