//! Latin-1 as it is written: ISO 8859-1, and between 0x80 and 0x9F what Windows put there.

/// The characters of 0x80 to 0x9F in Windows' code page 1252; the five that it leaves open stay
/// control characters.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Appends the bytes as UTF-8.
pub fn append_utf8(latin1: &[u8], utf8: &mut Vec<u8>) {
    utf8.reserve(latin1.len());
    for &byte in latin1 {
        match byte {
            0..0x80 => utf8.push(byte),
            _ => utf8.extend_from_slice(character(byte).encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The character of a byte.
pub fn character(byte: u8) -> char {
    match byte {
        0x80..0xa0 => WINDOWS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character() {
        let mut utf8 = Vec::new();
        append_utf8(b"S\xe3o Jos\xe9 \x80 \x93ok\x94 \xff", &mut utf8);
        assert_eq!(String::from_utf8(utf8).as_deref(), Ok("São José € “ok” ÿ"));
        let all: Vec<u8> = (0..=255).collect();
        let mut utf8 = Vec::new();
        append_utf8(&all, &mut utf8);
        assert_eq!(String::from_utf8(utf8).expect("UTF-8").chars().count(), 256);
    }
}
