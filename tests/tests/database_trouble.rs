//! What the database does to a load: it goes away, it refuses rows, it swallows them, it answers
//! COMMIT late or never.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_servers::{
    Action, Mode, Point, Postgres, PostgresSettings, Protocol, Proxy, ScratchFolder, Trap,
};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Mix, Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::{Model, connect};
use duto_tests::wait::wait_for;
use duto_tests::worker::{AT_ONCE, Worker, catch_up, command};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(120);
const NO_TROUBLE: Mix = Mix { malformed_percent: 0, repeat_percent: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_with_its_exit_code_when_the_database_stays_away_and_loses_nothing() -> Result<()>
{
    let folder = ScratchFolder::create("away")?;
    let mut postgres =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests())?;
    postgres.create_database("sales_db")?;
    let log = TestLog::create(LogKind::Embedded, "away", 2)?;
    let pipeline = TestPipeline::sales(
        &log,
        &postgres.url("sales_db"),
        &Settings { retries: "2".into(), ..Settings::default() },
    )?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let mut orders = Orders::new(9, USUAL_MIX);
    let mut placed = log.send(&orders.take(500))?;
    wait_for(
        &connect(&postgres.url("sales_db")).await?,
        "SELECT to_regclass('sales') IS NOT NULL",
        PATIENCE,
    )
    .await?;
    postgres.stop(Mode::Immediate)?;
    placed.extend(log.send(&orders.take(500))?);
    let status = worker.wait(PATIENCE)?;
    ensure!(status.code() == Some(69), "it ended with {status}:\n{}", worker.tail());
    postgres.start_again()?;
    catch_up(&pipeline, PATIENCE)?;
    Model::of(&placed).compare(&connect(&postgres.url("sales_db")).await?).await
}

/// A COMMIT, or its answer, is lost on the way, or the one statement of a few records or its
/// answer: the batch is there once in any case.
#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_commit_is_resolved() -> Result<()> {
    let folder = ScratchFolder::create("ambiguous")?;
    let postgres = Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests())?;
    postgres.create_database("sales_db")?;
    let proxy = Proxy::start(postgres.address(), Protocol::Postgres)?;
    let log = TestLog::create(LogKind::Embedded, "ambiguous", 2)?;
    let mut placed = Vec::new();
    let mut orders = Orders::new(10, USUAL_MIX);
    let several =
        [Point::CommitRequest, Point::CommitAnswer, Point::CopyData { after_bytes: 1_000 }];
    let one = [Point::Execution(AT_ONCE.into()), Point::ExecutionAnswer(AT_ONCE.into())];
    for (batch_records, records, points) in [(300, 5_000, several.to_vec()), (5, 500, one.to_vec())]
    {
        let settings = Settings { batch_records, ..Settings::default() };
        let through_proxy =
            TestPipeline::sales(&log, &postgres.url_through(proxy.port(), "sales_db"), &settings)?;
        let sprung = proxy.handle().counters().sprung_traps;
        let traps = 3 * points.len() as u64;
        for at in points {
            proxy.handle().set_trap(Trap { at, action: Action::Reset, times: 3 });
        }
        placed.extend(log.send(&orders.take(records))?);
        catch_up(&through_proxy, PATIENCE)?;
        ensure!(
            proxy.handle().wait_until_sprung(sprung + traps, Duration::from_secs(1)),
            "the traps did not all spring"
        );
    }
    Model::of(&placed).compare(&connect(&postgres.url("sales_db")).await?).await
}

