//! Tables that somebody else made, in shapes that frameworks and administrators give them: what is
//! right there, or what the start says of it.

use anyhow::{Result, ensure};
use duto_tests::small::Small;

/// A table `orders` of a key and a text.
const ORDERS: &str = "
record: { id: BIGINT, code: TEXT }
tables:
  orders:
    columns: { id: BIGINT PRIMARY KEY, code: TEXT }
    repeat: ignore
    select: SELECT id, code FROM record
";

fn order(id: i64, code: &str) -> String {
    format!(r#"{{"id": {id}, "code": "{code}"}}"#)
}

/// Loads one batch after the other.
fn load(small: &Small, batches: &[&[(i64, &str)]]) -> Result<()> {
    for batch in batches {
        let records: Vec<String> = batch.iter().map(|(id, code)| order(*id, code)).collect();
        small.send(records.iter().map(String::as_str))?;
        small.load()?;
    }
    Ok(())
}

const LEDGER: &str = "SELECT sum(stored), sum(repeated), sum(rejected) FROM duto.batch";

/// What a statement of ours names with WITH, and the columns of a stage, hide nothing of the
/// user's.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_have_any_name() -> Result<()> {
    for name in ["few", "stored", "moved", "duto_few", "ledger", "rows_sent"] {
        let small =
            Small::create("names", &ORDERS.replace("  orders:", &format!("  {name}:")), "").await?;
        load(&small, &[&[(1, "x")], &[(1, "x"), (2, "y")], &[(3, "z")]])?;
        small.expect(LEDGER, &["3 1 0"]).await?;
        small
            .expect(&format!("SELECT id, code FROM {name} ORDER BY id"), &["1 x", "2 y", "3 z"])
            .await?;
    }
    Ok(())
}

/// Names that are cut at 63 bytes would be one.
#[tokio::test(flavor = "multi_thread")]
async fn long_names_that_begin_alike_are_two() -> Result<()> {
    let (one, other) = (
        "customer_subscription_invoice_line_item_adjustments_new",
        "customer_subscription_invoice_line_item_adjustments_old",
    );
    let sections = format!(
        "
record: {{ id: BIGINT, code: TEXT }}
tables:
  {one}:
    columns: {{ id: BIGINT PRIMARY KEY, code: TEXT }}
    repeat: ignore
    select: SELECT id, code FROM record
  {other}:
    columns: {{ code: TEXT PRIMARY KEY, m: BIGINT }}
    repeat: ignore
    select: SELECT code, id AS m FROM record
"
    );
    let small = Small::create("long_names", &sections, "").await?;
    for count in [5, 600] {
        let records: Vec<String> = (0..count).map(|id| order(id, &format!("c{id}"))).collect();
        small.send(records.iter().map(String::as_str))?;
        small.load()?;
    }
    small
        .expect(
            &format!("SELECT count(*), (SELECT count(*) FROM {other}) FROM {one}"),
            &["600 600"],
        )
        .await
}

