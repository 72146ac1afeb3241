//! `checks:`, rules in SQL that a whole record must keep.

use serde_json::json;

use super::keys::{Key, Presence, Value};
use super::parse::Section;
use super::walk::{Fields, sql};
use super::{Pipeline, Problem, SqlText};

/// One rule of `checks:`. A record passes only when the condition is TRUE; NULL rejects.
#[derive(Debug, Clone)]
pub struct Check {
    pub name: String,
    pub condition: SqlText,
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "checks",
        about: "rules in SQL, each a name and a condition over the record; a record passes only \
            when it is TRUE",
        presence: Presence::Optional,
        value: Value::Other(
            || json!({ "type": "object", "additionalProperties": { "type": ["string", "boolean"] } }),
        ),
    },
    read,
};

fn read(file: &Fields<'_, '_>, pipeline: &mut Pipeline) {
    let walk = file.walk();
    let entries =
        file.value("checks").and_then(|node| walk.entries("checks", node)).unwrap_or_default();
    for entry in entries {
        let name = entry.key.trim().to_string();
        if name.is_empty() {
            let problem = Problem::new("checks.name.empty", entry.key_span, "a check has no name");
            walk.report(problem.help("the name is what a reject's reason says"));
        }
        if let Some(condition) = sql(walk, &format!("the check \"{name}\""), entry) {
            pipeline.checks.push(Check { name, condition });
        }
    }
}
