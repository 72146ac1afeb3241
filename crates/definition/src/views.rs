//! `views:`, plain SQL over the tables and rollups.

use serde_json::json;

use super::identifier;
use super::keys::{Key, Presence, Value};
use super::parse::Section;
use super::walk::{Fields, sql};
use super::{Pipeline, Problem, SqlText};

/// One view of the pipeline's database.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// As PostgreSQL folds it.
    pub name: String,
    pub select: SqlText,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "views",
        about: "views in PostgreSQL's SQL over the tables and rollups, each a name and its SELECT; \
            one may read those before it",
        presence: Presence::Optional,
        value: Value::Other(
            || json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        ),
    },
    read,
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("views").and_then(|node| walk.entries("views", node)).unwrap_or_default();
    for entry in entries {
        let name = identifier::fold(&entry.key).unwrap_or_else(|reason| {
            walk.report(Problem::new(
                "view.name",
                entry.key_span,
                format!("the name {} {reason}", walk.quote(entry.key_span)),
            ));
            entry.key.clone()
        });
        let taken = pipeline
            .tables
            .iter()
            .map(|table| &table.name)
            .chain(pipeline.rollups.iter().map(|rollup| &rollup.name));
        if taken.chain(pipeline.views.iter().map(|view| &view.name)).any(|other| *other == name) {
            let problem = Problem::new(
                "view.name.taken",
                entry.key_span,
                format!("the name {name} is taken"),
            );
            walk.report(problem.help("tables, rollups and views share one space of names"));
        }
        if let Some(select) = sql(walk, &format!("views.{}", entry.key), entry) {
            pipeline.views.push(View { name, select });
        }
    }
}
