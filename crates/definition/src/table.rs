//! `tables:`, where the rows go.

mod column;
mod indexes;
mod reference;
mod time_partition;

use duto_sql::select_names;
use serde_json::{Value as Json, json};

use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::schema::keys_schema;
use super::walk::{Fields, Walk, sql};
use super::yaml::{Content, Entry, Node};
use super::{ColumnType, Pipeline, Problem, Span, SqlText, identifier};
pub use indexes::Index;
pub(super) use reference::Declared;
pub use time_partition::{Interval, TimePartition};

/// One table of the pipeline, and the SELECT over one record that fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// As PostgreSQL folds it.
    pub name: String,
    pub columns: Vec<Column>,
    /// Beside those that keys imply.
    pub indexes: Vec<Index>,
    pub repeat: Repeat,
    /// Where among the columns those stand by which a repeat is known; see [`Table::key`].
    key: Vec<usize>,
    /// None means that it is kept in one piece.
    pub time_partition: Option<TimePartition>,
    /// A projection of one record: expressions, WHERE, at most one UNNEST of a list of the record.
    pub select: SqlText,
    pub span: Span,
}

/// A column, as its line in the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// As PostgreSQL folds it.
    pub name: String,
    pub column_type: ColumnType,
    /// Also where `PRIMARY KEY` or a serial type implies it.
    pub not_null: bool,
    /// Several columns have it where `primary_key: [a, b]` names them.
    pub primary_key: bool,
    pub unique: bool,
    /// `DEFAULT ...`, as SQL.
    pub default: Option<String>,
    /// `REFERENCES table(column)`.
    pub references: Option<(String, String)>,
    pub span: Span,
}

/// What a row does whose key is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The first row stays.
    Ignore,
    /// The last row wins.
    Update,
    /// There is no key: every row is a row.
    Append,
    /// What a replay makes of `update`: a row that is there stays, for it may be younger; of one
    /// record's rows the last wins, as in a load.
    Keep,
}

impl Table {
    /// The columns by which a repeat is known: the primary key, unless the database makes it, else
    /// the first UNIQUE column; empty for `append`.
    pub fn key(&self) -> Vec<&Column> {
        if self.repeat == Repeat::Append {
            Vec::new()
        } else {
            self.key.iter().map(|index| &self.columns[*index]).collect()
        }
    }
}

/// A key that the database makes, by a serial or by a default that the SELECT leaves to it, differs
/// each time.
fn key_of(columns: &[Column], given: &[String]) -> Vec<usize> {
    let places = |wanted: &dyn Fn(&Column) -> bool| -> Vec<usize> {
        columns
            .iter()
            .enumerate()
            .filter(|(_, column)| wanted(column))
            .map(|(index, _)| index)
            .collect()
    };
    let primary = places(&|column| column.primary_key);
    let made =
        |index: &usize| columns[*index].default.is_some() && !given.contains(&columns[*index].name);
    if primary.iter().any(|index| !columns[*index].column_type.is_serial())
        && !primary.iter().any(made)
    {
        return primary;
    }
    places(&|column| column.unique).into_iter().take(1).collect()
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "tables",
        about: "the tables that the rows go to, each with its columns, what a repeat does, and the \
            SELECT over one record that fills it",
        // What a pipeline without calls needs is checked when all sections are read.
        presence: Presence::Optional,
        value: Value::Other(tables_schema),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "a table",
    keys: &[
        Key {
            name: "columns",
            about: "each column's name and, in PostgreSQL's words, its type and constraints: \
                NUMERIC(10,2) NOT NULL",
            presence: Presence::Required,
            value: Value::Other(
                || json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } }),
            ),
        },
        Key {
            name: "primary_key",
            about: "the columns of a primary key of several columns",
            presence: Presence::Optional,
            value: Value::Other(
                || json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
            ),
        },
        Key {
            name: "indexes",
            about: "indexes beside those of keys, each a name and its columns: \
                idx_events_timestamp: [timestamp]",
            presence: Presence::Optional,
            value: Value::Other(indexes::schema),
        },
        Key {
            name: "repeat",
            about: "what a row does whose key is already there: ignore (the first stays), update \
                (the last wins), append (every row is a row)",
            presence: Presence::Required,
            value: Value::Word(&["ignore", "update", "append"]),
        },
        Key {
            name: "time_partition",
            about: "keeps the table in pieces of time: a hypertable where TimescaleDB is there, \
                else range partitions made ahead of the data",
            presence: Presence::Optional,
            value: Value::Keys(&time_partition::KEYS),
        },
        Key {
            name: "select",
            about: "a projection of one record: expressions, WHERE, at most one UNNEST of a list \
                of the record",
            presence: Presence::Required,
            value: Value::Sql,
        },
    ],
    later: &[],
    note: "",
};

