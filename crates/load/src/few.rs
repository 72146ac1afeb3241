//! A few rows by one INSERT.
//!
//! COPY is the quickest way of many rows, but the server answers twice and plans it each time. Of a
//! few rows these are the costs: a transaction of two records takes three round trips so, and four
//! by COPY.

use arrow::array::{Array, ArrayRef};
use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use super::connect::Connection;
use super::failure::{Failure, Scope};
use super::target::TableTarget;
use duto_definition::ColumnType;
use duto_ground::index::RowIndex;
use duto_ground::quoting::quote;
use duto_stages::copy;
use duto_stages::prepared::PreparedTable;

/// Up to so many rows go by INSERT. A transaction of 100 of `sales` is a third quicker so than by
/// COPY, and one of 1,000 about as quick.
pub const FEW_ROWS: usize = 256;

/// Rows of a table with more bytes than this are not few: a statement's parameters are one message,
/// which must stay below 1 GiB.
const MOST_FEW_BYTES: usize = 64 << 20;

/// Whether this many of a table's rows go by one INSERT.
pub fn is_few(rows: &PreparedTable, chosen: usize) -> bool {
    chosen <= FEW_ROWS
        && rows.columns.iter().map(|(_, column)| column.get_array_memory_size()).sum::<usize>()
            <= MOST_FEW_BYTES
}

/// A statement over a few rows whose parameters are arrays of values, one a column, and the
/// parameters' types.
#[derive(Debug, Clone)]
pub struct FewRows {
    pub sql: String,
    pub types: Vec<Type>,
}

/// Inserts rows of these columns, by their names and types.
pub(super) fn insert_of_few(table: &str, columns: &[(&str, ColumnType)]) -> FewRows {
    let (sql, types) = insert_of(table, columns, 1);
    FewRows { sql, types }
}

/// The rows as a relation: the columns, `duto_row`, which is the row's number, and `duto_place`,
/// its place among the rows. `quoted` has the columns' names as SQL.
pub(super) fn rows_of(quoted: &[String], columns: &[(&str, ColumnType)]) -> (String, Vec<Type>) {
    let types: Vec<Type> = columns
        .iter()
        .map(|(_, column_type)| array_of(*column_type))
        .chain([Type::INT4_ARRAY])
        .collect();
    let arrays: Vec<String> = (1..=types.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT * FROM unnest({}) WITH ORDINALITY AS few ({}, duto_row, duto_place)",
        arrays.join(", "),
        quoted.join(", ")
    );
    (sql, types)
}

/// Inserts the chosen rows; answers how many the table took.
pub async fn insert(
    on: &Connection,
    table: &TableTarget,
    rows: &PreparedTable,
    chosen: &[RowIndex],
) -> Result<u64, Failure> {
    let columns: Vec<Column<'_>> = Column::all_of(&rows.columns, chosen).collect();
    let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    let FewRows { sql, types } = &table.insert_few;
    on.within_scope(Scope::Data, async {
        on.client.execute(&on.prepared_typed(sql, types).await?, &values).await
    })
    .await
}

/// Runs a statement over [`rows_of`] the chosen rows; returns its rows.
pub async fn query(
    on: &Connection,
    FewRows { sql, types }: &FewRows,
    rows: &PreparedTable,
    chosen: &[RowIndex],
) -> Result<Vec<Row>, Failure> {
    let columns: Vec<Column<'_>> = Column::all_of(&rows.columns, chosen).collect();
    let numbers: Vec<i32> = chosen.iter().map(|row| row.number() as i32).collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        columns.iter().map(|column| column as &(dyn ToSql + Sync)).chain([&numbers as _]).collect();
    on.within_scope(Scope::Data, async {
        on.client.query(&on.prepared_typed(sql, types).await?, &values).await
    })
    .await
}

/// The text of an INSERT whose values are arrays, one a column, in parameters that begin with this
/// number, and the parameters' types.
pub(super) fn insert_of(
    table: &str,
    columns: &[(&str, ColumnType)],
    first_parameter: usize,
) -> (String, Vec<Type>) {
    let names: Vec<String> = columns.iter().map(|(name, _)| quote(name)).collect();
    let arrays: Vec<String> =
        (first_parameter..).take(columns.len()).map(|number| format!("${number}")).collect();
    // As COPY does, into an identity column too.
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({})",
        quote(table),
        names.join(", "),
        arrays.join(", ")
    );
    (sql, columns.iter().map(|(_, column_type)| array_of(*column_type)).collect())
}

/// A column's chosen values as a one-dimensional array.
#[derive(Debug)]
pub(super) struct Column<'a> {
    column_type: ColumnType,
    array: &'a ArrayRef,
    rows: &'a [RowIndex],
}

impl<'a> Column<'a> {
    /// Of each column the chosen rows.
    pub fn all_of(
        columns: &'a [(ColumnType, ArrayRef)],
        rows: &'a [RowIndex],
    ) -> impl Iterator<Item = Self> {
        columns.iter().map(move |(column_type, array)| Self {
            column_type: *column_type,
            array,
            rows,
        })
    }
}

impl ToSql for Column<'_> {
    /// As `array_send` of PostgreSQL writes it: dimensions, whether there are nulls, the elements'
    /// type, length and lower bound, elements.
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Kind::Array(element) = ty.kind() else {
            return Err(format!("{ty} is no array").into());
        };
        let has_nulls = self.rows.iter().any(|row| self.array.is_null(row.place()));
        out.put_i32(1);
        out.put_i32(i32::from(has_nulls));
        out.put_u32(element.oid());
        out.put_i32(i32::try_from(self.rows.len())?);
        out.put_i32(1);
        let mut elements = Vec::new();
        copy::encode_column(self.column_type, self.array, self.rows, &mut elements);
        out.put_slice(&elements);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

/// Without length or precision: the table's column has the last word, as with COPY.
fn array_of(column_type: ColumnType) -> Type {
    // A number that is none of PostgreSQL's would be a fault of ours, which the server refuses.
    Type::from_oid(column_type.postgres().array_oid).unwrap_or(Type::ANYARRAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_array() {
        for column_type in ColumnType::ALL {
            let array = array_of(column_type);
            let Kind::Array(element) = array.kind() else { panic!("{column_type} has {array}") };
            assert_eq!(element.name(), column_type.postgres().type_name);
        }
    }
}
