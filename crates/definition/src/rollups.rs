//! `rollups:`, counters that the load keeps in the data's own transaction.

mod measure;
mod windows;

use serde_json::{Value as Json, json};

use super::identifier;
use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::schema::keys_schema;
use super::suggest::did_you_mean_or_list;
use super::walk::{Fields, Walk, sql};
use super::yaml::{Content, Entry};
use super::{Pipeline, Problem, Repeat, Span, SqlText};
pub use measure::{Measure, Operation};
pub use windows::{Grain, GrainUnit, Windows};

/// Counters over the rows of one table. It is read as a view of its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// As PostgreSQL folds it.
    pub name: String,
    /// The table whose rows are counted.
    pub from: String,
    /// What the rows are grouped by; nothing means one group.
    pub by: Vec<By>,
    pub measures: Vec<Measure>,
    /// `over` and `grains`: the rollup can be asked for any window of time, as a function of its
    /// name.
    pub windows: Option<Windows>,
    pub span: Span,
}

impl Rollup {
    /// The columns of its view, and of its window function if it has one.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.by
            .iter()
            .map(|by| by.name.as_str())
            .chain(self.measures.iter().map(|measure| measure.name.as_str()))
    }
}

/// A column by which rows are grouped.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    /// As PostgreSQL folds it.
    pub name: String,
    /// An expression over the table's columns.
    pub expression: SqlText,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "rollups",
        about: "counters over a table's rows, kept in the rows' own transaction; each is read as a \
            view of its name",
        presence: Presence::Optional,
        value: Value::Other(schema),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "a rollup",
    keys: &[
        Key {
            name: "from",
            about: "the table whose rows are counted",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "by",
            about: "what the rows are grouped by: columns, or names with expressions: { \
                date: \"timestamp::date\" }; [] is one group",
            presence: Presence::Required,
            value: Value::Other(|| {
                json!({ "oneOf": [
                    { "type": "array", "items": { "type": "string" } },
                    { "type": "object", "additionalProperties": { "type": "string" } },
                ] })
            }),
        },
        Key {
            name: "measures",
            about: concat!(
                "each a name and ",
                measure::forms!(),
                ", with FILTER (WHERE ...) if need be"
            ),
            presence: Presence::Required,
            value: Value::Other(
                || json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } }),
            ),
        },
        Key {
            name: "over",
            about: "the time of each row, a column or an expression: the rollup can then be asked \
                for any window as a function of its name, \
                    NAME(from, to)",
            presence: Presence::Optional,
            value: Value::Sql,
        },
        Key {
            name: "grains",
            about: "with over: the stretches of time that are counted, and how long each is kept; \
                { second: 25h, minute: 50h, hour: forever } \
                    if it is left out",
            presence: Presence::Optional,
            value: Value::Other(windows::schema),
        },
    ],
    later: &[],
    note: "",
};

fn schema() -> Json {
    json!({ "type": "object", "additionalProperties": keys_schema(&KEYS) })
}

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("rollups").and_then(|node| walk.entries("rollups", node)).unwrap_or_default();
    for entry in entries {
        let name = folded(walk, entry);
        let taken = pipeline.rollups.iter().any(|rollup| rollup.name == name)
            || pipeline.tables.iter().any(|table| table.name == name);
        if taken {
            let problem = Problem::new(
                "rollup.name.taken",
                entry.key_span,
                format!("the name {name} is taken"),
            );
            walk.report(problem.help(
                "a rollup is read as a view of its name, so it needs one that \
                no table and no other rollup has",
            ));
        }
        pipeline.rollups.extend(read_rollup(walk, name, entry, pipeline));
    }
}

