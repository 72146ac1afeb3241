//! Whether the sections agree with each other.

use std::collections::HashSet;

use super::database::CONNECTIONS_BESIDE_WORKERS;
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
    check_names(file, pipeline);
    check_widths(file, pipeline);
    let written =
        |section, key| file.value(section).and_then(|node| child(node, key)).map(|node| node.span);
    let (record_bytes, batch_bytes) = (pipeline.source.max_record_bytes, pipeline.batch.max_bytes);
    let spans = [written("source", "max_record_bytes"), written("batch", "max_bytes")];
    if let Some(span) = first(spans).filter(|_| batch_bytes > 0 && record_bytes > batch_bytes) {
        let message = format!(
            "a record may have {record_bytes} bytes (source.max_record_bytes), a batch only \
                {batch_bytes} (batch.max_bytes)"
        );
        file.walk().report(
            Problem::new("batch.bytes.contradiction", span, message)
                .help("a batch must be able to hold one record"),
        );
    }
    let (workers, connections) = (pipeline.batch.workers, pipeline.database.max_connections);
    let spans = [written("batch", "workers"), written("database", "max_connections")];
    let beside = CONNECTIONS_BESIDE_WORKERS;
    if let Some(span) = first(spans).filter(|_| connections > 0 && workers + beside > connections) {
        let message = format!(
            "{workers} workers (batch.workers) share {connections} connections \
                (database.max_connections)"
        );
        file.walk().report(Problem::new("batch.workers.contradiction", span, message).help(
            format!(
                "each worker has a connection of its own, and all else needs {beside}: \
                        max_connections: {}",
                workers + beside
            ),
        ));
    }
}

/// Tables, views and indexes have their names in one space, and PostgreSQL makes no index beside a
/// relation of its name.
fn check_indexes(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let tables = pipeline
        .tables
        .iter()
        .flat_map(|table| [table.name.clone(), format!("{}_pkey", table.name)]);
    let rollups = pipeline.rollups.iter().map(|rollup| rollup.name.clone());
    let mut taken: HashSet<String> =
        tables.chain(rollups).chain(pipeline.views.iter().map(|view| view.name.clone())).collect();
    for table in &pipeline.tables {
        for index in table.indexes.iter().filter(|index| !taken.insert(index.name.clone())) {
            let message = format!(
                "the index {} of the table {} has the name of another index, a table, a rollup or \
                    a view",
                index.name, table.name
            );
            let problem = Problem::new("table.index.taken", index.span, message);
            file.walk().report(problem.help(
                "PostgreSQL has one space of names for all of them: give the index another one",
            ));
        }
    }
}

/// PostgreSQL finds its own relations first, whatever the search path says, and their names begin
/// with `pg_`.
fn check_names(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let tables = pipeline.tables.iter().map(|table| ("table", &table.name, table.span));
    let rollups = pipeline.rollups.iter().map(|rollup| ("rollup", &rollup.name, rollup.span));
    let views = pipeline.views.iter().map(|view| ("view", &view.name, view.select.span));
    for (kind, name, span) in
        tables.chain(rollups).chain(views).filter(|(_, name, _)| name.starts_with("pg_"))
    {
        let problem = Problem::new(
            "name.reserved",
            span,
            format!("the {kind} {name} has a name of PostgreSQL's own catalogue"),
        );
        file.walk().report(
            problem
                .help("names that begin with pg_ are looked up there first: give it another one"),
        );
    }
    for rollup in pipeline
        .rollups
        .iter()
        .filter(|rollup| rollup.windows.is_some() && is_function_of_two_times(&rollup.name))
    {
        let message = format!(
            "{}(from, to) is a function of PostgreSQL's own, which would answer instead of the \
                rollup",
            rollup.name
        );
        file.walk().report(
            Problem::new("name.reserved", rollup.span, message)
                .help("give the rollup another name"),
        );
    }
}

/// Of `pg_catalog`, by its list of functions of two `timestamptz`.
fn is_function_of_two_times(name: &str) -> bool {
    matches!(name, "age" | "tstzrange") || name.starts_with("timestamptz_")
}

/// An index has at most so many columns (INDEX_MAX_KEYS).
const MOST_KEY_COLUMNS: usize = 32;

fn check_widths(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let too_wide = |what: String, columns: usize, most: usize, span: Span| {
        if columns > most {
            let problem = Problem::new(
                "index.columns",
                span,
                format!("{what} has {columns} columns, and at most {most} fit"),
            );
            file.walk().report(problem.help(
                "PostgreSQL takes 32 columns in an index: leave some out, or make one of several",
            ));
        }
    };
    for table in &pipeline.tables {
        let key = table.columns.iter().filter(|column| column.primary_key).count();
        too_wide(
            format!("the primary key of the table {}", table.name),
            key,
            MOST_KEY_COLUMNS,
            table.span,
        );
        for index in &table.indexes {
            too_wide(
                format!("the index {}", index.name),
                index.columns.len(),
                MOST_KEY_COLUMNS,
                index.span,
            );
        }
    }
    for rollup in &pipeline.rollups {
        // Beside them stand the shard or a distinct value, and with windows the grain and its
        // bucket.
        let own = if rollup.windows.is_some() { 3 } else { 1 };
        too_wide(
            format!("by of the rollup {}", rollup.name),
            rollup.by.len(),
            MOST_KEY_COLUMNS - own,
            rollup.span,
        );
    }
}

/// A pipeline stores rows, makes calls, or both.
fn check_purpose(file: &Fields<'_, '_>) {
    if file.value("tables").is_none() && file.value("deliver").is_none() {
        let (code, place, message) = match file.entry("tables") {
            Some(entry) => ("file.value.empty", entry.key_span, "tables is empty"),
            None => ("file.key.missing", file.place(), "the file has neither tables nor deliver"),
        };
        let help =
            "tables: the tables that the rows go to; deliver: HTTP calls that the records make";
        file.walk().report(Problem::new(code, place, message.to_owned()).help(help));
    }
}

fn check_key(file: &Fields<'_, '_>, pipeline: &Pipeline) {
    let Some(key) = &pipeline.source.key else { return };
    let Some(span) = file.value("source").and_then(|node| child(node, "key")).map(|node| node.span)
    else {
        return;
    };
    let fields = &pipeline.record.fields;
    if fields.is_empty() {
        return;
    }
    match fields.iter().find(|field| field.name == *key).map(|field| &field.kind) {
        Some(Kind::Scalar(_)) => {}
        Some(_) => {
            let message = format!(
                "source.key names {}, which is not a single value",
                file.walk().quote(span)
            );
            file.walk().report(Problem::new("source.key.type", span, message));
        }
        None => {
            let names = fields.iter().map(|field| field.name.as_str());
            let message = format!(
                "source.key names {}, which is no field of the record",
                file.walk().quote(span)
            );
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
        Content::Mapping(entries) => {
            entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
        }
        _ => None,
    }
}
