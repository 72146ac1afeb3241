//! The proxy between a real client and a real PostgreSQL, fault by fault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use duto_servers::shared::TestDatabase;
use duto_servers::{Action, Direction, Point, Protocol, Proxy, ProxyHandle, Trap};
use futures_util::SinkExt;
use tokio_postgres::{Client, NoTls};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

struct Bench {
    database: TestDatabase,
    proxy: Proxy,
    handle: ProxyHandle,
}

impl Bench {
    async fn start(purpose: &str) -> Bench {
        let database = TestDatabase::create(purpose).unwrap();
        let config: tokio_postgres::Config = database.url().parse().unwrap();
        let proxy =
            Proxy::start(([127, 0, 0, 1], config.get_ports()[0]).into(), Protocol::Postgres)
                .unwrap();
        let handle = proxy.handle();
        let bench = Bench { database, proxy, handle };
        bench.straight().await.batch_execute("CREATE TABLE kept (id int)").await.unwrap();
        bench
    }

    async fn straight(&self) -> Client {
        connect(&self.database.url()).await.unwrap()
    }

    async fn through(&self) -> Result<Client, tokio_postgres::Error> {
        let url = self.database.url();
        let (before, after) = url.rsplit_once(':').unwrap();
        connect(&format!("{before}:{}/{}", self.proxy.port(), after.split_once('/').unwrap().1))
            .await
    }

