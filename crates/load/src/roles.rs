//! The rights that each part needs, and no more. One list, by which `duto ddl --roles` writes them
//! down and a start looks whether they are there.

use duto_definition::{Pipeline, Repeat};
use duto_ground::quoting::{literal, quote};

use super::rollups::RollupTargets;

const READ: &[&str] = &["SELECT"];
const ADD: &[&str] = &["SELECT", "INSERT"];
const CHANGE: &[&str] = &["SELECT", "INSERT", "UPDATE"];
const ALL: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];
const ADD_AND_PRUNE: &[&str] = &["SELECT", "INSERT", "DELETE"];

/// What a loader does with each of duto's own tables.
const OWN: &[(&str, &[&str])] = &[
    ("schema", READ),
    ("pipeline_table", ADD),
    ("position", CHANGE),
    ("pipeline", CHANGE),
    ("rollup", ALL),
    ("view", ALL),
    ("batch", ADD_AND_PRUNE),
    ("reject", CHANGE),
    ("replay", ADD),
    ("outbox", ADD_AND_PRUNE),
    ("answer", ADD_AND_PRUNE),
    // Nobody who loads or serves changes what was put on record.
    ("audit", ADD),
];
/// What endpoints, pages, health and figures read of them.
const OWN_READ: &[&str] = &["position", "reject", "batch", "view", "rollup", "pipeline", "answer"];

/// Who needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Loads rows, and takes records.
    Loader,
    /// Endpoints and pages.
    Reader,
}

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The one that is connected to.
    Database,
    /// The schema of the pipeline's tables: the first of the search path.
    TablesSchema,
    OwnSchema,
    /// Quoted, with its schema where that is duto's.
    Table(String),
    /// The sequence that fills a column of a table, whose name is quoted.
    Sequence {
        table: String,
        column: String,
    },
}

/// Rights on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub object: Object,
    pub privileges: &'static [&'static str],
}

impl Grant {
    fn on_table(name: String, privileges: &'static [&'static str]) -> Self {
        Self { object: Object::Table(name), privileges }
    }

    /// `GRANT ... TO` the role, whose name is quoted already.
    pub fn statement(&self, role: &str) -> String {
        let privileges = self.privileges.join(", ");
        // Names that the server alone knows.
        let by_name = |kind: &str, name: &str| {
            format!(
                "DO $$ BEGIN EXECUTE 'GRANT {privileges} ON {kind} ' || {name} || {}; END $$;",
                literal(&format!(" TO {role}"))
            )
        };
        match &self.object {
            Object::Database => by_name("DATABASE", "quote_ident(current_database())"),
            Object::TablesSchema => by_name("SCHEMA", "quote_ident(current_schema())"),
            Object::OwnSchema => format!("GRANT {privileges} ON SCHEMA duto TO {role};"),
            Object::Table(name) => format!("GRANT {privileges} ON {name} TO {role};"),
            // A column may be fed by a default of somebody's own.
            Object::Sequence { table, column } => format!(
                "DO $$ DECLARE fed text := pg_get_serial_sequence({}, {}); BEGIN IF fed IS NOT NULL \
                 THEN EXECUTE 'GRANT {privileges} ON SEQUENCE ' || fed || {}; END IF; END $$;",
                literal(table),
                literal(column),
                literal(&format!(" TO {role}"))
            ),
        }
    }

    /// An expression that is true where the current role has it; NULL where the object is missing.
    pub fn is_there(&self) -> String {
        let has = |function: &str, object: &str| {
            let each: Vec<String> = self
                .privileges
                .iter()
                .map(|privilege| format!("{function}({object}, {})", literal(privilege)))
                .collect();
            each.join(" AND ")
        };
        match &self.object {
            Object::Database => has("has_database_privilege", "current_database()"),
            Object::TablesSchema => has("has_schema_privilege", "current_schema()"),
            Object::OwnSchema => has("has_schema_privilege", "to_regnamespace('duto')"),
            Object::Table(name) => has("has_table_privilege", &oid_of(name)),
            Object::Sequence { table, column } => {
                let table = literal(table);
                format!(
                    "CASE WHEN to_regclass({table}) IS NOT NULL AND EXISTS (SELECT FROM pg_attribute
                     WHERE attrelid = to_regclass({table}) AND attname = {column} AND NOT attisdropped)
                     THEN {} END",
                    has(
                        "has_sequence_privilege",
                        &format!("pg_get_serial_sequence({table}, {})", literal(column))
                    ),
                    column = literal(column)
                )
            }
        }
    }
}

/// The object of a name, or NULL. What is qualified is looked up in the catalogue: to_regclass is
/// an error where the role may not look into the schema.
pub fn oid_of(name: &str) -> String {
    let text = literal(name);
    match name.starts_with("duto.") {
        true => format!(
            "(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE ARRAY[n.nspname, c.relname]::text[] = parse_ident({text}))"
        ),
        false => format!("to_regclass({text})::oid"),
    }
}

/// What a part needs.
pub fn grants(part: Part, pipeline: &Pipeline, rollups: &RollupTargets) -> Vec<Grant> {
    match part {
        Part::Loader => of_loader(pipeline, rollups),
        Part::Reader => of_reader(pipeline, rollups),
    }
}

