//! What a start will find: what it makes by itself, and what is missing that this role may not make
//! or do, as one script for whoever may. `duto check --connect` prints it, and a start that lacks
//! something ends with the same words. Only reads.

use std::collections::HashSet;

use anyhow::Context;
use tokio_postgres::Transaction;

use super::ddl;
use super::ensure::{SCHEMA, SCHEMA_VERSION};
use super::fit;
use super::limits::Limits;
use super::register;
use super::roles::{self, Grant, Object, Part};
use super::rollups::RollupTargets;
use super::script;
use super::time_partition::{self, Keeper, State};
use duto_definition::{Pipeline, Table};
use duto_ground::quoting::quote;

/// An index on a table of more rows takes longer than writers should wait.
const MANY_ROWS: f64 = 1_000_000.0;
/// Rollups need NULLS NOT DISTINCT.
const LEAST_VERSION_FOR_ROLLUPS: i32 = 150_000;

/// What was found.
pub struct Survey {
    pub role: String,
    pub database: String,
    /// As the server says it: 15.14.
    pub server_version: String,
    pub limits: Limits,
    /// What the start makes by itself, for people.
    pub makes: Vec<String>,
    /// What only an operator can decide, with what to run.
    pub problems: Vec<String>,
    /// What somebody else must run, in order.
    pub statements: Vec<String>,
    /// What slows things, or will.
    pub notes: Vec<String>,
    /// The layout's version; None where it is not written down.
    pub version: Option<i32>,
    pub(super) lacks_own: bool,
    /// In the order of the pipeline's tables.
    pub(super) tables: Vec<TableFindings>,
    pipeline: String,
}

/// What a table lacks that the start makes.
#[derive(Default)]
pub(super) struct TableFindings {
    pub is_missing: bool,
    pub columns: Vec<String>,
    pub indexes: Vec<String>,
}

/// What the role may do, and where.
struct Rights {
    role: String,
    may_make_tables: bool,
    /// The schema `duto` and its tables, or what they lack.
    may_make_own: bool,
    /// Tables of rollups, in the schema `duto`.
    may_make_counters: bool,
    is_standby: bool,
    /// The schema `duto` is there, and may be looked into.
    sees_own: bool,
    server_version_number: i32,
}

impl Survey {
    /// Everything that keeps the pipeline from starting, in one message.
    pub fn lacks(&self) -> Option<String> {
        let mut said = self.problems.clone();
        if !self.statements.is_empty() {
            said.push(format!(
                "the role {} lacks what the pipeline {} needs in the database {}. Whoever owns its \
                 tables, or a superuser, runs:\n\n{}\n\nAll at once for a new database: `duto ddl \
                 FILE`, then `duto ddl --roles FILE`",
                self.role,
                self.pipeline,
                self.database,
                self.statements.join("\n")
            ));
        }
        (!said.is_empty()).then(|| said.join("\n"))
    }
}

/// Looks at everything, for the parts that are to run by this role. `rollups` is None where only the
/// tables are needed. `keeper` is who will keep tables in pieces of time.
pub async fn look(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    rollups: Option<&RollupTargets>,
    parts: &[Part],
    keeper: Keeper,
) -> anyhow::Result<Survey> {
    let (rights, mut survey) = begin(transaction, pipeline).await?;
    let loads = parts.contains(&Part::Loader);
    // What the role makes by itself needs no grant.
    let mut made_by_us: HashSet<String> = HashSet::new();
    if loads && rights.is_standby {
        survey.problems.push(
            "the server is a standby, which only reads: name the primary, or several hosts with \
             target_session_attrs=read-write"
                .to_owned(),
        );
    }
    if loads {
        look_at_own(transaction, &rights, &mut survey, &mut made_by_us).await?;
    }
    for table in &pipeline.tables {
        let found = match loads {
            true => look_at_table(transaction, table, keeper, &rights, &mut survey).await?,
            false => TableFindings::default(),
        };
        if found.is_missing && rights.may_make_tables {
            made_by_us.insert(quote(&table.name));
        }
        survey.tables.push(found);
    }
    if loads {
        look_at_owners(transaction, pipeline, &mut survey).await?;
    }
    let empty = RollupTargets::default();
    if let Some(rollups) = rollups.filter(|_| loads) {
        if !rollups.rollups.is_empty() && rights.server_version_number < LEAST_VERSION_FOR_ROLLUPS {
            survey.problems.push(format!(
                "rollups need PostgreSQL 15 or newer, for NULLS NOT DISTINCT; the server is {}",
                survey.server_version
            ));
        }
        look_at_rollups(transaction, pipeline, rollups, &rights, &mut survey, &mut made_by_us)
            .await?;
    }
    let mut wanted: Vec<Grant> = Vec::new();
    for part in parts {
        for grant in roles::grants(*part, pipeline, rollups.unwrap_or(&empty)) {
            if !wanted.contains(&grant) {
                wanted.push(grant);
            }
        }
    }
    let missing = look_at_rights(transaction, &wanted, &rights, &made_by_us, &mut survey).await?;
    if !loads && !missing.is_empty() {
        survey.problems.push(format!(
            "{} are not there: the owner runs `duto ddl FILE`, or starts a worker",
            missing.join(", ")
        ));
    }
    Ok(survey)
}

