//! Base64 (RFC 4648, the standard alphabet), the text in which a BYTEA stands in a JSON document.

/// Appends the bytes; None, with nothing appended, if the text is no base64. The padding may be
/// left out.
pub fn decode_base64(text: &str, into: &mut Vec<u8>) -> Option<()> {
    let start = into.len();
    let decoded = decode(text, into);
    if decoded.is_none() {
        into.truncate(start);
    }
    decoded
}

fn decode(text: &str, into: &mut Vec<u8>) -> Option<()> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    for group in digits.as_bytes().chunks(4) {
        let bits = group.iter().try_fold(0_u32, |bits, &digit| Some(bits << 6 | value(digit)?))?;
        // A last group of two or three digits holds one or two bytes; the bits behind them must be
        // 0.
        let (bytes, spare) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if bits & ((1 << spare) - 1) != 0 {
            return None;
        }
        into.extend((0..bytes).rev().map(|byte| (bits >> spare >> (8 * byte)) as u8));
    }
    Some(())
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg==", Some(b"foob")),
            ("Zm9vYmE=", Some(b"fooba")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("Zm9vYg", Some(b"foob")),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            ("Zg=", None),
            ("Z", None),
            ("Zh==", None),
            ("Zm9=", None),
            ("Zm 9v", None),
            ("Zm9v====", None),
            ("-_-_", None),
            ("é", None),
        ] {
            let mut into = b"kept".to_vec();
            let decoded = decode_base64(text, &mut into).map(|()| into.split_off(4));
            assert_eq!(decoded.as_deref(), bytes, "{text}");
            assert_eq!(into, b"kept");
        }
    }
}
