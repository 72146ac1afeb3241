//! Whether the sections agree with each other.

use std::collections::HashSet;

use super::record::Kind;
use super::suggest::did_you_mean_or_list;
use super::walk::Fields;
use super::yaml::{Content, Node};
use super::{Pipeline, Problem, Span};

/// Called last, when every section is read. What a section could not read is left alone.
pub(super) fn check(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    check_key(file, pipeline);
    check_purpose(file);
    check_indexes(file, pipeline);
    let written = |section, key| file.value(section).and_then(|node| child(node, key)).map(|node| node.span);
    let (record_bytes, batch_bytes) = (pipeline.source.max_record_bytes, pipeline.batch.max_bytes);
    let spans = [written("source", "max_record_bytes"), written("batch", "max_bytes")];
    if let Some(span) = first(spans).filter(|_| batch_bytes > 0 && record_bytes > batch_bytes) {
        let message =
            format!("a record may have {record_bytes} bytes (source.max_record_bytes), a batch only {batch_bytes} (batch.max_bytes)");
        file.walk().report(Problem::new("batch.bytes.contradiction", span, message).help("a batch must be able to hold one record"));
    }
    let (workers, connections) = (pipeline.batch.workers, pipeline.database.max_connections);
    let spans = [written("batch", "workers"), written("database", "max_connections")];
    if let Some(span) = first(spans).filter(|_| connections > 0 && workers > connections) {
        let message = format!("{workers} workers (batch.workers) share {connections} connections (database.max_connections)");
        file.walk().report(Problem::new("batch.workers.contradiction", span, message).help("each worker has a connection of its own"));
    }
}

/// Tables, views and indexes have their names in one space, and PostgreSQL makes no index beside a relation of its name.
fn check_indexes(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let tables = pipeline.tables.iter().flat_map(|table| [table.name.clone(), format!("{}_pkey", table.name)]);
    let rollups = pipeline.rollups.iter().map(|rollup| rollup.name.clone());
    let mut taken: HashSet<String> = tables.chain(rollups).chain(pipeline.views.iter().map(|view| view.name.clone())).collect();
    for table in &pipeline.tables {
        for index in table.indexes.iter().filter(|index| !taken.insert(index.name.clone())) {
            let message =
                format!("the index {} of the table {} has the name of another index, a table, a rollup or a view", index.name, table.name);
            let problem = Problem::new("table.index.taken", index.span, message);
            file.walk().report(problem.help("PostgreSQL has one space of names for all of them: give the index another one"));
        }
    }
}

/// A pipeline stores rows, makes calls, or both.
fn check_purpose(file: &Fields<'_, '_>) {
    if file.value("tables").is_none() && file.value("deliver").is_none() {
        let (code, place, message) = match file.entry("tables") {
            Some(entry) => ("file.value.empty", entry.key_span, "tables is empty"),
            None => ("file.key.missing", file.place(), "the file has neither tables nor deliver"),
        };
        let help = "tables: the tables that the rows go to; deliver: HTTP calls that the records make";
        file.walk().report(Problem::new(code, place, message.to_owned()).help(help));
    }
}

fn check_key(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let Some(key) = &pipeline.source.key else { return };
    let Some(span) = file.value("source").and_then(|node| child(node, "key")).map(|node| node.span) else { return };
    let fields = &pipeline.record.fields;
    if fields.is_empty() {
        return;
    }
    match fields.iter().find(|field| field.name == *key).map(|field| &field.kind) {
        Some(Kind::Scalar(_)) => {}
        Some(_) => {
            let message = format!("source.key names {}, which is not a single value", file.walk().quote(span));
            file.walk().report(Problem::new("source.key.type", span, message));
        }
        None => {
            let names = fields.iter().map(|field| field.name.as_str());
            let message = format!("source.key names {}, which is no field of the record", file.walk().quote(span));
            let help = did_you_mean_or_list(key, "the fields are", names);
            file.walk().report(Problem::new("source.key.unknown", span, message).help(help));
        }
    }
}

fn first(spans: [Option<Span>; 2]) -> Option<Span> {
    spans.into_iter().flatten().next()
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
        _ => None,
    }
}