fn tables_schema() -> Json {
    json!({ "type": "object", "minProperties": 1, "additionalProperties": keys_schema(&KEYS) })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let Some(node) = file.value("tables") else { return };
    let walk = file.walk();
    let Some(entries) = walk.entries("tables", node) else { return };
    if entries.is_empty() {
        walk.report(Problem::new("table.missing", node.span, "tables declares no table"));
    }
    let mut tables: Vec<Table> = Vec::new();
    for entry in entries {
        let name = folded(walk, "table.name.invalid", entry);
        if let Some(first) = tables.iter().find(|table| table.name == name) {
            let written = walk.quote(first.span);
            let problem = Problem::new(
                "table.duplicate",
                entry.key_span,
                format!("the table {name} stands twice"),
            );
            walk.report(
                problem.help(format!("PostgreSQL folds this name and {written} to the same one")),
            );
        }
        tables.extend(read_table(walk, name, entry));
    }
    pipeline.tables = reference::ordered(walk, tables, &Declared::of(file));
}

fn read_table(walk: &Walk<'_>, name: String, entry: &Entry) -> Option<Table> {
    let title = format!("tables.{}", entry.key);
    let fields = walk.fields(&title, &KEYS, &entry.value, entry.key_span)?;
    let mut columns = read_columns(&fields);
    read_primary_key(&fields, &mut columns);
    let indexes = indexes::read(&fields, &columns);
    let repeat = fields.word("repeat").map(|word| match word {
        "ignore" => Repeat::Ignore,
        "update" => Repeat::Update,
        _ => Repeat::Append,
    });
    let select = fields
        .entry("select")
        .filter(|entry| !entry.value.is_unset())
        .and_then(|entry| sql(walk, &fields.named("select"), entry))
        .unwrap_or_default();
    let repeated = repeat.unwrap_or(Repeat::Append);
    let key = key_of(&columns, &select_names(&select.text));
    let mut table = Table {
        name,
        columns,
        indexes,
        repeat: repeated,
        key,
        time_partition: None,
        select,
        span: entry.key_span,
    };
    table.time_partition = time_partition::read(&fields, &table);
    if repeat.is_some_and(|repeat| repeat != Repeat::Append)
        && table.key().is_empty()
        && !table.columns.is_empty()
    {
        let span = fields.span("repeat").unwrap_or(entry.key_span);
        let message =
            format!("the table {} has no key by which a repeat could be known", table.name);
        let problem = Problem::new("table.repeat.key", span, message);
        walk.report(problem.help(
            "give a column PRIMARY KEY or UNIQUE (a serial is no key, nor is \
            a default that the SELECT leaves to the database: they differ each time), or say \
            repeat: append",
        ));
    }
    if let Some(column) =
        table.key().into_iter().find(|column| column.column_type == ColumnType::Jsonb)
    {
        let span = fields.span("columns").unwrap_or(entry.key_span);
        let message =
            format!("the key of the table {} has the JSONB column {}", table.name, column.name);
        let problem = Problem::new("table.key.jsonb", span, message);
        walk.report(problem.help(
            "values of JSONB that are written differently may be equal, so a repeat could not be \
                known before it is stored: let the key be a field \
             of it, or TEXT",
        ));
    }
    Some(table)
}

