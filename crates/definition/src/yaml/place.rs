//! Where each byte of a decoded scalar stands in the file.

use granit_parser::ScalarStyle;

use crate::environment::Filled;
use crate::span::Detour;
use crate::{Span, SqlText};

/// Follows the bytes of the scalar at `span` of the file and its `decoded` text side by side. It
/// never fails: where the two cannot be matched, the rest of the text stands for the rest of the
/// scalar.
pub(super) fn trace(file: &str, span: Span, decoded: &str, style: ScalarStyle) -> SqlText {
    let base = match style {
        // The parser lets a block begin at its first character; its header, in the line before,
        // tells where the indentation begins.
        ScalarStyle::Literal | ScalarStyle::Folded => {
            file.get(..span.start).unwrap_or_default().trim_end().len()
        }
        _ => span.start,
    };
    let raw = file.get(base..span.end.max(base)).unwrap_or_default().as_bytes();
    let mut trace = Trace {
        raw,
        base,
        text: decoded.as_bytes(),
        raw_at: 0,
        text_at: 0,
        sql: SqlText::default(),
    };
    trace.begin(style);
    while trace.text_at < trace.text.len() {
        if !trace.step(style) {
            trace.give_up();
        }
    }
    SqlText { text: decoded.to_string(), span, ..trace.sql }
}

/// The same scalar after its environment variables were filled in.
pub(super) fn substituted(traced: &SqlText, filled: Filled) -> SqlText {
    let mut detours: Vec<Detour> = Vec::new();
    // How much longer the filled text is than the decoded one, up to the run at hand.
    let mut shift: isize = 0;
    let mut old = traced.detours.iter().peekable();
    for run in &filled.runs {
        while let Some(detour) = old.next_if(|detour| detour.at < run.decoded.start) {
            detours.push(Detour { at: detour.at.saturating_add_signed(shift), ..*detour });
        }
        while old.next_if(|detour| detour.at < run.decoded.end).is_some() {}
        let span = traced.span_of(run.decoded.start, run.decoded.end);
        detours.push(Detour { at: run.filled.start, length: run.filled.len(), span });
        shift = run.filled.end as isize - run.decoded.end as isize;
    }
    detours
        .extend(old.map(|detour| Detour { at: detour.at.saturating_add_signed(shift), ..*detour }));
    let line_starts = line_starts(&filled)
        .into_iter()
        .map(|offset| traced.span_of(offset, offset).start)
        .collect();
    SqlText { text: filled.text, span: traced.span, line_starts, detours }
}

/// For each line of the filled text, the offset in the decoded text at which it begins.
fn line_starts(filled: &Filled) -> Vec<usize> {
    let starts = std::iter::once(0).chain(filled.text.match_indices('\n').map(|(at, _)| at + 1));
    let decoded =
        |offset: usize| match filled.runs.iter().rev().find(|run| run.filled.start <= offset) {
            None => offset,
            Some(run) if offset < run.filled.end => run.decoded.start,
            Some(run) => run.decoded.end + (offset - run.filled.end),
        };
    starts.map(decoded).collect()
}

struct Trace<'a> {
    raw: &'a [u8],
    /// Where `raw` begins in the file.
    base: usize,
    text: &'a [u8],
    raw_at: usize,
    text_at: usize,
    sql: SqlText,
}

