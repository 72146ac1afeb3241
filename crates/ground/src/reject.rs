//! Why a record was not stored. The record itself stays beside its reason in `duto.reject`.

use crate::index::RecordIndex;

/// The stage at which a record left the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Decode,
    Check,
    Transform,
    Load,
    Deliver,
}

impl Stage {
    /// The word in `duto.reject`, in metrics and in a pipeline's tests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Check => "check",
            Self::Transform => "transform",
            Self::Load => "load",
            Self::Deliver => "deliver",
        }
    }
}

/// One record that is not stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub record: RecordIndex,
    pub stage: Stage,
    /// Where in the record, for example `order_items[2].qty`; empty means the whole record.
    pub path: String,
    /// The rule that it breaks, in one stable word such as `missing`, `type`, `minimum`, or the
    /// check's or the constraint's name.
    pub rule: String,
    /// A sentence for a person, for example `order_number is missing`.
    pub reason: String,
    /// PostgreSQL's code when the database refused the row.
    pub sqlstate: Option<String>,
}
