//! Reading the tree by the tables of keys, reporting every problem and going on.

mod fields;

use std::cell::RefCell;

use super::keys::Keys;
use super::yaml::{Content, Entry, Node, Scalar};
use super::{Problem, Span, SqlText};
pub(super) use fields::Fields;

/// `{ type: NUMERIC(10,2) }` is for YAML a type `NUMERIC(10` and a key `2)`.
pub(super) const COMMA_HELP: &str =
    "within { } a type that holds a comma needs quotes: \"NUMERIC(10,2)\"";

/// One reading of a file: its text, and the problems found so far.
pub(super) struct Walk<'f> {
    file: &'f str,
    problems: RefCell<Vec<Problem>>,
}

impl<'f> Walk<'f> {
    pub fn new(file: &'f str) -> Self {
        Self { file, problems: RefCell::default() }
    }

    pub fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// The file's own text, in quotes and shortened: never a variable's value.
    pub fn quote(&self, span: Span) -> String {
        let raw = self.file.get(span.start..span.end).unwrap_or_default().trim();
        if raw.contains("://") && raw.contains('@') {
            // It may hold a password.
            return "a URL".to_string();
        }
        let bare = ['"', '\'']
            .iter()
            .find_map(|quote| raw.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(raw);
        let one_line = bare.split_whitespace().collect::<Vec<_>>().join(" ");
        match one_line.char_indices().nth(60) {
            Some((cut, _)) => format!("\"{}...\"", &one_line[..cut]),
            None => format!("\"{one_line}\""),
        }
    }

    /// What a value is, for `got ...`.
    pub fn got(&self, node: &Node) -> String {
        match &node.content {
            Content::Scalar(scalar) if !scalar.is_null() => self.quote(node.span),
            _ => node.kind().to_string(),
        }
    }

    /// A problem with a scalar; it says so when the value came from the environment.
    pub fn value_problem(&self, code: &'static str, node: &Node, message: String) -> Problem {
        let from_environment =
            matches!(&node.content, Content::Scalar(scalar) if scalar.substituted);
        let problem = Problem::new(code, node.span, message);
        if from_environment {
            problem.help("the value comes from the environment")
        } else {
            problem
        }
    }

    /// The scalar, unless it is something else (reported) or broken (reported before).
    pub fn scalar<'n>(&self, title: &str, node: &'n Node) -> Option<&'n Scalar> {
        match &node.content {
            Content::Scalar(scalar) if scalar.broken => None,
            Content::Scalar(scalar) => Some(scalar),
            _ => {
                let message = format!("{title} must be a single value, got {}", node.kind());
                self.report(Problem::new("file.value.type", node.span, message));
                None
            }
        }
    }

    /// The entries, unless it is something else (reported). Nothing at all is a mapping without
    /// keys.
    pub fn entries<'n>(&self, title: &str, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.content {
            Content::Mapping(entries) => Some(entries),
            Content::Scalar(scalar) if scalar.broken => None,
            _ if node.is_unset() => Some(&[]),
            _ => {
                let message = format!("{title} must be a mapping, got {}", self.got(node));
                self.report(Problem::new("file.value.type", node.span, message));
                None
            }
        }
    }

    /// The list, unless it is something else (reported).
    pub fn list<'n>(&self, title: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.content {
            Content::List(items) => Some(items),
            Content::Scalar(scalar) if scalar.broken => None,
            _ => {
                let message = format!("{title} must be a list, got {}", self.got(node));
                self.report(Problem::new("file.value.type", node.span, message));
                None
            }
        }
    }

    /// A mapping by its table. `place` is underlined where a key is missing.
    pub fn fields<'n>(
        &'f self,
        title: &str,
        keys: &'static Keys,
        node: &'n Node,
        place: Span,
    ) -> Option<Fields<'n, 'f>> {
        let entries = self.entries(title, node)?;
        Some(self.fields_of(title, keys, entries, place))
    }

    /// The same for entries that were read already.
    pub fn fields_of<'n>(
        &'f self,
        title: &str,
        keys: &'static Keys,
        entries: &'n [Entry],
        place: Span,
    ) -> Fields<'n, 'f> {
        Fields::new(self, title, keys, entries, place)
    }
}

/// The SQL of an entry (reported where it is missing or not a text).
pub(super) fn sql(walk: &Walk<'_>, title: &str, entry: &Entry) -> Option<SqlText> {
    let scalar = walk.scalar(title, &entry.value)?;
    if scalar.is_null() || scalar.value.text.trim().is_empty() {
        walk.report(Problem::new("sql.empty", entry.key_span, format!("{title} has no SQL")));
        return None;
    }
    Some(scalar.value.clone())
}
