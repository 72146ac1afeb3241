//! A worker is stopped or killed at a named point of its transaction: before BEGIN, after the first
//! write, in the middle of a COPY, before COMMIT, when the answer to COMMIT is on its way, and
//! around the one statement that a few records are loaded by.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::{Action, Point, Trap};
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Mix, Orders, USUAL_MIX};
use duto_tests::own_servers::OwnPostgres;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::{AT_ONCE, Worker, catch_up};

const PATIENCE: Duration = Duration::from_secs(90);
/// A transaction that was left idle is ended by PostgreSQL after a minute: an heir that came no
/// sooner would have waited for that.
const HEIR_PATIENCE: Duration = Duration::from_secs(45);
const RECORDS: usize = 3_000;

/// The proxy withholds what stands there and everything behind it; a COPY of many records has left
/// all of its chunks but the last.
fn points() -> [(&'static str, Point, usize); 7] {
    [
        ("before BEGIN", Point::Statement("BEGIN ISOLATION".to_owned()), 300),
        ("after the first write", Point::CopyData { after_bytes: 0 }, 300),
        ("in the middle of a COPY", Point::CopyData { after_bytes: 20_000 }, 2_000),
        ("before COMMIT", Point::CommitRequest, 300),
        ("behind COMMIT", Point::CommitAnswer, 300),
        ("before the one statement of a few", Point::Execution(AT_ONCE.to_owned()), 5),
        ("behind the one statement of a few", Point::ExecutionAnswer(AT_ONCE.to_owned()), 5),
    ]
}

/// A database of its own, by the way that the trap is in, and past it.
fn make_database(own: &OwnPostgres, purpose: &str) -> Result<(String, String)> {
    let database = duto_servers::shared::unique_name(purpose).replace('-', "_");
    own.postgres.create_database(&database)?;
    Ok((own.postgres.url_through(own.proxy.port(), &database), own.postgres.url(&database)))
}

/// Starts a worker, and holds it at the point of a transaction that loads. Answers it with what was
/// sent so far.
async fn start_and_hold(
    own: &OwnPostgres,
    pipeline: &TestPipeline,
    url: &str,
    log: &TestLog,
    orders: &mut Orders,
    at: Point,
) -> Result<(Worker, Vec<Placed>)> {
    let network = own.proxy.handle();
    let mut placed = log.send(&orders.take(100))?;
    let mut worker = Worker::start(pipeline, &["--only", "worker"])?;
    // The tables were made in transactions too.
    wait_until_loaded(&connect(url).await?, &mut worker, &placed, PATIENCE).await?;
    let sprung = network.counters().sprung_traps;
    network.set_trap(Trap { at: at.clone(), action: Action::Hold, times: 1 });
    placed.extend(log.send(&orders.take(RECORDS))?);
    let is_there = || network.counters().sprung_traps > sprung;
    wait_until(&format!("the worker comes to {at:?}"), PATIENCE, is_there)
        .await
        .with_context(|| worker.tail())?;
    Ok((worker, placed))
}

async fn a_zombie_writes_nothing(own: &OwnPostgres, at: Point, batch_records: usize) -> Result<()> {
    let (through_proxy, url) = make_database(own, "zombie")?;
    let log = TestLog::create(LogKind::Kafka, "zombies", 2)?;
    let settings = |name: &str| Settings {
        batch_records,
        instance: Some(name.into()),
        session_timeout: "2s".into(),
        workers: 1,
        ..Settings::default()
    };
    let doomed = TestPipeline::sales(&log, &through_proxy, &settings("doomed"))?;
    let heir = TestPipeline::sales(&log, &url, &settings("heir"))?;
    let mut orders = Orders::new(35, USUAL_MIX);
    let (zombie, mut placed) = start_and_hold(own, &doomed, &url, &log, &mut orders, at).await?;
    zombie.signal(libc::SIGSTOP);
    placed.extend(log.send(&orders.take(1_000))?);
    catch_up(&heir, HEIR_PATIENCE)?;
    let client = connect(&url).await?;
    let model = Model::of(&placed);
    model.compare(&client).await?;
    let ledger = "SELECT count(*), max(id) FROM duto.batch WHERE records > 0";
    let before: (i64, i64) =
        client.query_one(ledger, &[]).await.map(|row| (row.get(0), row.get(1)))?;

    // What the zombie had sent arrives now, and it goes on itself.
    let awake = zombie.said("assigned");
    own.proxy.handle().release();
    zombie.signal(libc::SIGCONT);
    wait_until("the zombie is given its partitions anew", PATIENCE, || {
        zombie.said("assigned") > awake
    })
    .await
    .with_context(|| zombie.tail())?;
    let after: (i64, i64) =
        client.query_one(ledger, &[]).await.map(|row| (row.get(0), row.get(1)))?;
    ensure!(after == before, "the zombie wrote a batch");
    model.compare(&client).await?;
    // It is of use again.
    placed.extend(log.send(&orders.take(100))?);
    let mut risen = zombie;
    wait_until_loaded(&client, &mut risen, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_at_a_named_point_writes_nothing_when_it_goes_on() -> Result<()> {
    let own = OwnPostgres::start("zombies")?;
    for (name, at, batch_records) in points() {
        a_zombie_writes_nothing(&own, at, batch_records).await.with_context(|| name)?;
        own.proxy.handle().pass();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_killed_at_a_named_point_leaves_no_trace_or_all() -> Result<()> {
    let own = OwnPostgres::start("killed")?;
    for (turn, (name, at, batch_records)) in points().into_iter().enumerate() {
        // What the dead worker had sent never arrives, or after its death.
        for arrives in [turn % 2 == 0, turn % 2 == 1].into_iter().take(scale(1, 2)) {
            let (through_proxy, url) = make_database(&own, "killed")?;
            let log = TestLog::create(LogKind::Embedded, "killed", 2)?;
            let settings = Settings { batch_records, workers: 1, ..Settings::default() };
            let doomed = TestPipeline::sales(&log, &through_proxy, &settings)?;
            let mut orders = Orders::new(36, USUAL_MIX);
            let (worker, placed) =
                start_and_hold(&own, &doomed, &url, &log, &mut orders, at.clone())
                    .await
                    .with_context(|| name)?;
            worker.kill();
            if arrives {
                own.proxy.handle().pass();
            }
            catch_up(&doomed.with("DATABASE_URL", &url), HEIR_PATIENCE).with_context(|| name)?;
            own.proxy.handle().reset_all();
            own.proxy.handle().pass();
            Model::of(&placed)
                .compare(&connect(&url).await?)
                .await
                .with_context(|| format!("{name}, arrives: {arrives}"))?;
        }
    }
    Ok(())
}

/// The one statement waits for a claim that is under way, and must not go by what it saw before.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_records_are_not_stored_under_a_fence_that_another_draws_meanwhile() -> Result<()> {
    let own = OwnPostgres::start("fence")?;
    let (through_proxy, url) = make_database(&own, "fence")?;
    let log = TestLog::create(LogKind::Embedded, "fence", 1)?;
    let pipeline = TestPipeline::sales(
        &log,
        &through_proxy,
        &Settings { batch_records: 5, workers: 1, ..Settings::default() },
    )?;
    let mut orders = Orders::new(37, Mix { malformed_percent: 0, repeat_percent: 0 });
    let at = Point::Execution(AT_ONCE.to_owned());
    let (mut worker, mut placed) =
        start_and_hold(&own, &pipeline, &url, &log, &mut orders, at).await?;

    let mut client = connect(&url).await?;
    let before: i64 = client.query_one("SELECT next FROM duto.position", &[]).await?.get(0);
    let claim = client.transaction().await?;
    let drawn: String = claim
        .query_one("UPDATE duto.position SET fence = gen_random_uuid() RETURNING fence::text", &[])
        .await?
        .get(0);
    own.proxy.handle().release();
    let waits = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND query LIKE '{AT_ONCE}%'"
    );
    wait_for(&connect(&url).await?, &waits, PATIENCE).await?;
    claim.commit().await?;
    wait_for(&client, &format!("SELECT next > {before} FROM duto.position"), PATIENCE).await?;
    let fence: String =
        client.query_one("SELECT fence::text FROM duto.position", &[]).await?.get(0);
    ensure!(fence != drawn, "a batch was stored under a fence that is not the worker's");
    placed.extend(log.send(&orders.take(100))?);
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    Model::of(&placed).compare(&client).await
}
