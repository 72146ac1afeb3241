//! Texts: finding a string's end, its escapes, and the cleaning that the pipeline declares.

use super::fault::{Fault, Outcome};
use super::json::Scanner;
use duto_definition::TextCleaning;

/// A string of the document between its quotes, its escapes checked but not yet resolved.
#[derive(Debug, Clone, Copy)]
pub struct RawText<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Scanner<'a> {
    /// Reads a string; the quote must be here.
    pub fn string(&mut self) -> Outcome<RawText<'a>> {
        if !self.take(b'"') {
            return Err(Fault::syntax("'\"'", self.at()));
        }
        let start = self.at();
        let mut escaped = false;
        loop {
            let at = next_special(self.bytes(), self.at());
            self.move_to(at);
            match self.peek() {
                Some(b'"') => {
                    self.move_to(at + 1);
                    return Ok(RawText { raw: self.slice(start, at), escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => {
                    return Err(Fault::document(
                        "json",
                        format!("the record is not JSON: a bare control character at byte {at}"),
                    ));
                }
                None => return Err(Fault::syntax("'\"'", at)),
            }
        }
    }

    /// Checks one escape, a pair of surrogates counting as one.
    fn escape(&mut self) -> Outcome<()> {
        let start = self.at();
        self.move_to(start + 2);
        match self.bytes().get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let unit = self.hex4()?;
                self.seen().nul |= unit == 0;
                let lone = match unit {
                    0xD800..=0xDBFF => {
                        !(self.take(b'\\')
                            && self.take(b'u')
                            && matches!(self.hex4()?, 0xDC00..=0xDFFF))
                    }
                    0xDC00..=0xDFFF => true,
                    _ => false,
                };
                if lone {
                    return Err(Fault::document(
                        "surrogate",
                        format!("the record is not Unicode: a lone surrogate at byte {start}"),
                    ));
                }
                Ok(())
            }
            _ => Err(Fault::syntax("an escape", start)),
        }
    }

    fn hex4(&mut self) -> Outcome<u32> {
        let at = self.at();
        let unit = self
            .bytes()
            .get(at..at + 4)
            .and_then(hex4)
            .ok_or_else(|| Fault::syntax("four hexadecimal digits", at))?;
        self.move_to(at + 4);
        Ok(unit)
    }
}

impl<'a> RawText<'a> {
    /// The text itself; `scratch` holds it where the document wrote it with escapes.
    pub fn resolve<'s>(self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            let (plain, escape) = rest.split_at(at);
            scratch.push_str(plain);
            let (character, length) = resolve_escape(escape);
            scratch.push(character);
            rest = escape.get(length..).unwrap_or_default();
        }
        scratch.push_str(rest);
        scratch
    }
}

/// Cleans a text as `text:` declares: NUL removed, then trimmed, then cut. `spare` holds it where a
/// NUL had to go.
pub fn clean<'s>(text: &'s str, cleaning: TextCleaning, spare: &'s mut String) -> &'s str {
    let mut text = text;
    if cleaning.remove_nul && memchr::memchr(0, text.as_bytes()).is_some() {
        spare.clear();
        spare.extend(text.chars().filter(|&character| character != '\0'));
        text = spare;
    }
    if cleaning.trim {
        text = text.trim();
    }
    match cleaning.max_length {
        Some(max_length) if text.len() > max_length as usize => {
            let end =
                text.char_indices().nth(max_length as usize).map_or(text.len(), |(end, _)| end);
            text.get(..end).unwrap_or_default()
        }
        _ => text,
    }
}

/// The next quote, backslash or control character at or behind `at`; eight bytes a step.
fn next_special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest byte that a test marks is always right; a borrow can only spoil the ones above it.
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(&chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(chunk);
        let quotes = zero_bytes(word ^ (ONES * u64::from(b'"')));
        let backslashes = zero_bytes(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let hits = (quotes | backslashes | controls) & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The character of an escape that was checked, and the bytes it takes.
fn resolve_escape(escape: &str) -> (char, usize) {
    let bytes = escape.as_bytes();
    let unit = |from: usize| bytes.get(from..from + 4).and_then(hex4).unwrap_or(0xFFFD);
    match bytes.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match unit(2) {
            high @ 0xD800..=0xDBFF => {
                let low = unit(8) & 0x3FF;
                (
                    char::from_u32(0x10000 + ((high & 0x3FF) << 10) + low)
                        .unwrap_or(char::REPLACEMENT_CHARACTER),
                    12,
                )
            }
            unit => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        },
        Some(&itself) => (char::from(itself), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_ground::index::RecordIndex;

    fn read(document: &str) -> Result<String, (String, String)> {
        let text = Scanner::new(document.as_bytes(), 1).and_then(|mut scanner| scanner.string());
        text.map(|text| text.resolve(&mut String::new()).to_owned()).map_err(|fault| {
            let reject = fault.into_reject(RecordIndex::new(0));
            (reject.rule, reject.reason)
        })
    }

    #[test]
    fn escapes_are_resolved() {
        for (document, text) in [
            (r#""""#, ""),
            (r#""plain text, longer than a word""#, "plain text, longer than a word"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""S\u00e3o Paulo""#, "São Paulo"),
            (r#""\uD83D\uDE00 and \ud83d\ude00""#, "😀 and 😀"),
            (r#""a\u0000b""#, "a\0b"),
            (r#""\uFFFF""#, "\u{ffff}"),
            (r#""São Paulo é aqui, não lá""#, "São Paulo é aqui, não lá"),
        ] {
            assert_eq!(read(document).as_deref(), Ok(text), "{document}");
        }
    }

    #[test]
    fn bad_strings_are_refused() {
        for (document, rule) in [
            ("\"abc", "json"),
            ("\"abc\\", "json"),
            ("\"ab\ncdefghijk\"", "json"),
            ("\"abcdefgh\u{1}\"", "json"),
            (r#""\x41""#, "json"),
            (r#""\u12G4""#, "json"),
            (r#""\u12"#, "json"),
            (r#""\ud800""#, "surrogate"),
            (r#""\udc00""#, "surrogate"),
            (r#""\ud800\ud800""#, "surrogate"),
            (r#""\ud800 \udc00""#, "surrogate"),
        ] {
            assert_eq!(
                read(document).map_err(|(rule, _)| rule),
                Err(rule.to_owned()),
                "{document}"
            );
        }
    }

    #[test]
    fn every_place_of_a_special_byte_is_found() {
        for length in 0..40 {
            for place in 0..length {
                for special in [b'"', b'\\', 0, 0x1f] {
                    for filler in [b'a', b'!', 0x20, b'#', b']', b'[', 0xc3, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = special;
                        assert_eq!(next_special(&bytes, 0), place);
                    }
                }
            }
        }
    }

    #[test]
    fn cleaning_removes_then_trims_then_cuts() {
        let cleaning = TextCleaning { trim: true, remove_nul: true, max_length: Some(3) };
        for (text, cleaned) in [
            ("\0 ab \0", "ab"),
            ("  éééé ", "ééé"),
            ("a\0b\0c\0d", "abc"),
            ("", ""),
            ("\u{a0}x ", "x"),
        ] {
            assert_eq!(clean(text, cleaning, &mut String::new()), cleaned, "{text:?}");
        }
        assert_eq!(clean(" a\0 ", TextCleaning::default(), &mut String::new()), " a\0 ");
    }
}