/// PostgreSQL holds 0 and -0 equal.
#[tokio::test(flavor = "multi_thread")]
async fn floats_that_are_equal_are_one_key() -> Result<()> {
    for float in ["REAL", "DOUBLE PRECISION"] {
        let sections = format!(
            "
record: {{ k: {float}, v: INTEGER }}
tables:
  orders:
    columns: {{ k: {float} PRIMARY KEY, v: INTEGER }}
    repeat: update
    select: SELECT k, v FROM record
"
        );
        let small = Small::create("floats", &sections, "").await?;
        small.send([r#"{"k": 0.0, "v": 1}"#, r#"{"k": -0.0, "v": 2}"#])?;
        small.load()?;
        small.expect("SELECT k = 0, v FROM orders", &["t 2"]).await?;
    }
    Ok(())
}

struct Case {
    what: &'static str,
    beforehand: &'static str,
    /// Replaced in [`ORDERS`].
    replace: (&'static str, &'static str),
    batches: &'static [&'static [(i64, &'static str)]],
    ledger: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        what: "a unique column that a sequence feeds and the records fill",
        beforehand: "CREATE TABLE orders (id bigserial UNIQUE, code text PRIMARY KEY)",
        replace: (
            "{ id: BIGINT PRIMARY KEY, code: TEXT \
            }",
            "{ id: BIGINT NOT NULL, code: TEXT \
            PRIMARY KEY }",
        ),
        batches: &[&[(1, "a"), (1, "b"), (2, "c")]],
        ledger: "2 0 1",
    },
    Case {
        what: "partitions in another schema",
        beforehand: "CREATE SCHEMA parts; CREATE TABLE orders (id bigint NOT NULL, code text,
            PRIMARY KEY (id), CHECK (code <> 'b'))
            PARTITION BY RANGE (id);
            CREATE TABLE parts.orders_1 PARTITION OF orders FOR VALUES
            FROM (0) TO (10); ALTER TABLE parts.orders_1 ADD UNIQUE (code)",
        replace: ("", ""),
        batches: &[&[(1, "a"), (2, "a"), (3, "c")]],
        ledger: "2 0 1",
    },
    Case {
        what: "an index of the same name in another schema",
        beforehand: "CREATE TABLE orders (id bigint PRIMARY KEY, code text UNIQUE); CREATE SCHEMA
            legacy;
            CREATE TABLE legacy.orders (id bigint, tenant_id int, code text, CONSTRAINT
            orders_code_key UNIQUE (tenant_id, code))",
        replace: ("", ""),
        batches: &[&[(1, "a"), (2, "a"), (3, "b")]],
        ledger: "2 0 1",
    },
    Case {
        what: "a trigger that lets no equal update through",
        beforehand: "CREATE TABLE orders (id bigint PRIMARY KEY, code text);
            CREATE TRIGGER z BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION
            suppress_redundant_updates_trigger()",
        replace: ("repeat: ignore", "repeat: update"),
        batches: &[&[(1, "a"), (2, "b")], &[(1, "a"), (3, "c")], &[(2, "b")], &[(2, "d")]],
        ledger: "4 2 0",
    },
    Case {
        what: "a trigger whose function misses a table for one row",
        beforehand: "CREATE TABLE orders (id bigint PRIMARY KEY, code text); CREATE TABLE log_a (id
            bigint);
            CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
              EXECUTE format('INSERT INTO log_%s VALUES ($1)', new.code) USING new.id; RETURN new;
            END$$;
            CREATE TRIGGER r BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION route()",
        replace: ("", ""),
        batches: &[&[(1, "a"), (2, "b"), (3, "a")]],
        ledger: "2 0 1",
    },
    Case {
        what: "types that PostgreSQL writes in another way",
        beforehand: "CREATE TABLE orders (id bigint PRIMARY KEY, code character varying, at
            timestamp(6))",
        replace: (
            "{ id: BIGINT PRIMARY KEY, code: TEXT \
            }",
            "{ id: BIGINT PRIMARY KEY, code: \
            VARCHAR, at: TIMESTAMP }",
        ),
        batches: &[&[(1, "a")]],
        ledger: "1 0 0",
    },
    Case {
        what: "a constraint of somebody else's that can be deferred",
        beforehand: "CREATE SCHEMA priv; CREATE TABLE priv.x (a int UNIQUE DEFERRABLE INITIALLY
            IMMEDIATE);
            CREATE TABLE orders (id bigint PRIMARY KEY, code text CHECK (code <> 'b'))",
        replace: ("", ""),
        batches: &[&[(1, "a"), (2, "b"), (3, "c")]],
        ledger: "2 0 1",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_judged_by_what_the_table_is() -> Result<()> {
    for Case { what, beforehand, replace: (from, to), batches, ledger } in CASES {
        println!("{what}");
        let sections = if from.is_empty() { ORDERS.to_owned() } else { ORDERS.replace(from, to) };
        ensure!(from.is_empty() || sections != ORDERS, "nothing is replaced");
        let small = Small::create("somebodys", &sections, beforehand).await?;
        load(&small, batches)?;
        small.expect(LEDGER, &[ledger]).await?;
    }
    Ok(())
}

/// Of a long stretch that is refused, those far behind tell that the table takes rows.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_refused_rows_wait_for_nobody() -> Result<()> {
    let trigger = "CREATE TABLE orders (id bigint PRIMARY KEY, code text);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF new.code = 'bad' THEN
        RAISE EXCEPTION 'no'; END IF; RETURN new; END$$;
        CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()";
    let small = Small::create(
        "hundreds",
        &format!("batch: {{ max_records: 10, workers: 1 }}\n{ORDERS}"),
        trigger,
    )
    .await?;
    let records: Vec<String> =
        (0..310).map(|id| order(id, if id < 260 { "bad" } else { "good" })).collect();
    small.send(records.iter().map(String::as_str))?;
    small.load()?;
    small.expect(LEDGER, &["50 0 260"]).await
}