/// What a stage has beside the columns of its table.
const RESERVED: [&str; 2] = ["duto_row", "duto_place"];

fn read_columns(fields: &Fields<'_, '_>) -> Vec<Column> {
    let walk = fields.walk();
    let Some(node) = fields.value("columns") else { return Vec::new() };
    let Some(entries) = walk.entries(&fields.named("columns"), node) else { return Vec::new() };
    let mut columns: Vec<Column> = Vec::new();
    for entry in entries {
        let name = folded(walk, "table.column.name", entry);
        if let Some(first) = columns.iter().find(|column| column.name == name) {
            let written = walk.quote(first.span);
            let problem = Problem::new(
                "table.column.duplicate",
                entry.key_span,
                format!("the column {name} stands twice"),
            );
            walk.report(
                problem.help(format!("PostgreSQL folds this name and {written} to the same one")),
            );
            continue;
        }
        if RESERVED.contains(&name.as_str()) {
            let problem = Problem::new(
                "table.column.reserved",
                entry.key_span,
                format!("{name} is a name of duto's own, beside the columns of a stage"),
            );
            walk.report(problem.help("give the column another name"));
        }
        let Some(column) =
            column::read(walk, &fields.named(&format!("columns.{}", entry.key)), name, entry)
        else {
            continue;
        };
        if column.primary_key && columns.iter().any(|other| other.primary_key) {
            let problem = Problem::new(
                "table.key.twice",
                entry.value.span,
                "a second column has PRIMARY KEY",
            );
            walk.report(problem.help(
                "a key of several columns is written once, beside columns: primary_key: [a, b]",
            ));
        }
        columns.push(column);
    }
    columns
}

fn read_primary_key(fields: &Fields<'_, '_>, columns: &mut [Column]) {
    let walk = fields.walk();
    let Some(node) = fields.value("primary_key") else { return };
    if columns.iter().any(|column| column.primary_key) {
        let problem =
            Problem::new("table.key.twice", node.span, "the primary key is declared twice");
        walk.report(
            problem.help("either a column has PRIMARY KEY, or primary_key names the columns"),
        );
        return;
    }
    for item in walk.list(&fields.named("primary_key"), node).unwrap_or_default() {
        let Some(scalar) = walk.scalar("a column of primary_key", item) else { continue };
        let written = scalar.value.text.as_str();
        let name = identifier::fold(written).unwrap_or_else(|_| written.to_string());
        match columns.iter_mut().find(|column| column.name == name) {
            Some(column) => (column.primary_key, column.not_null) = (true, true),
            None => walk.report(unknown_column(
                item.span,
                &name,
                &declared_columns(fields.value("columns")),
            )),
        }
    }
}

/// The folded name of a table or column; what PostgreSQL would not take is reported and stays as it
/// is.
fn folded(walk: &Walk<'_>, code: &'static str, entry: &Entry) -> String {
    identifier::fold(&entry.key).unwrap_or_else(|reason| {
        walk.report(Problem::new(
            code,
            entry.key_span,
            format!("the name {} {reason}", walk.quote(entry.key_span)),
        ));
        entry.key.clone()
    })
}

pub(super) fn unknown_column(span: Span, name: &str, columns: &[String]) -> Problem {
    let problem = Problem::new("table.column.unknown", span, format!("unknown column \"{name}\""));
    problem.help(super::suggest::did_you_mean_or_list(
        name,
        "the columns are",
        columns.iter().map(String::as_str),
    ))
}

/// The names of a table's columns, also of those whose declarations are wrong.
fn declared_columns(columns: Option<&Node>) -> Vec<String> {
    match columns.map(|node| &node.content) {
        Some(Content::Mapping(entries)) => {
            entries.iter().filter_map(|entry| identifier::fold(&entry.key).ok()).collect()
        }
        _ => Vec::new(),
    }
}
