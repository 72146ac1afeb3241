//! The HTTP side of a running pipeline: records in, health and metrics out.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_servers::{Mode, free_port};
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::own_servers::OwnPostgres;
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::connect;
use duto_tests::wait::{wait_for, wait_until};
use duto_tests::worker::{Worker, command};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_order_posted_is_stored_and_counted() -> Result<()> {
    let database = TestDatabase::create("http")?;
    let log = TestLog::create(LogKind::Embedded, "http", 2)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let port = free_port()?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;

    let order = r#"{"order_number": 123, "order_items": [{"item_id": 0, "qty": 2, "value_unit": 50.0}, {"item_id": 1, "qty": 1, "value_unit": 100.0}]}"#;
    let (status, body) = request(port, "POST", "/orders", order)?;
    ensure!(status == 202, "{status}: {body}");
    let (status, body) = request(port, "POST", "/orders", r#"{"order_items": [{"qty": true}]}"#)?;
    ensure!(status == 422, "{status}: {body}");
    for problem in [
        "order_number is missing",
        "order_items[0].qty must be an integer, got true",
        "order_items[0].value_unit is missing",
    ] {
        ensure!(body.contains(problem), "not told: {problem}; {body}");
    }
    let (status, body) = request(
        port,
        "POST",
        "/orders",
        r#"[{"order_number": 124, "order_items": []}, {"order_number": 125}]"#,
    )?;
    ensure!(status == 207 && body.contains("\"accepted\":1"), "{status}: {body}");

    let client = connect(&database.url()).await?;
    let deadline = Instant::now() + PATIENCE;
    while client
        .query_one("SELECT count(*) FROM sales", &[])
        .await
        .map_or(0, |row| row.get::<_, i64>(0))
        < 2
    {
        ensure!(Instant::now() < deadline, "the orders were not stored:\n{}", worker.tail());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let total: String = client
        .query_one("SELECT total_value::text FROM sales WHERE order_number = 123", &[])
        .await?
        .get(0);
    ensure!(total == "200.00", "the total is {total}");

    let (status, body) = request(port, "GET", "/health", "")?;
    ensure!(status == 200 && body.contains("\"status\":\"healthy\""), "{status}: {body}");
    ensure!(request(port, "GET", "/readyz", "")?.0 == 200, "it is ready");
    let asked = command(&pipeline, &["health", &format!("http://127.0.0.1:{port}/readyz")])?;
    ensure!(asked == (0, String::new(), String::new()), "it is well, but `health` is {asked:?}");
    let missing = format!("http://127.0.0.1:{port}/not-there");
    let (code, told, _) = command(&pipeline, &["health", &missing])?;
    ensure!(code == 1 && told.contains("404"), "{code}: {told}");
    let nobody = format!("http://127.0.0.1:{}/readyz", free_port()?);
    let (code, _, said) = command(&pipeline, &["health", &nobody])?;
    ensure!(code == 1 && said.contains("does not answer"), "{code}: {said}");
    let (status, metrics) = request(port, "GET", "/metrics", "")?;
    ensure!(status == 200, "{status}: {metrics}");
    for line in [
        "duto_stored_total",
        "duto_rejected_total",
        "duto_commit_seconds_bucket",
        "duto_database_up",
        "duto_database_size_bytes",
    ] {
        ensure!(metrics.contains(line), "{line} is not among the metrics:\n{metrics}");
    }
    // Without it Prometheus computes no quantile.
    let histograms: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram"))
        .collect();
    ensure!(histograms.len() == 4, "{histograms:?}");
    for name in histograms {
        let bucket = format!("{name}_bucket{{pipeline=\"sales\",le=\"+Inf\"}}");
        ensure!(metrics.contains(&bucket), "{bucket} is not among the metrics:\n{metrics}");
    }
    let (code, table, said) = command(
        &pipeline,
        &[
            "status",
            &pipeline.file.display().to_string(),
            "--log-folder",
            &pipeline.log_folder.display().to_string(),
        ],
    )?;
    ensure!(
        code == 0 && table.contains("partition") && table.lines().count() == 3,
        "{table}{said}"
    );
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

/// Records are taken while PostgreSQL is away, also when the worker has given it up, and all are
/// stored when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_taken_while_the_database_is_away() -> Result<()> {
    let mut own = OwnPostgres::start("away-http")?;
    let log = TestLog::create(LogKind::Embedded, "away-http", 2)?;
    let pipeline = TestPipeline::sales(
        &log,
        &own.url(),
        &Settings { retries: "1".into(), ..Settings::default() },
    )?;
    let port = free_port()?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    let send = |first: usize, count: usize| -> Result<()> {
        for chunk in (first..first + count).collect::<Vec<_>>().chunks(1_000) {
            let orders: Vec<String> = chunk
                .iter()
                .map(|number| format!(r#"{{"order_number": {number}, "order_items": []}}"#))
                .collect();
            let (status, body) =
                request(port, "POST", "/orders", &format!("[{}]", orders.join(",")))?;
            ensure!(status == 202, "{status}: {body}");
        }
        Ok(())
    };
    send(1, 1_000)?;
    let client = connect(&own.url()).await?;
    wait_for(&client, "SELECT count(*) = 1000 FROM sales", PATIENCE).await?;
    own.postgres.stop(Mode::Immediate)?;
    let count = scale(10_000, 100_000);
    send(1_001, count / 2)?;
    wait_until("the worker gives up", PATIENCE, || worker.said("records are still taken") == 1)
        .await?;
    let health = request(port, "GET", "/health", "")?;
    ensure!(health.0 == 500 && health.1.contains("the worker ended"), "{health:?}");
    send(1_001 + count / 2, count - count / 2)?;
    own.postgres.start_again()?;
    let client = connect(&own.url()).await?;
    let all = format!("SELECT count(*) = {} FROM sales", 1_000 + count);
    wait_for(&client, &all, PATIENCE).await.map_err(|error| error.context(worker.tail()))?;
    ensure!(request(port, "GET", "/health", "")?.0 == 200, "it is healthy again");
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}
