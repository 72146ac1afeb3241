//! The embedded log's backup, and the database's: each older than the other, and what becomes of
//! both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_log::{OutgoingRecord, Producer};
use duto_tests::own_servers::postgres_program;
use duto_tests::pipeline::TestPipeline;
use duto_tests::small::Small;
use duto_tests::verify::connect;
use duto_tests::wait::wait_for;
use duto_tests::worker::{Worker, command};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(90);

/// Every row is kept, so that what comes twice is seen; and what is not a number is a reject.
const APPENDED: &str = "
record: { id: BIGINT }
tables:
  things:
    columns: { number: BIGSERIAL PRIMARY KEY, id: BIGINT NOT NULL }
    repeat: append
    select: SELECT id FROM record
rollups:
  counted: { from: things, by: { kind: id % 3 }, measures: { things: count(*), total: sum(id) } }
batch: { max_records: 50 }
";
/// One record of so many is refused.
const REFUSED_OF: i64 = 10;

/// Sends numbers from `next` on until it is told to stop, and counts what was acknowledged.
struct Numbers {
    folder: PathBuf,
    topic: String,
    next: Arc<AtomicI64>,
}

impl Numbers {
    fn of(small: &Small, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), topic: small.log.topic.clone(), next: Arc::default() }
    }

    /// The same numbers go on in another folder.
    fn in_folder(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), topic: self.topic.clone(), next: self.next.clone() }
    }

    fn sent(&self) -> i64 {
        self.next.load(Ordering::Relaxed)
    }

    fn send(&self, count: i64) -> Result<()> {
        let log = duto_log::open(None, &[], &self.folder)?;
        self.send_by(log.producer()?.as_ref(), count)
    }

    fn send_by(&self, producer: &dyn Producer, count: i64) -> Result<()> {
        let from = self.sent();
        for id in from..from + count {
            let payload = match id % REFUSED_OF {
                0 => format!(r#"{{"id": "number {id}"}}"#),
                _ => format!(r#"{{"id": {id}}}"#),
            };
            let record = OutgoingRecord {
                topic: &self.topic,
                partition: None,
                key: None,
                payload: Some(payload.as_bytes()),
                headers: &[],
            };
            producer.send(record, Box::new(|sent| assert!(sent.is_ok(), "{sent:?}")))?;
        }
        producer.flush(PATIENCE)?;
        self.next.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Sends in the background.
    fn stream(&self) -> Stream {
        let (numbers, stop) = (self.in_folder(&self.folder), Arc::<AtomicBool>::default());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || -> Result<()> {
            let log = duto_log::open(None, &[], &numbers.folder)?;
            let producer = log.producer()?;
            while !stopped.load(Ordering::Relaxed) {
                numbers.send_by(producer.as_ref(), 20)?;
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        Stream { thread, stop }
    }
}

struct Stream {
    thread: std::thread::JoinHandle<Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Stream {
    fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    }
}

/// Takes a backup of the log by the command.
fn back_up(pipeline: &TestPipeline, folder: &Path, into: &Path) -> Result<String> {
    let (folder, into) = (folder.display().to_string(), into.display().to_string());
    let (code, said, error) =
        command(pipeline, &["log", "backup", &into, "--log-folder", &folder])?;
    ensure!(code == 0, "{said}{error}");
    Ok(said)
}

fn restore(pipeline: &TestPipeline, from: &Path, folder: &Path) -> Result<(i32, String)> {
    let (from, folder) = (from.display().to_string(), folder.display().to_string());
    let (code, said, error) =
        command(pipeline, &["log", "restore", &from, "--log-folder", &folder])?;
    Ok((code, said + &error))
}

fn dump(url: &str, into: &Path) -> Result<()> {
    let mut pg_dump = Command::new(postgres_program("pg_dump")?);
    let output =
        pg_dump.args(["--clean", "--if-exists", "--no-owner", "-f"]).arg(into).arg(url).output()?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn load_dump(url: &str, from: &Path) -> Result<()> {
    let mut psql = Command::new(postgres_program("psql")?);
    let output =
        psql.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"]).arg(from).arg(url).output()?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Every number below `sent` is a row or a reject, once.
async fn holds_each_once(client: &Client, sent: i64) -> Result<()> {
    let all = "SELECT (SELECT count(*) FROM things) + (SELECT count(*) FROM duto.reject)";
    let row = client.query_one(all, &[]).await?;
    ensure!(row.get::<_, i64>(0) == sent, "{} of {sent}", row.get::<_, i64>(0));
    let missing = format!(
        "SELECT count(*) FROM generate_series(0, {sent} - 1) n WHERE n % {REFUSED_OF} <> 0
         AND (SELECT count(*) FROM things WHERE id = n) <> 1"
    );
    let missing: i64 = client.query_one(&missing, &[]).await?.get(0);
    ensure!(missing == 0, "{missing} numbers are missing or there twice");
    let counted = "SELECT (SELECT sum(things) FROM counted) = (SELECT count(*) FROM things)
        AND (SELECT sum(total) FROM counted) = (SELECT sum(id) FROM things)";
    ensure!(client.query_one(counted, &[]).await?.get::<_, bool>(0), "the rollup is wrong");
    let gaps =
        "SELECT count(*) FROM (SELECT from_offset, lag(to_offset) OVER (PARTITION BY partition
        ORDER BY id) AS before FROM duto.batch WHERE kind = 'load') b WHERE before <> from_offset";
    let gaps: i64 = client.query_one(gaps, &[]).await?.get(0);
    ensure!(gaps == 0, "{gaps} ranges of the ledger do not follow the one before");
    Ok(())
}

async fn wait_for_all(client: &Client, worker: &Worker, sent: i64) -> Result<()> {
    let all = format!(
        "SELECT (SELECT count(*) FROM things) + (SELECT count(*) FROM duto.reject) >= {sent}"
    );
    wait_for(client, &all, PATIENCE).await.with_context(|| worker.tail())
}

/// Where a log is restored to.
fn elsewhere(pipeline: &TestPipeline, folder: &Path) -> TestPipeline {
    TestPipeline { log_folder: folder.to_owned(), ..pipeline.clone() }
}

/// The copy is taken in the middle of sends and loads. Then the log's disk is lost: what was stored
/// since the copy is stored, and what is sent from then on is stored once.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_older_than_the_database_goes_on() -> Result<()> {
    let small = Small::create("log_backup", APPENDED, "").await?;
    let numbers = Numbers::of(&small, &small.pipeline.log_folder);
    let copies = small.log.folder.path().to_owned();
    let stream = numbers.stream();
    let worker = Worker::start(&small.pipeline, &["--only", "worker"])?;
    wait_for(&small.client, "SELECT count(*) > 500 FROM things", PATIENCE).await?;
    let copy = copies.join("copy.db");
    let said = back_up(&small.pipeline, &small.pipeline.log_folder, &copy)?;
    ensure!(said.contains(" records, "), "{said}");
    wait_for(&small.client, "SELECT count(*) > 2000 FROM things", PATIENCE).await?;
    stream.finish()?;
    wait_for_all(&small.client, &worker, numbers.sent()).await?;
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");

    let (code, said) = restore(&small.pipeline, &copy, &small.pipeline.log_folder)?;
    ensure!(code != 0 && said.contains("is a log already"), "over a log: {code} {said}");
    let folder = copies.join("restored");
    let (code, said) = restore(&small.pipeline, &copy, &folder)?;
    ensure!(code == 0, "{said}");
    let restored = elsewhere(&small.pipeline, &folder);
    // Nothing is new: the position goes beyond what was left out, and nothing is halted.
    let mut caught_up = Worker::start(&restored, &["--until-caught-up"])?;
    ensure!(caught_up.wait(PATIENCE)?.success(), "{}", caught_up.tail());
    ensure!(caught_up.said("goes on from a backup") == 1, "{}", caught_up.tail());
    holds_each_once(&small.client, numbers.sent()).await?;
    let numbers = numbers.in_folder(&folder);
    let worker = Worker::start(&restored, &["--only", "worker"])?;
    for _ in 0..5 {
        numbers.send(200)?;
    }
    wait_for_all(&small.client, &worker, numbers.sent()).await?;
    ensure!(worker.said("halted") == 0, "{}", worker.tail());
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    holds_each_once(&small.client, numbers.sent()).await?;

    // A second time, of the log that went on; and its first records before its first reader.
    let second = copies.join("second.db");
    back_up(&restored, &folder, &second)?;
    let folder = copies.join("again");
    let (code, said) = restore(&restored, &second, &folder)?;
    ensure!(code == 0, "{said}");
    let numbers = numbers.in_folder(&folder);
    numbers.send(100)?;
    let mut caught_up = Worker::start(&elsewhere(&restored, &folder), &["--until-caught-up"])?;
    ensure!(caught_up.wait(PATIENCE)?.success(), "{}", caught_up.tail());
    holds_each_once(&small.client, numbers.sent()).await
}

/// Both are restored, the database from an older moment: it catches up from the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_older_than_the_log_catches_up() -> Result<()> {
    let small = Small::create("log_backup_newer", APPENDED, "").await?;
    let numbers = Numbers::of(&small, &small.pipeline.log_folder);
    let copies = small.log.folder.path().to_owned();
    let stream = numbers.stream();
    let worker = Worker::start(&small.pipeline, &["--only", "worker"])?;
    wait_for(&small.client, "SELECT count(*) > 500 FROM things", PATIENCE).await?;
    let (sql, copy) = (copies.join("database.sql"), copies.join("copy.db"));
    dump(&small.pipeline.database_url(), &sql)?;
    wait_for(&small.client, "SELECT count(*) > 1500 FROM things", PATIENCE).await?;
    stream.finish()?;
    let sent = numbers.sent();
    back_up(&small.pipeline, &small.pipeline.log_folder, &copy)?;
    drop(worker);

    load_dump(&small.pipeline.database_url(), &sql)?;
    let client = connect(&small.pipeline.database_url()).await?;
    let before: i64 = client.query_one("SELECT count(*) FROM things", &[]).await?.get(0);
    ensure!(before < sent * 9 / 10, "the database's backup is not older");
    let folder = copies.join("restored");
    let (code, said) = restore(&small.pipeline, &copy, &folder)?;
    ensure!(code == 0, "{said}");
    let numbers = numbers.in_folder(&folder);
    numbers.send(300)?;
    let mut caught_up =
        Worker::start(&elsewhere(&small.pipeline, &folder), &["--until-caught-up"])?;
    ensure!(caught_up.wait(PATIENCE)?.success(), "{}", caught_up.tail());
    holds_each_once(&client, sent + 300).await
}

/// What is no backup is not taken for one, and nothing is written over.
#[tokio::test(flavor = "multi_thread")]
async fn only_backups_are_restored_and_nothing_is_written_over() -> Result<()> {
    let small = Small::create("log_backup_refused", APPENDED, "").await?;
    let numbers = Numbers::of(&small, &small.pipeline.log_folder);
    numbers.send(10)?;
    let folder = small.log.folder.path();
    let copy = folder.join("copy.db");
    back_up(&small.pipeline, &small.pipeline.log_folder, &copy)?;
    let again = [
        "log",
        "backup",
        &copy.display().to_string(),
        "--log-folder",
        &small.pipeline.log_folder.display().to_string(),
    ];
    let (code, _, error) = command(&small.pipeline, &again)?;
    ensure!(code != 0 && error.contains("is there already"), "{error}");
    let raw = folder.join("raw.db");
    std::fs::copy(small.pipeline.log_folder.join("log.db"), &raw)?;
    let (code, said) = restore(&small.pipeline, &raw, &folder.join("from_raw"))?;
    ensure!(code != 0 && said.contains("no backup"), "{code} {said}");
    let nowhere = folder.join("nowhere");
    let none = ["log", "backup", "x.db", "--log-folder", &nowhere.display().to_string()];
    let (code, _, error) = command(&small.pipeline, &none)?;
    ensure!(code != 0 && error.contains("no such log"), "{error}");
    ensure!(!nowhere.exists(), "a backup made a log");
    Ok(())
}