fn read_rollup(
    walk: &Walk<'_>,
    name: String,
    entry: &Entry,
    pipeline: &Pipeline,
) -> Option<Rollup> {
    let title = format!("rollups.{}", entry.key);
    let fields = walk.fields(&title, &KEYS, &entry.value, entry.key_span)?;
    let from = fields.text("from").map(|from| identifier::fold(&from).unwrap_or(from));
    if let Some(problem) =
        from.as_deref().and_then(|from| problem_of_table(&fields, from, pipeline))
    {
        walk.report(problem);
    }
    let by = read_by(&fields);
    let measures = read_measures(&fields);
    let windows = windows::read(&fields, &measures);
    let mut names: Vec<&str> = Vec::new();
    for name in by
        .iter()
        .map(|by| by.name.as_str())
        .chain(measures.iter().map(|measure| measure.name.as_str()))
    {
        if names.contains(&name) {
            walk.report(Problem::new(
                "rollup.column.duplicate",
                entry.key_span,
                format!("{title} has two columns of the name {name}"),
            ));
        }
        names.push(name);
    }
    Some(Rollup { name, from: from?, by, measures, windows, span: entry.key_span })
}

fn problem_of_table(fields: &Fields<'_, '_>, from: &str, pipeline: &Pipeline) -> Option<Problem> {
    let span = fields.span("from").unwrap_or_default();
    let Some(table) = pipeline.tables.iter().find(|table| table.name == from) else {
        let names = pipeline.tables.iter().map(|table| table.name.as_str());
        let problem =
            Problem::new("rollup.table.unknown", span, format!("unknown table \"{from}\""));
        return Some(problem.help(did_you_mean_or_list(from, "the tables are", names)));
    };
    let updated = table.repeat == Repeat::Update;
    updated.then(|| {
        let message = format!(
            "the rows of {from} are replaced (repeat: update), so they cannot be \
            counted as they come"
        );
        Problem::new("rollup.table.updated", span, message).help(
            "count the rows of a table with \
            repeat: ignore or append",
        )
    })
}

fn read_by(fields: &Fields<'_, '_>) -> Vec<By> {
    let walk = fields.walk();
    let Some(node) = fields.entry("by").map(|entry| &entry.value) else { return Vec::new() };
    match &node.content {
        Content::List(items) => items
            .iter()
            .filter_map(|item| {
                let expression = walk.scalar("a column of by", item)?.value.clone();
                let name = identifier::fold(&expression.text).unwrap_or_else(|reason| {
                    let problem = Problem::new(
                        "rollup.by.name",
                        item.span,
                        format!("{} {reason}", walk.quote(item.span)),
                    );
                    walk.report(
                        problem
                            .help("an expression needs a name: by: { date: \"timestamp::date\" }"),
                    );
                    expression.text.clone()
                });
                Some(By { name, expression })
            })
            .collect(),
        _ => {
            let entries = walk.entries(&fields.named("by"), node).unwrap_or_default();
            let by = |entry: &Entry| {
                Some(By { name: folded(walk, entry), expression: sql(walk, &entry.key, entry)? })
            };
            entries.iter().filter_map(by).collect()
        }
    }
}

fn read_measures(fields: &Fields<'_, '_>) -> Vec<Measure> {
    let walk = fields.walk();
    let entries = fields
        .value("measures")
        .and_then(|node| walk.entries(&fields.named("measures"), node))
        .unwrap_or_default();
    let mut measures = Vec::new();
    for entry in entries {
        let name = folded(walk, entry);
        let Some(text) = sql(walk, &fields.named(&format!("measures.{}", entry.key)), entry) else {
            continue;
        };
        match measure::read(name, &text, entry.key_span) {
            Ok(measure) => measures.push(measure),
            Err((start, end, message)) => {
                let problem = Problem::new("rollup.measure", text.span_of(start, end), message);
                let help = concat!(
                    "a measure is ",
                    measure::forms!(),
                    ", and may be followed by FILTER (WHERE ...)"
                );
                walk.report(problem.help(help));
            }
        }
    }
    measures
}

fn folded(walk: &Walk<'_>, entry: &Entry) -> String {
    identifier::fold(&entry.key).unwrap_or_else(|reason| {
        walk.report(Problem::new(
            "rollup.name",
            entry.key_span,
            format!("the name {} {reason}", walk.quote(entry.key_span)),
        ));
        entry.key.clone()
    })
}
