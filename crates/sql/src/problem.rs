//! What is wrong with a piece of SQL, and where in it.

use sqlparser::ast::{Ident, Spanned};
use sqlparser::tokenizer::{Location, Span};

/// One problem. All of a statement's problems are told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProblem {
    /// Stable, `sql.subject.reason`, for example `sql.column.unknown`.
    pub code: &'static str,
    /// One sentence: what is wrong.
    pub message: String,
    /// Byte offsets in the SQL: what is underlined.
    pub start: usize,
    pub end: usize,
    /// What to do, for example `did you mean "total_value"?`.
    pub help: Option<String>,
}

impl SqlProblem {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with advice where there is some.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// The text of a statement, which turns the parser's lines and columns into byte offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceText<'a>(pub(crate) &'a str);

impl SourceText<'_> {
    /// A problem that underlines this node; one without a place underlines the whole statement.
    pub(crate) fn problem(
        &self,
        code: &'static str,
        node: &dyn HasSpan,
        message: impl Into<String>,
    ) -> SqlProblem {
        let (start, end) = self.range(node.place());
        SqlProblem { code, message: message.into(), start, end, help: None }
    }

    /// A problem of the parser, whose place stands only in its message (`... at Line: 2, Column:
    /// 7`).
    pub(crate) fn syntax_problem(&self, message: &str) -> SqlProblem {
        let message = message.trim_start_matches("sql parser error: ");
        let (told, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
        let mut numbers =
            place.split(", Column: ").map(|number| number.trim().parse::<u64>().unwrap_or(0));
        let (line, column) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let start = if line == 0 {
            self.0.trim_end().len()
        } else {
            self.offset(Location { line, column })
        };
        let end = start
            + self.0[start..].chars().next().map_or(0, |first| self.word_length(start, first));
        SqlProblem {
            code: "sql.syntax",
            message: told.replace("Expected: ", "expected "),
            start,
            end,
            help: None,
        }
    }

    fn word_length(&self, start: usize, first: char) -> usize {
        let word = self.0[start..]
            .find(|character: char| !character.is_alphanumeric() && character != '_');
        match word {
            Some(0) => first.len_utf8(),
            Some(length) => length,
            None => self.0.len() - start,
        }
    }

    pub(crate) fn range(&self, span: Span) -> (usize, usize) {
        if span == Span::empty() {
            return (0, self.0.trim_end().len());
        }
        let (start, end) = (self.offset(span.start), self.offset(span.end));
        (start, end.max(start))
    }

    /// Lines and columns count from one, columns in characters.
    pub(crate) fn offset(&self, location: Location) -> usize {
        let line_start = match location.line {
            0 | 1 => 0,
            line => self
                .0
                .match_indices('\n')
                .nth(line as usize - 2)
                .map_or(self.0.len(), |(newline, _)| newline + 1),
        };
        let within =
            self.0[line_start..].char_indices().nth((location.column as usize).saturating_sub(1));
        within.map_or(self.0.len(), |(offset, _)| line_start + offset)
    }
}

/// Anything of the syntax tree that knows where it stands.
pub(crate) trait HasSpan {
    fn place(&self) -> Span;
}

impl<T: Spanned> HasSpan for T {
    fn place(&self) -> Span {
        self.span()
    }
}

/// A place alone.
pub(crate) struct At(pub(crate) Span);

impl HasSpan for At {
    fn place(&self) -> Span {
        self.0
    }
}

/// The place of a name.
pub(crate) fn at(name: &Ident) -> At {
    At(name.span)
}

/// Advice when a name is like one that exists.
pub(crate) fn did_you_mean<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    let likeness =
        |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let best = known.into_iter().map(|other| (likeness(other), other)).min()?;
    (best.0 <= 1 + name.chars().count() / 4).then(|| format!("did you mean \"{}\"?", best.1))
}
