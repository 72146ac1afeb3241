//! Roles that may do what they need and nothing else, as administrators give them.

use anyhow::{Result, ensure};
use duto_servers::shared::unique_name;
use duto_tests::small::Small;
use duto_tests::worker::command;

/// Two tables, a sequence, counters and a view.
const SHOP: &str = "
record: { id: BIGINT, kind: TEXT, \"note?\": TEXT }
tables:
  purchases:
    columns: { id: BIGINT PRIMARY KEY, kind: TEXT NOT NULL, stored: SERIAL }
    repeat: ignore
    select: SELECT id, kind FROM record
  latest:
    columns: { id: BIGINT PRIMARY KEY, kind: TEXT NOT NULL }
    repeat: update
    select: SELECT id, kind FROM record
  notes:
    columns: { number: BIGSERIAL PRIMARY KEY, purchase: BIGINT NOT NULL, note: TEXT }
    repeat: append
    select: SELECT id AS purchase, note FROM record WHERE note IS NOT NULL
rollups:
  by_kind: { from: purchases, by: [kind], measures: { purchases: count(*), seen: count(distinct id) } }
views:
  kinds: SELECT count(*) AS kinds FROM by_kind
";

fn purchase(id: i64, kind: &str) -> String {
    format!(r#"{{"id": {id}, "kind": "{kind}", "note": "of {id}"}}"#)
}

/// The same pipeline by another role.
fn as_role(small: &mut Small, role: &str) {
    let url = small.pipeline.database_url();
    let (_, behind) = url.split_once('@').unwrap_or_default();
    let url = format!("postgresql://{role}:w@{behind}");
    small.pipeline = small.pipeline.clone().with("DATABASE_URL", &url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_data_rights_alone_loads_into_what_is_there() -> Result<()> {
    let mut small = Small::create("privilege", SHOP, "").await?;
    small.send([purchase(1, "a").as_str(), purchase(2, "b").as_str()])?;
    small.load()?;
    let (loader, reader) =
        (unique_name("loader").replace('-', "_"), unique_name("reader").replace('-', "_"));
    let file = small.pipeline.file.display().to_string();
    let arguments = ["ddl", &file, "--roles", "--loader", &loader, "--reader", &reader];
    let (code, roles, error) = command(&small.pipeline, &arguments)?;
    ensure!(code == 0, "{error}");
    // PostgreSQL 14 and before let everybody make tables in public.
    let closed = "REVOKE CREATE ON SCHEMA public FROM PUBLIC;";
    small.client.batch_execute(&format!("{closed}{roles}")).await?;
    small.client.batch_execute(&format!("ALTER ROLE {loader} PASSWORD 'w'")).await?;
    as_role(&mut small, &loader);
    small.send([
        purchase(2, "c").as_str(),
        purchase(3, "a").as_str(),
        purchase(3, "a").as_str(),
        "no record",
    ])?;
    small.load()?;
    small.expect("SELECT id, kind FROM purchases ORDER BY id", &["1 a", "2 b", "3 a"]).await?;
    small
        .expect("SELECT kind, purchases, seen FROM by_kind ORDER BY 1", &["a 2 2", "b 1 1"])
        .await?;
    small.expect("SELECT id, kind FROM latest ORDER BY id", &["1 a", "2 c", "3 a"]).await?;
    small.expect("SELECT kinds FROM kinds", &["2"]).await?;
    small.expect("SELECT count(*) FROM notes", &["5"]).await?;
    small.expect("SELECT count(*) FROM duto.reject", &["1"]).await?;
    let owner = "SELECT DISTINCT tableowner = current_user FROM pg_tables WHERE tablename IN
        ('purchases', 'notes')";
    small.expect(owner, &["t"]).await?;
    let rights = format!(
        "SELECT has_table_privilege('{reader}', 'by_kind', 'SELECT'),
         has_table_privilege('{reader}', 'purchases', 'INSERT'),
         has_table_privilege('{loader}', 'purchases', 'DELETE'),
         has_schema_privilege('{loader}', 'public', 'CREATE')"
    );
    small.expect(&rights, &["t f f f"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_lacks_is_said_at_once() -> Result<()> {
    let mut small = Small::create("privilege_none", SHOP, "").await?;
    let role = unique_name("nobody").replace('-', "_");
    small.client.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'w'")).await?;
    as_role(&mut small, &role);
    small.send([purchase(1, "a").as_str()])?;
    let (code, _, error) = small.command(&["run", "--until-caught-up"])?;
    ensure!(code != 0, "it ran");
    for wanted in ["duto ddl", "--roles", "permission denied"] {
        ensure!(error.contains(wanted), "{wanted} is not in: {error}");
    }
    Ok(())
}

/// `"$user"` of PostgreSQL's own search path is the schema `duto` for a role of that name.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_called_duto_keeps_its_tables_out_of_our_schema() -> Result<()> {
    let as_it_is = "";
    let chosen = "CREATE SCHEMA \"of, duto\" AUTHORIZATION duto;
        DO $$ BEGIN EXECUTE format('ALTER ROLE duto IN DATABASE %I SET search_path = DUTO, \"$user\",
        \"of, duto\", public', current_database()); END $$;";
    for (path, schema) in [(as_it_is, "public"), (chosen, "\"of, duto\"")] {
        let role = "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'duto')
            THEN CREATE ROLE duto LOGIN PASSWORD 'w'; END IF;
            EXECUTE format('GRANT ALL ON DATABASE %I TO duto', current_database()); END $$;
            GRANT ALL ON SCHEMA public TO duto;";
        // A view of a name that one of our tables has too.
        let sections = format!("{SHOP}  batch: SELECT count(*) AS purchases FROM purchases\n");
        let mut small = Small::create("role_duto", &sections, &format!("{role}{path}")).await?;
        as_role(&mut small, "duto");
        // The first start makes our schema in the middle of its session, the second one finds it.
        for id in [1, 2] {
            small.send([purchase(id, "a").as_str()])?;
            small.load()?;
        }
        let schemas = "SELECT DISTINCT relnamespace::regnamespace FROM pg_class
            WHERE relname IN ('purchases', 'latest', 'notes', 'by_kind', 'kinds')";
        small.expect(schemas, &[schema]).await?;
        small
            .expect(&format!("SELECT id FROM {schema}.purchases ORDER BY id"), &["1", "2"])
            .await?;
        small.expect(&format!("SELECT kind, purchases FROM {schema}.by_kind"), &["a 2"]).await?;
        small.expect(&format!("SELECT purchases FROM {schema}.batch"), &["2"]).await?;
    }
    Ok(())
}
