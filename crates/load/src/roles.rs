//! The rights that each part needs, and no more: what `duto ddl --roles` prints.

use duto_definition::Pipeline;
use duto_ground::quoting::{literal, quote};

use super::rollups::RollupTargets;

/// The roles of a pipeline. Whoever runs the script owns what duto makes.
pub struct Roles<'r> {
    /// Loads: data rights alone.
    pub loader: &'r str,
    /// Answers: reads what endpoints and pages show.
    pub reader: &'r str,
}

impl Roles<'_> {
    /// The statements, to be run by the owner when the tables are there: that is, after `duto run`
    /// was started once by the owner.
    pub fn script(&self, pipeline: &Pipeline, rollups: &RollupTargets) -> String {
        let (loader, reader) = (quote(self.loader), quote(self.reader));
        let mut lines = vec![
            format!("-- Roles of the pipeline {}, for whoever owns its tables.", pipeline.name),
            "-- Start the pipeline once as the owner: it makes what is missing.".to_owned(),
            create(self.loader),
            create(self.reader),
            String::new(),
            "-- The loader: rows, and temporary tables through which repeats are found.".to_owned(),
            format!(
                "DO $$ BEGIN EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO {loader}', \
                 current_database()); END $$;"
            ),
            format!("GRANT USAGE ON SCHEMA duto TO {loader};"),
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA duto TO {loader};"
            ),
            format!("REVOKE UPDATE, DELETE ON duto.audit FROM {loader};"),
        ];
        for table in &pipeline.tables {
            let name = quote(&table.name);
            lines.push(format!("GRANT SELECT, INSERT, UPDATE ON {name} TO {loader};"));
            for column in table.columns.iter().filter(|column| column.column_type.is_serial()) {
                let sequence = format!(
                    "pg_get_serial_sequence({}, {})",
                    literal(&name),
                    literal(&column.name)
                );
                lines.push(format!(
                    "DO $$ BEGIN EXECUTE 'GRANT USAGE ON SEQUENCE ' || {sequence} || ' TO \
                     {loader}'; END $$;"
                ));
            }
        }
        for rollup in &rollups.rollups {
            for table in &rollup.tables {
                lines.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {loader};"));
            }
        }
        let views = rollups.rollups.iter().map(|rollup| quote(&rollup.name));
        let views: Vec<String> =
            views.chain(pipeline.views.iter().map(|view| quote(&view.name))).collect();
        lines.extend(views.iter().map(|view| format!("GRANT SELECT ON {view} TO {loader};")));
        lines.push(String::new());
        lines.push("-- The reader: what endpoints and pages show, and how far the load is.".into());
        lines.push(format!("GRANT USAGE ON SCHEMA duto TO {reader};"));
        lines.push(format!("GRANT SELECT ON duto.position, duto.reject, duto.batch TO {reader};"));
        lines.push(format!("GRANT SELECT, INSERT ON duto.audit TO {reader};"));
        let tables = pipeline.tables.iter().map(|table| quote(&table.name)).chain(views);
        lines.extend(tables.map(|name| format!("GRANT SELECT ON {name} TO {reader};")));
        lines.join("\n") + "\n"
    }
}

fn create(role: &str) -> String {
    format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {}) THEN CREATE ROLE {} \
         LOGIN; END IF; END $$;",
        literal(role),
        quote(role)
    )
}
