//! The pipeline file as a tree in which every key and every scalar knows its place.
//!
//! Environment variables are filled in here, into scalar values only; what follows sees plain
//! values.

mod place;

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span as YamlSpan, StrInput};

use super::{Problem, Span, SqlText, environment};

/// A longer file is a mistake, not a pipeline.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Aliases are copied, so a small file could otherwise grow without bound.
const MAX_NODES: usize = 200_000;
/// Collections within each other, of either notation; the tree is built and walked by recursion.
const MAX_NESTING: usize = 48;

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub span: Span,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and its value; a mapping's keys differ.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// The text after YAML's decoding and with the environment filled in, mapped back to the file.
    pub value: SqlText,
    /// Written without quotes, so that `5`, `true` and `null` are not texts.
    pub plain: bool,
    /// A part of it came from the environment: it must not be quoted in a message, for it may be a
    /// secret.
    pub substituted: bool,
    /// The environment could not be filled in; the problem is already reported, so whoever reads it
    /// stays silent.
    pub broken: bool,
}

impl Node {
    /// Whether nothing stands here: `key:`, `~`, `null`, or a text that is empty (perhaps because a
    /// variable is).
    pub fn is_unset(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) if scalar.broken => false,
            Content::Scalar(scalar) => scalar.value.text.is_empty() || scalar.is_null(),
            _ => false,
        }
    }

    /// What it is, for a sentence: `got a list`.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) if scalar.is_null() => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    fn nodes(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.iter().map(Node::nodes).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.nodes()).sum(),
        }
    }
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.value.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Reads the whole file. Without a root there is no point in looking further; the problems say why.
pub(super) fn tree(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> (Option<Node>, Vec<Problem>) {
    if text.len() > MAX_FILE_BYTES {
        let problem = Problem::new(
            "yaml.file.size",
            Span::default(),
            format!("the file has more than {MAX_FILE_BYTES} bytes"),
        );
        return (None, vec![problem]);
    }
    let mut options = granit_parser::options! { flow_nesting_limit: MAX_NESTING, block_nesting_limit: MAX_NESTING };
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        text,
        parser,
        environment,
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    match builder.document() {
        Ok(root) => (root, builder.problems),
        // What was found before a syntax error mostly follows from it.
        Err(problem) => (None, vec![problem]),
    }
}

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let problem = Problem::new(
                        "yaml.document.second",
                        self.span(span),
                        "the file holds a second YAML document",
                    );
                    return Err(problem
                        .help("a file is one pipeline; give the second one a file of its own"));
                }
                Event::DocumentStart(..) => {}
                event => root = Some(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, YamlSpan), Problem> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(syntax_problem(&error, self.text)),
            None => Ok((Event::StreamEnd, YamlSpan::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, yaml_span: YamlSpan) -> Result<Node, Problem> {
        let mut span = self.span(yaml_span);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(
                "yaml.file.size",
                span,
                "the file's anchors and aliases multiply to too many values",
            ));
        }
        let (tag, anchor, content) = match event {
            Event::Scalar(value, style, anchor, tag) => {
                (tag, anchor, Content::Scalar(self.scalar(&value, style, span)))
            }
            Event::SequenceStart(_, anchor, tag) => (tag, anchor, self.list(&mut span)?),
            Event::MappingStart(_, anchor, tag) => (tag, anchor, self.mapping(&mut span)?),
            Event::Alias(id) => return self.alias(id, span),
            _ => return Err(Problem::new("yaml.syntax", span, "a value is expected here")),
        };
        if tag.is_some() {
            let place = yaml_span.tag_span().map_or(span, |tag| self.span(tag));
            self.problems.push(
                Problem::new("yaml.tag", place, "YAML tags are not used here")
                    .help("take the tag away"),
            );
        }
        let node = Node { span, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Problem> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(Problem::new(
                "yaml.alias.self",
                span,
                "the alias stands inside its own anchor",
            ));
        };
        self.nodes += node.nodes();
        Ok(node.clone())
    }

    fn scalar(&mut self, decoded: &str, style: ScalarStyle, span: Span) -> Scalar {
        let traced = place::trace(self.text, span, decoded, style);
        let plain = style == ScalarStyle::Plain;
        match environment::substitute(decoded, self.environment) {
            Ok(None) => Scalar { value: traced, plain, substituted: false, broken: false },
            Ok(Some(filled)) => {
                let substituted = filled.runs.iter().any(|run| run.is_variable);
                Scalar {
                    value: place::substituted(&traced, filled),
                    plain,
                    substituted,
                    broken: false,
                }
            }
            Err(faults) => {
                for fault in faults {
                    let place = traced.span_of(fault.place.start, fault.place.end);
                    self.problems
                        .push(Problem::new(fault.code, place, fault.message).help(fault.help));
                }
                Scalar { value: traced, plain, substituted: true, broken: true }
            }
        }
    }

    fn list(&mut self, span: &mut Span) -> Result<Content, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                self.close(span, at);
                return Ok(Content::List(items));
            }
            items.push(self.node(event, at)?);
        }
    }

    fn mapping(&mut self, span: &mut Span) -> Result<Content, Problem> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                self.close(span, at);
                // A key of the mapping's own wins over a merged one.
                merged.retain(|entry: &Entry| !seen.contains_key(&entry.key));
                entries.extend(merged);
                return Ok(Content::Mapping(entries));
            }
            let key_span = self.span(at);
            let key = match event {
                Event::Scalar(text, ..) => Some(text.into_owned()),
                event => {
                    let key = self.node(event, at)?;
                    let problem = Problem::new(
                        "yaml.key.type",
                        key.span,
                        format!("a key must be a text, got {}", key.kind()),
                    );
                    self.problems.push(problem);
                    None
                }
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at)?;
            let Some(key) = key else { continue };
            if key == "<<" {
                self.merge(value, &mut merged);
            } else if let Some(first) = seen.get(&key) {
                let line = 1 + self
                    .text
                    .as_bytes()
                    .iter()
                    .take(first.start)
                    .filter(|&&byte| byte == b'\n')
                    .count();
                let problem = Problem::new(
                    "file.key.duplicate",
                    key_span,
                    format!("the key \"{key}\" stands twice"),
                );
                self.problems.push(problem.help(format!("the first one is on line {line}")));
            } else {
                seen.insert(key.clone(), key_span);
                entries.push(Entry { key, key_span, value });
            }
        }
    }

    /// YAML's merge key: `<<: *name` or a list of such.
    fn merge(&mut self, value: Node, merged: &mut Vec<Entry>) {
        match value.content {
            Content::Mapping(entries) => {
                for entry in entries {
                    if !merged.iter().any(|other| other.key == entry.key) {
                        merged.push(entry);
                    }
                }
            }
            Content::List(items)
                if items.iter().all(|item| matches!(item.content, Content::Mapping(_))) =>
            {
                items.into_iter().for_each(|item| self.merge(item, merged));
            }
            _ => self.problems.push(Problem::new(
                "yaml.merge.type",
                value.span,
                "<< merges a mapping, or a list of mappings",
            )),
        }
    }

    /// A block collection ends where the next token begins; the white space between is not its own.
    fn close(&self, span: &mut Span, end: YamlSpan) {
        let end = self.span(end).end.max(span.start);
        let own = self.text.get(span.start..end).unwrap_or_default();
        span.end = span.start + own.trim_end().len();
    }

    fn span(&self, span: YamlSpan) -> Span {
        let range = span.byte_range().unwrap_or_default();
        Span::new(range.start, range.end)
    }
}

fn syntax_problem(error: &ScanError, text: &str) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let problem = Problem::new(
        "yaml.syntax",
        Span::new(at, at),
        format!("the file is not YAML: {}", error.info()),
    );
    match error.kind() {
        ErrorKind::UnknownAnchor => {
            problem.help("an alias (*name) needs an anchor (&name) before it")
        }
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => problem.help("YAML is indented with spaces, never with tabs"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            problem.help("a text that holds a colon and a space needs quotes")
        }
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => {
            problem.help("keys of one mapping stand in the same column")
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            problem.help("is a quote before this place never closed?")
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            problem.help("is a `{` or `[` before this place never closed, or a comma missing?")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            problem.help(format!("the `{open}` is never closed"))
        }
        _ => problem,
    }
}
