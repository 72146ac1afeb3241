//! JSON, as it stands.

use super::ReadFormat;
use crate::decode::fault::Outcome;

#[derive(Debug)]
pub(super) struct Json {
    /// A JSON string is the document that the string holds.
    pub unwrap_strings: bool,
}

impl ReadFormat for Json {
    fn document<'a>(&self, bytes: &'a [u8], room: &'a mut Vec<u8>) -> Outcome<&'a [u8]> {
        if !self.unwrap_strings || bytes.trim_ascii_start().first() != Some(&b'"') {
            return Ok(bytes);
        }
        // A broken string is left to the scanner, which says what is wrong.
        let Ok(text) = serde_json::from_slice::<String>(bytes) else { return Ok(bytes) };
        *room = text.into_bytes();
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_the_document_that_it_holds_where_that_is_asked_for() {
        for (bytes, unwrapped) in [
            (r#"{"id": 1}"#, r#"{"id": 1}"#),
            (r#""{\"id\": 1}""#, r#"{"id": 1}"#),
            (" \n\"[1]\" ", "[1]"),
            (r#""""#, ""),
            (r#""{\"id\""#, r#""{\"id\""#),
            (r#""1" 2"#, r#""1" 2"#),
            ("7", "7"),
        ] {
            let document = |unwrap_strings| {
                let mut room = b"left over".to_vec();
                let format = Json { unwrap_strings };
                let document = format.document(bytes.as_bytes(), &mut room).expect("a document");
                String::from_utf8(document.to_vec()).expect("UTF-8")
            };
            assert_eq!(document(true), unwrapped, "{bytes}");
            assert_eq!(document(false), bytes);
        }
    }
}
