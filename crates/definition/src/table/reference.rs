//! Foreign keys: what they point at, and the order in which the tables are then written.

use super::{Column, Table, declared_columns, unknown_column};
use crate::suggest::did_you_mean_or_list;
use crate::walk::{Fields, Walk};
use crate::words::Words;
use crate::yaml::{Content, Entry, Node};
use crate::{Problem, Span, identifier};

/// The names of the file's tables and columns, also of those whose declarations are wrong: one
/// mistake is then one problem.
pub(crate) struct Declared {
    tables: Vec<(String, Vec<String>)>,
    /// By the place of a column's name, the place of its `REFERENCES ...`.
    references: Vec<(Span, Span)>,
}

impl Declared {
    pub fn of(file: &Fields<'_, '_>) -> Self {
        let mut declared = Self { tables: Vec::new(), references: Vec::new() };
        for entry in file.value("tables").map(children).unwrap_or_default() {
            let columns = children(&entry.value)
                .iter()
                .find(|key| key.key == "columns")
                .map(|key| &key.value);
            if let Ok(name) = identifier::fold(&entry.key) {
                declared.tables.push((name, declared_columns(columns)));
            }
            declared.references.extend(
                columns.map(children).unwrap_or_default().iter().filter_map(reference_place),
            );
        }
        declared
    }

    pub fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.iter().find(|(name, _)| name == table).map(|(_, columns)| columns.as_slice())
    }

    pub fn unknown_table(&self, span: Span, name: &str) -> Problem {
        let names = self.tables.iter().map(|(name, _)| name.as_str());
        let problem = Problem::new("table.unknown", span, format!("unknown table \"{name}\""));
        problem.help(did_you_mean_or_list(name, "the tables are", names))
    }
}

/// Checks every reference, fills in the columns that a bare `REFERENCES table` leaves out, and
/// answers the tables so that each stands behind those that it references; otherwise in the file's
/// order.
pub(super) fn ordered(walk: &Walk<'_>, mut tables: Vec<Table>, declared: &Declared) -> Vec<Table> {
    let all = tables.clone();
    for column in tables.iter_mut().flat_map(|table| &mut table.columns) {
        let place = declared.references.iter().find(|(name, _)| *name == column.span);
        let span = place.map_or(column.span, |(_, place)| *place);
        if let Some((table, referenced)) = &mut column.references
            && let Err(problem) = check(span, table, referenced, &all, declared)
        {
            walk.report(problem);
        }
    }
    sorted(walk, tables)
}

fn check(
    span: Span,
    table: &str,
    referenced: &mut String,
    all: &[Table],
    declared: &Declared,
) -> Result<(), Problem> {
    let Some(columns) = declared.columns(table) else {
        return Err(declared.unknown_table(span, table));
    };
    // A table or column whose own declaration is wrong is reported there.
    let Some(target) = all.iter().find(|other| other.name == table) else { return Ok(()) };
    let primary: Vec<&Column> = target.columns.iter().filter(|column| column.primary_key).collect();
    if referenced.is_empty() {
        let [only] = primary.as_slice() else {
            let problem = Problem::new(
                "table.reference.key",
                span,
                format!("the table {table} has no primary key of one column"),
            );
            return Err(problem.help(format!("name the column: REFERENCES {table}(column)")));
        };
        referenced.clone_from(&only.name);
        return Ok(());
    }
    if !columns.contains(referenced) {
        return Err(unknown_column(span, referenced, columns));
    }
    let is_key = |column: &Column| column.unique || (column.primary_key && primary.len() == 1);
    match target.columns.iter().find(|column| column.name == *referenced) {
        Some(column) if !is_key(column) => {
            let problem = Problem::new(
                "table.reference.key",
                span,
                format!("{table}.{referenced} is not a key"),
            );
            Err(problem.help(
                "PostgreSQL lets a column reference only a PRIMARY KEY or a UNIQUE \
                column; give it one of the two",
            ))
        }
        _ => Ok(()),
    }
}

fn children(node: &Node) -> &[Entry] {
    match &node.content {
        Content::Mapping(entries) => entries,
        _ => &[],
    }
}

/// The place of a column's name, and that of `REFERENCES table(column)` in its line.
fn reference_place(column: &Entry) -> Option<(Span, Span)> {
    let Content::Scalar(scalar) = &column.value.content else { return None };
    let mut words = Words::new(&scalar.value.text);
    while !words.comes(&["references"]) {
        words.next()?;
    }
    let mut place = words.next()?.range;
    while let Some(word) = words.next() {
        let is_constraint = ["not", "null", "unique", "primary", "default"]
            .iter()
            .any(|name| words.text_of(&word).eq_ignore_ascii_case(name));
        if is_constraint {
            break;
        }
        place.end = word.range.end;
    }
    Some((column.key_span, scalar.value.span_of(place.start, place.end)))
}

fn sorted(walk: &Walk<'_>, mut waiting: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let is_free = |table: &Table| {
            !references(table).any(|other| waiting.iter().any(|waiting| waiting.name == *other))
        };
        let Some(free) = waiting.iter().position(is_free) else {
            report_cycle(walk, &waiting);
            ordered.append(&mut waiting);
            break;
        };
        ordered.push(waiting.remove(free));
    }
    ordered
}

/// The other tables that it references; a reference to itself asks for no order.
fn references(table: &Table) -> impl Iterator<Item = &String> {
    let targets = table
        .columns
        .iter()
        .filter_map(|column| column.references.as_ref())
        .map(|(target, _)| target);
    targets.filter(|target| **target != table.name)
}

/// Follows the references from the first table until one comes again.
fn report_cycle(walk: &Walk<'_>, waiting: &[Table]) {
    let mut path: Vec<&Table> = Vec::new();
    let mut next = waiting.first();
    while let Some(table) = next {
        if let Some(begin) = path.iter().position(|other| other.name == table.name) {
            let cycle: Vec<_> =
                path[begin..].iter().chain([&table]).map(|table| table.name.as_str()).collect();
            let message =
                format!("the tables reference each other in a circle: {}", cycle.join(" -> "));
            let problem = Problem::new("table.reference.cycle", table.span, message);
            walk.report(
                problem.help(
                    "rows could not be written in any order; take one of the references away",
                ),
            );
            return;
        }
        path.push(table);
        next =
            references(table).find_map(|target| waiting.iter().find(|other| other.name == *target));
    }
}