async fn begin(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
) -> anyhow::Result<(Rights, Survey)> {
    let statement = "SELECT quote_ident(current_user), current_database()::text,
          current_setting('server_version'), current_setting('server_version_num')::int,
          pg_is_in_recovery(),
          coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
          n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE'),
          CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_schema_privilege(n.oid, 'CREATE') AND NOT EXISTS (SELECT FROM pg_class c
              WHERE c.relnamespace = n.oid AND c.relkind = 'r'
              AND c.relname = ANY ($1) AND NOT pg_has_role(c.relowner, 'USAGE')) END,
          current_schema() IS NULL,
          CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_schema_privilege(n.oid, 'CREATE') END
        FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = 'duto'";
    let own: Vec<&str> = own_tables().filter_map(|table| table.strip_prefix("duto.")).collect();
    let row =
        transaction.query_one(statement, &[&own]).await.context("looking at the role's rights")?;
    let role: String = row.get(0);
    let rights = Rights {
        role: role.clone(),
        may_make_tables: row.get(5),
        sees_own: row.get(6),
        may_make_own: row.get(7),
        may_make_counters: row.get(9),
        is_standby: row.get(4),
        server_version_number: row.get(3),
    };
    let mut problems = Vec::new();
    if row.get(8) {
        problems.push(
            "no schema of the role's search_path is there, or it may use none of them: there is \
             nowhere to look for the pipeline's tables"
                .to_owned(),
        );
    }
    let survey = Survey {
        role,
        database: row.get(1),
        server_version: row.get(2),
        limits: Limits::read(transaction, pipeline.database.max_connections).await?,
        makes: Vec::new(),
        problems,
        statements: Vec::new(),
        notes: Vec::new(),
        version: None,
        lacks_own: false,
        tables: Vec::new(),
        pipeline: pipeline.name.clone(),
    };
    Ok((rights, survey))
}

/// The schema `duto`. PostgreSQL asks for the right to make what is there already, so it is made
/// only where something is missing.
async fn look_at_own(
    transaction: &Transaction<'_>,
    rights: &Rights,
    survey: &mut Survey,
    made_by_us: &mut HashSet<String>,
) -> anyhow::Result<()> {
    let indexes = SCHEMA.lines().filter_map(|line| line.split("to_regclass('").nth(1));
    let indexes = indexes.filter_map(|rest| rest.split('\'').next());
    let parts: Vec<&str> = own_tables().chain(indexes).collect();
    let (of_tables, columns): (Vec<&str>, Vec<&str>) = added_columns().into_iter().unzip();
    let statement = "SELECT part FROM unnest($1::text[]) part WHERE NOT EXISTS (
          SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE ARRAY[n.nspname, c.relname]::text[] = parse_ident(part))
        UNION ALL SELECT of_table || '.' || name
        FROM unnest($2::text[], $3::text[]) AS added (of_table, name)
        WHERE NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE ARRAY[n.nspname, c.relname]::text[] = parse_ident(of_table) AND a.attname = name)";
    let missing: Vec<String> = transaction
        .query(statement, &[&parts, &of_tables, &columns])
        .await
        .context("looking for the schema duto")?
        .iter()
        .map(|row| row.get(0))
        .collect();
    survey.lacks_own = !missing.is_empty();
    if survey.lacks_own && rights.may_make_own {
        survey.makes.push("the schema duto".to_owned());
        made_by_us.extend(missing);
        made_by_us.insert("schema duto".to_owned());
    } else if survey.lacks_own {
        survey.statements.push(script::own());
    } else {
        let readable = "SELECT has_table_privilege('duto.schema', 'SELECT')";
        if !rights.sees_own || !transaction.query_one(readable, &[]).await?.get::<_, bool>(0) {
            return Ok(());
        }
        let found = transaction.query_opt("SELECT version FROM duto.schema", &[]).await?;
        survey.version = found.map(|row| row.get(0));
        if survey.version.is_some_and(|version| version != SCHEMA_VERSION) {
            survey.problems.push(format!(
                "the schema duto of this database has version {}, this program knows version \
                 {SCHEMA_VERSION}: use the program that made it",
                survey.version.unwrap_or_default()
            ));
        }
        if survey.version.is_none() && !rights.may_make_own {
            survey.statements.push(script::own());
        }
    }
    Ok(())
}

