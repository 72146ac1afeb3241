//! From the outbox into a topic: relays killed and stopped, a restored backup, rows that are
//! pruned, messages that the log refuses.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_log::Log;
use duto_runtime::publish::mark::Mark;
use duto_runtime::publish::outbox::{self, Position};
use duto_runtime::publish::relay::{self, Surroundings, journal_name};
use duto_runtime::publish::relays::Relays;
use duto_runtime::publish::signal::Signal;
use duto_servers::shared::{self, TestDatabase};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::published::{Outbox, Published, read_all, surroundings};
use duto_tests::verify::connect;
use duto_tests::wait::{wait_for, wait_until};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A position's outbox with all around it.
struct Stage {
    log: TestLog,
    /// The log as a relay in this process has it.
    relay_log: Arc<dyn Log>,
    database: TestDatabase,
    pipeline: TestPipeline,
    client: Client,
    outbox: Outbox,
}

impl Stage {
    async fn set(kind: LogKind) -> Result<Stage> {
        let log = TestLog::create(kind, "relay", 3)?;
        let database = TestDatabase::create("relay")?;
        let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
        let relay_log = duto_log::open(Some(&log.bootstrap_servers), &[], &log.log_folder())?;
        let client = connect(&database.url()).await?;
        let position =
            Position { pipeline: "sales".to_owned(), topic: log.topic.clone(), partition: 1 };
        let outbox = Outbox { position, target: shared::unique_name("published"), next: 0 };
        let stage = Stage { log, relay_log, database, pipeline, client, outbox };
        stage.surroundings(DAY).await?;
        Ok(stage)
    }

    async fn surroundings(&self, keep_sent: Duration) -> Result<Surroundings> {
        surroundings(&self.pipeline, self.relay_log.clone(), keep_sent).await
    }

    async fn write(&mut self, count: u64) -> Result<()> {
        self.outbox.write(&mut self.client, count).await
    }

    /// A relay in this process.
    async fn start(&self, keep_sent: Duration) -> Result<Running> {
        let surroundings = self.surroundings(keep_sent).await?;
        let (signal, position) = (Arc::<Signal>::default(), self.outbox.position.clone());
        let thread = std::thread::spawn({
            let (surroundings, signal) = (surroundings.clone(), signal.clone());
            move || relay::run(surroundings, position, &signal)
        });
        Ok(Running { surroundings, signal, thread })
    }

    /// Runs a relay until nothing is left to send.
    async fn drain(&self) -> Result<()> {
        let relay = self.start(DAY).await?;
        relay.wait_until_drained().await?;
        relay.stop();
        Ok(())
    }

    fn published(&self) -> Result<Vec<Published>> {
        read_all(self.log.log(), &self.outbox.target)
    }

    /// Everything that was ever written, once each, in its order, as it was written.
    fn ensure_each_once(&self) -> Result<()> {
        let published = self.published()?;
        let numbers: Vec<u64> = published.iter().map(Published::number).collect::<Result<_>>()?;
        let expected: Vec<u64> = (0..self.outbox.next).collect();
        let first_wrong =
            numbers.iter().zip(&expected).position(|(found, expected)| found != expected);
        ensure!(
            numbers == expected,
            "{} messages of {}, wrong from {first_wrong:?} on",
            numbers.len(),
            expected.len()
        );
        for message in &published {
            let number = message.number()?;
            ensure!(
                message.message_id == self.outbox.message_id(number),
                "{number} has another id"
            );
            ensure!(
                message.partition == 1 && message.key.is_none(),
                "{number} went to {}",
                message.partition
            );
            ensure!(
                message.headers.len() == usize::from(number % 3 == 0),
                "{number}: {:?}",
                message.headers
            );
        }
        Ok(())
    }

    async fn sent(&self) -> Result<Option<Mark>> {
        let surroundings = self.surroundings(DAY).await?;
        let on = surroundings.pool.get().await?;
        let id = outbox::database_id(&on).await?;
        let note =
            self.relay_log.journal_note(&journal_name(id, &self.outbox.position), PATIENCE)?;
        Ok(note.as_deref().and_then(Mark::from_note))
    }

