//! Calls to an API that fails, refuses, or is away: nothing is lost, nothing comes twice under
//! another key, and it is not hammered.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::TestDatabase;
use duto_tests::http::{request, wait_until_it_answers};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::Message;
use duto_tests::products::{Applications, Fate, products};
use duto_tests::receiver::{Received, Receiver};
use duto_tests::scale::scale;
use duto_tests::verify::connect;
use duto_tests::wait::{wait_for, wait_until};
use duto_tests::worker::Worker;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

/// The scheduler alone, calling a receiver of the test's own.
fn scheduler(log: &TestLog, database: &TestDatabase, receiver: &Receiver) -> Result<(Worker, u16)> {
    let port = free_port()?;
    let applications =
        Applications::calling(log, &database.url(), free_port()?, port, &receiver.url())?;
    Ok((applications.start_scheduler()?, port))
}

fn stored(messages: &[Message<Fate>]) -> BTreeSet<String> {
    let id = |message: &Message<Fate>| match &message.meaning {
        Fate::Stored { product_id } => Some(product_id.clone()),
        Fate::Rejected => None,
    };
    messages.iter().filter_map(id).collect()
}

fn id_of(received: &Received) -> String {
    serde_json::from_str::<Value>(&received.body)
        .ok()
        .and_then(|body| body["id"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The products that were answered with success, each with the keys under which it was.
fn delivered(received: &[Received]) -> BTreeMap<String, HashSet<String>> {
    let mut delivered: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for one in received.iter().filter(|one| one.status == 200) {
        delivered.entry(id_of(one)).or_default().insert(one.idempotency_key.clone());
    }
    delivered
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_fails_for_a_while_loses_nothing_and_is_not_hammered() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("deliver")?, TestLog::create(LogKind::Embedded, "deliver", 2)?);
    let fails = Arc::new(AtomicBool::new(true));
    let receiver = Receiver::start({
        let fails = fails.clone();
        move |_| if fails.load(Ordering::Relaxed) { 500 } else { 200 }
    })?;
    let messages = products(500);
    log.send(&messages)?;
    let (worker, port) = scheduler(&log, &database, &receiver)?;
    wait_until("the first call", PATIENCE, || !receiver.received().is_empty()).await?;
    let outage = Duration::from_secs(scale(6, 120) as u64);
    let (began, during) = (Instant::now(), receiver.received().len());
    tokio::time::sleep(outage).await;
    let (status, health) = request(port, "GET", "/health", "")?;
    ensure!(
        status == 500 && health.contains("deliver api") && health.contains("answered 500"),
        "{status}: {health}"
    );
    let attempts = receiver.received().len() - during;
    // A probe after 0.2 s, then twice as long each time up to 2 s, with jitter; beside it what was
    // open when the first one failed.
    let most = 32 + 4 + (outage.as_secs_f64() / 1.5).ceil() as usize;
    ensure!(attempts <= most, "{attempts} attempts in {:?}", began.elapsed());
    ensure!(delivered(&receiver.received()).is_empty(), "nothing was answered with success yet");
    fails.store(false, Ordering::Relaxed);

    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT coalesce(sum(records), 0) = 500 FROM duto.batch", PATIENCE)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let delivered = delivered(&receiver.received());
    ensure!(
        delivered.keys().cloned().collect::<BTreeSet<_>>() == stored(&messages),
        "{} products were delivered",
        delivered.len()
    );
    ensure!(delivered.values().all(|keys| keys.len() == 1), "a product came under two keys");
    let rejects: i64 = client
        .query_one("SELECT count(*) FROM duto.reject WHERE stage = 'decode'", &[])
        .await?
        .get(0);
    ensure!(rejects == 5, "{rejects} rejects");
    let (status, health) = request(port, "GET", "/health", "")?;
    ensure!(status == 200, "{status}: {health}");
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_refuses_is_a_reject_and_its_neighbours_go_on() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("refuses")?, TestLog::create(LogKind::Embedded, "refuses", 2)?);
    let receiver = Receiver::start(|body| {
        match serde_json::from_str::<Value>(body)
            .ok()
            .and_then(|body| body["id"].as_str().map(str::to_owned))
        {
            Some(id) if id == "p7" => 422,
            Some(id) if id == "p8" => 400,
            _ => 200,
        }
    })?;
    log.send(&products(50))?;
    let (worker, _) = scheduler(&log, &database, &receiver)?;
    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT coalesce(sum(records), 0) = 50 FROM duto.batch", PATIENCE)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let rejects = client
        .query(
            "SELECT stage, rule, convert_from(key, 'UTF8'), reason FROM duto.reject ORDER BY 2",
            &[],
        )
        .await?;
    let told: Vec<(String, String, String)> =
        rejects.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [("deliver", "http_400", "p8"), ("deliver", "http_422", "p7")];
    ensure!(
        told.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).eq(expected),
        "{told:?}"
    );
    let counts = client
        .query_one("SELECT sum(stored)::bigint, sum(rejected)::bigint FROM duto.batch", &[])
        .await?;
    ensure!((counts.get::<_, i64>(0), counts.get::<_, i64>(1)) == (48, 2), "{counts:?}");
    ensure!(receiver.received().len() == 50, "each was called once");
    Ok(())
}

