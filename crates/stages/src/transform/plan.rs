//! A table's SELECT against the table's columns.

use arrow::datatypes::{DataType, Schema};
use duto_sql::{OutputColumn, assignable, conversions, help_of, plan_select, type_name};

use super::cast::ColumnCast;
use super::{TablePlan, problem_of};
use duto_definition::column_type::ValueKind;
use duto_definition::{Column, Problem, Table};

/// The plan of one table, or everything that is wrong with its SELECT.
pub(super) fn table(table: &Table, record: &Schema) -> Result<TablePlan, Vec<Problem>> {
    let select = plan_select(&table.select.text, record).map_err(|problems| {
        problems.into_iter().map(|problem| problem_of(&table.select, problem)).collect::<Vec<_>>()
    })?;
    let mut problems = Vec::new();
    let mut written: Vec<(usize, usize)> = Vec::new();
    for (place, output) in select.output().iter().enumerate() {
        match table.columns.iter().position(|column| column.name == output.name) {
            Some(column) => {
                problems.extend(unassignable(table, &table.columns[column], output));
                written.push((column, place));
            }
            None => problems.push(undeclared(table, output)),
        }
    }
    let given = |index: usize| written.iter().any(|(column, _)| *column == index);
    let left_out = table
        .columns
        .iter()
        .enumerate()
        .filter(|(index, column)| needs_a_value(column) && !given(*index));
    problems.extend(left_out.map(|(_, column)| {
        let message = format!(
            "the SELECT gives no {}, which is {} and has no default",
            column.name,
            constraint(column)
        );
        Problem::new("tables.column.missing", column.span, message)
            .help(format!("add `... AS {}` to the SELECT", column.name))
    }));
    if !problems.is_empty() {
        return Err(problems);
    }
    written.sort_unstable();
    let casts = written
        .iter()
        .map(|(column, place)| ColumnCast::new(&table.columns[*column], *place))
        .collect();
    Ok(TablePlan {
        select,
        written_columns: written.into_iter().map(|(column, _)| column).collect(),
        casts,
    })
}

fn needs_a_value(column: &Column) -> bool {
    (column.not_null || column.primary_key)
        && column.default.is_none()
        && !column.column_type.is_serial()
}

fn constraint(column: &Column) -> &'static str {
    if column.primary_key { "PRIMARY KEY" } else { "NOT NULL" }
}

fn undeclared(table: &Table, output: &OutputColumn) -> Problem {
    let span = table.select.span_of(output.start, output.end);
    let problem = Problem::new(
        "tables.select.unknown_column",
        span,
        format!("{} has no column \"{}\"", table.name, output.name),
    );
    let names = table.columns.iter().map(|column| column.name.as_str());
    if let Some(by_case) =
        names.clone().find(|name| name.to_lowercase() == output.name.to_lowercase())
    {
        return problem.help(format!(
            "did you mean \"{by_case}\", with its quotes? A name without them is lower case"
        ));
    }
    let nearest = names.map(|name| (strsim::damerau_levenshtein(name, &output.name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + output.name.chars().count() / 4 => {
            problem.help(format!("did you mean \"{name}\"?"))
        }
        _ => problem.help(format!("declare it under `{}: columns:`, or leave it out", table.name)),
    }
}

fn unassignable(table: &Table, column: &Column, output: &OutputColumn) -> Option<Problem> {
    let span = table.select.span_of(output.start, output.end);
    let to = column.column_type.arrow();
    // What travels as a text is made of nothing but a text.
    let is_text = matches!(output.data_type, DataType::Utf8 | DataType::Null);
    let has_form = is_text || !matches!(column.column_type.values(), ValueKind::Formed(_));
    if has_form && assignable(&output.data_type, &to, output.literal) {
        return None;
    }
    let (given, wanted) = (type_name(&output.data_type), column.column_type);
    let problem = Problem::new(
        "tables.select.type",
        span,
        format!("{} is {wanted}, and {given} cannot stand in it", column.name),
    );
    let advice = if has_form { help_of(&conversions(&output.data_type, &to), "...") } else { None };
    Some(problem.help(advice.unwrap_or_else(|| declare_otherwise(&output.data_type))))
}

/// Where no expression leads from the one type to the other.
fn declare_otherwise(given: &DataType) -> String {
    match given {
        DataType::Struct(_) | DataType::List(_) => {
            "declare the column as JSONB, which holds objects and lists".to_owned()
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            "make a number or a text of it: no column holds an INTERVAL".to_owned()
        }
        other => format!("declare the column as {}", type_name(other)),
    }
}
