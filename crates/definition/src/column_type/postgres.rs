//! What PostgreSQL calls a type.

/// The names of one type in `pg_type.dat` of PostgreSQL's sources, and how a file may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresNames {
    /// In messages and in DDL: `DOUBLE PRECISION`.
    pub name: &'static str,
    /// Other names that mean the same.
    pub synonyms: &'static [&'static str],
    /// As `format_type` writes it, without digits or length.
    pub catalogue: &'static str,
    /// `typname` in `pg_type`.
    pub type_name: &'static str,
    /// `typarray` in `pg_type`: the number of the type of its arrays.
    pub array_oid: u32,
}

impl PostgresNames {
    pub(super) const fn of(
        name: &'static str,
        synonyms: &'static [&'static str],
        catalogue: &'static str,
        type_name: &'static str,
        array_oid: u32,
    ) -> Self {
        Self { name, synonyms, catalogue, type_name, array_oid }
    }
}