fn of_loader(pipeline: &Pipeline, rollups: &RollupTargets) -> Vec<Grant> {
    let mut grants = vec![
        // Repeats among many rows are found through temporary tables.
        Grant { object: Object::Database, privileges: &["CONNECT", "TEMPORARY"] },
        Grant { object: Object::TablesSchema, privileges: &["USAGE"] },
        Grant { object: Object::OwnSchema, privileges: &["USAGE"] },
    ];
    grants
        .extend(OWN.iter().map(|(table, rights)| Grant::on_table(format!("duto.{table}"), rights)));
    for table in &pipeline.tables {
        let name = quote(&table.name);
        let rights = if table.repeat == Repeat::Update { CHANGE } else { ADD };
        grants.push(Grant::on_table(name.clone(), rights));
        let fed = table.columns.iter().filter(|column| column.column_type.is_serial());
        grants.extend(fed.map(|column| Grant {
            object: Object::Sequence { table: name.clone(), column: column.name.clone() },
            privileges: &["USAGE"],
        }));
    }
    let counters = rollups.rollups.iter().flat_map(|rollup| &rollup.tables);
    grants.extend(counters.map(|table| Grant::on_table(table.clone(), ALL)));
    grants
}

fn of_reader(pipeline: &Pipeline, rollups: &RollupTargets) -> Vec<Grant> {
    let mut grants = vec![
        Grant { object: Object::Database, privileges: &["CONNECT"] },
        Grant { object: Object::TablesSchema, privileges: &["USAGE"] },
        Grant { object: Object::OwnSchema, privileges: &["USAGE"] },
    ];
    grants.extend(OWN_READ.iter().map(|table| Grant::on_table(format!("duto.{table}"), READ)));
    // Who was not let in, and what was done on a page.
    grants.push(Grant::on_table("duto.audit".to_owned(), ADD));
    let tables = pipeline.tables.iter().map(|table| &table.name);
    let views = rollups.rollups.iter().map(|rollup| &rollup.name);
    let named = tables.chain(views).chain(pipeline.views.iter().map(|view| &view.name));
    grants.extend(named.map(|name| Grant::on_table(quote(name), READ)));
    // The function of a window reads the counters as whoever calls it.
    let windows = rollups.rollups.iter().filter(|rollup| !rollup.grains.is_empty());
    grants.extend(
        windows.flat_map(|rollup| &rollup.tables).map(|table| Grant::on_table(table.clone(), READ)),
    );
    grants
}

/// Makes the role that is to own the tables, and lets it make them; before [`super::script`].
pub fn owner_script(owner: &str) -> String {
    let quoted = quote(owner);
    let may_make = |kind: &str, name: &str| {
        format!(
            "DO $$ BEGIN EXECUTE 'GRANT CREATE ON {kind} ' || quote_ident({name}) || {}; END $$;",
            literal(&format!(" TO {quoted}"))
        )
    };
    [
        "-- The owner makes the tables and changes them, and nobody connects by it. A superuser runs \
         this."
            .to_owned(),
        create(owner, "NOLOGIN"),
        may_make("DATABASE", "current_database()"),
        may_make("SCHEMA", "current_schema()"),
        format!("SET ROLE {quoted};"),
    ]
    .join("\n")
        + "\n"
}

/// The roles of a pipeline, for `duto ddl --roles`.
pub struct Roles<'r> {
    /// Loads: data rights alone.
    pub loader: &'r str,
    /// Answers: reads what endpoints and pages show.
    pub reader: &'r str,
}

impl Roles<'_> {
    /// The rights of those who load and read, to be run when the tables are there.
    pub fn script(&self, pipeline: &Pipeline, rollups: &RollupTargets) -> String {
        let mut lines = vec![format!(
            "-- Roles of the pipeline {}, for whoever owns what `duto ddl` makes; run it again \
             after a change of the file.",
            pipeline.name
        )];
        lines.extend([create(self.loader, "LOGIN"), create(self.reader, "LOGIN")]);
        let parts = [
            (Part::Loader, self.loader, "loads: rows alone, it makes no table and drops none"),
            (Part::Reader, self.reader, "answers: it reads what endpoints and pages show"),
        ];
        for (part, role, does) in parts {
            let role = quote(role);
            lines.push(format!("\n-- {role} {does}."));
            let grants = grants(part, pipeline, rollups);
            lines.extend(grants.iter().map(|grant| grant.statement(&role)));
        }
        lines.join("\n") + "\n"
    }
}

fn create(role: &str, may_connect: &str) -> String {
    format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN CREATE ROLE {} \
         {may_connect}; END IF; END $$;",
        literal(role),
        quote(role)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_our_own_tables_has_its_rights() {
        let schema = crate::ensure::SCHEMA;
        let made = schema.lines().filter_map(|line| {
            line.strip_prefix("CREATE TABLE IF NOT EXISTS duto.")?.split_whitespace().next()
        });
        let made: Vec<&str> = made.collect();
        let listed: Vec<&str> = OWN.iter().map(|(table, _)| *table).collect();
        assert_eq!(made, listed, "a table of schema.sql, and what a loader may do with it");
        assert!(OWN_READ.iter().all(|table| listed.contains(table)));
    }

    #[test]
    fn names_are_quoted_where_they_go_into_texts() {
        let object = Object::Sequence { table: "\"it's\"".into(), column: "a'b".into() };
        let grant = Grant { object, privileges: &["USAGE"] };
        let statement = grant.statement("\"o'neil\"");
        assert!(statement.contains("'\"it''s\"'") && statement.contains("'a''b'"), "{statement}");
        assert!(statement.contains("' TO \"o''neil\"'"), "{statement}");
    }
}
