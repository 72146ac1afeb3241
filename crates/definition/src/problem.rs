//! What is wrong with a pipeline file, and where. A check answers all of them at once.

use super::Span;

/// One problem, at a place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable, `class.subject.reason`, for example `record.type.unknown`.
    pub code: &'static str,
    /// One sentence: what is wrong.
    pub message: String,
    /// What is underlined.
    pub span: Span,
    /// What to do, for example `did you mean "total_value"?`.
    pub help: Option<String>,
}

impl Problem {
    pub fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, help: None }
    }

    /// The same problem with advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
