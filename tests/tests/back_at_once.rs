//! No setting: how long partitions are unread after a crash, a stop, and while workers are
//! restarted one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::admin::Admin;
use duto_tests::load::{Load, Rate};
use duto_tests::log::{LogKind, TestLog};
use duto_tests::orders::{Orders, USUAL_MIX};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::scale::scale;
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::Worker;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 6;
const RATE: Rate = Rate { per_second: 600, most: 200_000 };
const WORKER: &[&str] = &["--only", "worker"];
const GOAL_RESTART: Duration = Duration::from_secs(1);
/// How long every worker has its share before something happens to one.
const CALM: Duration = Duration::from_millis(1_500);

/// A pipeline under load, its file without any setting of the membership's.
struct Scene {
    database: TestDatabase,
    log: Arc<TestLog>,
    pipeline: TestPipeline,
    client: Client,
    load: Load,
}

impl Scene {
    async fn start(purpose: &str, kind: LogKind) -> Result<Scene> {
        let database = TestDatabase::create(purpose)?;
        let log = Arc::new(TestLog::create(kind, purpose, PARTITIONS)?);
        let settings = Settings { session_timeout: String::new(), ..Settings::default() };
        let pipeline = TestPipeline::sales(&log, &database.url(), &settings)?;
        let client = connect(&database.url()).await?;
        let load = Load::start(&log, Orders::new(31, USUAL_MIX), RATE);
        Ok(Scene { database, log, pipeline, client, load })
    }

    fn worker(&self) -> Result<Worker> {
        Worker::start(&self.pipeline, WORKER)
    }

    /// So many workers, each with its share of the partitions.
    async fn workers(&self, count: usize) -> Result<Vec<Worker>> {
        let workers: Vec<Worker> = (0..count).map(|_| self.worker()).collect::<Result<_>>()?;
        wait_for(
            &self.client,
            &format!("SELECT count(*) = {PARTITIONS} FROM duto.position WHERE next > 0"),
            PATIENCE,
        )
        .await?;
        self.wait_for_loaders(count).await?;
        tokio::time::sleep(CALM).await;
        Ok(workers)
    }

    /// Waits until so many workers load at the same time.
    async fn wait_for_loaders(&self, count: usize) -> Result<()> {
        let loaders = format!(
            "SELECT count(DISTINCT worker) = {count} FROM duto.batch
                WHERE committed_at > now() - interval '700 ms'"
        );
        wait_for(&self.client, &loaders, PATIENCE).await
    }

    /// The time until records are loaded of every partition that came after now.
    async fn every_partition_goes_on(
        &self,
        since: Instant,
        patience: Duration,
    ) -> Result<Duration> {
        let ends: BTreeMap<i32, i64> = (0..PARTITIONS)
            .map(|partition| {
                Ok((
                    partition,
                    self.log.log().watermarks(&self.log.topic, partition, PATIENCE)?.high,
                ))
            })
            .collect::<Result<_>>()?;
        let beyond: Vec<String> = ends
            .iter()
            .map(|(partition, end)| format!("(partition = {partition} AND next > {end})"))
            .collect();
        let all = format!(
            "SELECT count(*) = {PARTITIONS} FROM duto.position WHERE {}",
            beyond.join(" OR ")
        );
        wait_for(&self.client, &all, patience).await?;
        Ok(since.elapsed())
    }

    /// Everything is stored once, and the workers end cleanly.
    async fn finish(self, mut workers: Vec<Worker>) -> Result<()> {
        let placed = self.load.finish()?;
        let last = workers.last_mut().context("no worker is left")?;
        wait_until_loaded(&self.client, last, &placed, PATIENCE).await?;
        Model::of(&placed).compare(&self.client).await?;
        for worker in workers {
            ensure!(worker.stop(PATIENCE)?.success(), "a worker did not end cleanly");
        }
        drop(self.database);
        Ok(())
    }
}

/// The figures of several rounds. On a machine that other tests share one round may be disturbed; a
/// full run is alone, and every round counts.
struct Rounds {
    what: &'static str,
    goal: Duration,
    taken: Vec<Duration>,
}

