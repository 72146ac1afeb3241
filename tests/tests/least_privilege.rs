//! Roles that may do what they need and nothing else, as administrators give them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::unique_name;
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::TestPipeline;
use duto_tests::small::Small;
use duto_tests::wait::wait_for;
use duto_tests::worker::{Worker, command};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two tables, sequences, counters, a window of time, views, messages and endpoints.
const SHOP: &str = "
record: { id: BIGINT, kind: TEXT, \"note?\": TEXT, \"at?\": TIMESTAMPTZ }
tables:
  purchases:
    columns: { id: BIGINT PRIMARY KEY, kind: TEXT NOT NULL, at: TIMESTAMPTZ NOT NULL, stored: SERIAL }
    indexes: { purchases_by_kind: [kind] }
    repeat: ignore
    select: SELECT id, kind, coalesce(at, now()) AS at FROM record
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
  recent: { from: purchases, over: at, by: [kind], measures: { purchases: count(*) } }
publish:
  purchase: { from: purchases, topic: TOPIC, key: id, value: \"SELECT id, kind FROM purchases\" }
endpoints:
  GET /api/kinds: { rows: \"SELECT kind, purchases FROM by_kind ORDER BY kind\" }
  GET /api/number: { row: SELECT kinds FROM kinds }
  GET /api/recent: { rows: \"SELECT kind, purchases FROM recent(now() - interval '1 hour', now() + interval '1 minute') ORDER BY 1\" }
  GET /api/latest: { rows: SELECT id FROM latest ORDER BY id }
  GET /api/slow: { row: SELECT pg_sleep(60) IS NULL AS slept }
  GET /api/write: { row: \"SELECT nextval('notes_number_seq') AS next\" }
views:
  kinds: SELECT count(*) AS kinds FROM by_kind
";

/// PostgreSQL 14 and before let everybody make tables in public.
const CLOSED: &str = "REVOKE CREATE ON SCHEMA public FROM PUBLIC;";

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

/// The shop, and whoever is to load and read it.
struct Shop {
    small: Small,
    loader: String,
    reader: String,
}

impl Shop {
    async fn create(purpose: &str) -> Result<Self> {
        let sections = SHOP.replace("TOPIC", &unique_name("purchases"));
        let small = Small::create(purpose, &sections, CLOSED).await?;
        let [loader, reader] = ["loader", "reader"].map(|kind| unique_name(kind).replace('-', "_"));
        Ok(Self { small, loader, reader })
    }

    /// What `duto ddl` prints.
    fn ddl(&self, arguments: &[&str]) -> Result<String> {
        let file = self.small.pipeline.file.display().to_string();
        let (code, script, error) =
            command(&self.small.pipeline, &[&["ddl", &file], arguments].concat())?;
        ensure!(code == 0, "{error}");
        Ok(script)
    }

    /// The rights of both.
    async fn grant(&self) -> Result<()> {
        let roles = self.ddl(&["--roles", "--loader", &self.loader, "--reader", &self.reader])?;
        self.small.client.batch_execute(&roles).await.context(roles)?;
        for role in [&self.loader, &self.reader] {
            self.small.client.batch_execute(&format!("ALTER ROLE {role} PASSWORD 'w'")).await?;
        }
        Ok(())
    }

    /// The same pipeline by another role.
    fn as_role(&self, role: &str) -> TestPipeline {
        let url = self.small.pipeline.database_url();
        let (_, behind) = url.split_once('@').unwrap_or_default();
        self.small.pipeline.clone().with("DATABASE_URL", &format!("postgresql://{role}:w@{behind}"))
    }

    /// `duto check --connect`, by a role.
    fn check(&self, role: &str, arguments: &[&str]) -> Result<(i32, String, String)> {
        let pipeline = self.as_role(role);
        let file = pipeline.file.display().to_string();
        let folder = pipeline.log_folder.display().to_string();
        let all = ["check", "--connect", &file, "--log-folder", &folder];
        command(&pipeline, &[&all, arguments].concat())
    }

    /// Loads what is in the log by the loader's role.
    fn load(&self) -> Result<()> {
        duto_tests::worker::catch_up(&self.as_role(&self.loader), PATIENCE)
    }

    async fn expect_figures(&self) -> Result<()> {
        let small = &self.small;
        small.expect("SELECT id, kind FROM purchases ORDER BY id", &["1 a", "2 b", "3 a"]).await?;
        small
            .expect("SELECT kind, purchases, seen FROM by_kind ORDER BY 1", &["a 2 2", "b 1 1"])
            .await?;
        small.expect("SELECT id, kind FROM latest ORDER BY id", &["1 a", "2 c", "3 a"]).await?;
        small.expect("SELECT kinds FROM kinds", &["2"]).await?;
        small.expect("SELECT count(*) FROM notes", &["5"]).await?;
        small.expect("SELECT count(*) FROM duto.reject", &["1"]).await
    }
}

/// The records of [`Shop::expect_figures`], in two parts.
fn first() -> [String; 2] {
    [purchase(1, "a"), purchase(2, "b")]
}

fn second() -> [String; 4] {
    [purchase(2, "c"), purchase(3, "a"), purchase(3, "a"), "no record".to_owned()]
}

fn send(small: &Small, records: &[String]) -> Result<()> {
    small.send(records.iter().map(String::as_str)).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_data_rights_alone_loads_into_what_is_there() -> Result<()> {
    let shop = Shop::create("privilege").await?;
    let small = &shop.small;
    send(small, &first())?;
    small.load()?;
    shop.grant().await?;
    send(small, &second())?;
    shop.load()?;
    shop.expect_figures().await?;
    let owner = "SELECT DISTINCT tableowner = current_user FROM pg_tables WHERE tablename IN
        ('purchases', 'notes')";
    small.expect(owner, &["t"]).await?;
    let (loader, reader) = (&shop.loader, &shop.reader);
    let rights = format!(
        "SELECT has_table_privilege('{reader}', 'by_kind', 'SELECT'),
         has_table_privilege('{reader}', 'purchases', 'INSERT'),
         has_table_privilege('{loader}', 'purchases', 'DELETE'),
         has_table_privilege('{loader}', 'purchases', 'UPDATE'),
         has_table_privilege('{loader}', 'duto.batch', 'UPDATE'),
         has_schema_privilege('{loader}', 'public', 'CREATE')"
    );
    small.expect(&rights, &["t f f f f f"]).await?;
    Ok(())
}

/// Nobody but the administrator ever makes anything: the owner cannot even connect.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_script_made_is_loaded_and_served_by_roles_of_little_power() -> Result<()> {
    let shop = Shop::create("privilege_script").await?;
    let small = &shop.small;
    let owner = unique_name("owner").replace('-', "_");
    let script = shop.ddl(&["--owner", &owner])?;
    for _ in 0..2 {
        small.client.batch_execute(&script).await.with_context(|| script.clone())?;
    }
    small
        .expect(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'duto')",
            &[&owner],
        )
        .await?;
    shop.grant().await?;
    let (code, said, error) = shop.check(&shop.loader, &["--only", "worker"])?;
    ensure!(code == 0 && said.contains("makes nothing: all is there"), "{said}{error}");
    let (code, said, error) = shop.check(&shop.reader, &["--only", "serve"])?;
    ensure!(code == 0, "{said}{error}");
    let (code, said, error) = shop.check(&shop.reader, &[])?;
    ensure!(code == 1 && error.contains("GRANT SELECT, INSERT"), "the reader loads: {said}{error}");

    send(small, &first())?;
    shop.load()?;
    send(small, &second())?;
    let worker = Worker::start(&shop.as_role(&shop.loader), &["--only", "worker"])?;
    wait_for(&small.client, "SELECT count(*) = 3 FROM purchases", PATIENCE).await?;
    // What is registered for a filled table is filled by the loader.
    shop.expect_figures().await?;

    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let serving =
        Worker::start(&shop.as_role(&shop.reader), &["--only", "serve", "--listen", &listen])?;
    wait_until_it_answers(port)?;
    let answers = [
        ("/api/kinds", r#"[{"kind":"a","purchases":2},{"kind":"b","purchases":1}]"#),
        ("/api/number", r#"{"kinds":2}"#),
        ("/api/recent", r#"[{"kind":"a","purchases":2},{"kind":"b","purchases":1}]"#),
        ("/api/latest", r#"[{"id":1},{"id":2},{"id":3}]"#),
    ];
    for (path, expected) in answers {
        let (status, body) = request(port, "GET", path, "")?;
        ensure!(status == 200 && body.replace(' ', "") == expected, "{path}: {status} {body}");
    }
    for path in ["/health", "/metrics", "/readyz", "/openapi.json"] {
        let (status, body) = request(port, "GET", path, "")?;
        ensure!(status == 200 && !body.contains("permission denied"), "{path}: {status} {body}");
    }
    for (path, why) in [("/api/write", "permission denied"), ("/api/slow", "statement timeout")] {
        let (status, body) = request(port, "GET", path, "")?;
        ensure!(status >= 500 && body.contains(why), "{path}: {status} {body}");
    }
    ensure!(serving.said("permission denied for") <= 1, "{}", serving.tail());
    ensure!(serving.stop(PATIENCE)?.success(), "it did not end cleanly");
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// The script registers rollups over a table that holds rows; a loader that owns nothing counts
/// them, also after a filling that was cut off.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_there_are_counted_by_the_loader() -> Result<()> {
    let shop = Shop::create("privilege_fill").await?;
    let small = &shop.small;
    let before = "CREATE TABLE purchases (id BIGINT PRIMARY KEY, kind TEXT NOT NULL,
          at TIMESTAMPTZ NOT NULL, stored SERIAL);
        INSERT INTO purchases SELECT -n, 'z', now() FROM generate_series(1, 30) n";
    small.client.batch_execute(before).await?;
    small.client.batch_execute(&shop.ddl(&[])?).await?;
    small.expect("SELECT DISTINCT state FROM duto.rollup", &["filling"]).await?;
    shop.grant().await?;
    send(small, &first())?;
    shop.load()?;
    let counted = ["a 1", "b 1", "z 30"];
    small.expect("SELECT kind, seen FROM by_kind ORDER BY 1", &counted).await?;
    let half = "UPDATE duto.rollup SET state = 'filling';
        DELETE FROM duto.rollup_by_kind WHERE kind = 'z'";
    small.client.batch_execute(half).await?;
    shop.load()?;
    small.expect("SELECT DISTINCT state FROM duto.rollup", &["ready"]).await?;
    small.expect("SELECT kind, seen FROM by_kind ORDER BY 1", &counted).await?;
    let recent = "SELECT kind, purchases FROM recent(now() - interval '1 hour',
        now() + interval '1 minute') ORDER BY 1";
    small.expect(recent, &counted).await?;
    small.expect("SELECT count(*) FROM duto.view WHERE refused IS NOT NULL", &["0"]).await
}

/// A start by the owner, or the script, makes views and counters anew where the file changed: who
/// could read them still can.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_keeps_its_rights() -> Result<()> {
    let shop = Shop::create("privilege_anew").await?;
    let small = &shop.small;
    send(small, &first())?;
    small.load()?;
    shop.grant().await?;
    let rights = format!(
        "SELECT bool_and(has_table_privilege('{0}', name, 'SELECT')) AND
         has_table_privilege('{1}', 'duto.rollup_by_kind', 'DELETE')
         FROM unnest('{{kinds,by_kind,recent,duto.grains_recent}}'::text[]) name",
        shop.reader, shop.loader
    );
    small.expect(&rights, &["t"]).await?;
    let text = std::fs::read_to_string(&small.pipeline.file)?;
    let changed =
        text.replace("purchases: count(*), seen", "purchases: count(*), most: max(id), seen");
    std::fs::write(
        &small.pipeline.file,
        changed.replace("count(*) AS kinds", "count(*)  AS kinds"),
    )?;
    small.load()?;
    small.expect("SELECT max(most) FROM by_kind", &["2"]).await?;
    small.expect(&rights, &["t"]).await?;
    std::fs::write(&small.pipeline.file, &text)?;
    small.client.batch_execute(&shop.ddl(&[])?).await?;
    small.expect(&rights, &["t"]).await?;
    send(small, &second())?;
    shop.load()?;
    shop.expect_figures().await
}

/// A start and `duto check --connect` say the same; what they say is run as it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_lacks_is_one_script() -> Result<()> {
    let shop = Shop::create("privilege_none").await?;
    let small = &shop.small;
    let role = &shop.loader;
    small.client.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'w'")).await?;
    send(small, &first())?;
    let (code, said, error) = shop.check(role, &[])?;
    ensure!(code == 1 && said.contains("PostgreSQL 1"), "{said}{error}");
    for wanted in [
        "CREATE SCHEMA",
        "CREATE TABLE IF NOT EXISTS purchases",
        "CREATE VIEW \"kinds\"",
        "duto ddl",
    ] {
        ensure!(error.contains(wanted), "{wanted} is not in: {error}");
    }
    small.expect("SELECT to_regnamespace('duto') IS NULL", &["t"]).await?;
    let only = ["--only", "worker"];
    let (_, _, told_before) = shop.check(role, &only)?;
    let script_of = |told: &str| {
        let (_, script) = told.split_once(" runs:\n").unwrap_or_default();
        let (script, _) = script.split_once("\nAll at once").unwrap_or_default();
        script.to_owned()
    };
    let (file, folder) = (
        small.pipeline.file.display().to_string(),
        small.pipeline.log_folder.display().to_string(),
    );
    let (_, _, told) = command(
        &shop.as_role(role),
        &["run", "--until-caught-up", &file, "--log-folder", &folder],
    )?;
    let script = script_of(&told_before);
    ensure!(script.contains("GRANT SELECT, INSERT ON \"purchases\""), "{told_before}");
    ensure!(script_of(&told) == script, "a start says something else:\n{told}\n{told_before}");
    small.client.batch_execute(&script).await.with_context(|| script.clone())?;
    let (code, said, error) = shop.check(role, &only)?;
    ensure!(code == 0, "{said}{error}");
    send(small, &second())?;
    shop.load()?;
    shop.expect_figures().await?;
    // One right less, and one more column.
    small.client.batch_execute(&format!("REVOKE DELETE ON duto.batch FROM {role}")).await?;
    small.client.batch_execute("ALTER TABLE notes DROP COLUMN note").await?;
    let (code, _, error) = shop.check(role, &only)?;
    ensure!(code == 1, "{error}");
    let script = script_of(&error);
    let expected = format!(
        "ALTER TABLE \"notes\" ADD COLUMN note text;\nGRANT SELECT, INSERT, DELETE ON duto.batch TO {role};\n"
    );
    ensure!(script.trim().eq_ignore_ascii_case(expected.trim()), "{script}");
    Ok(())
}

/// Whoever may make everything is told what a start will make, and nothing is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_beforehand_changes_nothing() -> Result<()> {
    let shop = Shop::create("privilege_look").await?;
    let small = &shop.small;
    let (code, said, error) = small.command(&["check", "--connect"])?;
    ensure!(code == 0, "{said}{error}");
    for wanted in [
        "a start   makes the schema duto, table purchases",
        "view kinds",
        "opens at most 10 (database.max_connections); the role: no limit",
    ] {
        ensure!(said.contains(wanted), "{wanted} is not in: {said}");
    }
    small
        .expect("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'duto')", &["0"])
        .await?;
    let gone = shop.small.pipeline.clone().with("DATABASE_URL", "postgresql://u@127.0.0.1:1/none");
    let (code, _, error) =
        command(&gone, &["check", "--connect", &gone.file.display().to_string()])?;
    ensure!(code == 69 && error.contains("127.0.0.1:1"), "{code} {error}");

    let log = TestLog::create(LogKind::Kafka, "privilege_kafka", 3)?;
    let url = small.pipeline.database_url();
    let sections = SHOP.replace("TOPIC", &unique_name("purchases"));
    let pipeline = TestPipeline::of_sections(&log, &url, &sections)?;
    let file = pipeline.file.display().to_string();
    let (code, said, error) = command(&pipeline, &["check", "--connect", "--json", &file])?;
    let found: serde_json::Value = serde_json::from_str(&said)?;
    let told = found["log"].as_str().unwrap_or_default();
    ensure!(code == 0 && told.contains("has 3 partitions"), "{said}{error}");
    let nowhere = pipeline.with("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1");
    let (code, _, error) = command(&nowhere, &["check", "--connect", &file])?;
    ensure!(code == 69 && error.contains("connecting to Kafka"), "{code} {error}");
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
