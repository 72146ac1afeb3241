//! What a relation gives, and the relations that there are.

use std::collections::BTreeMap;

/// What the values of a column are, as far as it is known without a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnKind {
    Number,
    Text,
    Boolean,
    /// A date, or a timestamp of either type.
    Moment,
    Interval,
    /// JSON, a UUID, bytes, an array: none of the others.
    Other,
    #[default]
    Unknown,
}

impl ColumnKind {
    /// What both are; unknown when they differ.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Unknown }
    }
}

/// A column of a relation, or of what a SELECT gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedColumn {
    /// None where PostgreSQL gives a name that is not known here.
    pub name: Option<String>,
    pub kind: ColumnKind,
    /// Byte offsets in the SQL of the item of the SELECT's list that gives it.
    pub start: usize,
    pub end: usize,
}

impl NamedColumn {
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: Some(name.into()), kind, start: 0, end: 0 }
    }
}

/// The columns of a relation, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    pub columns: Vec<NamedColumn>,
    /// Whether there may be more of them than these.
    pub open: bool,
}

impl Columns {
    pub fn new(columns: Vec<NamedColumn>) -> Self {
        Self { columns, open: false }
    }

    /// A relation of which nothing is known.
    pub fn unknown() -> Self {
        Self { columns: Vec::new(), open: true }
    }

    /// Whether a name that is not among them may be one of them all the same.
    pub fn may_have_others(&self) -> bool {
        self.open || self.columns.iter().any(|column| column.name.is_none())
    }

    pub fn named(&self, name: &str) -> Option<&NamedColumn> {
        self.columns.iter().find(|column| column.name.as_deref() == Some(name))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().filter_map(|column| column.name.as_deref())
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterType {
    /// As `pg_type` calls it: `int4`. It names a column that is only the parameter.
    pub name: String,
    pub kind: ColumnKind,
}

/// Every relation that can be called without a schema.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    relations: BTreeMap<String, (Columns, bool)>,
}

impl Catalog {
    /// A table, which has PostgreSQL's system columns too.
    pub fn add_table(&mut self, name: impl Into<String>, columns: Columns) {
        self.relations.insert(name.into(), (columns, true));
    }

    pub fn add_view(&mut self, name: impl Into<String>, columns: Columns) {
        self.relations.insert(name.into(), (columns, false));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.relations.keys().map(String::as_str)
    }

    /// The columns, and whether there are system columns.
    pub(super) fn get(&self, name: &str) -> Option<(&Columns, bool)> {
        self.relations.get(name).map(|(columns, system)| (columns, *system))
    }
}
