//! Encryption at rest: what duto keeps of the records beside the tables opens with its keys alone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_ground::seal::{Keyring, Keys, new_key, sealed_by};
use duto_log::{Log, OutgoingRecord};
use duto_servers::free_port;
use duto_tests::http::{request, request_with, wait_until_ready};
use duto_tests::log::read_committed;
use duto_tests::small::Small;
use duto_tests::wait::wait_for;
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each stage rejects a name of its own. The answer and the message are not what the table holds.
const SECTIONS: &str = r#"
record:
  id: BIGINT
  name: TEXT
  age: INTEGER
checks:
  is an adult: age >= 18
tables:
  people:
    columns: { id: BIGINT PRIMARY KEY, name: TEXT, born: INTEGER }
    repeat: ignore
    select: SELECT id, name, 2026 * 1000 / (age - 50) AS born FROM record
ingest:
  POST /people: { stored: true, answer: SELECT reverse(name) AS welcome }
publish:
  told:
    from: people
    topic: "${TOLD_TOPIC}"
    key: id
    value: SELECT upper(name) AS name
"#;
const BEFOREHAND: &str = "CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT,
    born INTEGER, CONSTRAINT is_known CHECK (name NOT LIKE '%nobody%'))";
const REJECTED: [&str; 4] = [
    r#"{"id": "zqvdecode", "name": "zqvundecoded", "age": 30}"#,
    r#"{"id": 2, "name": "zqvchecked", "age": 17}"#,
    r#"{"id": 3, "name": "zqvtransformed", "age": 50}"#,
    r#"{"id": 4, "name": "zqvloaded nobody", "age": 40}"#,
];
const STORED: &str = r#"{"id": 1, "name": "zqvstored", "age": 30}"#;

/// The same in other words: tests share the files of the server, and these are stored in the end.
fn other(record: &str) -> String {
    record.replace("zqv", "seen")
}

struct Sealed {
    small: Small,
    told: String,
    port: u16,
}

impl Sealed {
    /// `section` is the pipeline's `encryption`.
    async fn create(purpose: &str, section: &str) -> Result<Sealed> {
        let mut small =
            Small::create(purpose, &format!("{section}\n{SECTIONS}"), BEFOREHAND).await?;
        let told = format!("{}-told", small.log.topic);
        small.pipeline.environment.push(("TOLD_TOPIC".to_owned(), told.clone()));
        small.pipeline.environment.push(("DUTO_KEYS".to_owned(), String::new()));
        Ok(Sealed { small, told, port: free_port()? })
    }

    fn set_keys(&mut self, keys: &str) {
        self.small.pipeline = self.small.pipeline.clone().with("DUTO_KEYS", keys);
    }

    fn start(&self) -> Result<Worker> {
        Worker::start(&self.small.pipeline, &["--listen", &format!("127.0.0.1:{}", self.port)])
    }

    /// The log as a process with these keys has it.
    fn log(&self, keys: &str) -> Result<std::sync::Arc<dyn Log>> {
        let keyring = Keyring::given(Keys::parse(keys)?);
        Ok(duto_log::open_sealed(None, &[], &self.small.pipeline.log_folder, keyring.into())?)
    }

    /// Appends records that are sealed by the first of these keys.
    fn send(&self, keys: &str, records: &[&str]) -> Result<()> {
        let producer = self.log(keys)?.producer()?;
        for record in records {
            let record = OutgoingRecord {
                topic: &self.small.log.topic,
                partition: Some(0),
                key: Some(b"zqvkey"),
                payload: Some(record.as_bytes()),
                headers: &[("zqvheader", b"zqvvalue")],
            };
            producer.send(record, Box::new(drop))?;
        }
        Ok(producer.flush(PATIENCE)?)
    }

    /// What a person is answered who comes, or comes again.
    fn welcome(&self, key: &str, body: &str) -> Result<String> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        let answer = request_with(self.port, "POST", "/people", &headers, body)?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer.body)
    }

    async fn wait_for_rejects(&self, count: usize) -> Result<()> {
        let enough = format!("SELECT count(*) >= {count} FROM duto.reject");
        wait_for(&self.small.client, &enough, PATIENCE).await
    }
}

