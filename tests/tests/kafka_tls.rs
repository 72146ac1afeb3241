//! Every part that talks to Kafka, through TLS: by a password (SCRAM), and by a certificate of ours.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::shared::{TestDatabase, unique_name};
use duto_servers::{
    Kafka, KafkaSettings, ScramUser, ScratchFolder, TestAuthority, TlsListener, free_port,
};
use duto_tests::http::{request, wait_until_it_answers, wait_until_ready};
use duto_tests::log::{LogKind, TestLog, read_committed};
use duto_tests::pipeline::TestPipeline;
use duto_tests::verify::connect;
use duto_tests::worker::{Worker, command};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const USER: &str = "loader";
const PASSWORD: &str = "not-for-everybody";
const GENERATED: usize = 40;

/// Records come by HTTP, by `duto generate` and by hand, and each stored row goes out again.
const SECTIONS: &str = "
record: { id: { type: BIGINT, minimum: 0 } }
tables:
  things:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record
ingest:
  POST /things: { status: 202 }
  POST /things/stored: { stored: true }
publish:
  stored things: { from: things, topic: PUBLISHED, key: id, value: SELECT id FROM things }
";

/// A broker that nobody can talk to in clear text, but for its own use.
struct Ground {
    kafka: Kafka,
    folder: ScratchFolder,
}

impl Ground {
    fn start() -> Result<Ground> {
        let folder = ScratchFolder::create("secure-kafka")?;
        let authority = TestAuthority::create()?;
        let pem = authority.certificate()?;
        std::fs::write(folder.path().join("ca.pem"), &pem)?;
        authority.sign(USER)?.write(folder.path(), "own")?;
        let listener = |name| -> Result<TlsListener> {
            let certificate = authority.sign("localhost")?;
            Ok(TlsListener { name, certificate, clients_authority: None, mechanisms: Vec::new() })
        };
        let settings = KafkaSettings {
            tls_listeners: vec![
                TlsListener { mechanisms: vec!["SCRAM-SHA-512"], ..listener("LOGIN")? },
                TlsListener { clients_authority: Some(pem), ..listener("MUTUAL")? },
            ],
            scram_users: vec![ScramUser {
                mechanism: "SCRAM-SHA-512",
                name: USER.to_owned(),
                password: PASSWORD.to_owned(),
            }],
            ..KafkaSettings::default()
        };
        let kafka = Kafka::start_with(&folder.path().join("broker"), settings)?;
        Ok(Ground { kafka, folder })
    }