    async fn kept_rows(&self) -> i64 {
        self.straight().await.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0)
    }

    fn trap(&self, at: Point, action: Action, times: u32) {
        self.handle.set_trap(Trap { at, action, times });
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

const INSERT: &str = "BEGIN; INSERT INTO kept VALUES (1)";

#[tokio::test]
async fn a_trap_at_the_commit_and_one_at_its_answer_differ_in_what_is_stored() {
    let bench = Bench::start("commit").await;
    for (point, query, rows_after) in [
        (Point::CommitRequest, "COMMIT", 0),
        (Point::CommitAnswer, "COMMIT", 1),
        (Point::CommitRequest, "SELECT 1; COMMIT", 1),
        (Point::CommitAnswer, "SELECT 1; COMMIT", 2),
    ] {
        bench.trap(point.clone(), Action::Reset, 1);
        let client = bench.through().await.unwrap();
        client.batch_execute(INSERT).await.unwrap();
        assert!(client.batch_execute(query).await.is_err(), "{point:?} {query}");
        // The backend notices the reset in its own time.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.kept_rows().await, rows_after, "{point:?} {query}");
    }
    let client = bench.through().await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
    client.batch_execute("COMMIT").await.expect("every trap has sprung");
    let counters = bench.handle.counters();
    assert_eq!(
        (counters.sprung_traps, counters.reset_connections, counters.accepted_connections),
        (4, 4, 5)
    );
}

#[tokio::test]
async fn traps_work_in_single_bytes_too() {
    let bench = Bench::start("bytes").await;
    bench.handle.slice(Some(1));
    bench.trap(Point::CommitAnswer, Action::Reset, 1);
    let client = bench.through().await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
    assert!(client.batch_execute("COMMIT").await.is_err());
    assert_eq!(bench.kept_rows().await, 1);
    let text: String = bench
        .through()
        .await
        .unwrap()
        .query_one("SELECT repeat('x', 20000)", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(text.len(), 20_000);
}

#[tokio::test]
async fn a_trap_at_an_execution_and_one_at_its_answer_differ_in_what_is_stored() {
    let bench = Bench::start("execution").await;
    let part = || "into KEPT".to_owned();
    for (point, rows_after) in [(Point::Execution(part()), 0), (Point::ExecutionAnswer(part()), 1)]
    {
        let client = bench.through().await.unwrap();
        let insert = client.prepare("INSERT INTO kept VALUES (1)").await.unwrap();
        bench.trap(point.clone(), Action::Reset, 1);
        let other = client.prepare("SELECT count(*) FROM kept").await.unwrap();
        client.query_one(&other, &[]).await.expect("another statement passes");
        assert!(client.execute(&insert, &[]).await.is_err(), "{point:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.kept_rows().await, rows_after, "{point:?}");
    }
}

#[tokio::test]
async fn a_held_commit_goes_on_when_it_is_released() {
    let bench = Bench::start("hold").await;
    bench.trap(Point::CommitRequest, Action::Hold, 1);
    let client = bench.through().await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
    let mut commit = Box::pin(client.batch_execute("COMMIT"));
    assert!(tokio::time::timeout(SHORT, &mut commit).await.is_err(), "it was not held");
    assert!(bench.handle.wait_until_sprung(1, LONG));
    assert_eq!(bench.kept_rows().await, 0);
    bench.handle.release();
    tokio::time::timeout(LONG, commit).await.expect("released").unwrap();
    assert_eq!(bench.kept_rows().await, 1);
}

#[tokio::test]
async fn a_copy_is_cut_in_its_middle() {
    let bench = Bench::start("copy").await;
    bench.trap(Point::CopyData { after_bytes: 100_000 }, Action::Reset, 1);
    let client = bench.through().await.unwrap();
    assert!(copy_rows(&client, 200_000).await.is_err(), "400 kB went through");
    assert_eq!(bench.handle.counters().sprung_traps, 1);
    let sent_bytes = bench.handle.counters().to_server_bytes;
    assert!((50_000..150_000).contains(&sent_bytes), "{sent_bytes} bytes were sent");
    assert_eq!(bench.kept_rows().await, 0);
    let client = bench.through().await.unwrap();
    assert_eq!(copy_rows(&client, 200_000).await.unwrap(), 200_000);
}

async fn copy_rows(client: &Client, rows: usize) -> Result<u64, tokio_postgres::Error> {
    let mut sink = Box::pin(client.copy_in::<_, Cursor<Vec<u8>>>("COPY kept FROM STDIN").await?);
    for _ in 0..rows / 1_000 {
        sink.send(Cursor::new(b"7\n".repeat(1_000))).await?;
    }
    sink.as_mut().finish().await
}

#[tokio::test]
async fn one_way_silence_withholds_the_answer_not_the_work() {
    let bench = Bench::start("silence").await;
    let client = bench.through().await.unwrap();
    for (direction, rows_while_silent, rows_after) in
        [(Direction::ToClient, 1, 1), (Direction::ToServer, 1, 2)]
    {
        bench.handle.silence(direction, true);
        let mut insert = Box::pin(client.batch_execute("INSERT INTO kept VALUES (1)"));
        assert!(
            tokio::time::timeout(SHORT, &mut insert).await.is_err(),
            "{direction:?} is not silent"
        );
        assert_eq!(bench.kept_rows().await, rows_while_silent, "{direction:?}");
        bench.handle.silence(direction, false);
        tokio::time::timeout(LONG, insert).await.expect("no longer silent").unwrap();
        assert_eq!(bench.kept_rows().await, rows_after, "{direction:?}");
    }
}

#[tokio::test]
async fn the_server_does_not_learn_of_a_death_behind_a_silence() {
    let bench = Bench::start("death").await;
    let client = bench.through().await.unwrap();
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    bench.handle.silence(Direction::ToServer, true);
    drop(client);
    tokio::time::sleep(SHORT).await;
    let is_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
    let straight = bench.straight().await;
    assert_eq!(straight.query_one(is_there, &[&backend]).await.unwrap().get::<_, i64>(0), 1);
    bench.handle.pass();
    let deadline = Instant::now() + LONG;
    while straight.query_one(is_there, &[&backend]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "the end was never delivered");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn resets_delays_and_refusals() {
    let bench = Bench::start("others").await;
    let client = bench.through().await.unwrap();
    bench.handle.delay(Duration::from_millis(100));
    let began = Instant::now();
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "there and back: {:?}", began.elapsed());
    bench.handle.pass();
    let began = Instant::now();
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());

    bench.handle.refuse(true);
    assert!(bench.through().await.is_err());
    client.batch_execute("SELECT 1").await.expect("those that are open stay");
    bench.handle.refuse(false);
    bench.through().await.unwrap().batch_execute("SELECT 1").await.unwrap();

    bench.handle.reset_all();
    assert!(client.batch_execute("SELECT 1").await.is_err());
    bench
        .through()
        .await
        .unwrap()
        .batch_execute("SELECT 1")
        .await
        .expect("only those that were open");
    let counters = bench.handle.counters();
    assert_eq!((counters.refused_connections, counters.accepted_connections), (1, 3));
}

#[tokio::test]
async fn a_statement_by_its_text() {
    let bench = Bench::start("statement").await;
    bench.trap(Point::Statement("insert into KEPT".into()), Action::Reset, 2);
    for _ in 0..2 {
        let client = bench.through().await.unwrap();
        client.query("SELECT 1", &[]).await.unwrap();
        assert!(client.execute("INSERT INTO kept VALUES ($1)", &[&1]).await.is_err());
    }
    bench.through().await.unwrap().execute("INSERT INTO kept VALUES ($1)", &[&1]).await.unwrap();
    assert_eq!(bench.kept_rows().await, 1);
}

#[test]
fn opaque_bytes_and_half_closes_pass() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap(), Protocol::Opaque).unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    client.write_all(&sent).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == sent, "{} bytes came back", received.len());
    echo.join().unwrap();
    let counters = proxy.handle().counters();
    assert_eq!(
        (counters.to_server_bytes, counters.to_client_bytes, counters.reset_connections),
        (3_000_000, 3_000_000, 0)
    );
}

#[test]
fn a_proxy_without_a_target_resets() {
    let target = ([127, 0, 0, 1], duto_servers::free_port().unwrap()).into();
    let proxy = Proxy::start(target, Protocol::Opaque).unwrap();
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    assert!(client.read(&mut [0; 1]).is_err(), "a reset, not an orderly end");
}