/// Makes the table before the program does, with something of the operator's own.
async fn with_own_table(
    purpose: &str,
    more: &str,
) -> Result<(TestDatabase, TestLog, TestPipeline, Client)> {
    let database = TestDatabase::create(purpose)?;
    let log = TestLog::create(LogKind::Embedded, purpose, 2)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let (code, ddl, said) = command(&pipeline, &["ddl", &pipeline.file.display().to_string()])?;
    ensure!(code == 0, "{said}");
    let client = connect(&database.url()).await?;
    client.batch_execute(&format!("{ddl}; {more}")).await?;
    Ok((database, log, pipeline, client))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_constraint_refuses_becomes_a_reject_alone() -> Result<()> {
    let (_database, log, pipeline, client) = with_own_table(
        "refused",
        "ALTER TABLE sales ADD CONSTRAINT not_these CHECK (order_number NOT IN (1, 5000, 9999))",
    )
    .await?;
    log.send(&Orders::new(11, NO_TROUBLE).take(10_000))?;
    catch_up(&pipeline, PATIENCE)?;
    let stored: i64 = client.query_one("SELECT count(*) FROM sales", &[]).await?.get(0);
    ensure!(stored == 9_997, "{stored} rows are stored");
    let rejects =
        client.query("SELECT stage, rule, sqlstate, reason FROM duto.reject", &[]).await?;
    ensure!(rejects.len() == 3, "{} rejects", rejects.len());
    for row in &rejects {
        ensure!(
            row.get::<_, String>(0) == "load"
                && row.get::<_, String>(1) == "not_these"
                && row.get::<_, String>(2) == "23514",
            "{row:?}"
        );
        ensure!(row.get::<_, String>(3).contains("not_these"), "the reason names the constraint");
    }
    Ok(())
}

/// Whatever is refused by a constraint is a reject, however much that is; once the constraint is
/// gone it comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_that_refuses_everything_rejects_it_until_it_comes_again() -> Result<()> {
    let (_database, log, pipeline, client) =
        with_own_table("nothing", "ALTER TABLE sales ADD CONSTRAINT none CHECK (order_number < 0)")
            .await?;
    let placed = log.send(&Orders::new(12, NO_TROUBLE).take(1_000))?;
    catch_up(&pipeline, PATIENCE)?;
    let rejected = "SELECT count(*) FROM duto.reject WHERE rule = 'none' AND status = 'open'";
    ensure!(
        client.query_one(rejected, &[]).await?.get::<_, i64>(0) == 1_000,
        "not every record is a reject"
    );
    client.batch_execute("ALTER TABLE sales DROP CONSTRAINT none").await?;
    replay_all(&pipeline, &placed, &client).await
}

/// A row that a trigger takes away without a word is a reject; its neighbours are stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_swallows_is_a_reject() -> Result<()> {
    let trigger = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN IF NEW.order_number = 77 THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER swallow BEFORE INSERT ON sales FOR EACH ROW EXECUTE FUNCTION swallow()";
    let (_database, log, pipeline, client) = with_own_table("swallow", trigger).await?;
    let placed = log.send(&Orders::new(13, NO_TROUBLE).take(500))?;
    catch_up(&pipeline, PATIENCE)?;
    let reasons = client.query("SELECT reason FROM duto.reject", &[]).await?;
    ensure!(
        reasons.len() == 1 && reasons[0].get::<_, String>(0).contains("swallows rows"),
        "{} rejects",
        reasons.len()
    );
    client.batch_execute("DROP TRIGGER swallow ON sales").await?;
    replay_all(&pipeline, &placed, &client).await
}

async fn replay_all(pipeline: &TestPipeline, placed: &[Placed], client: &Client) -> Result<()> {
    let (file, folder) =
        (pipeline.file.display().to_string(), pipeline.log_folder.display().to_string());
    let (code, said, error) =
        command(pipeline, &["rejects", "replay", &file, "--log-folder", &folder])?;
    ensure!(code == 0, "{said}{error}");
    Model::of(placed).compare_rows(client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_differs_is_an_error_that_shows_the_alter() -> Result<()> {
    let database = TestDatabase::create("differs")?;
    let log = TestLog::create(LogKind::Embedded, "differs", 1)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let client = connect(&database.url()).await?;
    client
        .batch_execute(
            "CREATE TABLE sales (order_number INTEGER PRIMARY KEY, total_value
        NUMERIC(10,2) NOT NULL)",
        )
        .await?;
    let mut worker = Worker::start(&pipeline, &["--until-caught-up"])?;
    let status = worker.wait(PATIENCE)?;
    let said = worker.tail();
    ensure!(status.code() == Some(1), "it ended with {status}:\n{said}");
    ensure!(
        said.contains(r#"ALTER TABLE "sales" ALTER COLUMN "order_number" TYPE bigint"#),
        "{said}"
    );
    ensure!(
        said.contains(r#"ALTER TABLE "sales" ADD COLUMN processed_at TIMESTAMP NOT NULL"#),
        "{said}"
    );
    Ok(())
}
