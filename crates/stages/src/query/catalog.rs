//! The relations that views and endpoints may read, with their columns: declared tables, rollups,
//! and the views before.

use duto_sql::{Catalog, ColumnKind, Columns, NamedColumn, ParameterType, analyse_postgres};

use duto_definition::column_type::ValueKind;
use duto_definition::{ColumnType, Pipeline, Rollup, SqlText};

use crate::rollup::measures::column_kind;

/// The tables and rollups of a pipeline.
pub(super) fn catalog(pipeline: &Pipeline) -> Catalog {
    let mut catalog = Catalog::default();
    for table in &pipeline.tables {
        let columns = table
            .columns
            .iter()
            .map(|column| NamedColumn::new(&column.name, parameter_type(column.column_type).kind));
        catalog.add_table(&table.name, Columns::new(columns.collect()));
    }
    for rollup in &pipeline.rollups {
        catalog.add_view(&rollup.name, rollup_columns(rollup, &catalog));
    }
    catalog
}

/// What the view of a rollup gives, in its order.
fn rollup_columns(rollup: &Rollup, tables: &Catalog) -> Columns {
    let by = rollup
        .by
        .iter()
        .map(|by| NamedColumn::new(&by.name, kind_of(&by.expression, &rollup.from, tables)));
    let measures = rollup.measures.iter().map(|measure| {
        let kind = column_kind(
            &measure.operation.as_ref().map(|value| kind_of(value, &rollup.from, tables)),
        );
        NamedColumn::new(&measure.name, kind)
    });
    Columns::new(by.chain(measures).collect())
}

/// The kind of an expression over a table. What is wrong with it is told where rollups are planned.
fn kind_of(expression: &SqlText, table: &str, tables: &Catalog) -> ColumnKind {
    let select = format!("SELECT ({}) FROM \"{}\"", expression.text, table.replace('"', "\"\""));
    let query = analyse_postgres(&select, tables, &|_| ParameterType::default());
    query.ok().and_then(|query| Some(query.columns.columns.first()?.kind)).unwrap_or_default()
}

/// A declared type: its name in `pg_type`, and the kind of its values.
pub(super) fn parameter_type(column_type: ColumnType) -> ParameterType {
    let kind = match column_type.values() {
        ValueKind::SmallInt | ValueKind::Integer | ValueKind::BigInt => ColumnKind::Number,
        ValueKind::Real | ValueKind::DoublePrecision | ValueKind::Numeric(_) => ColumnKind::Number,
        ValueKind::Boolean => ColumnKind::Boolean,
        ValueKind::Text(_) => ColumnKind::Text,
        ValueKind::Date | ValueKind::Timestamp | ValueKind::Timestamptz => ColumnKind::Moment,
        ValueKind::Jsonb | ValueKind::Bytea | ValueKind::Formed(_) => ColumnKind::Other,
    };
    ParameterType { name: column_type.postgres().type_name.to_owned(), kind }
}
