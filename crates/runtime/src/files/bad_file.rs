//! Why a file cannot be loaded, in sentences for whoever named it. Nothing of it was stored.

use std::path::Path;

/// What is wrong with a file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    #[error("there is no such file")]
    Missing,
    #[error("it is a folder: name the file in it")]
    Folder,
    #[error(
        "it is no regular file, and a load that is interrupted must be able to read it again: save \
            it first"
    )]
    NotRegular,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is empty")]
    Empty,
    #[error("it has a heading and no line below it")]
    OnlyHeading,
    #[error("it is not CSV but {0}: export it as CSV")]
    NotCsv(&'static str),
    #[error("{0}")]
    Encoding(String),
    /// Every problem of its first line.
    #[error("{}", .0.join("\n  "))]
    Heading(Vec<String>),
    #[error("line {line} is longer than {most_bytes} bytes: this is no CSV")]
    EndlessLine { line: u64, most_bytes: usize },
    /// Somebody writes it. What is advised depends on what was stored before that was noticed.
    #[error(
        "it changed while it was read: nothing of it was stored; load it when nobody writes it any \
            more"
    )]
    Changed,
}

impl BadFile {
    pub fn of_io(error: &std::io::Error) -> Self {
        // What reads for us says more than the system does.
        if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<BadFile>()) {
            return problem.clone();
        }
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error.to_string()),
        }
    }

    /// The sentence with the file's name.
    pub fn about(&self, file: &Path) -> String {
        format!("{}: {self}", file.display())
    }
}
