//! The SQL of a pipeline's tables: what `duto ddl` prints and what a worker runs when a table is missing.

use super::target::quote;
use crate::definition::{Column, Index, Pipeline, Table};

/// The pipeline's tables as a script that a person can run.
pub fn script(pipeline: &Pipeline) -> String {
    let statements = |table: &Table| {
        let indexes = table.indexes.iter().map(|index| create_index(table, index) + ";\n").collect::<String>();
        create_table(table) + ";\n" + &indexes
    };
    pipeline.tables.iter().map(statements).collect::<Vec<_>>().join("\n")
}

/// `CREATE INDEX IF NOT EXISTS ...`.
pub fn create_index(table: &Table, index: &Index) -> String {
    let columns: Vec<String> = index.columns.iter().map(|column| name(column)).collect();
    format!("CREATE INDEX IF NOT EXISTS {} ON {} ({})", name(&index.name), name(&table.name), columns.join(", "))
}

/// `CREATE TABLE IF NOT EXISTS ...`, one column a line.
pub fn create_table(table: &Table) -> String {
    let composite = table.columns.iter().filter(|column| column.primary_key).count() > 1;
    let mut lines: Vec<String> = table.columns.iter().map(|column| format!("    {}", column_line(column, !composite))).collect();
    if composite {
        let key: Vec<String> = table.columns.iter().filter(|column| column.primary_key).map(|column| name(&column.name)).collect();
        lines.push(format!("    PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", name(&table.name), lines.join(",\n"))
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
        && identifier.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
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
