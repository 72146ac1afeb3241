//! `once:`, the key by which a record that came before writes nothing, in no table and in no
//! rollup.

use super::identifier;
use super::keys::{Key, Keys, Presence, Value};
use super::parse::Section;
use super::suggest::did_you_mean_or_list;
use super::walk::Fields;
use super::{Pipeline, Problem};

/// The table whose key decides which records are repeats. It stands first in [`Pipeline::tables`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The column, as PostgreSQL folds it.
    pub by: String,
    pub table: String,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "once",
        about: "a record whose key is there already writes nothing, in no table and in no rollup, \
            even when its content differs",
        presence: Presence::Optional,
        value: Value::Keys(&KEYS),
    },
    read,
};

static KEYS: Keys = Keys {
    of: "once",
    keys: &[
        Key {
            name: "by",
            about: "the column that is the key of the table",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "in",
            about: "the table that decides: it references no other, and its repeat is ignore",
            presence: Presence::Required,
            value: Value::Text,
        },
    ],
    later: &[],
    note: "",
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    if file.value("once").is_none() {
        return;
    }
    let Some(fields) = file.section("once") else { return };
    let (Some(by), Some(table)) = (fields.text("by"), fields.text("in")) else { return };
    let fold = |name: &str| identifier::fold(name).unwrap_or_else(|_| name.to_owned());
    let once = Once { by: fold(&by), table: fold(&table) };
    if let Some(problem) = problem(&fields, pipeline, &once) {
        file.walk().report(problem);
        return;
    }
    if let Some(place) = pipeline.tables.iter().position(|table| table.name == once.table) {
        // It references no other, so it may stand before all of them.
        let first = pipeline.tables.remove(place);
        pipeline.tables.insert(0, first);
    }
    pipeline.once = Some(once);
}

fn problem(fields: &Fields<'_, '_>, pipeline: &Pipeline, once: &Once) -> Option<Problem> {
    let span = |key| fields.span(key).unwrap_or_default();
    let Some(table) = pipeline.tables.iter().find(|table| table.name == once.table) else {
        let names = pipeline.tables.iter().map(|table| table.name.as_str());
        let problem = Problem::new(
            "once.table.unknown",
            span("in"),
            format!("unknown table \"{}\"", once.table),
        );
        return Some(problem.help(did_you_mean_or_list(&once.table, "the tables are", names)));
    };
    if table.repeat != super::Repeat::Ignore {
        let message = format!(
            "the table {} decides which records are repeats, so its repeat must be ignore",
            table.name
        );
        return Some(
            Problem::new("once.table.repeat", span("in"), message)
                .help("with update or append a repeated record would write"),
        );
    }
    let references = table.columns.iter().filter_map(|column| column.references.as_ref());
    if let Some((other, _)) = references.clone().find(|(other, _)| *other != table.name) {
        let message =
            format!("the table {} is written first, but it references {other}", table.name);
        return Some(
            Problem::new("once.table.references", span("in"), message)
                .help("take the reference away, or choose another table"),
        );
    }
    let key: Vec<&str> = table.key().iter().map(|column| column.name.as_str()).collect();
    if key != [once.by.as_str()] {
        let message = format!("{} is not the key of the table {}", once.by, table.name);
        let help = format!(
            "a repeat is known there by {}: PRIMARY KEY, else the first UNIQUE column",
            key.join(", ")
        );
        return Some(Problem::new("once.by.key", span("by"), message).help(help));
    }
    None
}
