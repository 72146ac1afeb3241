//! The e-commerce pipeline: whatever is repeated, malformed or killed, its tables, views, rollups
//! and endpoints are those of a sequential model of the messages.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::event_model::{EventModel, SECOND_MICROS};
use duto_tests::events::Events;
use duto_tests::http::{EventStream, request, request_with, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::connect;
use duto_tests::worker::{Worker, catch_up, command};
use rand::RngExt;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(180);
const ENDPOINTS: [&str; 6] = [
    "/api/metrics/summary",
    "/api/metrics/timeline",
    "/api/metrics/top-products",
    "/api/metrics/by-category",
    "/api/metrics/event-types",
    "/api/metrics/realtime",
];

fn settings(name: &str, batch_records: usize) -> Settings {
    Settings { instance: Some(name.into()), batch_records, ..Settings::default() }
}

/// `duto rollups verify` finds nothing.
fn verify_rollups(pipeline: &TestPipeline) -> Result<()> {
    let (code, said, error) =
        command(pipeline, &["rollups", "verify", &pipeline.file.display().to_string()])?;
    ensure!(code == 0, "{said}{error}");
    Ok(())
}

/// Every endpoint against the model, at the moment that the answer is of.
fn compare_answers(pipeline: &TestPipeline, model: &EventModel) -> Result<()> {
    let port = free_port()?;
    let server =
        Worker::start(pipeline, &["--only", "serve", "--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    for path in ENDPOINTS {
        // The clock of the answer is that of its query, a little after it was asked: a few moments
        // that differ only by a second's turn.
        let before = Utc::now().timestamp_micros();
        let (status, body) = request(port, "GET", path, "")?;
        let after = Utc::now().timestamp_micros();
        ensure!(status == 200, "{path}: {status}: {body}\n{}", server.tail());
        let mut found: Value =
            serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))?;
        if path == "/api/metrics/realtime" {
            let timestamp = found
                .as_object_mut()
                .and_then(|fields| fields.remove("timestamp"))
                .context("realtime has a timestamp")?;
            let text = timestamp.as_str().context("the timestamp is a text")?;
            DateTime::parse_from_rfc3339(text).with_context(|| format!("the timestamp {text}"))?;
        }
        let mut moments = (before..after).step_by(SECOND_MICROS as usize).chain([after]);
        ensure!(
            moments.any(|moment| found == model.answer(path, moment)),
            "{path} answers {found}, expected is {}",
            model.answer(path, before)
        );
    }
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}

