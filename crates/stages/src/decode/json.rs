//! A strict RFC 8259 scanner. It allocates nothing for a document without faults, calls itself for
//! nothing, and reads every byte once.

use super::fault::{Fault, Outcome};

/// A document being read. The text is UTF-8 already; what is left to check is the grammar.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
    seen: Seen,
}

/// A place to go back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    at: usize,
    depth: usize,
}

/// What PostgreSQL's jsonb refuses although it is JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub nul: bool,
    pub number_beyond_numeric: bool,
}

/// Checks that the bytes are one JSON document of at most this depth, in UTF-8 and without lone
/// surrogates.
pub fn validate(bytes: &[u8], max_depth: usize) -> Outcome<()> {
    let mut scanner = Scanner::new(bytes, max_depth)?;
    scanner.skip_value()?;
    scanner.end()
}

impl<'a> Scanner<'a> {
    /// Checks the encoding, once for the whole document.
    pub fn new(bytes: &'a [u8], max_depth: usize) -> Outcome<Self> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| {
            let valid = simdutf8::compat::from_utf8(bytes)
                .map_or_else(|error| error.valid_up_to(), str::len);
            Fault::document("utf8", format!("the record is not UTF-8: bad byte at {valid}"))
        })?;
        if text.starts_with('\u{feff}') {
            return Err(Fault::document(
                "json",
                "the record is not JSON: it begins with a byte order mark",
            ));
        }
        Ok(Self { text, at: 0, depth: 0, max_depth, seen: Seen::default() })
    }

    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth }
    }

    pub fn go_back(&mut self, mark: Mark) {
        self.at = mark.at;
        self.depth = mark.depth;
    }

    /// The document's text between a mark and here.
    #[inline]
    pub fn since(&self, mark: Mark) -> &'a str {
        self.slice(mark.at, self.at)
    }

    /// The text between two bytes that stand at characters' borders, as all of JSON's own signs do.
    #[inline]
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn seen(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// The byte here; None at the end.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    /// Goes on if the byte here is this one.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes on if exactly these bytes are here.
    #[inline]
    pub fn take_all(&mut self, bytes: &[u8]) -> bool {
        let there = self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        self.at += if there { bytes.len() } else { 0 };
        there
    }

    /// `true`, `false` or `null`, letter for letter.
    pub fn literal(&mut self, word: &str) -> Outcome<()> {
        if self.take_all(word.as_bytes()) { Ok(()) } else { Err(Fault::syntax("a value", self.at)) }
    }

    /// Behind an opening bracket: goes on behind the closing one, answering true, if the container
    /// is empty.
    #[inline]
    pub fn enter(&mut self, closing: u8) -> Outcome<bool> {
        self.at += 1;
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(Fault::document(
                "depth",
                format!("the record is nested deeper than {} levels", self.max_depth),
            ));
        }
        self.skip_space();
        let empty = self.take(closing);
        self.depth -= usize::from(empty);
        Ok(empty)
    }

    /// Behind a value in a container: true if another one follows, false if the container ended
    /// here.
    #[inline]
    pub fn more(&mut self, closing: u8) -> Outcome<bool> {
        self.skip_space();
        if self.take(b',') {
            return Ok(true);
        }
        if self.take(closing) {
            self.depth -= 1;
            return Ok(false);
        }
        Err(Fault::syntax(if closing == b'}' { "',' or '}'" } else { "',' or ']'" }, self.at))
    }

    /// The colon behind a key, and the space around it.
    #[inline]
    pub fn colon(&mut self) -> Outcome<()> {
        self.skip_space();
        if !self.take(b':') {
            return Err(Fault::syntax("':'", self.at));
        }
        self.skip_space();
        Ok(())
    }

    /// Behind the document there may be space, nothing else.
    pub fn end(&mut self) -> Outcome<()> {
        self.skip_space();
        if self.at < self.text.len() {
            Err(Fault::syntax("the end of the record", self.at))
        } else {
            Ok(())
        }
    }

    /// Goes behind any value, checking its grammar. The open containers stand in a list of their
    /// own, not on the stack.
    pub fn skip_value(&mut self) -> Outcome<()> {
        let mut open = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'{') if !self.enter(b'}')? => {
                    open.push(b'}');
                    self.skip_key()?;
                    continue;
                }
                Some(b'[') if !self.enter(b']')? => {
                    open.push(b']');
                    continue;
                }
                Some(b'{' | b'[') => {}
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(Fault::syntax("a value", self.at)),
            }
            loop {
                let Some(&closing) = open.last() else { return Ok(()) };
                if self.more(closing)? {
                    if closing == b'}' {
                        self.skip_key()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    /// Goes behind any value, and tells what jsonb would not take of it.
    pub fn skip_jsonb(&mut self) -> Outcome<Seen> {
        self.seen = Seen::default();
        self.skip_value()?;
        Ok(self.seen)
    }

    fn skip_key(&mut self) -> Outcome<()> {
        self.skip_space();
        self.string()?;
        self.colon()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_ground::index::RecordIndex;

    #[test]
    fn grammar_is_that_of_rfc_8259() {
        for (document, fault) in [
            ("{}", None),
            (
                " [ 1 , -0.5e+3 , \"a\\u0041\\n\" , true , false , null , { \"a\" : [ ] } ] \r\n\t",
                None,
            ),
            ("", Some("expected a value at byte 0")),
            ("  ", Some("expected a value at byte 2")),
            ("{\"a\":}", Some("expected a value at byte 5")),
            ("{\"a\" 1}", Some("expected ':' at byte 5")),
            ("{\"a\":1,}", Some("expected '\"' at byte 7")),
            ("{a:1}", Some("expected '\"' at byte 1")),
            ("[1 2]", Some("expected ',' or ']' at byte 3")),
            ("[1,]", Some("expected a value at byte 3")),
            ("{\"a\":1", Some("expected ',' or '}' at byte 6")),
            ("1 1", Some("expected the end of the record at byte 2")),
            ("tru", Some("expected a value at byte 0")),
            ("01", Some("expected the end of the record at byte 1")),
            ("[1}", Some("expected ',' or ']' at byte 2")),
        ] {
            let found = validate(document.as_bytes(), 10)
                .err()
                .map(|fault| fault.into_reject(RecordIndex::new(0)).reason);
            assert_eq!(
                found,
                fault.map(|fault| format!("the record is not JSON: {fault}")),
                "{document}"
            );
        }
    }

    #[test]
    fn depth_is_bounded_whatever_the_length() {
        assert!(validate(b"[[[{\"a\":[1]}]]]", 5).is_ok());
        // What is closed again counts no more.
        assert!(
            validate(format!("[{}[]]", "[1],{\"a\":1},[],{},".repeat(50)).as_bytes(), 2).is_ok()
        );
        for (document, max_depth) in [
            ("[[[{\"a\":[1]}]]]".to_owned(), 4),
            ("[".repeat(10 << 20), 128),
            ("{\"a\":".repeat(1 << 20), 128),
        ] {
            let reject = validate(document.as_bytes(), max_depth)
                .unwrap_err()
                .into_reject(RecordIndex::new(0));
            assert_eq!(
                (reject.rule.as_str(), reject.reason),
                ("depth", format!("the record is nested deeper than {max_depth} levels"))
            );
        }
    }

    #[test]
    fn the_encoding_is_checked_before_the_grammar() {
        for (bytes, rule, reason) in [
            (&b"[\"a\xff\"]"[..], "utf8", "the record is not UTF-8: bad byte at 3"),
            (b"\xef\xbb\xbf{}", "json", "the record is not JSON: it begins with a byte order mark"),
            (b"\xff\xfe{\0}\0", "utf8", "the record is not UTF-8: bad byte at 0"),
        ] {
            let reject = validate(bytes, 10).unwrap_err().into_reject(RecordIndex::new(0));
            assert_eq!((reject.rule.as_str(), reject.reason.as_str()), (rule, reason));
        }
    }

    #[test]
    fn what_jsonb_refuses_is_noticed() {
        for (document, nul, number) in [
            ("[1e131071, 1e-16383, \"\\\\u0000\"]", false, false),
            ("\"\\u0000\"", true, false),
            ("{\"\\u0000\":1}", true, false),
            ("1e131072", false, true),
            ("-1e-16384", false, true),
            ("0e-16384", false, true),
            ("0e999999", false, false),
            ("1e99999999999999999999", false, true),
        ] {
            let seen =
                Scanner::new(document.as_bytes(), 10).and_then(|mut scanner| scanner.skip_jsonb());
            assert_eq!(seen, Ok(Seen { nul, number_beyond_numeric: number }), "{document}");
        }
    }
}
