//! Rows that PostgreSQL refuses for what is in them: first, middle and last in the batch, one
//! SQLSTATE after the other. Exactly those records become rejects, and their neighbours are stored.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Meaning, Mix, Orders};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::{Model, connect};
use duto_tests::worker::{catch_up, command};

const PATIENCE: Duration = Duration::from_secs(60);
const RECORDS: usize = 301;
const POISON: [usize; 3] = [0, RECORDS / 2, RECORDS - 1];
/// A row that was there before, for what is refused because of another row.
const NEIGHBOUR: &str = "INSERT INTO sales VALUES (0, -1, now())";

/// How the operator's table refuses the orders for which `poison(order_number)` is true.
struct Refusal {
    sqlstate: &'static str,
    /// On the table, before its first row.
    table: &'static str,
    /// What a trigger does to them.
    spoil: &'static str,
}

/// A statement that plpgsql takes and that does nothing.
const NOTHING: &str = "NULL";

const REFUSALS: [Refusal; 15] = [
    Refusal {
        sqlstate: "22001",
        table: "ALTER TABLE sales ADD COLUMN note
        varchar(3)",
        spoil: "NEW.note := 'four'",
    },
    Refusal {
        sqlstate: "22003",
        table: "ALTER TABLE sales ADD COLUMN small
        smallint",
        spoil: "NEW.small := 70000",
    },
    Refusal {
        sqlstate: "22007",
        table: "ALTER TABLE sales ADD COLUMN day
        date",
        spoil: "NEW.day \
        := 'no day'",
    },
    Refusal {
        sqlstate: "22008",
        table: "ALTER TABLE sales ADD COLUMN day
        date",
        spoil: "NEW.day \
        := '2021-02-30'",
    },
    Refusal { sqlstate: "22021", table: "", spoil: r"PERFORM convert_from('\xff'::bytea, 'UTF8')" },
    Refusal { sqlstate: "22023", table: "", spoil: "PERFORM generate_series(1, 2, 0)" },
    Refusal {
        sqlstate: "22P02",
        table: "ALTER TABLE sales ADD COLUMN small
        smallint",
        spoil: "NEW.small := 'no number'",
    },
    Refusal { sqlstate: "22P05", table: "", spoil: r#"PERFORM '"\u0000"'::jsonb"# },
    Refusal { sqlstate: "23502", table: "", spoil: "NEW.total_value := NULL" },
    Refusal {
        sqlstate: "23503",
        table: "CREATE TABLE known (order_number bigint PRIMARY KEY);
                INSERT INTO known SELECT n FROM generate_series(0, 301) n WHERE n = 0
                OR NOT poison(n);
                ALTER TABLE sales ADD FOREIGN KEY (order_number) REFERENCES known",
        spoil: NOTHING,
    },
    Refusal {
        sqlstate: "23505",
        table: "CREATE UNIQUE INDEX one_total ON sales (total_value) WHERE total_value < 0",
        spoil: "NEW.total_value := -1",
    },
    Refusal {
        sqlstate: "23514",
        table: "ALTER TABLE sales ADD CONSTRAINT no_poison CHECK (order_number = 0
            OR NOT poison(order_number))",
        spoil: NOTHING,
    },
    Refusal {
        sqlstate: "23514",
        table: "CREATE DOMAIN small AS int CHECK (value <
        9)",
        spoil: "PERFORM 10::small",
    },
    Refusal {
        sqlstate: "23P01",
        table: "ALTER TABLE sales ADD EXCLUDE USING btree (total_value WITH =)
            WHERE (total_value < 0)",
        spoil: "NEW.total_value := -1",
    },
    Refusal {
        sqlstate: "54000",
        table: "ALTER TABLE sales ADD COLUMN note text; CREATE INDEX ON sales (note)",
        spoil: "NEW.note := (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n)",
    },
];

impl Refusal {
    fn statements(&self) -> String {
        let [first, middle, last] = POISON.map(|index| index + 1);
        let Refusal { table, spoil, .. } = self;
        format!(
            "CREATE FUNCTION poison(n bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS
             'SELECT n IN (0, {first}, {middle}, {last})';
             {table}; {NEIGHBOUR};
             CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF poison(NEW.order_number) THEN {spoil}; END IF; RETURN NEW; END $$;
             CREATE TRIGGER spoil BEFORE INSERT ON sales FOR EACH ROW EXECUTE FUNCTION spoil()"
        )
    }
}

async fn rejects_only_the_poison(refusal: &Refusal) -> Result<()> {
    let database = TestDatabase::create("poison")?;
    let log = TestLog::create(LogKind::Embedded, "poison", 1)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let (code, ddl, said) = command(&pipeline, &["ddl", &pipeline.file.display().to_string()])?;
    ensure!(code == 0, "{said}");
    let client = connect(&database.url()).await?;
    client.batch_execute(&format!("{ddl}; {}", refusal.statements())).await?;
    let mut messages =
        Orders::new(26, Mix { malformed_percent: 0, repeat_percent: 0 }).take(RECORDS);
    POISON.iter().for_each(|index| messages[*index].meaning = Meaning::Malformed);
    let placed = log.send(&messages)?;
    catch_up(&pipeline, PATIENCE)?;
    let rejects = client
        .query(r#"SELECT "offset", stage, sqlstate FROM duto.reject ORDER BY 1"#, &[])
        .await?;
    let found: Vec<(i64, String, String)> =
        rejects.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected: Vec<(i64, String, String)> = POISON
        .iter()
        .map(|index| (*index as i64, "load".to_owned(), refusal.sqlstate.to_owned()))
        .collect();
    ensure!(found == expected, "rejected are {found:?}");
    client.batch_execute("DELETE FROM sales WHERE order_number = 0").await?;
    Model::of(&placed).compare(&client).await?;
    let one_batch: bool = client
        .query_one("SELECT count(*) = 1 FROM duto.batch WHERE records > 0", &[])
        .await?
        .get(0);
    ensure!(one_batch, "the records were not one batch, so none was its middle");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_for_what_is_in_it_is_rejected_alone() -> Result<()> {
    for refusal in &REFUSALS {
        rejects_only_the_poison(refusal)
            .await
            .with_context(|| format!("SQLSTATE {}: {}", refusal.sqlstate, refusal.spoil))?;
    }
    Ok(())
}
