//! The words of a line in PostgreSQL's language, such as `NUMERIC(10,2) NOT NULL`.

use std::ops::Range;

/// One token and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub kind: WordKind,
    pub range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WordKind {
    /// A keyword or a bare name.
    Bare,
    Number,
    /// `'...'`, with its quotes.
    Literal,
    /// `"..."`, with its quotes.
    Quoted,
    /// One character of anything else.
    Symbol,
}

/// A line and the place that reading has reached. Nothing here fails: an unclosed quote ends with
/// the line.
pub(super) struct Words<'t> {
    pub text: &'t str,
    words: Vec<Word>,
    at: usize,
}

impl<'t> Words<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut words = Vec::new();
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            let (kind, length) = measure(&text[start..], first);
            if !first.is_whitespace() {
                words.push(Word { kind, range: start..start + length });
            }
            start += length;
        }
        Self { text, words, at: 0 }
    }

    pub fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    pub fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    pub fn text_of(&self, word: &Word) -> &'t str {
        &self.text[word.range.clone()]
    }

    /// Whether these keywords come next, in any case.
    pub fn comes(&self, keywords: &[&str]) -> bool {
        let is = |(offset, keyword): (usize, &&str)| {
            self.words.get(self.at + offset).is_some_and(|word| {
                word.kind != WordKind::Literal && self.text_of(word).eq_ignore_ascii_case(keyword)
            })
        };
        keywords.iter().enumerate().all(is)
    }

    /// Goes past these keywords if they come next, and answers their bytes.
    pub fn take(&mut self, keywords: &[&str]) -> Option<Range<usize>> {
        let start = self.peek()?.range.start;
        if !self.comes(keywords) {
            return None;
        }
        self.at += keywords.len();
        Some(start..self.words.get(self.at - 1)?.range.end)
    }

    /// The bytes of the next word, or of the line's end.
    pub fn place(&self) -> Range<usize> {
        self.peek().map_or(self.text.len()..self.text.len(), |word| word.range.clone())
    }

    /// The bytes from the next word to the line's last.
    pub fn rest(&self) -> Range<usize> {
        self.place().start..self.words.last().map_or(self.text.len(), |word| word.range.end)
    }
}

fn measure(rest: &str, first: char) -> (WordKind, usize) {
    let run = |part: fn(char) -> bool| rest.find(|next| !part(next)).unwrap_or(rest.len());
    match first {
        '\'' => (WordKind::Literal, quoted_length(rest, '\'')),
        '"' => (WordKind::Quoted, quoted_length(rest, '"')),
        _ if first.is_alphabetic() || first == '_' => {
            (WordKind::Bare, run(|next| next.is_alphanumeric() || matches!(next, '_' | '$')))
        }
        _ if first.is_ascii_digit() => {
            (WordKind::Number, run(|next| next.is_ascii_digit() || next == '.'))
        }
        _ => (WordKind::Symbol, first.len_utf8()),
    }
}

/// Up to the closing quote; a doubled one is a character of the text.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}