    fn by_password(&self, password: &str) -> Vec<(String, String)> {
        let mut settings = self.settings("SASL_SSL");
        settings.extend(
            [
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", USER),
                ("sasl.password", password),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        settings
    }

    fn by_certificate(&self) -> Vec<(String, String)> {
        let file = |name| self.folder.path().join(name).display().to_string();
        let mut settings = self.settings("SSL");
        settings.push(("ssl.certificate.location".to_owned(), file("own.crt")));
        settings.push(("ssl.key.location".to_owned(), file("own.key")));
        settings
    }

    fn settings(&self, protocol: &str) -> Vec<(String, String)> {
        let authority = self.folder.path().join("ca.pem").display().to_string();
        vec![
            ("security.protocol".to_owned(), protocol.to_owned()),
            ("ssl.ca.location".to_owned(), authority),
        ]
    }
}

/// The pipeline's file with these settings under `source.kafka`.
fn write_settings(file: &Path, settings: &[(String, String)]) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    let lines: String =
        settings.iter().map(|(name, value)| format!("    {name}: \"{value}\"\n")).collect();
    ensure!(text.contains("  kafka:\n"), "{text}");
    std::fs::write(file, text.replacen("  kafka:\n", &format!("  kafka:\n{lines}"), 1))?;
    Ok(())
}

async fn rows(database: &TestDatabase) -> Result<i64> {
    let client = connect(&database.url()).await?;
    let counted = client.query_one("SELECT count(*) FROM things", &[]).await;
    Ok(counted.map_or(0, |row| row.get(0)))
}

/// All parts once, by one way to the broker.
async fn all_parts(ground: &Ground, listener: &str, kafka: &[(String, String)]) -> Result<()> {
    let servers = format!("localhost:{}", ground.kafka.port_of(listener)?);
    let log = TestLog::create_with(LogKind::Kafka, "secure", 1, servers, kafka)?;
    let database = TestDatabase::create("secure")?;
    let published = unique_name("published");
    let sections = SECTIONS.replace("PUBLISHED", &published);
    let pipeline = TestPipeline::of_sections(&log, &database.url(), &sections)?;
    write_settings(&pipeline.file, kafka)?;
    let file = pipeline.file.display().to_string();

    // The source, the ingestion and what is published.
    let port = free_port()?;
    let worker = Worker::start(&pipeline, &["--listen", &format!("127.0.0.1:{port}")])?;
    wait_until_ready(port).with_context(|| worker.tail())?;
    let (status, body) = request(port, "POST", "/things", &json!({"id": -1}).to_string())?;
    ensure!(status == 422, "{status}: {body}");
    let (status, body) = request(
        port,
        "POST",
        "/things",
        &json!({"id": 9_000_000_000_000_000_001_i64}).to_string(),
    )?;
    ensure!(status == 202, "{status}: {body}\n{}", worker.tail());
    let stored = json!({"id": 9_000_000_000_000_000_002_i64}).to_string();
    let (status, body) = request(port, "POST", "/things/stored", &stored)?;
    ensure!(status == 201 || status == 200, "{status}: {body}\n{}", worker.tail());

    // The generator.
    let count = GENERATED.to_string();
    let (code, said, error) =
        command(&pipeline, &["generate", &file, "--count", &count, "--rate", "0", "--seed", "5"])?;
    ensure!(code == 0, "{said}{error}");

    // The topic browser: looking, and sending by hand.
    let browser_port = free_port()?;
    let browser = Worker::topics(&pipeline, browser_port)?;
    wait_until_it_answers(browser_port)?;
    let path = format!("/duto/topics/{}/messages", log.topic);
    let by_hand = json!({"payload": json!({"id": 9_000_000_000_000_000_003_i64}).to_string()});
    let (status, body) = request(browser_port, "POST", &path, &by_hand.to_string())?;
    ensure!(status < 300, "{status}: {body}\n{}", browser.tail());
    let (status, body) = request(browser_port, "GET", &path, "")?;
    ensure!(status == 200 && body.contains("9000000000000000003"), "{status}: {body}");

    let expected = i64::try_from(GENERATED)? + 3;
    let deadline = Instant::now() + PATIENCE;
    while rows(&database).await? < expected
        || read_committed(log.log(), &published)?.len() < usize::try_from(expected)?
    {
        ensure!(Instant::now() < deadline, "not all is there in time:\n{}", worker.tail());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ensure!(rows(&database).await? == expected, "more rows than records");
    ensure!(!worker.tail().contains(PASSWORD), "the password is told");
    ensure!(browser.stop(PATIENCE)?.success(), "the topic browser did not end cleanly");
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}

/// Each command says at once what is wrong, and does not wait for the broker's timeout.
fn wrong_password(ground: &Ground) -> Result<()> {
    let servers = format!("localhost:{}", ground.kafka.port_of("LOGIN")?);
    let right = ground.by_password(PASSWORD);
    let log = TestLog::create_with(LogKind::Kafka, "wrong-password", 1, servers, &right)?;
    let database = TestDatabase::create("wrong_password")?;
    let sections = SECTIONS.replace("PUBLISHED", "never");
    let pipeline = TestPipeline::of_sections(&log, &database.url(), &sections)?;
    write_settings(&pipeline.file, &ground.by_password("a-wrong-one"))?;
    let file = pipeline.file.display().to_string();
    let advice = "sasl.username or sasl.password is wrong";
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    for arguments in [
        vec!["run", &file, "--listen", &listen],
        vec!["run", &file, "--until-caught-up"],
        vec!["generate", &file, "--count", "1"],
    ] {
        let began = Instant::now();
        let (code, said, error) = command(&pipeline, &arguments)?;
        ensure!(code != 0, "{arguments:?} ended well: {said}");
        ensure!(error.contains(advice), "{arguments:?}: {said}{error}");
        ensure!(!error.contains("a-wrong-one"), "{arguments:?} tells the password: {error}");
        ensure!(began.elapsed() < Duration::from_secs(25), "{arguments:?}: {:?}", began.elapsed());
    }
    let browser_port = free_port()?;
    let browser = Worker::topics(&pipeline, browser_port)?;
    wait_until_it_answers(browser_port)?;
    let (status, body) = request(browser_port, "GET", "/duto/topics", "")?;
    ensure!(status == 503 && body.contains(advice), "{status}: {body}\n{}", browser.tail());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_talks_to_kafka_through_tls() -> Result<()> {
    let ground = Ground::start()?;
    let by_password = ground.by_password(PASSWORD);
    let by_certificate = ground.by_certificate();
    tokio::try_join!(
        all_parts(&ground, "LOGIN", &by_password),
        all_parts(&ground, "MUTUAL", &by_certificate),
    )?;
    tokio::task::block_in_place(|| wrong_password(&ground))
}
