//! Rejects are replayed while the partition's load runs: by several at once, and by one that is
//! killed in the middle.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::{Action, Point, Trap};
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Meaning, Mix, Orders};
use duto_tests::own_servers::OwnPostgres;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::{Worker, command, program};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(90);
const RATE: Rate = Rate { per_second: 1_000, most: 500_000 };
const REFUSE: &str =
    "ALTER TABLE sales ADD CONSTRAINT refused CHECK (order_number % 10 <> 3) NOT VALID";
/// The statement by which a few rows are stored that may be there already begins so.
const STORE_FEW: &str = "WITH duto_few AS MATERIALIZED";
const ACCEPT: &str = "ALTER TABLE sales DROP CONSTRAINT refused";

fn arguments(pipeline: &TestPipeline) -> [String; 5] {
    [
        "rejects",
        "replay",
        &pipeline.file.display().to_string(),
        "--log-folder",
        &pipeline.log_folder.display().to_string(),
    ]
    .map(str::to_owned)
}

fn replay(pipeline: &TestPipeline) -> Result<()> {
    let arguments = arguments(pipeline);
    let (code, said, error) = command(pipeline, &arguments.each_ref().map(String::as_str))?;
    ensure!(code == 0, "{said}{error}");
    Ok(())
}

fn start_replay(pipeline: &TestPipeline) -> Result<Child> {
    let mut command = Command::new(program()?);
    command.args(arguments(pipeline)).envs(pipeline.environment.iter().cloned());
    Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Held at the point, killed there; then the held bytes either go on to the server, or are lost
/// with their connection.
async fn kill_a_replay(
    own: &OwnPostgres,
    pipeline: &TestPipeline,
    at: Point,
    arrives: bool,
) -> Result<()> {
    let network = own.proxy.handle();
    let sprung = network.counters().sprung_traps;
    network.set_trap(Trap { at: at.clone(), action: Action::Hold, times: 1 });
    let mut child = start_replay(pipeline)?;
    let held = wait_until(&format!("a replay comes to {at:?}"), PATIENCE, || {
        network.counters().sprung_traps > sprung
    })
    .await;
    child.kill()?;
    child.wait()?;
    held?;
    if !arrives {
        network.reset_all();
    }
    network.pass();
    Ok(())
}

async fn refuse_some(client: &Client) -> Result<()> {
    let open = "SELECT count(*) FROM duto.reject WHERE sqlstate = '23514' AND status = 'open'";
    let before: i64 = client.query_one(open, &[]).await?.get(0);
    client.batch_execute(REFUSE).await?;
    wait_for(client, &format!("SELECT ({open}) > {before} + 30"), PATIENCE).await?;
    Ok(client.batch_execute(ACCEPT).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_that_are_replayed_under_load_are_stored_once() -> Result<()> {
    let own = OwnPostgres::start("replays")?;
    let log = Arc::new(TestLog::create(LogKind::Embedded, "replays", 2)?);
    let settings = Settings { batch_records: 200, ..Settings::default() };
    let pipeline = TestPipeline::sales(&log, &own.url(), &settings)?;
    let through_proxy = pipeline.clone().with("DATABASE_URL", &own.url_through_proxy());
    let client = connect(&own.url()).await?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    // Repeats of an order that is refused would have no order.
    let load =
        Load::start(&log, Orders::new(34, Mix { malformed_percent: 1, repeat_percent: 0 }), RATE);
    wait_for(&client, "SELECT count(*) > 100 FROM sales", PATIENCE).await?;
    for _ in 0..scale(1, 4) {
        refuse_some(&client).await?;
        std::thread::scope(|scope| {
            let both: Vec<_> = (0..2).map(|_| scope.spawn(|| replay(&pipeline))).collect();
            both.into_iter().try_for_each(|one| one.join().expect("the thread does not panic"))
        })?;
        let points = [
            Point::Statement("duto.reject".to_owned()),
            Point::Execution(STORE_FEW.to_owned()),
            Point::CommitRequest,
            Point::CommitAnswer,
        ];
        for at in points {
            for arrives in [false, true] {
                refuse_some(&client).await?;
                kill_a_replay(&own, &through_proxy, at.clone(), arrives).await?;
            }
        }
    }
    let placed = load.finish()?;
    wait_until_loaded(&client, &mut worker, &placed, PATIENCE).await?;
    replay(&pipeline)?;

    Model::of(&placed).compare_rows(&client).await?;
    let malformed =
        placed.iter().filter(|placed| placed.message.meaning == Meaning::Malformed).count() as i64;
    let count = async |statement: &str| {
        Ok::<i64, anyhow::Error>(client.query_one(statement, &[]).await?.get(0))
    };
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open'").await? == malformed,
        "what is malformed stays open"
    );
    ensure!(
        count("SELECT count(*) FROM duto.reject WHERE status = 'open' AND sqlstate IS NOT NULL")
            .await?
            == 0,
        "the others are closed"
    );
    let stored = count("SELECT sum(stored)::bigint FROM duto.batch").await?;
    ensure!(stored + malformed == placed.len() as i64, "{stored} were stored, not each order once");
    let twice = "SELECT count(*) FROM (SELECT 1 FROM duto.replay WHERE outcome = 'stored'
        GROUP BY reject_id HAVING count(*) > 1) t";
    ensure!(count(twice).await? == 0, "a reject was stored twice");
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