/// A batch that takes longer than a statement may goes in halves, until they pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_table_is_loaded_in_smaller_batches() -> Result<()> {
    let trigger = "CREATE TABLE orders (id bigint PRIMARY KEY, code text);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.005);
        RETURN new; END$$;
        CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()";
    let small = Small::create("slow", ORDERS, trigger).await?;
    let file = std::fs::read_to_string(&small.pipeline.file)?;
    std::fs::write(
        &small.pipeline.file,
        file.replace("retries: forever }", "retries: forever, statement_timeout: 1s }"),
    )?;
    let mut records: Vec<String> = (0..400).map(|id| order(id, "a")).collect();
    records.insert(300, "no record".to_owned());
    records.push(order(7, "again"));
    small.send(records.iter().map(String::as_str))?;
    small.load()?;
    small.expect(LEDGER, &["400 1 1"]).await?;
    small
        .expect(
            "SELECT count(*) > 2, min(from_offset), max(to_offset) FROM duto.batch",
            &["t 0 402"],
        )
        .await
}

/// Who only may write to the tables may load them.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_make_tables_loads() -> Result<()> {
    let mut small = Small::create(
        "writer",
        ORDERS,
        "CREATE TABLE orders (id bigint PRIMARY KEY, code text CHECK (code <> 'b'))",
    )
    .await?;
    let role = duto_servers::shared::unique_name("writer").replace('-', "_");
    let grants = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'w'; CREATE SCHEMA priv; CREATE TABLE priv.x (a int
         UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
         GRANT ALL ON orders TO {role}"
    );
    small.client.batch_execute(&grants).await?;
    let database = small.rows("SELECT quote_ident(current_database())").await?.concat();
    small.client.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO {role}")).await?;
    let url = small.pipeline.database_url();
    let (_, behind) = url.split_once('@').unwrap_or_default();
    small.pipeline =
        small.pipeline.clone().with("DATABASE_URL", &format!("postgresql://{role}:w@{behind}"));
    load(&small, &[&[(1, "a"), (2, "b"), (3, "c")]])?;
    small.expect(LEDGER, &["2 0 1"]).await
}

