//! Makes the tables fit the pipeline file before the first record: what is missing is made, what
//! differs is an error that shows the ALTER.

use std::collections::HashMap;

use anyhow::{Context, bail};
use duto_sql::select_names;
use tokio_postgres::Row;

use super::connect::Connection;
use super::ddl;
use super::time_partition;
use duto_definition::{Column, Pipeline, Repeat, Table};
use duto_ground::quoting::quote;

/// The layout of the schema `duto` that this program knows.
const SCHEMA_VERSION: i32 = 3;
/// All that duto keeps for itself.
const SCHEMA: &str = include_str!("schema.sql");
/// For those who connect by a role with few rights.
const ROLES_HELP: &str = "Let the owner start the pipeline once, then run what `duto ddl --roles FILE` prints: it grants exactly what a loader needs";
/// An index on a table of more rows takes longer than writers should wait.
const MANY_ROWS: f64 = 1_000_000.0;
/// One at a time makes tables, whichever pipeline: an arbitrary number of ours.
pub(super) const ADVISORY_LOCK: i64 = 0x6475_746f;

/// Makes the schema `duto` and the pipeline's tables, or says what stands in the way. Safe to run
/// from several workers at once.
pub async fn ensure(on: &mut Connection, pipeline: &Pipeline) -> anyhow::Result<()> {
    let keeper = time_partition::keeper(on, pipeline).await?;
    let transaction = on.client.transaction().await.context("beginning to make the tables")?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await?;
    if let Some(missing) = missing_part(&transaction).await? {
        transaction.batch_execute(SCHEMA).await.with_context(|| {
            format!("{missing} is not there, and this role may not make it. {ROLES_HELP}")
        })?;
    }
    let found = transaction.query_opt("SELECT version FROM duto.schema", &[]).await?;
    match found.map(|row| row.get::<_, i32>(0)) {
        None => {
            transaction.execute("INSERT INTO duto.schema VALUES ($1)", &[&SCHEMA_VERSION]).await?;
        }
        Some(SCHEMA_VERSION) => {}
        Some(other) => bail!(
            "the schema duto of this database has version {other}, this program knows version \
                {SCHEMA_VERSION}: use the program that made it"
        ),
    }
    may_make_stages(&transaction).await?;
    for table in &pipeline.tables {
        own_table(&transaction, pipeline, table).await?;
        match &table.time_partition {
            Some(time) => time_partition::make(&transaction, table, time, keeper).await?,
            None => make_table(&transaction, table).await?,
        }
        fit_table(&transaction, table).await?;
        tell_triggers(&transaction, table).await?;
        fit_indexes(&transaction, table).await?;
    }
    transaction.commit().await.context("making the tables")
}

/// What of the schema `duto` is not there. Who may write there may not always make it, and PostgreSQL
/// asks for the right to make even where everything is there already.
async fn missing_part(
    transaction: &tokio_postgres::Transaction<'_>,
) -> anyhow::Result<Option<String>> {
    let tables = SCHEMA.lines().filter_map(|line| line.strip_prefix("CREATE TABLE IF NOT EXISTS "));
    let tables = tables.filter_map(|rest| rest.split_whitespace().next());
    let indexes = SCHEMA.lines().filter_map(|line| line.split("to_regclass('").nth(1));
    let indexes = indexes.filter_map(|rest| rest.split('\'').next());
    let parts: Vec<&str> = tables.chain(indexes).collect();
    let (tables, columns): (Vec<&str>, Vec<&str>) = added_columns().into_iter().unzip();
    let statement = "SELECT part FROM unnest($1::text[]) part WHERE to_regclass(part) IS NULL
        UNION ALL SELECT 'column ' || name || ' of ' || of_table
        FROM unnest($2::text[], $3::text[]) AS added (of_table, name)
        WHERE NOT EXISTS (SELECT 1 FROM pg_attribute
          WHERE attrelid = to_regclass(of_table) AND attname = name)
        LIMIT 1";
    let row = transaction.query_opt(statement, &[&parts, &tables, &columns]).await.with_context(
        || format!("looking for the schema duto, which this role may not see. {ROLES_HELP}"),
    )?;
    Ok(row.map(|row| row.get(0)))
}

/// The columns that [`SCHEMA`] adds to tables of an earlier program, each behind its table.
fn added_columns() -> Vec<(&'static str, &'static str)> {
    let alters = SCHEMA.lines().filter_map(|line| line.strip_prefix("ALTER TABLE "));
    alters
        .flat_map(|alter| {
            let table = alter.split_whitespace().next().unwrap_or_default();
            let added = alter.split("ADD COLUMN IF NOT EXISTS ").skip(1);
            added.filter_map(move |rest| Some((table, rest.split_whitespace().next()?)))
        })
        .collect()
}