    /// A relay as a process of its own.
    fn start_process(&self) -> Result<Process> {
        let role = [
            &self.pipeline.file.display().to_string(),
            &self.database.url(),
            &self.log.bootstrap_servers,
            &self.log.topic,
        ];
        let role = role.map(String::as_str).join("\n")
            + "\n"
            + &self.log.log_folder().display().to_string();
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "relay::a_relay_as_a_process", "--nocapture", "--test-threads", "1"])
            .env(ROLE, role)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Process(child))
    }
}

struct Running {
    surroundings: Surroundings,
    signal: Arc<Signal>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    async fn wait_until_drained(&self) -> Result<()> {
        self.signal.ring();
        wait_until("the outbox is drained", PATIENCE, || self.signal.is_drained())
            .await
            .with_context(|| {
                format!("{:?}", self.surroundings.progress.condition().publish_trouble)
            })
    }

    fn stop(self) {
        self.signal.stop();
        let _ = self.thread.join();
    }
}

struct Process(Child);

impl Process {
    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for, so its id is still its own.
        unsafe { libc::kill(self.0.id() as i32, signal) };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names the file, the database, the log and the topic for [`a_relay_as_a_process`] when it runs as
/// a process of its own.
const ROLE: &str = "DUTO_TEST_RELAY";

/// As a process of its own it relays until it is killed; else there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_as_a_process() -> Result<()> {
    let Ok(role) = std::env::var(ROLE) else { return Ok(()) };
    let [file, database, servers, topic, folder] = role.split('\n').collect::<Vec<_>>()[..] else {
        anyhow::bail!("{role:?}")
    };
    let environment = [
        ("DATABASE_URL", database),
        ("BATCH_SIZE", "100"),
        ("WORKERS", "1"),
        ("DB_RETRIES", "forever"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let pipeline = TestPipeline { file: file.into(), environment, log_folder: folder.into() };
    let log = duto_log::open(Some(servers), &[], folder.as_ref())?;
    let surroundings = surroundings(&pipeline, log, DAY).await?;
    let position = Position { pipeline: "sales".to_owned(), topic: topic.to_owned(), partition: 1 };
    tokio::task::spawn_blocking(move || relay::run(surroundings, position, &Signal::default()))
        .await?;
    Ok(())
}

async fn killed_relays_publish_each_message_once(kind: LogKind) -> Result<()> {
    let mut stage = Stage::set(kind).await?;
    for round in 0..8_u64 {
        let relay = stage.start_process()?;
        let until = tokio::time::Instant::now() + Duration::from_millis(700 + round * 173 % 600);
        while tokio::time::Instant::now() < until {
            stage.write(1 + stage.outbox.next % 150).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(relay);
    }
    let sent = stage.sent().await?.context("nothing was sent in all rounds")?;
    ensure!(sent.id > 100, "only {} messages were sent in all rounds", sent.id);
    stage.drain().await?;
    stage.ensure_each_once()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_relays_publish_each_message_once_to_kafka() -> Result<()> {
    killed_relays_publish_each_message_once(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_relays_publish_each_message_once_to_the_embedded_log() -> Result<()> {
    killed_relays_publish_each_message_once(LogKind::Embedded).await
}

async fn a_relay_that_was_stopped_publishes_nothing_twice(kind: LogKind) -> Result<()> {
    let mut stage = Stage::set(kind).await?;
    for round in 0..3_u64 {
        let before = stage.sent().await?;
        let zombie = stage.start_process()?;
        stage.write(200).await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while stage.sent().await? == before {
            ensure!(tokio::time::Instant::now() < deadline, "the relay sends nothing");
        }
        // Somewhere in the middle of what follows.
        stage.write(3_000).await?;
        tokio::time::sleep(Duration::from_millis(round * 40)).await;
        zombie.signal(libc::SIGSTOP);
        stage.write(500).await?;
        let heir = stage.start(DAY).await?;
        heir.wait_until_drained().await?;
        zombie.signal(libc::SIGCONT);
        // Both believe that it is theirs: one of them sends each, whoever it is.
        for _ in 0..20 {
            stage.write(100).await?;
            heir.signal.ring();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(zombie);
        heir.wait_until_drained().await?;
        heir.stop();
        stage.ensure_each_once().with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_stopped_publishes_nothing_twice_to_kafka() -> Result<()> {
    a_relay_that_was_stopped_publishes_nothing_twice(LogKind::Kafka).await
}

/// The embedded log is one file: a process that is stopped in the middle of a transaction holds its
/// lock, and the heir waits for it. So the stop is made where the zombie holds none.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_journal_publishes_nothing_twice_to_the_embedded_log() -> Result<()> {
    let mut stage = Stage::set(LogKind::Embedded).await?;
    let first = stage.start(DAY).await?;
    stage.write(500).await?;
    first.wait_until_drained().await?;
    for _ in 0..5 {
        let other = stage.start(DAY).await?;
        for _ in 0..10 {
            stage.write(50).await?;
            first.signal.ring();
            other.signal.ring();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        other.wait_until_drained().await?;
        other.stop();
    }
    first.wait_until_drained().await?;
    first.stop();
    stage.ensure_each_once()
}

/// The load writes again what the backup lacks: the same messages, with other tokens, and with the
/// same ids or others.
async fn a_restored_backup_is_published_again_in_order(kind: LogKind) -> Result<()> {
    for ids_are_the_same in [true, false] {
        let mut stage = Stage::set(kind).await?;
        stage.write(30).await?;
        stage.client.batch_execute("CREATE TABLE backup AS SELECT * FROM duto.outbox").await?;
        let relay = stage.start(DAY).await?;
        stage.write(20).await?;
        relay.wait_until_drained().await?;
        let next_id = if ids_are_the_same { 31 } else { 1_000 };
        let restore = format!(
            "BEGIN; DELETE FROM duto.outbox; INSERT INTO duto.outbox OVERRIDING SYSTEM VALUE \
                SELECT * FROM backup;
             ALTER TABLE duto.outbox ALTER COLUMN id RESTART WITH {next_id}; COMMIT"
        );
        stage.client.batch_execute(&restore).await?;
        stage.outbox.next = 30;
        stage.write(25).await?;
        relay.wait_until_drained().await?;
        stage.write(5).await?;
        relay.wait_until_drained().await?;
        relay.stop();
        let published = stage.published()?;
        let numbers: Vec<u64> = published.iter().map(Published::number).collect::<Result<_>>()?;
        let once_and_again: Vec<u64> = (0..50).chain(0..60).collect();
        // Between the restore and the load that follows it the relay may have begun already.
        ensure!(numbers == once_and_again, "{numbers:?}");
        for message in &published {
            ensure!(message.message_id == stage.outbox.message_id(message.number()?), "another id");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_published_again_in_order_to_kafka() -> Result<()> {
    a_restored_backup_is_published_again_in_order(LogKind::Kafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_published_again_in_order_to_the_embedded_log() -> Result<()> {
    a_restored_backup_is_published_again_in_order(LogKind::Embedded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_pruned_but_for_the_last_and_never_sent_again() -> Result<()> {
    let mut stage = Stage::set(LogKind::Kafka).await?;
    stage.write(2_500).await?;
    let relay = stage.start(Duration::ZERO).await?;
    wait_for(&stage.client, "SELECT count(*) = 1 FROM duto.outbox", PATIENCE).await?;
    relay.stop();
    stage.write(10).await?;
    stage.drain().await?;
    stage.ensure_each_once()?;

    // A prune by somebody whose last row is another one, as a zombie's after a restore, touches
    // nothing.
    let surroundings = stage.surroundings(DAY).await?;
    let on = surroundings.pool.get().await?;
    let sent = stage.sent().await?.context("a mark")?;
    let other = Mark { token: uuid::Uuid::new_v4(), ..sent };
    ensure!(outbox::prune(&on, &stage.outbox.position, other, Duration::ZERO).await? == 0);
    ensure!(
        outbox::prune(&on, &stage.outbox.position, sent, DAY).await? == 0,
        "they are not old enough"
    );
    ensure!(outbox::prune(&on, &stage.outbox.position, sent, Duration::ZERO).await? == 10);
    ensure!(outbox::read(&on, &stage.outbox.position, Some(sent)).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_log_refuses_is_told_and_holds_its_place() -> Result<()> {
    let mut stage = Stage::set(LogKind::Kafka).await?;
    stage.write(3).await?;
    let relay = stage.start(DAY).await?;
    relay.wait_until_drained().await?;
    stage.write(1).await?;
    relay.wait_until_drained().await?;
    // Beyond what the client sends, in the middle of others.
    let too_large =
        "INSERT INTO duto.outbox (pipeline, topic, partition, target, value, message_id,
         token)
         SELECT pipeline, topic, partition, target, convert_to(repeat('x', 3000000), 'UTF8'),
         gen_random_uuid(), token FROM duto.outbox ORDER BY id DESC LIMIT 1";
    stage.client.batch_execute(too_large).await?;
    stage.write(5).await?;
    relay.signal.ring();
    let progress = &relay.surroundings.progress;
    wait_until("it is told", PATIENCE, || progress.condition().publish_trouble.contains_key(&1))
        .await?;
    wait_until("it is counted", PATIENCE, || {
        progress.condition().publish_waiting.get(&1).is_some_and(|waiting| waiting.rows == 6)
    })
    .await?;
    ensure!(stage.published()?.len() == 4);
    stage
        .client
        .batch_execute("DELETE FROM duto.outbox WHERE octet_length(value) > 1000000")
        .await?;
    wait_until("it goes on", PATIENCE, || progress.condition().publish_trouble.is_empty()).await?;
    relay.wait_until_drained().await?;
    relay.stop();
    stage.ensure_each_once()
}

/// What stands before it goes, it is named, and it goes by itself when its topic takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_topics_limit_goes_when_the_limit_is_raised() -> Result<()> {
    let mut stage = Stage::set(LogKind::Kafka).await?;
    stage.write(3).await?;
    let too_large =
        "INSERT INTO duto.outbox (pipeline, topic, partition, target, value, message_id,
         token)
         SELECT pipeline, topic, partition, target, convert_to(repeat('x', 3000000), 'UTF8'),
         gen_random_uuid(), token
         FROM duto.outbox ORDER BY id DESC LIMIT 1 RETURNING id";
    let id: i64 = stage.client.query_one(too_large, &[]).await?.get(0);
    stage.write(5).await?;
    let relay = stage.start(DAY).await?;
    let progress = relay.surroundings.progress.clone();
    let told = || progress.condition().publish_trouble.get(&1).cloned().unwrap_or_default();
    wait_until("it is named", PATIENCE, || {
        told().contains(&format!("publish message {id}, of 3000000 bytes"))
    })
    .await?;
    ensure!(told().contains("max.message.bytes") && stage.published()?.len() == 3, "{}", told());
    duto_tests::admin::Admin::of(&stage.log)?
        .set(&stage.outbox.target, "max.message.bytes", "4000000")
        .await?;
    wait_until("it goes", PATIENCE, || told().is_empty()).await?;
    relay.wait_until_drained().await?;
    relay.stop();
    ensure!(stage.published()?.len() == 9);
    Ok(())
}

/// The relays of a worker: each position's own, woken by a commit, stopped when the partition is
/// given up, started again when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_a_relay_for_each_of_its_partitions() -> Result<()> {
    let stage = Stage::set(LogKind::Kafka).await?;
    let relays = Relays::new(Some(stage.surroundings(DAY).await?), "sales", &stage.log.topic, true);
    let mut client = connect(&stage.database.url()).await?;
    let mut outboxes: Vec<Outbox> = (0..3)
        .map(|partition| Outbox {
            position: Position { partition, ..stage.outbox.position.clone() },
            target: stage.outbox.target.clone(),
            next: 0,
        })
        .collect();
    for round in 0..3 {
        (0..3).for_each(|partition| relays.start(partition));
        for outbox in &mut outboxes {
            outbox.write(&mut client, 300).await?;
            relays.wake(outbox.position.partition);
        }
        wait_until("all are drained", PATIENCE, || relays.are_drained()).await?;
        match round {
            0 => tokio::task::block_in_place(|| relays.stop(&[1, 2], PATIENCE)),
            _ => tokio::task::block_in_place(|| relays.stop_all(PATIENCE)),
        }
        // Nobody relays this one meanwhile.
        outboxes[1].write(&mut client, 10).await?;
    }
    relays.start(1);
    wait_until("the last is drained", PATIENCE, || relays.are_drained()).await?;
    tokio::task::block_in_place(|| relays.stop_all(PATIENCE));
    let published = stage.published()?;
    for outbox in &outboxes {
        let own: Vec<&Published> = published
            .iter()
            .filter(|message| message.partition == outbox.position.partition)
            .collect();
        let numbers: Vec<u64> =
            own.iter().map(|message| message.number()).collect::<Result<_>>()?;
        ensure!(
            numbers == (0..outbox.next).collect::<Vec<_>>(),
            "partition {}: {numbers:?}",
            outbox.position.partition
        );
    }
    Ok(())
}

/// Nobody claims a loaded file: its messages go with the first partition, and are forgotten then. A
/// replay adds more.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_loaded_files_go_with_the_first_partition_and_are_forgotten() -> Result<()> {
    let stage = Stage::set(LogKind::Kafka).await?;
    let mut client = connect(&stage.database.url()).await?;
    let file = |word: &str| Outbox {
        position: Position {
            topic: format!("file:{word}"),
            partition: 0,
            ..stage.outbox.position.clone()
        },
        target: format!("{}-{word}", stage.outbox.target),
        next: 0,
    };
    let mut files = [file("one"), file("two")];
    let relays = Relays::new(Some(stage.surroundings(DAY).await?), "sales", &stage.log.topic, true);
    for round in 0..3 {
        for (index, file) in files.iter_mut().enumerate() {
            file.write(&mut client, 1_500 * (index as u64 + 1)).await?;
        }
        if round != 1 {
            relays.start(0);
        }
        wait_for(&stage.client, "SELECT count(*) = 0 FROM duto.outbox", PATIENCE).await?;
        if round == 1 {
            tokio::task::block_in_place(|| relays.stop_all(PATIENCE));
        }
    }
    tokio::task::block_in_place(|| relays.stop_all(PATIENCE));
    for file in &files {
        let numbers: Vec<u64> = read_all(stage.log.log(), &file.target)?
            .iter()
            .map(Published::number)
            .collect::<Result<_>>()?;
        ensure!(
            numbers == (0..file.next).collect::<Vec<_>>(),
            "{}: {} messages of {}",
            file.target,
            numbers.len(),
            file.next
        );
    }
    Ok(())
}

/// Positions do not wait for each other, and their messages go where a key sends them; the topic is
/// made with the source's partitions.
#[tokio::test(flavor = "multi_thread")]
async fn keys_decide_where_messages_go() -> Result<()> {
    let stage = Stage::set(LogKind::Kafka).await?;
    let insert = "INSERT INTO duto.outbox (pipeline, topic, partition, target, key, value,
         message_id, token)
         SELECT 'sales', $1, 1, $2, convert_to('key ' || number % 20, 'UTF8'),
         convert_to(number::text, 'UTF8'), gen_random_uuid(), gen_random_uuid()
         FROM generate_series(0, 999) AS number";
    stage.client.execute(insert, &[&stage.log.topic, &stage.outbox.target]).await?;
    stage.drain().await?;
    let published = stage.published()?;
    ensure!(published.len() == 1000);
    let described =
        stage.log.log().topic(&stage.outbox.target, PATIENCE)?.context("it was made")?;
    ensure!(described.partitions == 3);
    for number in 0..20 {
        let key = format!("key {number}").into_bytes();
        let own: Vec<&Published> =
            published.iter().filter(|message| message.key.as_deref() == Some(&key)).collect();
        ensure!(own.len() == 50 && own.iter().all(|message| message.partition == own[0].partition));
        let numbers: Vec<u64> =
            own.iter().map(|message| message.number()).collect::<Result<_>>()?;
        ensure!(numbers.is_sorted(), "{numbers:?}");
    }
    Ok(())
}
