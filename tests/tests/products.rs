//! The two products applications, round and round: by hand, with faults, and answered after the
//! store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_servers::{Mode, Postgres};
use duto_tests::http::{request, request_with, wait_until_it_answers, wait_until_ready};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::own_servers::{OwnPostgres, own_kafka};
use duto_tests::products::{Applications, Fate, products};
use duto_tests::scale::scale;
use duto_tests::topic::{Found, read_all};
use duto_tests::verify::connect;
use duto_tests::wait::{wait_for, wait_until};
use duto_tests::worker::Worker;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(120);
/// How long a bounded loop may take after both applications were killed for the last time.
const THROUGH: Duration = Duration::from_secs(15);

const EXAMPLE: &str = r#"{"productId": "12369", "productName": "Cadeira", "productDescription": "De escritório", "price": 100.0, "currency": "BRL", "stockQuantity": 50, "category": "Móveis"}"#;

/// Section 3's example, from the request to the message that tells of the row.
async fn a_product_goes_round(kind: LogKind) -> Result<()> {
    let (database, log) =
        (TestDatabase::create("products")?, TestLog::create(kind, "products", 2)?);
    let applications = Applications::new(&log, &database.url())?;
    let (api, scheduler) = (applications.start_api()?, applications.start_scheduler()?);
    let (api_port, scheduler_port) = (applications.api_port, applications.scheduler_port);
    wait_until_ready(api_port)?;
    wait_until_ready(scheduler_port)?;
    let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer anything")];
    let answer = request_with(api_port, "POST", "/produto/manual", &headers, EXAMPLE)?;
    let (told, sent): (Value, Value) =
        (serde_json::from_str(&answer.body)?, serde_json::from_str(EXAMPLE)?);
    ensure!(
        answer.status == 200 && told["message"] == "Product message sent to Kafka",
        "{answer:?}"
    );
    let same = sent.as_object().context("an object")?.iter().all(|(key, value)| {
        told["product"][key] == *value
            || told["product"][key].as_f64() == value.as_f64() && value.is_number()
    });
    ensure!(same, "{told}");
    let (status, body) =
        request(api_port, "POST", "/produto/manual", r#"{"productId": 12369, "price": true}"#)?;
    ensure!(
        status == 422
            && body.contains("productId must be a text")
            && body.contains("category is missing"),
        "{status}: {body}"
    );

    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT count(*) = 1 FROM products", PATIENCE)
        .await
        .map_err(|error| error.context(scheduler.tail()).context(api.tail()))?;
    let row = client
        .query_one(
            r#"SELECT "productId", "productName", "productDescription", price::text, currency, "stockQuantity", category, request_payload, response_payload,
               timestamp = (request_payload->'availability'->>'timestamp')::timestamptz, created IS NOT NULL, updated IS NULL, deleted FROM products"#,
            &[],
        )
        .await?;
    let texts: Vec<&str> = [0, 1, 2, 3, 4, 6].map(|column| row.get::<_, &str>(column)).to_vec();
    ensure!(texts == ["12369", "Cadeira", "De escritório", "100.00", "BRL", "Móveis"], "{texts:?}");
    ensure!(
        row.get::<_, i32>(5) == 50
            && row.get(9)
            && row.get(10)
            && row.get(11)
            && !row.get::<_, bool>(12),
        "{row:?}"
    );
    let (asked, answered): (Value, Value) = (row.get(7), row.get(8));
    ensure!(
        asked["pricing"]["amount"] == 100 && answered["availability"]["quantity"] == 50,
        "{asked} {answered}"
    );
    let timestamp = answered["availability"]["timestamp"].as_str().context("a timestamp")?;
    ensure!(timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");

    wait_until("the message that tells of the row", PATIENCE, || {
        read_all(log.log(), &applications.persisted).is_ok_and(|found| found.len() == 1)
    })
    .await?;
    let told = read_all(log.log(), &applications.persisted)?.remove(0);
    ensure!(
        told.key.as_deref() == Some("12369") && told.headers.contains_key("duto-message-id"),
        "{told:?}"
    );
    ensure!(serde_json::from_str::<Value>(&told.payload)? == answered, "{told:?}");

    ensure!(
        request(scheduler_port, "GET", "/", "")?
            == (200, r#"{"message":"The scheduler is running"}"#.to_owned()),
        "GET /"
    );
    for port in [api_port, scheduler_port] {
        let (status, page) = request(port, "GET", "/docs", "")?;
        ensure!(status == 200 && page.contains("swagger"), "{status}: {page}");
    }
    let document: Value = serde_json::from_str(&request(api_port, "GET", "/openapi.json", "")?.1)?;
    let manual = &document["paths"]["/produto/manual"]["post"];
    ensure!(
        manual["requestBody"]["content"]["application/json"]["example"]["productId"] == "12369",
        "{manual}"
    );
    ensure!(
        api.stop(PATIENCE)?.success() && scheduler.stop(PATIENCE)?.success(),
        "they did not end cleanly"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_goes_round_on_kafka() -> Result<()> {
    a_product_goes_round(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_goes_round_on_the_embedded_log() -> Result<()> {
    a_product_goes_round(LogKind::Embedded).await
}

fn transformed(id: &str, amount: f64) -> String {
    json!({"id": id, "name": "n", "description": "d", "pricing": {"amount": amount, "currency": "BRL"},
        "availability": {"quantity": 1, "timestamp": "2024-05-20T10:00:00Z"}, "category": "c"})
    .to_string()
}

fn store(port: u16, key: Option<&str>, body: &str) -> Result<(u16, String)> {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let answer = request_with(port, "POST", "/produto/scheduler", &headers, body)?;
    Ok((answer.status, answer.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_request_gets_the_first_answer_and_stores_nothing() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("stored")?, TestLog::create(LogKind::Embedded, "stored", 2)?);
    let applications = Applications::new(&log, &database.url())?;
    let mut api = applications.start_api()?;
    let port = applications.api_port;
    wait_until_ready(port)?;
    let client = connect(&database.url()).await?;
    let count = async |condition: &str| -> Result<i64> {
        Ok(client
            .query_one(&format!("SELECT count(*) FROM products WHERE {condition}"), &[])
            .await?
            .get(0))
    };

    let first = store(port, Some("a"), &transformed("1", 1.5))?;
    ensure!(first.0 == 200 && first.1.contains("\"amount\":1.50"), "{first:?}");
    let first_of_a = first.clone();
    // Whatever the body, also one that is no product, and also after a restart.
    ensure!(
        store(port, Some("a"), &transformed("2", 2.0))? == first,
        "a repeat gets the first answer"
    );
    api.kill();
    api = applications.start_api()?;
    wait_until_ready(port)?;
    ensure!(
        store(port, Some("a"), &transformed("3", 3.0))? == first,
        "a repeat gets the first answer after a restart"
    );
    ensure!(count("true").await? == 1, "one row");

    // Also while the first one is in flight.
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            std::thread::spawn(move || {
                store(port, Some("b"), &transformed(&format!("b{caller}"), 1.0))
            })
        })
        .collect();
    let answers: BTreeSet<(u16, String)> = callers
        .into_iter()
        .map(|caller| caller.join().expect("no panic"))
        .collect::<Result<_>>()?;
    ensure!(answers.len() == 1 && answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    ensure!(count("\"productId\" LIKE 'b%'").await? == 1, "one row");

    // Without a key every request is one of its own.
    for _ in 0..2 {
        ensure!(store(port, None, &transformed("c", 1.0))?.0 == 200, "it is stored");
    }
    ensure!(count("\"productId\" = 'c'").await? == 2, "two rows");

    let (status, body) = store(port, Some("d"), &transformed("d", 1e12))?;
    ensure!(status == 422 && body.contains("pricing.amount"), "{status}: {body}");
    let (status, body) = store(port, Some(""), &transformed("d", 1.0))?;
    ensure!(status == 400 && body.contains("Idempotency-Key"), "{status}: {body}");

    // Each of many has its answer; the same many again store nothing.
    let many = format!("[{}, {}, {{}}]", transformed("e1", 1.0), transformed("e2", 2.0));
    let (status, body) = store(port, Some("e"), &many)?;
    let told: Value = serde_json::from_str(&body)?;
    ensure!(
        status == 207 && told["accepted"] == 2 && told["results"][1]["answer"]["id"] == "e2",
        "{status}: {body}"
    );
    ensure!(store(port, Some("e"), &many)? == (status, body), "a repeat gets the first answers");
    ensure!(count("\"productId\" LIKE 'e%'").await? == 2, "two rows");

    // The third one mended is stored, under its own place; a key that looks like a place is another
    // key.
    let many = format!(
        "[{}, {}, {}]",
        transformed("e1", 1.0),
        transformed("e2", 2.0),
        transformed("e3", 3.0)
    );
    let (status, body) = store(port, Some("e"), &many)?;
    let told: Value = serde_json::from_str(&body)?;
    ensure!(status == 202 && told["results"][2]["answer"]["id"] == "e3", "{status}: {body}");
    let bad_between = |middle: &str| {
        format!("[{}, {middle}, {}]", transformed("f1", 1.0), transformed("f3", 3.0))
    };
    let (_, first) = store(port, Some("f"), &bad_between("{}"))?;
    let (status, body) = store(port, Some("f"), &bad_between(&transformed("f2", 2.0)))?;
    let (first, told): (Value, Value) =
        (serde_json::from_str(&first)?, serde_json::from_str(&body)?);
    ensure!(status == 202 && told["results"][1]["answer"]["id"] == "f2", "{status}: {body}");
    ensure!(
        told["results"][2] == first["results"][2] && told["results"][0] == first["results"][0],
        "{first} {told}"
    );
    ensure!(count("\"productId\" LIKE 'f%'").await? == 3, "three rows, each once");
    ensure!(
        store(port, Some("f/0"), &transformed("g", 1.0))?.1.contains("\"g\""),
        "a key of its own"
    );
    // A repeat whose body can be taken no more gets the first answers all the same.
    ensure!(store(port, Some("f"), "[{}, {}, {}]")?.1 == body, "the first answers stay");
    ensure!(store(port, Some("a"), "{}")? == first_of_a, "the first answer stays");
    ensure!(api.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

/// A record that only the database can refuse is told so, and its repeat too.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_record_is_refused_by_the_table_is_told_why() -> Result<()> {
    let (database, log) = (
        TestDatabase::create("stored-refused")?,
        TestLog::create(LogKind::Embedded, "stored-refused", 2)?,
    );
    let applications = Applications::new(&log, &database.url())?;
    let api = applications.start_api()?;
    let port = applications.api_port;
    wait_until_ready(port)?;
    ensure!(store(port, None, &transformed("1", 1.0))?.0 == 200, "it is stored");
    let client = connect(&database.url()).await?;
    client
        .batch_execute(r#"ALTER TABLE products ADD CONSTRAINT cheap CHECK (price < 100)"#)
        .await?;
    let refused = store(port, Some("dear"), &transformed("2", 100.0))?;
    ensure!(refused.0 == 422 && refused.1.contains("cheap"), "{refused:?}");
    client.batch_execute("ALTER TABLE products DROP CONSTRAINT cheap").await?;
    ensure!(
        store(port, Some("dear"), &transformed("2", 100.0))? == refused,
        "the first answer stays"
    );
    ensure!(api.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

/// Everything that was sent is a row or a reject, and every row was told once.
async fn compare(
    client: &Client,
    log: &TestLog,
    applications: &Applications,
    count: usize,
) -> Result<()> {
    let expected: BTreeSet<String> = products(count)
        .into_iter()
        .filter_map(|message| match message.meaning {
            Fate::Stored { product_id } => Some(product_id),
            Fate::Rejected => None,
        })
        .collect();
    let rows =
        client.query(r#"SELECT "productId", count(*) FROM products GROUP BY 1"#, &[]).await?;
    let rows: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let doubled: Vec<_> = rows.iter().filter(|(_, count)| **count != 1).take(5).collect();
    ensure!(doubled.is_empty(), "stored more than once: {doubled:?}");
    ensure!(
        rows.keys().cloned().collect::<BTreeSet<_>>() == expected,
        "{} of {} products are rows",
        rows.len(),
        expected.len()
    );
    let rejects: i64 = client.query_one("SELECT count(*) FROM duto.reject", &[]).await?.get(0);
    ensure!(rejects as usize == count - expected.len(), "{rejects} rejects");

    let mut found: Vec<Found> = Vec::new();
    wait_until("every row is told", PATIENCE, || {
        found = read_all(log.log(), &applications.persisted).unwrap_or_default();
        found.len() >= expected.len()
    })
    .await
    .with_context(|| format!("{} of {} messages", found.len(), expected.len()))?;
    let told: BTreeSet<String> = found.iter().filter_map(|found| found.key.clone()).collect();
    ensure!(
        found.len() == expected.len() && told == expected,
        "{} messages of {} products",
        found.len(),
        told.len()
    );
    let ids: BTreeSet<&String> =
        found.iter().filter_map(|found| found.headers.get("duto-message-id")).collect();
    ensure!(ids.len() == found.len(), "every message has an id of its own");
    // In the order in which the rows were stored, for each position.
    let outbox = client
        .query("SELECT partition, message_id::text FROM duto.outbox ORDER BY id", &[])
        .await?;
    let position_of: BTreeMap<String, (i32, usize)> =
        outbox.iter().enumerate().map(|(place, row)| (row.get(1), (row.get(0), place))).collect();
    let mut last: BTreeMap<(i32, i32), usize> = BTreeMap::new();
    for message in &found {
        let Some((position, place)) =
            message.headers.get("duto-message-id").and_then(|id| position_of.get(id))
        else {
            continue;
        };
        let before = last.insert((message.partition, *position), *place);
        ensure!(
            before.is_none_or(|before| before < *place),
            "a message came before one that was stored earlier"
        );
    }
    Ok(())
}

/// Both applications are killed again and again, and the servers are restarted under them.
#[tokio::test(flavor = "multi_thread")]
async fn products_go_round_through_kills_and_restarts() -> Result<()> {
    let (count, kills) = (scale(2_000, 50_000), scale(6, 10));
    let mut kafka = own_kafka().await?;
    let mut own = OwnPostgres::start("rounds")?;
    let log = TestLog::create_at(LogKind::Kafka, "rounds", 4, kafka.kafka.bootstrap_servers())?;
    let applications = Applications::new(&log, &own.url())?;
    let mut random = StdRng::seed_from_u64(77);
    let mut running: [Worker; 2] = [applications.start_api()?, applications.start_scheduler()?];
    wait_until_ready(applications.api_port)?;
    log.send(&products(count))?;
    for round in 0..kills {
        for (place, application) in running.iter_mut().enumerate() {
            tokio::time::sleep(Duration::from_millis(random.random_range(100..1_500))).await;
            // The port is free only when the old one is gone.
            application.kill_and_wait();
            *application = if place == 0 {
                applications.start_api()?
            } else {
                applications.start_scheduler()?
            };
        }
        if round == kills / 3 {
            restart_postgres(&mut own.postgres)?;
        }
        if round == 2 * kills / 3 {
            kafka.kafka.stop()?;
            kafka.kafka.start_again()?;
        }
    }
    let killed_at = Instant::now();
    let client = connect(&own.url()).await?;
    let wanted = count - count / 100;
    let stored = format!("SELECT count(*) >= {wanted} FROM products");
    let patience = PATIENCE + Duration::from_secs(scale(0, 600) as u64);
    wait_for(&client, &stored, patience).await.with_context(|| {
        format!("api:\n{}\nscheduler:\n{}", running[0].tail(), running[1].tail())
    })?;
    wait_for(&client, &format!("SELECT count(*) = {} FROM duto.reject", count / 100), PATIENCE)
        .await?;
    // Nobody waits for the session of one that was killed.
    println!("through {:?} after the last kill", killed_at.elapsed());
    ensure!(
        scale(0, 1) == 1 || killed_at.elapsed() < THROUGH,
        "it took {:?} after the last kill",
        killed_at.elapsed()
    );
    compare(&client, &log, &applications, count).await
}

fn restart_postgres(postgres: &mut Postgres) -> Result<()> {
    postgres.stop(Mode::Immediate)?;
    postgres.start_again()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_for_where_one_is_configured() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("auth")?, TestLog::create(LogKind::Embedded, "auth", 2)?);
    let mut applications = Applications::new(&log, &database.url())?;
    applications.api.environment.push(("PRODUCTS_API_KEY".to_owned(), "secret".to_owned()));
    let (api, stranger) = (applications.start_api()?, applications.start_scheduler()?);
    wait_until_ready(applications.api_port)?;
    wait_until_it_answers(applications.scheduler_port)?;
    let post = |authorization: &[(&str, &str)]| {
        request_with(applications.api_port, "POST", "/produto/manual", authorization, EXAMPLE)
    };
    for (wrong, headers) in [
        ("none", &[][..]),
        ("another", &[("Authorization", "Bearer other")]),
        ("Basic", &[("Authorization", "Basic secret")]),
    ] {
        let answer = post(headers)?;
        ensure!(
            answer.status == 401
                && answer.headers.to_lowercase().contains("www-authenticate: bearer"),
            "{wrong}: {answer:?}"
        );
    }
    ensure!(post(&[("Authorization", "Bearer secret")])?.status == 200, "the key lets in");
    ensure!(
        request(applications.api_port, "GET", "/livez", "")?.0 == 200,
        "the state of the service is nobody's secret"
    );

    // A scheduler without the key waits, and says for what; with the key it goes on where the other
    // one stood.
    let waits = || {
        request(applications.scheduler_port, "GET", "/health", "")
            .is_ok_and(|(_, health)| health.contains("answered 401"))
    };
    wait_until("the scheduler to say that it is not let in", PATIENCE, waits).await?;
    ensure!(stranger.stop(PATIENCE)?.success(), "it did not end cleanly");
    applications
        .scheduler
        .environment
        .push(("PRODUCTS_API_AUTHORIZATION".to_owned(), "Bearer secret".to_owned()));
    let scheduler = applications.start_scheduler()?;
    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT count(*) = 1 FROM products", PATIENCE)
        .await
        .map_err(|error| error.context(scheduler.tail()))?;
    ensure!(
        api.stop(PATIENCE)?.success() && scheduler.stop(PATIENCE)?.success(),
        "they did not end cleanly"
    );
    Ok(())
}
