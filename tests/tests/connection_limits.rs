//! `database.max_connections` is the most that are ever open, and limits of a role or a server are
//! waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::free_port;
use duto_servers::shared::unique_name;
use duto_tests::http::{EventStream, request, wait_until_ready};
use duto_tests::small::Small;
use duto_tests::verify::connect;
use duto_tests::wait::wait_for;
use duto_tests::worker::Worker;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(90);

/// Something for every part of a process that asks the database.
const EVERYTHING: &str = "
record: { id: BIGINT, kind: TEXT }
tables:
  things:
    columns: { id: BIGINT PRIMARY KEY, kind: TEXT NOT NULL }
    repeat: ignore
    select: SELECT id, kind FROM record
rollups:
  by_kind: { from: things, by: [kind], measures: { things: count(*), seen: count(distinct id) } }
views:
  kinds: SELECT count(*) AS kinds FROM by_kind
ingest:
  POST /things: { stored: true }
publish:
  thing: { from: things, topic: TOPIC, key: id, value: id }
endpoints:
  GET /api/kinds: { rows: \"SELECT kind, things FROM by_kind ORDER BY kind\" }
  GET /api/number: { row: \"SELECT kinds, clock_timestamp() AS at FROM kinds\" }
  GET /api/slow: { row: \"SELECT pg_sleep(0.2) IS NULL AS slept, clock_timestamp() AS at\" }
dashboard: { title: Things, panels: [{ kind: number, title: Kinds, from: /api/number, value: kinds }] }
";

fn thing(id: usize) -> String {
    format!(r#"{{"id": {id}, "kind": "{}"}}"#, id % 7)
}

/// Counts the backends of one process of the program until it is dropped.
struct Watch {
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(client: Client) -> Self {
        let (most, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (seen, stopped) = (most.clone(), stop.clone());
        tokio::spawn(async move {
            // Of one process: it stands at the end of the name.
            let count = r"SELECT coalesce(max(open), 0) FROM (SELECT count(*) AS open
                FROM pg_stat_activity WHERE datname = current_database()
                AND backend_type = 'client backend' AND application_name LIKE 'duto:%'
                GROUP BY substring(application_name FROM '\d+$')) AS processes";
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(row) = client.query_one(count, &[]).await {
                    seen.fetch_max(row.get::<_, i64>(0) as usize, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { most, stop }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Rows that were there before, records from the log and by HTTP, endpoints from several sides,
/// callers that go away, an open page, a kill and a start: all at once.
async fn stays_within(max_connections: usize, workers: usize) -> Result<()> {
    let sections = EVERYTHING.replace("TOPIC", &unique_name("things"))
        + &format!("batch: {{ workers: {workers}, max_records: 100 }}\n");
    let beforehand = "CREATE TABLE things (id BIGINT PRIMARY KEY, kind TEXT NOT NULL);
        INSERT INTO things SELECT -n, (n % 7)::text FROM generate_series(1, 20000) n";
    let small = Small::create("connections", &sections, beforehand).await?;
    let text = std::fs::read_to_string(&small.pipeline.file)?;
    let text = text.replacen(
        "retries: forever",
        &format!("retries: forever, max_connections: {max_connections}"),
        1,
    );
    std::fs::write(&small.pipeline.file, text)?;
    let watch = Watch::start(connect(&small.pipeline.database_url()).await?);
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let start = || Worker::start(&small.pipeline, &["--listen", &listen]);
    let mut worker = start()?;
    wait_until_ready(port)?;

    let ends = Instant::now() + Duration::from_secs(8);
    let (asked, answered) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let paths = ["/api/kinds", "/api/number", "/api/slow", "/health", "/metrics", "/api/number"];
    let mut callers: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let (asked, answered) = (asked.clone(), answered.clone());
            std::thread::spawn(move || {
                while Instant::now() < ends {
                    asked.fetch_add(1, Ordering::Relaxed);
                    match request(port, "GET", path, "") {
                        Ok((200, _)) => answered.fetch_add(1, Ordering::Relaxed),
                        _ => {
                            std::thread::sleep(Duration::from_millis(50));
                            0
                        }
                    };
                }
            })
        })
        .collect();
    // Callers that do not wait for their answer.
    callers.push(std::thread::spawn(move || {
        while Instant::now() < ends {
            if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
                let _ = std::io::Write::write_all(
                    &mut stream,
                    b"GET /api/slow HTTP/1.1\r\nHost: localhost\r\n\r\n",
                );
                std::thread::sleep(Duration::from_millis(30));
            }
        }
    }));
    let _page = EventStream::open(port, "/duto/live").ok();
    let mut sent = 0;
    while Instant::now() < ends {
        let records: Vec<String> = (sent..sent + 50).map(thing).collect();
        small.send(records.iter().map(String::as_str))?;
        sent += 50;
        if sent == 1_000 {
            worker.kill_and_wait();
            worker = start()?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    callers.into_iter().for_each(|caller| drop(caller.join()));
    let (status, body) = request(port, "POST", "/things", &thing(sent))?;
    ensure!(status < 300, "a stored record: {status} {body}");
    sent += 1;
    let all = format!("SELECT count(*) = {} FROM things", sent + 20_000);
    wait_for(&small.client, &all, PATIENCE).await.with_context(|| worker.tail())?;
    let counted = format!("SELECT sum(things) = {} FROM by_kind", sent + 20_000);
    wait_for(&small.client, &counted, PATIENCE).await.with_context(|| worker.tail())?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    let (asked, answered) = (asked.load(Ordering::Relaxed), answered.load(Ordering::Relaxed));
    println!(
        "{max_connections} connections: most {}, {answered} of {asked} answered, {sent} records",
        watch.most()
    );
    ensure!(answered * 2 > asked, "only {answered} of {asked} requests were answered");
    ensure!(
        (1..=max_connections).contains(&watch.most()),
        "{} connections were open, of {max_connections}",
        watch.most()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_connections_are_never_four() -> Result<()> {
    stays_within(3, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_connections_are_never_eleven() -> Result<()> {
    stays_within(10, 2).await
}

/// A role with two connections, whose process would open ten: it waits for its turn, says why, and
/// loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_roles_limit_is_told_and_waited_for() -> Result<()> {
    let sections = EVERYTHING.replace("TOPIC", &unique_name("things"));
    let small = Small::create("role_limit", &sections, "").await?;
    let role = unique_name("few").replace('-', "_");
    let make = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'w' CONNECTION LIMIT 3; GRANT ALL ON SCHEMA public TO {role};
         DO $$ BEGIN EXECUTE 'GRANT ALL ON DATABASE ' || current_database() || ' TO {role}'; END $$"
    );
    small.client.batch_execute(&make).await?;
    let url = small.pipeline.database_url();
    let (_, behind) = url.split_once('@').context("an address")?;
    let url = format!("postgresql://{role}:w@{behind}");
    let pipeline = small.pipeline.clone().with("DATABASE_URL", &url);
    // Somebody else has them all.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(connect(&url).await?);
    }
    let records: Vec<String> = (0..500).map(thing).collect();
    small.send(records.iter().map(String::as_str))?;
    let mut worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let said = "the role has all the connections that it may have (its CONNECTION LIMIT)";
    let deadline = Instant::now() + PATIENCE;
    while worker.said(said) == 0 {
        ensure!(worker.is_running() && Instant::now() < deadline, "{}", worker.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(others);
    wait_for(&small.client, "SELECT count(*) = 500 FROM things", PATIENCE)
        .await
        .with_context(|| worker.tail())?;
    wait_for(&small.client, "SELECT sum(things) = 500 FROM by_kind", PATIENCE).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "it did not end cleanly");
    Ok(())
}