/// The tables of the schema `duto` that every database has, with its name.
fn own_tables() -> impl Iterator<Item = &'static str> {
    SCHEMA.lines().filter_map(|line| {
        line.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.split_whitespace().next()
    })
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

async fn look_at_table(
    transaction: &Transaction<'_>,
    table: &Table,
    keeper: Keeper,
    rights: &Rights,
    survey: &mut Survey,
) -> anyhow::Result<TableFindings> {
    let mut found = TableFindings::default();
    let statement = "SELECT c.oid IS NOT NULL, coalesce(pg_has_role(c.relowner, 'USAGE'), true),
        coalesce(c.reltuples, 0)::float8
        FROM (SELECT to_regclass($1)::oid AS oid) named LEFT JOIN pg_class c USING (oid)";
    let row = transaction.query_one(statement, &[&quote(&table.name)]).await?;
    let (is_there, is_ours, rows): (bool, bool, f64) = (row.get(0), row.get(1), row.get(2));
    let mut others = Vec::new();
    if !is_there {
        found.is_missing = true;
        found.indexes = table.indexes.iter().map(|index| index.name.clone()).collect();
        if rights.may_make_tables {
            survey.makes.push(format!("table {}", table.name));
        } else {
            survey.statements.push(script::table(table, keeper) + &script::indexes(table));
        }
        return Ok(found);
    }
    if let Some(time) = &table.time_partition {
        match time_partition::look(transaction, table, time, keeper).await {
            Ok(State::LacksDefault) => others.push(ddl::create_default_partition(table)),
            Ok(State::Missing | State::Fits) => {}
            Err(problem) => {
                survey.problems.push(format!("{problem:#}"));
                return Ok(found);
            }
        }
        if !is_ours && keeper == Keeper::PostgreSql {
            survey.notes.push(format!(
                "table {} belongs to another role, so this one makes no pieces of time ahead of the \
                 data: rows go to its default partition until the owner makes them, or grants its \
                 role to {}",
                table.name, rights.role
            ));
        }
    }
    let fit = fit::look(transaction, table).await?;
    survey.problems.extend(fit.differences);
    others.extend(
        table
            .columns
            .iter()
            .filter(|column| fit.missing.contains(&column.name))
            .map(|column| ddl::add_column(table, column)),
    );
    found.columns = fit.missing;
    for index in &table.indexes {
        let statement = "SELECT to_regclass($1) IS NULL";
        if !transaction.query_one(statement, &[&quote(&index.name)]).await?.get::<_, bool>(0) {
            continue;
        }
        let create = ddl::create_index(table, index);
        if rows <= MANY_ROWS {
            found.indexes.push(index.name.clone());
            others.push(create);
            continue;
        }
        // Nobody wants to wait for it: there the operator does it. PostgreSQL has no CONCURRENTLY
        // for a table in pieces.
        let (when, create) = match table.time_partition {
            None => {
                ("", create.replacen("CREATE INDEX IF NOT EXISTS", "CREATE INDEX CONCURRENTLY", 1))
            }
            Some(_) => ("when loads may wait, ", create),
        };
        survey.notes.push(format!(
            "table {} has many rows and lacks the index {}; {when}run: {create};",
            table.name, index.name
        ));
    }
    match is_ours {
        true => survey.makes.extend(others),
        false => survey.statements.extend(others.into_iter().map(|statement| statement + ";")),
    }
    Ok(found)
}