impl Rounds {
    fn of(what: &'static str, goal: Duration) -> Rounds {
        Rounds { what, goal, taken: Vec::new() }
    }

    fn count() -> usize {
        scale(2, 10)
    }

    fn judge(&self) -> Result<()> {
        println!("{}: {:?}", self.what, self.taken);
        let must_hold =
            if scale(0, 1) == 1 { self.taken.iter().max() } else { self.taken.iter().min() };
        ensure!(
            must_hold.is_some_and(|taken| *taken < self.goal),
            "{}: {:?}, the goal is {:?}",
            self.what,
            self.taken,
            self.goal
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_restarted_after_a_crash_goes_on_within_a_second() -> Result<()> {
    let scene = Scene::start("back", LogKind::Kafka).await?;
    let mut workers = scene.workers(3).await?;
    let (mut one, mut all) = (
        Rounds::of("one of three restarted", GOAL_RESTART),
        Rounds::of("all of three restarted", GOAL_RESTART),
    );
    for round in 0..Rounds::count() {
        workers.remove(round % 3).kill();
        let since = Instant::now();
        workers.push(scene.worker()?);
        one.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
        tokio::time::sleep(CALM).await;

        // In another order than they were started in, so that none is its own successor.
        workers.drain(..).for_each(Worker::kill);
        let since = Instant::now();
        workers = (0..3).map(|_| scene.worker()).collect::<Result<_>>()?;
        all.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
        tokio::time::sleep(CALM).await;
    }
    one.judge()?;
    all.judge()?;
    scene.finish(workers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worker_that_is_gone_for_good_others_have_the_partitions() -> Result<()> {
    let scene = Scene::start("gone", LogKind::Kafka).await?;
    let mut workers = scene.workers(2).await?;
    let (mut stopped, mut crashed) = (
        Rounds::of("stopped for good", Duration::from_secs(1)),
        Rounds::of("crashed for good", Duration::from_secs(11)),
    );
    for _ in 0..Rounds::count() {
        let mut leaving = workers.remove(0);
        let since = Instant::now();
        leaving.signal(libc::SIGTERM);
        // What is loaded after its end is loaded by the other.
        ensure!(leaving.wait(PATIENCE)?.success(), "a worker did not end cleanly");
        stopped.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
        workers.push(scene.worker()?);
        scene.wait_for_loaders(2).await?;
        tokio::time::sleep(CALM).await;

        let since = Instant::now();
        workers.remove(0).kill();
        crashed.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
        workers.push(scene.worker()?);
        scene.wait_for_loaders(2).await?;
        tokio::time::sleep(CALM).await;
    }
    stopped.judge()?;
    crashed.judge()?;
    scene.finish(workers).await
}

/// The longest time for which a partition was unread: its position did not move though records came
/// all the time.
struct Gaps {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<Result<Duration>>,
}

impl Gaps {
    async fn watch(scene: &Scene) -> Result<Gaps> {
        let (client, stop) = (connect(&scene.database.url()).await?, Arc::<AtomicBool>::default());
        let stopped = stop.clone();
        let watcher = tokio::spawn(async move {
            let (mut seen, mut longest) = (BTreeMap::<i32, (i64, Instant)>::new(), Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                for row in client.query("SELECT partition, next FROM duto.position", &[]).await? {
                    let (partition, next): (i32, i64) = (row.get(0), row.get(1));
                    let now = Instant::now();
                    let entry = seen.entry(partition).or_insert((next, now));
                    longest = longest.max(entry.1.elapsed());
                    if entry.0 != next {
                        *entry = (next, now);
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(longest)
        });
        Ok(Gaps { stop, watcher })
    }

    async fn longest(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.await?
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_leaves_no_partition_unread_for_two_seconds() -> Result<()> {
    let scene = Scene::start("rolling", LogKind::Kafka).await?;
    let mut workers = scene.workers(3).await?;
    let mut rolling = Rounds::of("the longest gap of a rolling restart", Duration::from_secs(2));
    for _ in 0..Rounds::count() {
        let gaps = Gaps::watch(&scene).await?;
        for _ in 0..3 {
            ensure!(workers.remove(0).stop(PATIENCE)?.success(), "a worker did not end cleanly");
            workers.push(scene.worker()?);
            scene.wait_for_loaders(3).await?;
        }
        rolling.taken.push(gaps.longest().await?);
    }
    rolling.judge()?;
    scene.finish(workers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_worker_keeps_its_place_over_a_clean_restart() -> Result<()> {
    let scene = Scene::start("alone", LogKind::Kafka).await?;
    let mut workers = scene.workers(1).await?;
    let mut restarts = Rounds::of("the only one, stopped and started", GOAL_RESTART);
    for _ in 0..Rounds::count() {
        ensure!(workers.remove(0).stop(PATIENCE)?.success(), "the worker did not end cleanly");
        let since = Instant::now();
        workers.push(scene.worker()?);
        restarts.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
    }
    let last = &workers[0];
    ensure!(
        last.said("takes the place of a worker that is gone") == restarts.taken.len(),
        "each took the place of the one before:\n{}",
        last.tail()
    );
    restarts.judge()?;
    scene.finish(workers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_log_is_read_at_once_after_a_crash() -> Result<()> {
    let scene = Scene::start("alone_embedded", LogKind::Embedded).await?;
    let mut workers = scene.workers(1).await?;
    let mut restarts = Rounds::of("on the embedded log", GOAL_RESTART);
    for _ in 0..Rounds::count() {
        workers.remove(0).kill();
        let since = Instant::now();
        workers.push(scene.worker()?);
        restarts.taken.push(scene.every_partition_goes_on(since, PATIENCE).await?);
    }
    restarts.judge()?;
    scene.finish(workers).await
}

/// The lock of a living worker is cut again and again, so that another one takes it for dead: both
/// go on, under two names.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_place_is_taken_joins_anew() -> Result<()> {
    let scene = Scene::start("taken", LogKind::Kafka).await?;
    let mut workers = scene.workers(1).await?;
    let cutting = tokio::spawn({
        let client = connect(&scene.database.url()).await?;
        let holders = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
              WHERE locktype = 'advisory' AND application_name LIKE 'duto:% {}'",
            workers[0].pid()
        );
        async move {
            loop {
                let _ = client.execute(&holders, &[]).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    workers.push(scene.worker()?);
    let said = wait_until("one takes the place of the other", PATIENCE, || {
        workers[0].said("another worker took this one's place") > 0
    })
    .await;
    cutting.abort();
    said.with_context(|| workers[0].tail())?;
    scene.wait_for_loaders(2).await?;
    tokio::time::sleep(CALM).await;
    ensure!(
        workers[0].said("another worker took this one's place") == 1,
        "they do not fight:\n{}",
        workers[0].tail()
    );
    scene.finish(workers).await
}

/// More partitions are noticed also when the member that led the group was replaced.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_took_a_place_notices_more_partitions() -> Result<()> {
    let scene = Scene::start("grown", LogKind::Kafka).await?;
    let settings = Settings { session_timeout: String::new(), ..Settings::default() }
        .kafka("topic.metadata.refresh.interval.ms", "1000");
    let pipeline = TestPipeline::sales(&scene.log, &scene.database.url(), &settings)?;
    let first = Worker::start(&pipeline, WORKER)?;
    wait_for(
        &scene.client,
        &format!("SELECT count(*) = {PARTITIONS} FROM duto.position WHERE next > 0"),
        PATIENCE,
    )
    .await?;
    first.kill();
    let second = Worker::start(&pipeline, WORKER)?;
    scene.every_partition_goes_on(Instant::now(), PATIENCE).await?;
    Admin::of(&scene.log)?.grow(PARTITIONS as usize + 2).await?;
    wait_for(
        &scene.client,
        &format!("SELECT count(*) = {} FROM duto.position", PARTITIONS + 2),
        PATIENCE,
    )
    .await
    .with_context(|| second.tail())?;
    drop(scene.load.finish()?);
    ensure!(second.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Ok(())
}