/// Two pipelines that write the same table would each see the other's rows as repeats.
async fn own_table(
    transaction: &tokio_postgres::Transaction<'_>,
    pipeline: &Pipeline,
    table: &Table,
) -> anyhow::Result<()> {
    let claim =
        "INSERT INTO duto.pipeline_table VALUES ($1, $2) ON CONFLICT (table_name) DO NOTHING";
    transaction.execute(claim, &[&table.name, &pipeline.name]).await?;
    let owner: String = transaction
        .query_one("SELECT pipeline FROM duto.pipeline_table WHERE table_name = $1", &[&table.name])
        .await?
        .get(0);
    if owner != pipeline.name {
        bail!(
            "table {} of this database belongs to the pipeline {owner}: give each pipeline a \
                database or a table of its own",
            table.name
        );
    }
    Ok(())
}

/// Only one that is missing: who may write to a table may not always make one.
async fn make_table(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &Table,
) -> anyhow::Result<()> {
    let there =
        transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&quote(&table.name)]).await?;
    if there.get(0) {
        return Ok(());
    }
    transaction
        .batch_execute(&ddl::create_table(table))
        .await
        .with_context(|| format!("making table {}", table.name))
}

/// Repeats among many rows go by way of a temporary table.
async fn may_make_stages(transaction: &tokio_postgres::Transaction<'_>) -> anyhow::Result<()> {
    let statement = "SELECT has_database_privilege(current_database(), 'TEMPORARY'),
        format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), current_user)";
    let row = transaction.query_one(statement, &[]).await?;
    if row.get(0) {
        return Ok(());
    }
    bail!(
        "this user may make no temporary tables, through which repeats are found. Run:\n  {};",
        row.get::<_, String>(1)
    )
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

async fn fit_table(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &Table,
) -> anyhow::Result<()> {
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
    let mut differences = Vec::new();
    for column in &table.columns {
        match found.get(&column.name) {
            Some(found) => {
                differences.extend(difference(table, column, filled.contains(&column.name), found))
            }
            None if !column.not_null && !column.primary_key && !column.unique
                || column.default.is_some() =>
            {
                let add = format!(
                    "ALTER TABLE {} ADD COLUMN {}",
                    quote(&table.name),
                    ddl::column_line(column, true)
                );
                transaction.batch_execute(&add).await.with_context(|| {
                    format!("adding column {} to table {}", column.name, table.name)
                })?;
                tracing::info!(
                    table = table.name,
                    column = column.name,
                    "added a column that the table lacked"
                );
            }
            None => differences.push(format!(
                "ALTER TABLE {} ADD COLUMN {};",
                quote(&table.name),
                ddl::column_line(column, true)
            )),
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
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "table {} differs from the pipeline file. Change the file, or run:\n  {}",
        table.name,
        differences.join("\n  ")
    )
}

/// Makes missing indexes, but not on a table whose load it would hold up: there the operator does
/// it.
async fn fit_indexes(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &Table,
) -> anyhow::Result<()> {
    for index in &table.indexes {
        let statement = "SELECT to_regclass($1) IS NULL, (SELECT reltuples FROM pg_class
            WHERE oid = to_regclass($2))::float8";
        let row =
            transaction.query_one(statement, &[&quote(&index.name), &quote(&table.name)]).await?;
        let (missing, rows): (bool, f64) = (row.get(0), row.get(1));
        let create = ddl::create_index(table, index);
        if missing && rows > MANY_ROWS && table.time_partition.is_none() {
            let create =
                create.replacen("CREATE INDEX IF NOT EXISTS", "CREATE INDEX CONCURRENTLY", 1);
            tracing::warn!(
                table = table.name,
                index = index.name,
                "the table has many rows and lacks this index; run: {create};"
            );
        } else if missing && rows > MANY_ROWS {
            // PostgreSQL has no CONCURRENTLY for a table in pieces.
            tracing::warn!(
                table = table.name,
                index = index.name,
                "the table has many rows and lacks this index; when loads may wait, run: {create};"
            );
        } else if missing {
            transaction
                .batch_execute(&create)
                .await
                .with_context(|| format!("making index {}", index.name))?;
        }
    }
    Ok(())
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
async fn rules(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &Table,
) -> anyhow::Result<Vec<String>> {
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

/// Rows are counted as they were sent.
async fn tell_triggers(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &Table,
) -> anyhow::Result<()> {
    // Bits of tgtype: 1 for each row, 2 before, 4 insert (pg_trigger.h). A hypertable has one that
    // keeps rows out of the whole.
    let statement =
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal
         AND tgenabled <> 'D' AND tgtype & 7 = 7
         AND tgname <> 'ts_insert_blocker'";
    for row in transaction.query(statement, &[&quote(&table.name)]).await? {
        tracing::warn!(
            table = table.name,
            trigger = row.get::<_, String>(0),
            "a trigger may change rows, or put them elsewhere, before they are stored: rollups, \
                messages and repeats go by the rows as they were sent"
        );
    }
    Ok(())
}

/// Repeats are known by a unique index on exactly the key's columns.
async fn missing_key(
    transaction: &tokio_postgres::Transaction<'_>,
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
