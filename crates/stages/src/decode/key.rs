//! The value that keys a message, for those who send one: ingestion and the generator.

use super::fault::Outcome;
use super::json::Scanner;

/// The value of a body's top-level key as a message's key: a text without its quotes, another
/// single value as it is written. None where there is no such value, or no document; the first one
/// counts where the key is given twice.
pub fn key_of(body: &[u8], field: &str) -> Option<Vec<u8>> {
    // No deeper than the body is long: how deep a record may be is the decoder's business.
    let mut scanner = Scanner::new(body, body.len()).ok()?;
    find(&mut scanner, field).ok()?
}

fn find(scanner: &mut Scanner<'_>, field: &str) -> Outcome<Option<Vec<u8>>> {
    let mut resolved = String::new();
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut more = !scanner.enter(b'}')?;
    while more {
        scanner.skip_space();
        let found = scanner.string()?.resolve(&mut resolved) == field;
        scanner.colon()?;
        if found {
            return single_value(scanner, &mut resolved);
        }
        scanner.skip_value()?;
        more = scanner.more(b'}')?;
    }
    Ok(None)
}

fn single_value(scanner: &mut Scanner<'_>, resolved: &mut String) -> Outcome<Option<Vec<u8>>> {
    let mark = scanner.mark();
    Ok(match scanner.peek() {
        Some(b'"') => Some(scanner.string()?.resolve(resolved).as_bytes().to_vec()),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => {
            scanner.skip_value()?;
            Some(scanner.since(mark).as_bytes().to_vec())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_keyed_by_one_of_its_values() {
        for (body, key) in [
            (&br#"{"a":{"user_id":"no"},"user_id":"USER\u0030\u00e9"}"#[..], Some("USER0é")),
            (br#" { "user_id" : 12.50 }"#, Some("12.50")),
            (br#"{"us\u0065r_id":true}"#, Some("true")),
            (br#"{"user_id":null}"#, None),
            (br#"{"user_id":{}}"#, None),
            (br#"{"other":1}"#, None),
            (br#"["user_id"]"#, None),
            (br#"{"a":tru,"user_id":1}"#, None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(
                key_of(body, "user_id").as_deref(),
                key.map(str::as_bytes),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
