//! `indexes:` of a table, each a name and its columns.

use crate::Problem;
use serde_json::{Value as Json, json};

use super::{Column, declared_columns, folded, unknown_column};
use crate::walk::Fields;
use crate::{Span, identifier};

/// An index beside those that keys imply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// As PostgreSQL folds it.
    pub name: String,
    pub columns: Vec<String>,
    /// Where its name stands.
    pub span: Span,
}

pub(super) fn schema() -> Json {
    let columns = json!({ "type": "array", "minItems": 1, "items": { "type": "string" } });
    json!({ "type": "object", "additionalProperties": columns })
}

/// Reads the indexes of a table with these columns.
pub(super) fn read(fields: &Fields<'_, '_>, columns: &[Column]) -> Vec<Index> {
    let walk = fields.walk();
    let entries = fields
        .value("indexes")
        .and_then(|node| walk.entries(&fields.named("indexes"), node))
        .unwrap_or_default();
    let mut indexes: Vec<Index> = Vec::new();
    for entry in entries {
        let name = folded(walk, "table.index.name", entry);
        let mut index = Index { name, columns: Vec::new(), span: entry.key_span };
        let items = walk.list(&fields.named(&format!("indexes.{}", entry.key)), &entry.value);
        for item in items.unwrap_or_default() {
            let Some(scalar) = walk.scalar("a column of an index", item) else { continue };
            let column =
                identifier::fold(&scalar.value.text).unwrap_or_else(|_| scalar.value.text.clone());
            if columns.iter().all(|declared| declared.name != column) {
                walk.report(unknown_column(
                    item.span,
                    &column,
                    &declared_columns(fields.value("columns")),
                ));
            }
            index.columns.push(column);
        }
        if items.is_some_and(<[_]>::is_empty) {
            let message = format!("the index {} has no columns", index.name);
            let problem = Problem::new("table.index.empty", entry.key_span, message);
            walk.report(
                problem.help(format!("for example {}: [customer_id, created_at]", entry.key)),
            );
        }
        indexes.push(index);
    }
    indexes
}
