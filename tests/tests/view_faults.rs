//! A view or an endpoint that PostgreSQL refuses takes down itself alone: records are stored,
//! everything else is served, and it heals.

use std::time::Duration;

use anyhow::{Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{request, wait_until_it_answers, wait_until_ready};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::connect;
use duto_tests::wait::{wait_for, wait_until};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);
/// The file does not say which functions the database has, so `duto check` lets these pass.
const SECTIONS: &str = "views:
  graded: SELECT order_number, grade(total_value) AS grade FROM sales
  grades: SELECT grade, count(*) AS orders FROM graded GROUP BY grade
  worth: SELECT count(*) AS orders, sum(total_value) AS total FROM sales
endpoints:
  GET /api/grades: { rows: 'SELECT grade, orders FROM grades' }
  GET /api/worth: { row: 'SELECT orders, total FROM worth' }
  GET /api/best: { rows: SELECT order_number FROM sales ORDER BY rank_of(total_value) }
tests:";
const FUNCTIONS: &str = "CREATE FUNCTION grade(numeric) RETURNS text LANGUAGE sql AS $$ SELECT CASE
    WHEN $1 > 100 THEN 'A' ELSE 'B' END $$;
    CREATE FUNCTION rank_of(numeric) RETURNS integer LANGUAGE sql AS 'SELECT 1'";

fn health(port: u16) -> Result<(u16, String)> {
    request(port, "GET", "/health", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_postgresql_refuses_takes_down_itself_alone() -> Result<()> {
    let database = TestDatabase::create("view-faults")?;
    let log = TestLog::create(LogKind::Embedded, "view-faults", 1)?;
    let settings =
        Settings { replace: vec![("tests:".into(), SECTIONS.into())], ..Settings::default() };
    let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
    let port = free_port()?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    wait_until_ready(port).map_err(|error| error.context(worker.tail()))?;

    // Records are stored, and what does not need the function is served.
    let (status, body) = request(
        port,
        "POST",
        "/orders",
        r#"{"order_number": 1, "order_items": [{"qty": 2, "value_unit": 60}]}"#,
    )?;
    ensure!(status == 202, "{status}: {body}");
    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT count(*) = 1 FROM sales", PATIENCE)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let is_told = || {
        health(port)
            .is_ok_and(|(_, body)| body.contains("/api/grades") && body.contains("/api/best"))
    };
    wait_until("health names the endpoints", PATIENCE, is_told)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let (status, body) = health(port)?;
    ensure!(status == 200 && body.contains("\"status\":\"degraded\""), "{status}: {body}");
    ensure!(
        body.contains("the view graded: function grade(numeric) does not exist (SQLSTATE 42883)"),
        "{body}"
    );
    ensure!(
        body.contains("the view grades: it reads the view graded, which cannot be made"),
        "{body}"
    );
    ensure!(!body.contains("the view worth") && !body.contains("/api/worth"), "{body}");
    ensure!(request(port, "GET", "/readyz", "")?.0 == 200, "it is ready");
    let (status, body) = request(port, "GET", "/api/worth", "")?;
    ensure!(status == 200 && body == r#"{"orders":1,"total":120.00}"#, "{status}: {body}");
    for path in ["/api/grades", "/api/best"] {
        for _ in 0..3 {
            let (status, body) = request(port, "GET", path, "")?;
            ensure!(
                status == 500 && body.contains("does not exist (SQLSTATE 42"),
                "{status}: {body}"
            );
        }
    }
    ensure!(
        worker.said("an endpoint cannot answer") == 2,
        "each endpoint is told once:\n{}",
        worker.tail()
    );
    ensure!(
        worker.said("a view cannot be made") == 2,
        "each view is told once:\n{}",
        worker.tail()
    );

    // It heals by itself.
    client.batch_execute(FUNCTIONS).await?;
    wait_until("it heals", PATIENCE, || {
        health(port).is_ok_and(|(_, body)| body.contains("\"status\":\"healthy\""))
    })
    .await?;
    let (status, body) = request(port, "GET", "/api/grades", "")?;
    ensure!(status == 200 && body == r#"[{"grade":"A","orders":1}]"#, "{status}: {body}");
    ensure!(request(port, "GET", "/api/best", "")?.0 == 200, "the endpoint answers again");

    // A view that somebody drops is named, and the next start makes it again.
    client.batch_execute("DROP VIEW grades").await?;
    let (status, body) = health(port)?;
    ensure!(
        status == 200 && body.contains("the view grades: somebody dropped or renamed it"),
        "{status}: {body}"
    );

    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");

    // Somebody built on a view that is to change: it stays as it is, and the rest goes on.
    client.batch_execute("CREATE VIEW foreign_report AS SELECT orders FROM worth").await?;
    let text = std::fs::read_to_string(&pipeline.file)?;
    std::fs::write(
        &pipeline.file,
        text.replace("sum(total_value) AS total FROM", "sum(total_value) + 1 AS total FROM"),
    )?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    let is_told = || {
        health(port).is_ok_and(|(status, body)| {
            status == 200
                && body
                    .contains("the view worth: it is to change, but something else is built on it")
        })
    };
    wait_until("health names the view", PATIENCE, is_told)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    ensure!(request(port, "GET", "/api/grades", "")?.0 == 200, "the others are made");
    let (_, body) = request(port, "GET", "/api/worth", "")?;
    ensure!(body == r#"{"orders":1,"total":120.00}"#, "the view is as it was: {body}");
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    client.batch_execute("DROP VIEW foreign_report").await?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until("it changes", PATIENCE, || {
        request(port, "GET", "/api/worth", "")
            .is_ok_and(|(_, body)| body == r#"{"orders":1,"total":121.00}"#)
    })
    .await
    .map_err(|error| error.context(worker.tail()))?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}