/// Two pipelines that write the same table would each see the other's rows as repeats.
async fn look_at_owners(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    survey: &mut Survey,
) -> anyhow::Result<()> {
    if !may_read(transaction, "duto.pipeline_table").await? {
        return Ok(());
    }
    let names: Vec<&str> = pipeline.tables.iter().map(|table| table.name.as_str()).collect();
    let statement = "SELECT table_name, pipeline FROM duto.pipeline_table
        WHERE table_name = ANY ($1) AND pipeline <> $2 ORDER BY 1";
    for row in transaction.query(statement, &[&names, &pipeline.name]).await? {
        survey.problems.push(format!(
            "table {} of this database belongs to the pipeline {}: give each pipeline a database \
             or a table of its own",
            row.get::<_, String>(0),
            row.get::<_, String>(1)
        ));
    }
    Ok(())
}

/// Whether one of our own tables is there and may be read.
async fn may_read(transaction: &Transaction<'_>, table: &str) -> anyhow::Result<bool> {
    let statement = format!(
        "SELECT coalesce(has_schema_privilege(to_regnamespace('duto')::oid, 'USAGE')
         AND has_table_privilege({}, 'SELECT'), false)",
        roles::oid_of(table)
    );
    Ok(transaction.query_one(&statement, &[]).await?.get(0))
}

async fn look_at_rollups(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    rollups: &RollupTargets,
    rights: &Rights,
    survey: &mut Survey,
    made_by_us: &mut HashSet<String>,
) -> anyhow::Result<()> {
    let mut readable = !survey.lacks_own;
    for table in ["duto.pipeline", "duto.rollup", "duto.view"] {
        readable = readable && may_read(transaction, table).await?;
    }
    let changes = if readable {
        register::changes(transaction, pipeline, rollups).await?
    } else if survey.lacks_own {
        register::Changes::all(pipeline, rollups)
    } else {
        // The rights that are missing are told; what is registered is known when they are there.
        return Ok(());
    };
    if changes.are_none() {
        return Ok(());
    }
    let may = (!changes.makes_tables || rights.may_make_counters && changes.owns_tables)
        && (!changes.makes_views || rights.may_make_tables && changes.owns_views);
    if may {
        survey.makes.extend(changes.names);
        made_by_us.extend(rollups.rollups.iter().flat_map(|rollup| rollup.tables.clone()));
        let views = rollups.rollups.iter().map(|rollup| quote(&rollup.name));
        made_by_us.extend(views.chain(pipeline.views.iter().map(|view| quote(&view.name))));
    } else {
        survey.statements.push(script::table_owner(pipeline));
        survey.statements.push(script::registration(pipeline, rollups));
    }
    Ok(())
}

/// What of the rights is missing; of an object that somebody else is to make, all of them. Returns
/// the tables that are not there.
async fn look_at_rights(
    transaction: &Transaction<'_>,
    wanted: &[Grant],
    rights: &Rights,
    made_by_us: &HashSet<String>,
    survey: &mut Survey,
) -> anyhow::Result<Vec<String>> {
    let asked: Vec<String> = wanted.iter().map(Grant::is_there).collect();
    let answers = transaction
        .query_one(&format!("SELECT ARRAY[{}]::boolean[]", asked.join(", ")), &[])
        .await
        .context("looking at the role's rights")?;
    let answers: Vec<Option<bool>> = answers.get(0);
    let others_make = !survey.statements.is_empty();
    let mut missing = Vec::new();
    for (grant, answer) in wanted.iter().zip(answers) {
        if let (None, Object::Table(name)) = (answer, &grant.object) {
            missing.push(name.clone());
        }
        let is_lacking = answer.map_or_else(
            || {
                others_make
                    && match &grant.object {
                        Object::Table(name) => !made_by_us.contains(name),
                        Object::Sequence { table, .. } => !made_by_us.contains(table),
                        Object::OwnSchema => !made_by_us.contains("schema duto"),
                        Object::Database | Object::TablesSchema => false,
                    }
            },
            |has| !has,
        );
        if is_lacking {
            survey.statements.push(grant.statement(&rights.role));
        }
    }
    Ok(missing)
}
