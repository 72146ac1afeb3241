//! What of values a rollup may keep, by their type in PostgreSQL. A type that is new is refused
//! until it is on this list.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Exact,
    Float,
    Text,
    Moment,
    /// Nothing: intervals.
    Other,
}

impl Kind {
    pub fn of(sql_type: &str) -> Self {
        match sql_type {
            "boolean" => Self::Boolean,
            "smallint" | "integer" | "bigint" | "numeric" => Self::Exact,
            "real" | "double precision" => Self::Float,
            "text" => Self::Text,
            "date" | "timestamp" | "timestamptz" => Self::Moment,
            _ => Self::Other,
        }
    }
}