/// Calls of one key follow each other, also when one of them has to be made again; the position
/// waits for what nobody can answer.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_key_keep_their_order_and_a_wrong_path_waits() -> Result<()> {
    let (database, log) =
        (TestDatabase::create("order")?, TestLog::create(LogKind::Embedded, "order", 2)?);
    let (count, answers) =
        (Arc::new(std::sync::atomic::AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let receiver = Receiver::start({
        let (count, answers) = (count.clone(), answers.clone());
        move |_| match (answers.load(Ordering::Relaxed), count.fetch_add(1, Ordering::Relaxed) % 3)
        {
            (false, _) => 404,
            (true, 0) => 503,
            _ => 200,
        }
    })?;
    let mut messages = products(60);
    messages
        .iter_mut()
        .enumerate()
        .for_each(|(place, message)| message.key = format!("key-{}", place % 3));
    log.send(&messages)?;
    let (worker, port) = scheduler(&log, &database, &receiver)?;
    wait_until("the first call", PATIENCE, || !receiver.received().is_empty()).await?;
    let client = connect(&database.url()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let moved: i64 = client
        .query_one("SELECT coalesce(sum(records), 0)::bigint FROM duto.batch", &[])
        .await?
        .get(0);
    ensure!(moved == 0, "{moved} records were passed over, though the path is not there");
    ensure!(request(port, "GET", "/health", "")?.1.contains("answered 404"), "the health says so");
    answers.store(true, Ordering::Relaxed);
    wait_for(&client, "SELECT coalesce(sum(records), 0) = 60 FROM duto.batch", PATIENCE)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for one in receiver.received().iter().filter(|one| one.status == 200) {
        let number: usize = id_of(one).trim_start_matches('p').parse()?;
        let before = last.insert((number - 1) % 3, number);
        ensure!(
            before.is_none_or(|before| before < number),
            "product {number} came after {before:?}"
        );
    }
    Ok(())
}

/// Killed while calls are open: they are made again under the same key.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_scheduler_calls_again_under_the_same_key() -> Result<()> {
    let (database, log) = (
        TestDatabase::create("killed-calls")?,
        TestLog::create(LogKind::Embedded, "killed-calls", 2)?,
    );
    let receiver = Receiver::start(|_| {
        std::thread::sleep(Duration::from_millis(5));
        200
    })?;
    let messages = products(1_500);
    log.send(&messages)?;
    let client = connect(&database.url()).await?;
    for round in 1..=4 {
        let (worker, port) = scheduler(&log, &database, &receiver)?;
        wait_until_it_answers(port)?;
        let wanted = round * 300;
        wait_until("calls are made", PATIENCE, || receiver.received().len() >= wanted).await?;
        worker.kill();
    }
    let (worker, _) = scheduler(&log, &database, &receiver)?;
    wait_for(&client, "SELECT coalesce(sum(records), 0) = 1500 FROM duto.batch", PATIENCE)
        .await
        .map_err(|error| error.context(worker.tail()))?;
    let delivered = delivered(&receiver.received());
    ensure!(
        delivered.keys().cloned().collect::<BTreeSet<_>>() == stored(&messages),
        "{} products were delivered",
        delivered.len()
    );
    ensure!(delivered.values().all(|keys| keys.len() == 1), "a product came under two keys");
    Ok(())
}
