//! What a walk shows to be wrong.

/// A broken promise. Two failures are taken for the same fault if their kinds and ways are the
/// same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// More than the kind, and nothing that a smaller walk would change: `missing`, or an SQLSTATE.
    pub way: String,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A run did not come to its end within its time.
    Stuck,
    /// A run, or another command, ended with an error.
    Ended,
    /// A table holds other rows.
    Rows,
    /// The ledger says something else of a record.
    Outcome,
    /// The ranges of the ledger have a gap or an overlap, or its counts do not add up.
    Ledger,
    /// Another record was rejected, or for a reason of another kind.
    Reject,
    Rollup,
    /// A stretch of time of a rollup with windows.
    Window,
    /// `duto rollups verify` reports a difference.
    Verify,
    View,
    Published,
    /// An answer to a request.
    Answer,
}

impl Failure {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Failure {
        Failure { kind, way: String::new(), detail: detail.into() }
    }

    pub fn in_way(mut self, way: impl Into<String>) -> Failure {
        self.way = way.into();
        self
    }

    pub fn is_like(&self, other: &Failure) -> bool {
        self.kind == other.kind && self.way == other.way
    }
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Kept,
    /// `duto check` refuses the file: a valid answer.
    Refused(String),
    /// The oracle cannot judge it: the generator's fault, or the walk was cut down to nonsense.
    Unjudged(String),
    Broken(Failure),
}
