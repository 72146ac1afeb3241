//! All that a pipeline needs in its database, as a script for whoever owns it: duto's own tables,
//! the pipeline's, its rollups and views, and what duto keeps of them. A start makes the same. It
//! may be run again, also while workers load: what is there already stays.

use duto_definition::{Pipeline, Table};
use duto_ground::quoting::literal;

use super::ddl;
use super::ensure::{ADVISORY_LOCK, SCHEMA, SCHEMA_VERSION};
use super::rollups::{RollupTarget, RollupTargets, windows};
use super::time_partition::Keeper;
use super::views;

/// The whole script.
pub fn script(pipeline: &Pipeline, rollups: &RollupTargets, keeper: Keeper) -> String {
    let mut parts = vec![
        format!(
            "-- All that the pipeline {} needs, for whoever is to own it. It may be run again, also \
             while workers\n-- load: what is there stays. Those who load and read get their rights \
             from `duto ddl --roles`.\n",
            pipeline.name
        ),
        own(),
    ];
    for declared in &pipeline.tables {
        parts.push(table(declared, keeper));
        parts.push(indexes(declared));
    }
    parts.push(table_owner(pipeline));
    parts.push(registration(pipeline, rollups));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// The schema `duto`, and its version.
pub fn own() -> String {
    format!(
        "{SCHEMA}INSERT INTO duto.schema (version) SELECT {SCHEMA_VERSION} WHERE NOT EXISTS \
         (SELECT FROM duto.schema);\n"
    )
}

/// A table that is not there, where this keeps tables in pieces of time.
pub fn table(table: &Table, keeper: Keeper) -> String {
    match (&table.time_partition, keeper) {
        (None, _) => ddl::create_table(table) + ";\n",
        (Some(time), Keeper::TimescaleDb) => {
            format!("{};\n{};\n", ddl::create_table(table), ddl::create_hypertable(table, time))
        }
        (Some(time), Keeper::PostgreSql) => format!(
            "-- In pieces of a {}, which duto makes ahead of the data; for TimescaleDB: duto ddl \
             --timescaledb\n{};\n{};\n",
            time.interval.as_str(),
            ddl::create_partitioned(table, time),
            ddl::create_default_partition(table)
        ),
    }
}

/// The table's indexes.
pub fn indexes(table: &Table) -> String {
    table.indexes.iter().map(|index| ddl::create_index(table, index) + ";\n").collect()
}

/// Says whose the tables are.
pub fn table_owner(pipeline: &Pipeline) -> String {
    let rows: Vec<String> = pipeline
        .tables
        .iter()
        .map(|table| format!("({}, {})", literal(&table.name), literal(&pipeline.name)))
        .collect();
    format!(
        "INSERT INTO duto.pipeline_table VALUES {} ON CONFLICT (table_name) DO NOTHING;\n",
        rows.join(", ")
    )
}

/// The rollups and views, as [`super::register`] makes them: no load commits meanwhile, and whoever
/// claims from then on counts what is declared here. Rollups of tables that hold rows are filled by
/// the next start.
pub fn registration(pipeline: &Pipeline, rollups: &RollupTargets) -> String {
    let (name, digest) = (literal(&pipeline.name), literal(&rollups.digest));
    let mut lines = vec![
        "BEGIN;".to_owned(),
        "-- No load commits until the end, and whoever goes on counts what is declared here."
            .to_owned(),
        format!(
            "DO $duto$ BEGIN
    PERFORM pg_advisory_xact_lock({ADVISORY_LOCK});
    INSERT INTO duto.pipeline (pipeline, rollups, views) VALUES ({name}, {digest}, '')
        ON CONFLICT (pipeline) DO UPDATE SET rollups = excluded.rollups;
    PERFORM FROM duto.position WHERE pipeline = {name} ORDER BY topic, partition FOR UPDATE;
END $duto$;"
        ),
        format!(
            "UPDATE duto.position SET fence = gen_random_uuid(), rollups = {digest}, updated_at = \
             clock_timestamp()\n    WHERE pipeline = {name} AND rollups <> {digest};"
        ),
        views::note_rights(&name),
        drop_views(&name),
        drop_other_rollups(&name, rollups),
    ];
    lines.extend(rollups.rollups.iter().map(|rollup| make_rollup(&name, rollup)));
    for (place, (view, create)) in views::statements(pipeline, rollups).iter().enumerate() {
        lines.push(format!("{};", create.trim().trim_end_matches(';')));
        lines.push(format!(
            "INSERT INTO duto.view (pipeline, name, place) VALUES ({name}, {}, {place});",
            literal(view)
        ));
    }
    lines.push(views::GIVE_RIGHTS_BACK.to_owned());
    lines.push(format!(
        "UPDATE duto.pipeline SET views = {} WHERE pipeline = {name};",
        literal(&views::digest(pipeline, rollups))
    ));
    lines.push("COMMIT;".to_owned());
    lines.join("\n") + "\n"
}

/// The views that were made before, the last one first.
fn drop_views(pipeline: &str) -> String {
    format!(
        "DO $duto$ DECLARE old record; made regprocedure; BEGIN
    FOR old IN SELECT name FROM duto.view v WHERE v.pipeline = {pipeline} AND v.made ORDER BY place DESC LOOP
        FOR made IN {} LOOP EXECUTE 'DROP FUNCTION ' || made; END LOOP;
        EXECUTE format('DROP VIEW IF EXISTS %I', old.name);
    END LOOP;
    DELETE FROM duto.view v WHERE v.pipeline = {pipeline};
END $duto$;",
        windows::functions_named("old.name")
    )
}

/// Those that are no longer declared, or otherwise.
fn drop_other_rollups(pipeline: &str, rollups: &RollupTargets) -> String {
    let declared: Vec<String> = rollups
        .rollups
        .iter()
        .map(|rollup| format!("({}, {})", literal(&rollup.name), literal(&rollup.definition)))
        .collect();
    let is_other = match declared.is_empty() {
        true => String::new(),
        false => format!(" AND (r.name, r.definition) NOT IN ({})", declared.join(", ")),
    };
    format!(
        "DO $duto$ DECLARE gone text; BEGIN
    FOR gone IN SELECT unnest(tables) FROM duto.rollup r WHERE r.pipeline = {pipeline}{is_other} LOOP
        EXECUTE 'DROP TABLE IF EXISTS ' || gone;
    END LOOP;
    DELETE FROM duto.rollup r WHERE r.pipeline = {pipeline}{is_other};
END $duto$;"
    )
}

fn make_rollup(pipeline: &str, rollup: &RollupTarget) -> String {
    let tables: Vec<String> = rollup.tables.iter().map(|table| literal(table)).collect();
    format!(
        "DO $duto$ BEGIN
    IF NOT EXISTS (SELECT FROM duto.rollup r WHERE r.pipeline = {pipeline} AND r.name = {name}) THEN
        {create}
        INSERT INTO duto.rollup (pipeline, name, definition, tables, state) VALUES ({pipeline}, {name},
            {definition}, ARRAY[{tables}],
            CASE WHEN EXISTS (SELECT FROM {base}) THEN 'filling' ELSE 'ready' END);
    END IF;
END $duto$;",
        name = literal(&rollup.name),
        create = rollup.create.trim(),
        definition = literal(&rollup.definition),
        tables = tables.join(", "),
        base = rollup.base
    )
}