/// The files below a folder that hold one of these words, and how many files were looked at.
fn files_with(folder: &Path, words: &[&str]) -> Result<(Vec<String>, usize)> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // PostgreSQL removes files of its own meanwhile.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            looked_at += 1;
            let holds = |word: &&&str| memchr::memmem::find(&bytes, word.as_bytes()).is_some();
            found.extend(words.iter().filter(holds).map(|word| format!("{word}: {path:?}")));
        }
    }
    Ok((found, looked_at))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_reject_lies_in_clear_text() -> Result<()> {
    let mut sealed =
        Sealed::create("sealed", r#"encryption: { keys: "${DUTO_KEYS}", outbox: true }"#).await?;
    let key = new_key("one");
    sealed.set_keys(&key);
    let worker = sealed.start()?;
    wait_until_ready(sealed.port)?;
    ensure!(sealed.welcome("first", STORED)?.contains("derotsvqz"));
    sealed.send(&key, &REJECTED)?;
    sealed.wait_for_rejects(4).await?;
    let told = &sealed.told;
    let published = || read_committed(sealed.log(&key)?.as_ref(), told);
    while published()?.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(published()?.get(0).payload == Some(br#"{"name":"ZQVSTORED"}"#.as_slice()));
    worker.stop(PATIENCE)?;

    let small = &sealed.small;
    small.client.batch_execute("CHECKPOINT").await?;
    let data: String = small.client.query_one("SHOW data_directory", &[]).await?.get(0);
    let words = [
        "zqvdecode",
        "zqvundecoded",
        "zqvchecked",
        "zqvtransformed",
        "zqvloaded",
        "zqvkey",
        "zqvheader",
        "zqvvalue",
        "derotsvqz",
        "ZQVSTORED",
    ];
    for folder in [Path::new(&data), &small.pipeline.log_folder] {
        let (found, looked_at) = files_with(folder, &words)?;
        ensure!(found.is_empty(), "{found:?}");
        ensure!(looked_at > 1, "{} files in {folder:?}", looked_at);
    }
    let (found, _) = files_with(Path::new(&data), &["zqvstored"])?;
    ensure!(!found.is_empty(), "the table's own row is not found, so nothing would be");

    let reasons = "SELECT stage, reason, sealed_reason IS NULL FROM duto.reject ORDER BY id";
    small
        .expect(
            reasons,
            &[
                "decode id: type (sealed) f",
                "check the record: is an adult (sealed) f",
                "transform born: expression (sealed) f",
                "load the record: is_known (sealed) f",
            ],
        )
        .await?;
    let listed = sealed.duto(&["rejects", "ls"])?;
    ensure!(listed.contains("zqvdecode") && !listed.contains("(sealed)"), "{listed}");
    let shown = sealed.small.command_with(&["rejects", "show"], &["4"])?;
    ensure!(shown.1.contains("zqvloaded nobody") && shown.1.contains("zqvkey"), "{shown:?}");

    sealed.set_keys(&new_key("one"));
    let (code, _, error) = sealed.small.command_with(&["rejects", "show"], &["4"])?;
    ensure!(code == 1 && error.contains("the key one does not open it"), "{code}: {error}");
    sealed.set_keys("one:short");
    let (code, _, error) = sealed.small.command_with(&["check"], &[])?;
    ensure!(code != 0 && error.contains("key 1 is not ID:KEY"), "{code}: {error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_reads_old_and_new() -> Result<()> {
    let mut sealed =
        Sealed::create("rotated", r#"encryption: { keys: "${DUTO_KEYS}", outbox: true }"#).await?;
    let (old, new) = (new_key("old"), new_key("new"));
    sealed.set_keys(&old);
    let worker = sealed.start()?;
    wait_until_ready(sealed.port)?;
    let stored = &other(STORED);
    let welcome = sealed.welcome("first", stored)?;
    let rejected: Vec<String> = REJECTED[1..].iter().map(|record| other(record)).collect();
    sealed.send(&old, &rejected.iter().map(String::as_str).collect::<Vec<_>>())?;
    sealed.wait_for_rejects(3).await?;
    worker.stop(PATIENCE)?;

    sealed.set_keys(&format!("{new},{old}"));
    let worker = sealed.start()?;
    wait_until_ready(sealed.port)?;
    ensure!(sealed.welcome("first", stored)? == welcome, "another answer for the same key");
    sealed.send(&new, &[r#"{"id": 5, "name": "nobody else", "age": 20}"#])?;
    sealed.wait_for_rejects(4).await?;
    worker.stop(PATIENCE)?;
    let status = sealed.duto(&["encryption", "status"])?;
    ensure!(status.starts_with("new seals; it and old open\n"), "{status}");
    for line in ["rejects  new  1", "rejects  old  3", "answers  old  1"] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(status.lines().any(|one| words(one) == words(line)), "{line}: {status}");
    }

    // Without the old key nothing of it is opened, and nothing is lost.
    sealed.set_keys(&new);
    let (code, _, error) = sealed.small.command_with(&["encryption", "status"], &[])?;
    ensure!(code == 1 && error.contains("sealed by the key old"), "{code}: {error}");
    let unbound = "ALTER TABLE people DROP CONSTRAINT is_known";
    sealed.small.client.batch_execute(unbound).await?;
    let (code, said, error) = sealed.small.command(&["rejects", "replay"])?;
    ensure!(code != 0 && error.contains("add it behind the first one"), "{code}: {said}{error}");
    let open = "SELECT count(*) FROM duto.reject WHERE status = 'open'";
    sealed.small.expect(open, &["4"]).await?;

    sealed.set_keys(&format!("{new},{old}"));
    sealed.small.duto(&["rejects", "replay"])?;
    sealed.small.expect(open, &["2"]).await?;
    sealed.small.expect("SELECT id FROM people ORDER BY id", &["1", "4", "5"]).await
}

/// The log holds records of a key that this process lacks: they wait, and are no rejects.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_an_unknown_key_wait_for_it() -> Result<()> {
    let sealed = Sealed::create("waiting", r#"encryption: { key_file: "${DUTO_KEYS}" }"#).await;
    let mut sealed = sealed?;
    let (old, new) = (new_key("old"), new_key("new"));
    let file = sealed.small.log.folder.path().join("keys");
    sealed.set_keys(file.to_str().context("a path of UTF-8")?);
    let (code, _, error) = sealed.small.command(&["run", "--until-caught-up"])?;
    ensure!(code == 1 && error.contains("the keys in /"), "{code}: {error}");

    std::fs::write(&file, &new)?;
    let second = r#"{"id": 7, "name": "of the other key", "age": 20}"#;
    sealed.send(&new, &[&other(STORED)])?;
    sealed.send(&old, &[second])?;
    let worker = sealed.start()?;
    wait_for(&sealed.small.client, "SELECT count(*) = 1 FROM people", PATIENCE).await?;
    let mut health = String::new();
    for _ in 0..200 {
        let (status, body) = request(sealed.port, "GET", "/health", "")?;
        health = format!("{status} {body}");
        if status == 500 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = "is sealed by the key old, which is not among the keys given (new)";
    ensure!(health.starts_with("500") && health.contains(told), "{health}");
    ensure!(worker.said("the log cannot be read on") == 1, "{}", worker.tail());

    std::fs::write(&file, format!("{new}\n{old}\n"))?;
    wait_for(&sealed.small.client, "SELECT count(*) = 2 FROM people", PATIENCE).await?;
    let (status, body) = request(sealed.port, "GET", "/health", "")?;
    ensure!(status == 200, "{body}");
    worker.stop(PATIENCE)?;
    sealed.small.expect("SELECT count(*) FROM duto.reject", &["0"]).await?;
    let kept = rusqlite::Connection::open(sealed.small.pipeline.log_folder.join("log.db"))?;
    let kept: Vec<u8> =
        kept.query_row("SELECT payload FROM record LIMIT 1", [], |row| row.get(0))?;
    ensure!(sealed_by(&kept) == Some("new"));
    Ok(())
}

impl Sealed {
    /// The standard output of one that must end well.
    fn duto(&self, name: &[&str]) -> Result<String> {
        let (code, said, error) = self.small.command_with(name, &[])?;
        ensure!(code == 0, "{name:?} ended with {code}: {said}{error}");
        Ok(said)
    }
}
