//! The served OpenAPI document is held against the server by a public fuzzer.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::Utc;
use duto_servers::shared::TestDatabase;
use duto_servers::{cache_folder, free_port};
use duto_tests::events::Events;
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline, root};
use duto_tests::scale::scale;
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);
/// Endpoints of the test's own, with parameters of every kind.
const WITH_PARAMETERS: &str = "endpoints:
  GET /api/products/{id}:
    parameters:
      id: { type: TEXT, max_length: 20 }
      least: { type: NUMERIC, default: \"0\", minimum: 0, maximum: 1000000 }
    row: SELECT product_id, price FROM products WHERE product_id = :id AND price >= :least
  GET /api/search:
    parameters:
      kind: { type: TEXT, enum: [page_view, search], default: search }
      since: { type: TIMESTAMPTZ, default: \"2024-01-01T00:00:00Z\" }
      day: { type: DATE, default: \"2024-01-01\" }
      most: { type: INTEGER, default: \"10\", minimum: 1, maximum: 100 }
      exact: { type: BOOLEAN, default: \"true\" }
    rows: |
      SELECT event_id, event_type, timestamp FROM events
      WHERE event_type = :kind AND timestamp >= :since AND timestamp >= :day AND :exact LIMIT :most
";

/// The fuzzer that `scripts/setup` installed.
fn fuzzer() -> Result<PathBuf> {
    let program = cache_folder()?.join("test-venv/bin/schemathesis");
    ensure!(program.is_file(), "{} is not there: scripts/setup installs it", program.display());
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_finds_no_difference_between_the_document_and_the_server() -> Result<()> {
    let database = TestDatabase::create("openapi")?;
    let log = TestLog::create(LogKind::Embedded, "openapi", 2)?;
    log.send(&Events::new(31, Utc::now().timestamp_micros()).take(500))?;
    let settings = Settings {
        replace: vec![("endpoints:\n".to_owned(), WITH_PARAMETERS.to_owned())],
        ..Settings::default()
    };
    let pipeline = TestPipeline::ecommerce(&log, &database.url(), &settings)?;
    let port = free_port()?;
    let server = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    // The document tells the columns of an endpoint when the tables are there.
    let deadline = Instant::now() + PATIENCE;
    while request(port, "GET", "/api/metrics/summary", "")?.0 != 200 {
        ensure!(Instant::now() < deadline, "no answer:\n{}", server.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, document) = request(port, "GET", "/openapi.json", "")?;
    ensure!(status == 200 && document.contains("\"conversion_rate\""), "{status}: {document}");
    let output = Command::new(fuzzer()?)
        .arg("--config-file")
        .arg(root().join("tests/schemathesis.toml"))
        .args([
            "run",
            &format!("http://127.0.0.1:{port}/openapi.json"),
            "--checks",
            "all",
            "--no-color",
            "--seed",
            "1",
        ])
        .args(["--max-examples", &scale(40, 400).to_string()])
        .current_dir(log.folder.path())
        .output()?;
    ensure!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        server.tail()
    );
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}