async fn survives(kind: LogKind, messages: usize, rounds: usize) -> Result<()> {
    let database = TestDatabase::create("events")?;
    let log = TestLog::create(kind, "events", 4)?;
    let staying = TestPipeline::ecommerce(&log, &database.url(), &settings("staying", 1_000))?;
    let guest = TestPipeline::ecommerce(&log, &database.url(), &settings("guest", 100))?;
    let mut events = Events::new(21, Utc::now().timestamp_micros());
    let mut placed = Vec::new();
    for round in 0..rounds {
        let worker = Worker::start(&staying, &["--only", "worker"])?;
        // The embedded log has one worker process at a time.
        let visitor = (kind == LogKind::Kafka && round % 2 == 0)
            .then(|| Worker::start(&guest, &["--only", "worker"]))
            .transpose()?;
        placed.extend(log.send(&events.take(messages / rounds))?);
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(500..2_000)));
        worker.kill();
        if let Some(visitor) = visitor {
            ensure!(visitor.stop(PATIENCE)?.success(), "the guest did not end cleanly");
        }
    }
    catch_up(&staying, PATIENCE)?;
    let model = EventModel::of(&placed);
    model.compare(&connect(&database.url()).await?).await?;
    verify_rollups(&staying)?;
    compare_answers(&staying, &model)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_equals_the_model_on_kafka_while_workers_come_and_die() -> Result<()> {
    survives(LogKind::Kafka, scale(20_000, 300_000), scale(3, 12)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_equals_the_model_on_the_embedded_log_while_workers_die() -> Result<()> {
    survives(LogKind::Embedded, scale(10_000, 300_000), scale(2, 12)).await
}

/// The rollups of the file are taken out, rows are stored, and they come back while the load goes
/// on.
#[tokio::test(flavor = "multi_thread")]
async fn rollups_declared_on_full_tables_are_filled_while_the_load_goes_on() -> Result<()> {
    let database = TestDatabase::create("fill")?;
    let log = TestLog::create(LogKind::Kafka, "fill", 4)?;
    // A rollup less, and one that counts something else than in the file.
    let other = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let before = Settings {
        replace: vec![
            other("total_sessions: count(distinct session_id)\n", "total_sessions: count(*)\n"),
            other(
                "total_events: count(*), unique_users: count(distinct user_id) }",
                "total_events: count(*), unique_users: count(*) }",
            ),
        ],
        ..settings("before", 1_000)
    };
    let first = TestPipeline::ecommerce(&log, &database.url(), &before)?;
    let second = TestPipeline::ecommerce(&log, &database.url(), &settings("after", 100))?;
    let mut events = Events::new(22, Utc::now().timestamp_micros());
    let messages = scale(20_000, 200_000);
    let mut placed = log.send(&events.take(messages / 2))?;
    catch_up(&first, PATIENCE)?;
    verify_rollups(&first)?;
    // An old worker goes on while the new one declares: from then on it must not write a row that
    // the new rollups do not count.
    let old = Worker::start(&first, &["--only", "worker"])?;
    placed.extend(log.send(&events.take(messages / 4))?);
    let new = Worker::start(&second, &["--only", "worker"])?;
    placed.extend(log.send(&events.take(messages / 4))?);
    let client = connect(&database.url()).await?;
    let deadline = Instant::now() + PATIENCE;
    let filled = "SELECT NOT EXISTS (SELECT 1 FROM duto.rollup WHERE state <> 'ready')
        AND EXISTS (SELECT 1 FROM duto.rollup WHERE definition LIKE '%distinct session_id%')";
    while !client.query_one(filled, &[]).await?.get::<_, bool>(0) {
        ensure!(Instant::now() < deadline, "the rollups were not filled:\n{}", new.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    old.kill();
    ensure!(new.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    catch_up(&second, PATIENCE)?;
    let model = EventModel::of(&placed);
    model.compare(&client).await?;
    verify_rollups(&second)
}

/// A difference that somebody made is found and named.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_counter_is_found() -> Result<()> {
    let database = TestDatabase::create("wrong")?;
    let log = TestLog::create(LogKind::Embedded, "wrong", 2)?;
    let pipeline = TestPipeline::ecommerce(&log, &database.url(), &settings("wrong", 1_000))?;
    log.send(&Events::new(23, Utc::now().timestamp_micros()).take(500))?;
    catch_up(&pipeline, PATIENCE)?;
    verify_rollups(&pipeline)?;
    let client = connect(&database.url()).await?;
    client
        .batch_execute(
            "UPDATE duto.rollup_product_totals SET total_sales = total_sales + 1
        WHERE product_id = 'PROD001'",
        )
        .await?;
    let (code, said, _) =
        command(&pipeline, &["rollups", "verify", &pipeline.file.display().to_string()])?;
    ensure!(
        code == 1 && said.contains("product_totals") && said.contains("PROD001"),
        "{code}: {said}"
    );
    Ok(())
}

/// One query answers every viewer until a commit touches its tables; a bad request is told why.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_until_a_commit_touches_its_tables() -> Result<()> {
    let database = TestDatabase::create("kept")?;
    let log = TestLog::create(LogKind::Embedded, "kept", 2)?;
    let with_parameters = Settings {
        replace: vec![(
            "endpoints:\n".to_owned(),
            "endpoints:\n  GET /api/products/{id}:\n    parameters:\n      id: { type: TEXT, \
                max_length: 20 }\n      least: { type: NUMERIC, default: \"0\", minimum: 0 \
                }\n    row: SELECT product_id, price FROM products WHERE product_id = :id AND \
                price >= :least\n"
                .to_owned(),
        )],
        ..settings("kept", 1_000)
    };
    let pipeline = TestPipeline::ecommerce(&log, &database.url(), &with_parameters)?;
    let port = free_port()?;
    let server = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    let event = |id: &str| {
        format!(
            r#"{{"event_id": "{id}", "event_type": "page_view", "timestamp": "2024-05-20T10:00:00Z", "user_id": "u", "session_id": "s", "product": {{"id": "P1", "name": "N", "category": "C", "price": 10}}}}"#
        )
    };
    let categories = || request_with(port, "GET", "/api/metrics/by-category", &[], "");
    let wait_for_total = |total: i64| -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, body) = request(port, "GET", "/api/metrics/summary", "")?;
            if status == 200 && serde_json::from_str::<Value>(&body)?["total_events"] == total {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{status}: {body}\n{}", server.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    ensure!(request(port, "POST", "/events", &event("e1"))?.0 == 202, "the event is taken");
    wait_for_total(1)?;
    let header = |answer: &str, name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
    };
    // The rows are there a moment before the commit is told, and whoever looks in between may count
    // it twice: then it is kept.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let first = categories()?;
        let etag = header(&first.headers, "etag").context("an ETag")?;
        let again =
            request_with(port, "GET", "/api/metrics/by-category", &[("If-None-Match", &etag)], "")?;
        ensure!(again.status == 304 && again.body.is_empty(), "{again:?}");
        if header(&first.headers, "x-duto-as-of").context("its time")?
            == header(&again.headers, "x-duto-as-of").context("its time")?
        {
            break;
        }
        ensure!(Instant::now() < deadline, "each request is answered anew: {again:?}");
    }
    // A page view touches no transaction, of which the categories are made.
    ensure!(request(port, "POST", "/events", &event("e2"))?.0 == 202, "the event is taken");
    wait_for_total(2)?;
    ensure!(header(&categories()?.headers, "x-duto-position").is_some(), "the position is told");

    let (status, body) = request(port, "GET", "/api/products/P1?least=10", "")?;
    ensure!(status == 200 && body == r#"{"product_id":"P1","price":10.00}"#, "{status}: {body}");
    ensure!(request(port, "GET", "/api/products/P1?least=10.01", "")?.0 == 404, "none is found");
    for (path, told) in [
        ("/api/products/P1?least=x", "least must be"),
        ("/api/products/P1?least=-1", "least must be at least 0"),
        ("/api/products/aaaaaaaaaaaaaaaaaaaaa", "id must have at most 20 characters"),
    ] {
        let (status, body) = request(port, "GET", path, "")?;
        ensure!(status == 422 && body.contains(told), "{path}: {status}: {body}");
    }
    client_breaks_the_table(&database, port).await?;
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    Ok(())
}

/// A query that fails answers 500 with its reason.
async fn client_breaks_the_table(database: &TestDatabase, port: u16) -> Result<()> {
    let client = connect(&database.url()).await?;
    client.batch_execute("ALTER VIEW event_totals RENAME TO hidden").await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // An answer that reads the clock is kept for a second.
        let (status, body) = request(port, "GET", "/api/metrics/summary", "")?;
        if status == 500 {
            let body: Value = serde_json::from_str(&body)?;
            ensure!(
                body["error"].as_str().is_some_and(|reason| reason.contains("event_totals")),
                "{body}"
            );
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{status}: {body}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What one process commits reaches a page that another one serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_of_the_commits_of_other_processes() -> Result<()> {
    let database = TestDatabase::create("heard")?;
    let log = TestLog::create(LogKind::Kafka, "heard", 2)?;
    let pipeline = TestPipeline::ecommerce(&log, &database.url(), &settings("heard", 1_000))?;
    let worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let port = free_port()?;
    let server =
        Worker::start(&pipeline, &["--only", "serve", "--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_it_answers(port)?;
    let deadline = Instant::now() + PATIENCE;
    while request(port, "GET", "/readyz", "")?.0 != 200 {
        ensure!(Instant::now() < deadline, "it is not ready:\n{}", server.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut stream = EventStream::open(port, "/duto/live")?;
    stream.next("hello")?;
    let placed = log.send(&Events::new(24, Utc::now().timestamp_micros()).take(50))?;
    let total = EventModel::of(&placed).event_count();
    loop {
        let changed: Value = serde_json::from_str(&stream.next("changed")?)?;
        ensure!(
            changed["sources"]
                .as_array()
                .is_some_and(|sources| sources.contains(&"/api/metrics/summary".into())),
            "{changed}"
        );
        let (status, body) = request(port, "GET", "/api/metrics/summary", "")?;
        ensure!(status == 200, "{status}: {body}");
        if serde_json::from_str::<Value>(&body)?["total_events"] == total {
            break;
        }
    }
    ensure!(server.stop(PATIENCE)?.success(), "the server did not end cleanly");
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// A rollup that the file does not declare any more is dropped with its tables and its view, and
/// the others stay right.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_that_is_taken_away_is_dropped() -> Result<()> {
    let database = TestDatabase::create("dropped")?;
    let log = TestLog::create(LogKind::Embedded, "dropped", 2)?;
    let pipeline = TestPipeline::ecommerce(&log, &database.url(), &settings("dropped", 1_000))?;
    log.send(&Events::new(25, Utc::now().timestamp_micros()).take(200))?;
    catch_up(&pipeline, PATIENCE)?;
    // The file without the windows of revenue, and without the endpoints that read them.
    let text = std::fs::read_to_string(&pipeline.file)?;
    let (before, rest) = text.split_once("  revenue_activity:\n").context("the rollup")?;
    let text = format!("{before}{}", &rest[rest.find("\nviews:").context("the views")?..]);
    let (before, rest) = text.split_once("\nendpoints:\n").context("the endpoints")?;
    let text = format!("{before}{}", &rest[rest.find("\ntests:").context("the tests")?..]);
    std::fs::write(&pipeline.file, text)?;
    log.send(&Events::new(26, Utc::now().timestamp_micros()).take(200))?;
    catch_up(&pipeline, PATIENCE)?;
    let client = connect(&database.url()).await?;
    let gone = "SELECT to_regclass('duto.rollup_revenue_activity') IS NULL
         AND to_regclass('duto.grains_revenue_activity') IS NULL
         AND to_regclass('revenue_activity') IS NULL AND NOT EXISTS (SELECT 1 FROM pg_proc
         WHERE proname = 'revenue_activity')
         AND NOT EXISTS (SELECT 1 FROM duto.rollup WHERE name = 'revenue_activity')";
    ensure!(client.query_one(gone, &[]).await?.get::<_, bool>(0), "the rollup is still there");
    verify_rollups(&pipeline)
}