impl Trace<'_> {
    fn begin(&mut self, style: ScalarStyle) {
        match style {
            ScalarStyle::Plain => {}
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.raw_at = 1,
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = self
                    .raw
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .map_or(self.raw.len(), |newline| newline + 1);
                self.raw_at = header;
                let (raw_end, text_end) =
                    (self.white_space_end(), text_white_space_end(self.text, 0));
                if !self.text[..text_end].contains(&b'\n') {
                    // What is more than the text's own leading spaces is the block's indentation.
                    self.raw_at = raw_end.saturating_sub(text_end).max(header);
                }
            }
        }
        self.sql.line_starts.push(self.base + self.raw_at);
    }

    /// Matches one character, escape or line break. False means that the two do not match.
    fn step(&mut self, style: ScalarStyle) -> bool {
        let Some(&byte) = self.raw.get(self.raw_at) else { return false };
        let rest = &self.raw[self.raw_at..];
        match byte {
            b'\\' if style == ScalarStyle::DoubleQuoted => self.escape(),
            b'\'' if style == ScalarStyle::SingleQuoted && rest.starts_with(b"''") => {
                self.detour(2, 1)
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                let end = self.white_space_end();
                match self.raw[self.raw_at..end].contains(&b'\n') {
                    true => self.line_break(
                        end,
                        matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                    ),
                    false => self.same(),
                }
            }
            _ => self.same(),
        }
    }

    fn same(&mut self) -> bool {
        let same = self.raw.get(self.raw_at) == self.text.get(self.text_at);
        self.raw_at += 1;
        self.text_at += 1;
        same
    }

    /// White space with a line break in it: one line break is a space (or nothing but itself in a
    /// literal block), more are one less.
    fn line_break(&mut self, raw_end: usize, block: bool) -> bool {
        let breaks = self.raw[self.raw_at..raw_end].iter().filter(|&&byte| byte == b'\n').count();
        let text_end = match block {
            true => text_white_space_end(self.text, self.text_at),
            false => (self.text_at + breaks.saturating_sub(1).max(1)).min(self.text.len()),
        };
        let white = &self.text[self.text_at..text_end];
        if white.is_empty() || !white.iter().all(u8::is_ascii_whitespace) {
            return false;
        }
        if white.contains(&b'\n') {
            let lines = white.iter().filter(|&&byte| byte == b'\n').count();
            let own_indentation = white.iter().rev().take_while(|&&byte| byte != b'\n').count();
            // Lines between the first and the last are blank: nothing will ever point there.
            self.sql.line_starts.extend(std::iter::repeat_n(self.base + self.raw_at, lines - 1));
            self.sql.line_starts.push(self.base + raw_end.saturating_sub(own_indentation));
            (self.raw_at, self.text_at) = (raw_end, text_end);
            return true;
        }
        self.detour(raw_end - self.raw_at, text_end - self.text_at)
    }

    fn escape(&mut self) -> bool {
        let rest = &self.raw[self.raw_at..];
        let length = match rest.get(1) {
            Some(b'\n' | b'\r') => {
                let blank = rest[1..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let lines = rest[1..=blank].iter().filter(|&&byte| byte == b'\n').count();
                return self.detour(1 + blank, lines.saturating_sub(1));
            }
            Some(b'x') => 4,
            Some(b'U') => 10,
            // A character beyond 16 bits may be written as two escapes, a surrogate pair.
            Some(b'u')
                if matches!(
                    rest.get(2..4),
                    Some([b'd' | b'D', b'8'..=b'9' | b'a' | b'b' | b'A' | b'B'])
                ) =>
            {
                12
            }
            Some(b'u') => 6,
            _ => 2,
        };
        let character = std::str::from_utf8(&self.text[self.text_at..])
            .ok()
            .and_then(|text| text.chars().next());
        self.detour(length, character.map_or(1, char::len_utf8))
    }

    fn detour(&mut self, raw_length: usize, text_length: usize) -> bool {
        let (raw_end, text_end) = (self.raw_at + raw_length, self.text_at + text_length);
        if raw_end > self.raw.len() || text_end > self.text.len() {
            return false;
        }
        let span = Span::new(self.base + self.raw_at, self.base + raw_end);
        let newlines =
            self.text[self.text_at..text_end].iter().filter(|&&byte| byte == b'\n').count();
        self.sql.line_starts.extend(std::iter::repeat_n(span.end, newlines));
        self.sql.detours.push(Detour { at: self.text_at, length: text_length, span });
        (self.raw_at, self.text_at) = (raw_end, text_end);
        true
    }

    fn give_up(&mut self) {
        self.raw_at = self.raw_at.min(self.raw.len());
        self.text_at = self.text_at.min(self.text.len());
        self.detour(self.raw.len() - self.raw_at, self.text.len() - self.text_at);
    }

    fn white_space_end(&self) -> usize {
        text_white_space_end(self.raw, self.raw_at)
    }
}