/// What cannot work is said at the start, with what to run.
#[tokio::test(flavor = "multi_thread")]
async fn the_start_says_what_a_table_lacks() -> Result<()> {
    let created = "{ id: BIGINT PRIMARY KEY, code: TEXT, at: TIMESTAMPTZ NOT NULL DEFAULT now() }";
    let keyed = "{ id: BIGINT NOT NULL, code: TEXT PRIMARY KEY }";
    let refusals = [
        (
            "CREATE TABLE orders (id bigint PRIMARY KEY, code text, at timestamptz NOT NULL)",
            created,
            r#"ALTER COLUMN "at" SET DEFAULT now();"#,
        ),
        (
            "CREATE TABLE orders (id bigint PRIMARY KEY, code text GENERATED ALWAYS AS ('x')
                STORED)",
            "",
            "column code is computed by the table",
        ),
        (
            "CREATE TABLE orders (id bigint PRIMARY KEY, code text); CREATE TABLE audit (id bigint);
             CREATE RULE r AS ON INSERT TO orders DO ALSO INSERT INTO audit VALUES (new.id)",
            "",
            r#"DROP RULE "r" ON "orders""#,
        ),
        (
            "CREATE TABLE orders (id bigint NOT NULL, code text); CREATE UNIQUE INDEX broken ON
             orders (id);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
            "{ id: BIGINT NOT NULL UNIQUE, code: TEXT }",
            "CREATE UNIQUE INDEX",
        ),
        (
            "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic =
             false);
             CREATE TABLE orders (id bigint NOT NULL, code text COLLATE ci PRIMARY KEY)",
            keyed,
            "holds different texts equal",
        ),
        (
            "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text)",
            "{ id: BIGINT UNIQUE, code: TEXT }",
            "BIGINT NOT NULL",
        ),
        (
            "CREATE TABLE orders (id bigint PRIMARY KEY, code text)",
            "{ id: BIGINT PRIMARY KEY, code: TEXT, n: INTEGER NOT NULL }",
            "ADD COLUMN",
        ),
    ];
    for (beforehand, columns, said) in refusals {
        let sections = if columns.is_empty() {
            ORDERS.to_owned()
        } else {
            ORDERS.replace("{ id: BIGINT PRIMARY KEY, code: TEXT }", columns)
        };
        let sections = if columns.contains("n: INTEGER") {
            sections.replace("SELECT id, code", "SELECT id, code, 1 AS n")
        } else {
            sections
        };
        let small = Small::create("refused", &sections, beforehand).await?;
        refuses(&small, said)?;
    }
    let always =
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, code text PRIMARY KEY)";
    let sections = ORDERS
        .replace("{ id: BIGINT PRIMARY KEY, code: TEXT }", keyed)
        .replace("repeat: ignore", "repeat: update");
    refuses(
        &Small::create("refused", &sections, always).await?,
        r#"ALTER COLUMN "id" SET GENERATED BY DEFAULT;"#,
    )
}

/// A rollup that became another one is not made while a view of somebody's reads the one before:
/// the start names it, and takes nothing away.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_on_a_rollup_that_changes_is_named() -> Result<()> {
    let rollups = "rollups:\n  tot: { from: orders, by: [code], measures: { n: count(*) } }\n";
    let small = Small::create("dependent", &format!("{ORDERS}{rollups}"), "").await?;
    load(&small, &[&[(1, "a")]])?;
    small.client.batch_execute("CREATE VIEW theirs AS SELECT code FROM tot").await?;
    let file = std::fs::read_to_string(&small.pipeline.file)?;
    std::fs::write(&small.pipeline.file, file.replace("by: [code]", "by: [id]"))?;
    refuses(&small, "view theirs depends on view tot")?;
    small.expect("SELECT code FROM theirs", &["a"]).await?;
    small.client.batch_execute("DROP VIEW theirs").await?;
    load(&small, &[&[(2, "a")]])?;
    small.expect("SELECT id, n FROM tot ORDER BY id", &["1 1", "2 1"]).await
}

/// Whatever the database writes names like, its types are the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_quotes_everything_has_the_same_types() -> Result<()> {
    let small = Small::create("quoting", ORDERS, "").await?;
    let database = small.rows("SELECT quote_ident(current_database())").await?.concat();
    small
        .client
        .batch_execute(&format!("ALTER DATABASE {database} SET quote_all_identifiers = on"))
        .await?;
    load(&small, &[&[(1, "a")], &[(1, "a"), (2, "b")]])?;
    small.expect(LEDGER, &["2 1 0"]).await
}

fn refuses(small: &Small, words: &str) -> Result<()> {
    let (code, said, error) = small.command(&["run", "--until-caught-up"])?;
    ensure!(code != 0, "it starts: {words}");
    ensure!((said.clone() + &error).contains(words), "it does not say {words}: {said}{error}");
    Ok(())
}
