//! The SQL of a pipeline's tables: what [`super::script`] prints and what a worker runs when a table
//! is missing.

use duto_definition::{Column, Index, Table, TimePartition};
use duto_ground::quoting::{literal, own_name, quote};

/// `CREATE INDEX IF NOT EXISTS ...`.
pub fn create_index(table: &Table, index: &Index) -> String {
    let columns: Vec<String> = index.columns.iter().map(|column| name(column)).collect();
    format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
        name(&index.name),
        name(&table.name),
        columns.join(", ")
    )
}

/// `CREATE TABLE IF NOT EXISTS ...`, one column a line.
pub fn create_table(table: &Table) -> String {
    let composite = table.columns.iter().filter(|column| column.primary_key).count() > 1;
    let mut lines: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("    {}", column_line(column, !composite)))
        .collect();
    if composite {
        let key: Vec<String> = table
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| name(&column.name))
            .collect();
        lines.push(format!("    PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", name(&table.name), lines.join(",\n"))
}

/// [`create_table`] for PostgreSQL's own partitions.
pub fn create_partitioned(table: &Table, time: &TimePartition) -> String {
    format!("{} PARTITION BY RANGE ({})", create_table(table), name(&time.column))
}

/// The partition of what is in no other.
pub fn create_default_partition(table: &Table) -> String {
    let default = own_name(&[&table.name, "default"]);
    format!(
        "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} DEFAULT",
        name(&default),
        name(&table.name)
    )
}

/// Makes a hypertable of a table. TimescaleDB's index by time alone is left out: the pieces are one
/// already.
pub fn create_hypertable(table: &Table, time: &TimePartition) -> String {
    format!(
        "SELECT create_hypertable({}, by_range({}, INTERVAL '1 {}'), create_default_indexes => \
            FALSE, if_not_exists => TRUE)",
        literal(&name(&table.name)),
        literal(&time.column),
        time.interval.as_str()
    )
}

/// Adds a column to a table that is there.
pub fn add_column(table: &Table, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", quote(&table.name), column_line(column, true))
}

/// A column as CREATE TABLE and ADD COLUMN have it.
pub fn column_line(column: &Column, with_primary_key: bool) -> String {
    let mut line = format!("{} {}", name(&column.name), column.column_type);
    if column.primary_key && with_primary_key {
        line.push_str(" PRIMARY KEY");
    } else if column.not_null {
        line.push_str(" NOT NULL");
    }
    if column.unique {
        line.push_str(" UNIQUE");
    }
    if let Some(default) = &column.default {
        line.push_str(" DEFAULT ");
        line.push_str(default);
    }
    if let Some((table, referenced)) = &column.references {
        line.push_str(&format!(" REFERENCES {} ({})", name(table), name(referenced)));
    }
    line
}

/// Quoted only where it must be, so that the script reads as a person would write it.
fn name(identifier: &str) -> String {
    let plain = identifier.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && identifier
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
        && !RESERVED.contains(&identifier);
    if plain { identifier.to_owned() } else { quote(identifier) }
}

/// PostgreSQL's reserved words (manual, appendix C), those of a table or column name.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];