fn text_white_space_end(text: &[u8], from: usize) -> usize {
    from + text
        .iter()
        .skip(from)
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .count()
}

#[cfg(test)]
mod tests {
    use crate::SqlText;
    use crate::yaml::{Content, tree};

    fn environment(name: &str) -> Option<String> {
        match name {
            "WORD" => Some("a longer text\nof two lines".to_string()),
            "NONE" => Some(String::new()),
            _ => None,
        }
    }

    fn sql(file: &str) -> SqlText {
        let (root, problems) = tree(file, &environment);
        assert!(problems.is_empty(), "{problems:?}");
        match root.expect(file).content {
            Content::Mapping(mut entries) => match entries.remove(0).value.content {
                Content::Scalar(scalar) => scalar.value,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// In each file, every `HERE` of the text must be found at the same `HERE` of the file.
    #[test]
    fn every_style_maps_back() {
        for file in [
            "sql: SELECT HERE FROM HERE",
            "sql: SELECT HERE\n  FROM HERE\n\n  WHERE HERE\n",
            "sql: |\n  SELECT HERE,\n    HERE\n\n  FROM HERE\n",
            "sql: |\n  é ü HERE\n   日本 HERE\n",
            "sql: |2\n   HERE\n  HERE\n",
            "sql: |-\n\n\n  HERE\n\n    HERE\n\n",
            "sql: |  # a comment\n  HERE HERE  \n  HERE\n",
            "sql: >\n  SELECT HERE\n  FROM HERE\n\n  HERE\n    more HERE\n  HERE\n",
            "sql: >-\n  HERE\n\n\n  HERE\nother: 1\n",
            "sql: 'HERE = ''x'' HERE'",
            "sql: 'HERE\n\n   HERE ''\n   HERE'",
            "sql: \"\\\"a\\\" HERE \\u00e9 HERE \\n HERE \\x41 HERE\"",
            "sql: \"HERE \\\n    HERE\n   HERE\"",
            "sql: \"\\ud83d\\ude00 HERE \\U0001F600 HERE\"",
            "sql: \"${WORD} HERE ${NONE} HERE $${X} HERE\"",
            "sql: |\n  HERE ${WORD} HERE\n  HERE ${WORD}\n  HERE\n",
            "sql: >\n  HERE ${WORD}\n  HERE ${WORD} HERE\n",
            "sql: |\r\n  SELECT HERE\r\n  FROM HERE\r\n",
        ] {
            let sql = sql(file);
            let in_text: Vec<_> = sql.text.match_indices("HERE").map(|(at, _)| at).collect();
            let in_file: Vec<_> = file.match_indices("HERE").map(|(at, _)| at).collect();
            assert!(!in_text.is_empty(), "{file:?}");
            let mapped: Vec<_> = in_text.iter().map(|&at| sql.span_of(at, at + 4)).collect();
            let expected: Vec<_> = in_file.iter().map(|&at| crate::Span::new(at, at + 4)).collect();
            assert_eq!(mapped, expected, "{file:?}\n{sql:?}");
        }
    }

    #[test]
    fn what_a_variable_says_stands_where_the_variable_stands() {
        let file = "sql: SELECT ${WORD} FROM x";
        let sql = sql(file);
        let at = sql.text.find("two").expect("the variable's text");
        let span = sql.span_of(at, at + 3);
        assert_eq!(&file[span.start..span.end], "${WORD}");
    }

    #[test]
    fn any_range_lies_in_the_file() {
        for file in [
            "sql: \"a\\nb ${WORD}\\u00e9\n\n  c\"",
            "sql: >+\n  a\n\n   b ${WORD}\n\n",
            "sql: ''''",
            "sql: |\n  日${NONE}本\n",
        ] {
            let sql = sql(file);
            for start in 0..=sql.text.len() + 1 {
                for end in start..=sql.text.len() + 1 {
                    let span = sql.span_of(start, end);
                    assert!(
                        span.start <= span.end && span.end <= file.len(),
                        "{file:?} {start}..{end} {span:?}"
                    );
                }
            }
        }
    }
}
