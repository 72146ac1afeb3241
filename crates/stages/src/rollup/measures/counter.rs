//! A column of a rollup's table, and what PostgreSQL computes for it.

use duto_ground::quoting::{own_name, quote};
use duto_sql::Recomputed;

/// A column of a rollup's table.
#[derive(Debug, Clone)]
pub struct Counter {
    /// Quoted.
    pub name: String,
    pub sql_type: &'static str,
    /// Behind the type in CREATE TABLE.
    pub constraint: &'static str,
    /// What the row holds after `excluded` was added to `r`.
    pub merged: String,
    /// Over the rows of the base table.
    pub from_base: String,
}

impl Counter {
    /// A number of rows, which is 0 where nothing was counted.
    pub fn of_rows(name: String, from_base: String) -> Self {
        let merged = format!("r.{name} + excluded.{name}");
        Self { sql_type: "bigint", constraint: " NOT NULL DEFAULT 0", merged, from_base, name }
    }
}

/// A measure's names, and which rows it looks at.
#[derive(Debug, Clone)]
pub struct Measured<'a> {
    /// The measure's own column, quoted.
    pub name: String,
    /// As the file has it.
    unquoted: &'a str,
    /// The condition of its FILTER.
    pub filter: Option<&'a str>,
}

impl<'a> Measured<'a> {
    pub fn new(name: &'a str, filter: Option<&'a str>) -> Self {
        Self { name: quote(name), unquoted: name, filter }
    }

    /// A column beside the measure's own, quoted.
    pub fn beside(&self, prefix: &str) -> String {
        quote(&own_name(&[prefix, self.unquoted]))
    }

    /// ` FILTER (WHERE ...)` of the measure's own condition and one more.
    pub fn passing(&self, more: Option<String>) -> String {
        let conditions: Vec<String> =
            self.filter.map(|filter| format!("({filter})")).into_iter().chain(more).collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" FILTER (WHERE {})", conditions.join(" AND "))
        }
    }
}

/// An expression as a value of its column's type; texts compare by their bytes, as the worker
/// compares them.
pub(super) fn value(recomputed: &Recomputed) -> String {
    format!("({})::{}{}", recomputed.sql, recomputed.sql_type, collated(recomputed))
}

pub(super) fn collated(recomputed: &Recomputed) -> &'static str {
    if recomputed.sql_type == "text" { " COLLATE \"C\"" } else { "" }
}
