//! What a walk shows to be wrong.

/// A broken promise. Two failures are the same fault if their kinds are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
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
    /// `duto rollups verify` reports a difference.
    Verify,
    View,
    Published,
    /// An answer to a request.
    Answer,
}

impl Failure {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Failure {
        Failure { kind, detail: detail.into() }
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
