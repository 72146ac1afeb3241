//! Whether a table that is there fits the pipeline file.

use std::collections::HashMap;

use duto_sql::select_names;
use tokio_postgres::{Row, Transaction};

use super::ddl;
use duto_definition::{Column, Repeat, Table};
use duto_ground::quoting::quote;

/// What a table lacks.
pub(super) struct Fit {
    /// Columns that can be added as they are.
    pub missing: Vec<String>,
    /// What only somebody can decide, with the statements.
    pub differences: Option<String>,
}

/// A column as the database has it.
struct Found {
    type_name: String,
    not_null: bool,
    has_default: bool,
    is_computed: bool,
    is_always_identity: bool,
    /// Different texts may be equal.
    is_nondeterministic: bool,
    /// An identity, or part of the primary key: PostgreSQL does not let such a column be NULL,
    /// whatever is asked.
    never_null: bool,
}

/// Compares a table that is there with the file.
pub(super) async fn look(transaction: &Transaction<'_>, table: &Table) -> anyhow::Result<Fit> {
    let statement = "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull, atthasdef
           OR attidentity <> '',
           attgenerated <> '', attidentity = 'a', EXISTS (SELECT 1 FROM pg_collation c
           WHERE c.oid = attcollation AND NOT c.collisdeterministic),
           attidentity <> '' OR EXISTS (SELECT 1 FROM pg_index WHERE indrelid = attrelid
           AND indisprimary AND attnum = ANY (indkey))
         FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let rows = transaction.query(statement, &[&quote(&table.name)]).await?;
    let read = |row: &Row| Found {
        type_name: row.get(1),
        not_null: row.get(2),
        has_default: row.get(3),
        is_computed: row.get(4),
        is_always_identity: row.get(5),
        is_nondeterministic: row.get(6),
        never_null: row.get(7),
    };
    let found: HashMap<String, Found> = rows.iter().map(|row| (row.get(0), read(row))).collect();
    let filled = select_names(&table.select.text);
    let (mut missing, mut differences) = (Vec::new(), Vec::new());
    for column in &table.columns {
        match found.get(&column.name) {
            Some(found) => {
                differences.extend(difference(table, column, filled.contains(&column.name), found))
            }
            None if !column.not_null && !column.primary_key && !column.unique
                || column.default.is_some() =>
            {
                missing.push(column.name.clone())
            }
            None => differences.push(ddl::add_column(table, column) + ";"),
        }
    }
    for (name, found) in &found {
        if found.not_null
            && !found.has_default
            && table.columns.iter().all(|column| column.name != *name)
        {
            differences.push(match found.never_null {
                true => {
                    format!(
                        "-- column {name} is part of the table's primary key, and the file \
                        does not fill it: declare it in the file"
                    )
                }
                false => format!(
                    "ALTER TABLE {} ALTER COLUMN {} DROP NOT \
                    NULL;",
                    quote(&table.name),
                    quote(name)
                ),
            });
        }
    }
    differences.extend(missing_key(transaction, table).await?);
    differences.extend(rules(transaction, table).await?);
    let differences = (!differences.is_empty()).then(|| {
        format!(
            "table {} differs from the pipeline file. Change the file, or run:\n  {}",
            table.name,
            differences.join("\n  ")
        )
    });
    Ok(Fit { missing, differences })
}

/// `filled` says whether the table's SELECT gives the column.
fn difference(declared: &Table, column: &Column, filled: bool, found: &Found) -> Vec<String> {
    let (table, name) = (quote(&declared.name), quote(&column.name));
    let mut statements = Vec::new();
    let expected = column.column_type.catalogue_name();
    if found.is_computed {
        return vec![format!(
            "-- column {} is computed by the table: leave it out of the file's columns",
            column.name
        )];
    }
    if !same_type(&found.type_name, &expected) {
        statements.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {name} TYPE {expected}; -- it is {}",
            found.type_name
        ));
    }
    if column.not_null && !found.not_null {
        statements.push(format!("ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL;"));
    }
    if !column.not_null && !column.primary_key && !column.column_type.is_serial() && found.not_null
    {
        statements.push(match found.never_null {
            true => format!(
                "-- column {} of the table is never NULL (an identity, or part of the primary \
                    key): write `{} NOT NULL` in the file",
                column.name, column.column_type
            ),
            false => format!("ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL;"),
        });
    }
    if !filled && !found.has_default {
        match &column.default {
            Some(default) => statements
                .push(format!("ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {default};")),
            None if column.column_type.is_serial() => {
                statements.push(format!(
                    "ALTER TABLE {table} ALTER COLUMN {name} ADD GENERATED BY DEFAULT AS IDENTITY;"
                ));
            }
            None => {}
        }
    }
    let key = declared.key();
    let is_key = key.iter().any(|other| other.name == column.name);
    if declared.repeat == Repeat::Update
        && found.is_always_identity
        && filled
        && (!is_key || declared.columns.len() == key.len())
    {
        statements.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {name} \
            SET GENERATED BY DEFAULT; -- an update could not set it"
        ));
    }
    if is_key && found.is_nondeterministic {
        statements.push(format!(
            "-- column {} is a key whose collation holds different texts equal: let the SELECT \
                give one of them, such as lower(...), and run:\n  \
             ALTER TABLE {table} ALTER COLUMN {name} TYPE {expected} COLLATE \"C\";",
            column.name
        ));
    }
    statements
}

/// Whether values of the file's type fit as they are: PostgreSQL writes some types in several ways.
fn same_type(found: &str, expected: &str) -> bool {
    found == expected
        || expected == "text" && found == "character varying"
        || found.replace("(6)", "") == expected
}

/// What is written to a table with rules depends on the way in: COPY knows none of them, and a
/// repeat cannot be written at all.
async fn rules(transaction: &Transaction<'_>, table: &Table) -> anyhow::Result<Vec<String>> {
    let statement = "SELECT rulename::text FROM pg_rewrite WHERE ev_class = to_regclass($1)
        AND ev_type IN ('2', '3') ORDER BY 1";
    let rows = transaction.query(statement, &[&quote(&table.name)]).await?;
    let drop = |row: &Row| {
        format!(
            "DROP RULE {} ON {}; -- a trigger can do the same",
            quote(row.get(0)),
            quote(&table.name)
        )
    };
    Ok(rows.iter().map(drop).collect())
}

/// Repeats are known by a unique index on exactly the key's columns.
async fn missing_key(
    transaction: &Transaction<'_>,
    table: &Table,
) -> anyhow::Result<Option<String>> {
    let key = table.key();
    if key.is_empty() {
        return Ok(None);
    }
    let mut names: Vec<String> = key.iter().map(|column| column.name.clone()).collect();
    names.sort();
    let statement = "SELECT count(*) FROM pg_index x WHERE x.indrelid = to_regclass($1)
         AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
         AND x.indimmediate
         AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\")
         FROM pg_attribute a WHERE a.attrelid = x.indrelid
         AND a.attnum = ANY((x.indkey::int2[])[0:x.indnkeyatts - 1])) = $2";
    let there: i64 = transaction.query_one(statement, &[&quote(&table.name), &names]).await?.get(0);
    let list = key.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ");
    Ok((there == 0).then(|| format!("CREATE UNIQUE INDEX ON {} ({list});", quote(&table.name))))
}
