//! The power fails while the embedded log is written: every moment of a recording is a moment at
//! which it may. What is left opens, and holds every record that a sender was told of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duto_ground::batch::Batch;
use duto_log::{ConsumerSettings, Event, Log, LogError, NewTopic, OutgoingRecord, Sent, Start};
use duto_servers::ScratchFolder;
use duto_tests::power_cut::{Disk, Unsynced};
use duto_tests::recorder::{Change, Recording};
use duto_tests::scale::scale;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Of a record that is large.
const LARGE_BYTES: usize = 100_000;
const TOPIC: &str = "cut";
const PARTITIONS: i32 = 3;

type Place = (i32, i64);

/// What was sent to where, and after how many changes its sender was told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<(usize, Place, u64)>>,
}

struct Recorded {
    changes: Vec<(PathBuf, Change)>,
    acknowledged: Vec<(usize, Place, u64)>,
}

/// A payload that its number makes: what comes back can be compared without keeping it.
fn payload(number: u64, bytes: usize) -> Vec<u8> {
    let mut payload = format!("{number} ").into_bytes();
    let mut random = StdRng::seed_from_u64(number);
    payload.extend(std::iter::repeat_with(|| random.random::<u8>()).take(bytes));
    payload
}

/// Sends in bursts, so that transactions of one record and of many are recorded, from the first
/// opening of the file on.
fn record(folder: &Path, records: u64, bytes: usize) -> Result<Recorded> {
    let recording = Arc::new(Recording::start(&folder.canonicalize()?));
    let told = Arc::<Told>::default();
    {
        let log = duto_log::open(None, &[], folder)?;
        log.create_topic(
            &NewTopic { name: TOPIC.into(), partitions: PARTITIONS, retention: None },
            TIMEOUT,
        )?;
        let producer = log.producer()?;
        for number in 0..records {
            let payload = payload(number, bytes);
            let record = OutgoingRecord {
                topic: TOPIC,
                partition: None,
                key: None,
                payload: Some(&payload),
                headers: &[],
            };
            loop {
                let (recording, told) = (recording.clone(), told.clone());
                let outcome = move |sent: Result<Sent, LogError>| {
                    if let Ok(sent) = sent {
                        let at = (recording.len(), (sent.partition, sent.offset), number);
                        told.acknowledged.lock().expect("no holder panics").push(at);
                    }
                };
                match producer.send(record, Box::new(outcome)) {
                    Ok(()) => break,
                    Err(LogError::QueueFull) => std::thread::sleep(Duration::from_millis(1)),
                    Err(error) => return Err(error.into()),
                }
            }
            if number % 7 == 0 {
                producer.flush(TIMEOUT)?;
                // The thread that copies the write-ahead log looks at it five times a second: a
                // quick disk would take large records within two of its looks.
                if bytes >= LARGE_BYTES {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        producer.flush(TIMEOUT)?;
    }
    let acknowledged = std::mem::take(&mut *told.acknowledged.lock().expect("no holder panics"));
    ensure!(
        acknowledged.len() as u64 == records,
        "{} of {records} records were taken",
        acknowledged.len()
    );
    drop(told);
    let recording = Arc::into_inner(recording).context("the log still runs")?;
    Ok(Recorded { changes: recording.finish(), acknowledged })
}

/// Everything that the log has, by its place: the number that its payload begins with.
fn read_all(log: &dyn Log) -> Result<BTreeMap<Place, Vec<u8>>> {
    let settings = ConsumerSettings {
        topic: TOPIC.into(),
        group: "cut".into(),
        instance_id: None,
        session_timeout: Duration::from_secs(6),
        max_queued_bytes: 4 << 20,
        max_record_bytes: 1 << 20,
    };
    let mut consumer = log.consumer(&settings)?;
    let (mut found, mut ended, mut batch) = (BTreeMap::new(), 0, Batch::default());
    let deadline = Instant::now() + TIMEOUT;
    while ended < PARTITIONS {
        ensure!(Instant::now() < deadline, "the log does not come to its ends");
        for event in consumer.poll(&mut batch, 5_000, Duration::from_millis(100)) {
            match event {
                Event::Assigned(partitions) => {
                    let start = |partition: &i32| Start {
                        partition: *partition,
                        offset: 0,
                        leader_epoch: -1,
                    };
                    consumer.assign(&partitions.iter().map(start).collect::<Vec<_>>())?;
                }
                Event::End { .. } => ended += 1,
                other => anyhow::bail!("{other:?}"),
            }
        }
        for record in batch.iter() {
            found.insert(
                (record.head.partition, record.head.offset),
                record.payload.unwrap_or_default().to_vec(),
            );
        }
        batch = Batch::default();
    }
    consumer.close();
    Ok(found)
}

/// Opens what a cut left, compares, and sends once more: no offset that a sender was told of is
/// given again.
fn check(recorded: &Recorded, cut: usize, folder: &Path, bytes: usize) -> Result<()> {
    let log = duto_log::open(None, &[], folder).context("opening")?;
    let told: Vec<_> = recorded.acknowledged.iter().filter(|(at, _, _)| *at <= cut).collect();
    if log.topic(TOPIC, TIMEOUT)?.is_none() {
        ensure!(told.is_empty(), "the topic is gone");
        return Ok(());
    }
    let found = read_all(log.as_ref())?;
    for (_, place, number) in &told {
        ensure!(
            found.get(place).is_some_and(|found| *found == payload(*number, bytes)),
            "record {number} at {place:?} is lost or another"
        );
    }
    for partition in 0..PARTITIONS {
        let offsets: Vec<i64> = found
            .range((partition, 0)..(partition + 1, 0))
            .map(|((_, offset), _)| *offset)
            .collect();
        ensure!(
            offsets.iter().copied().eq(0..offsets.len() as i64),
            "partition {partition} has gaps"
        );
        let ends = log.watermarks(TOPIC, partition, TIMEOUT)?;
        ensure!(
            (ends.low, ends.high) == (0, offsets.len() as i64),
            "partition {partition} ends at {}, it has {}",
            ends.high,
            offsets.len()
        );
    }
    drop(log);
    let file = rusqlite::Connection::open(folder.join("log.db"))?;
    let answer: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(answer == "ok", "{answer}");
    Ok(())
}

fn cut(recorded: &Recorded, moments: &mut Vec<(usize, Unsynced)>, bytes: usize) -> Result<()> {
    moments.sort_by_key(|(moment, _)| *moment);
    let mut disk = Disk::new(&recorded.changes);
    for (moment, unsynced) in moments {
        let folder = ScratchFolder::create("cut")?;
        disk.go_on(*moment);
        disk.write_into(folder.path(), *unsynced)?;
        let what =
            || format!("cut after {moment} of {} changes, {unsynced:?}", recorded.changes.len());
        check(recorded, *moment, folder.path(), bytes).with_context(what)?;
    }
    Ok(())
}

/// Of small records, cut everywhere.
fn small_records() -> Result<()> {
    const BYTES: usize = 200;
    let folder = ScratchFolder::create("recorded")?;
    let recorded = record(folder.path(), scale(300, 2_000) as u64, BYTES)?;
    let mut dice = StdRng::seed_from_u64(38);
    let mut moments = Vec::new();
    for _ in 0..scale(60, 2_000) {
        let moment = dice.random_range(0..=recorded.changes.len());
        moments.push((moment, Unsynced::SomeArrive(dice.random())));
        moments.push((
            moment,
            if dice.random_bool(0.5) { Unsynced::AllArrive } else { Unsynced::NoneArrive },
        ));
    }
    // The first openings, when there is a rollback journal and no table yet, and a write that is
    // torn at each of its sectors.
    moments.extend(
        (0..40.min(recorded.changes.len()))
            .map(|moment| (moment, Unsynced::SomeArrive(moment as u64))),
    );
    let last_write = recorded
        .changes
        .iter()
        .rposition(|(path, change)| is_wal(path) && matches!(change, Change::Write { .. }));
    let last_write = last_write.context("the write-ahead log was written")?;
    moments.extend(
        (0..=8).map(|sector| (last_write + 1, Unsynced::LastIsTorn { kept_bytes: sector * 512 })),
    );
    cut(&recorded, &mut moments, BYTES)?;
    finds_out_a_disk_that_lies(recorded, BYTES)
}

/// From the middle on nothing is synced, whatever is said: what is lost then must be found, else
/// the test would prove nothing.
fn finds_out_a_disk_that_lies(mut recorded: Recorded, bytes: usize) -> Result<()> {
    let end = recorded.changes.len();
    for (_, change) in &mut recorded.changes[end / 2..] {
        if let Change::Sync { covers } = change {
            *covers = 0;
        }
    }
    let found = cut(&recorded, &mut vec![(end, Unsynced::NoneArrive)], bytes);
    ensure!(
        found.is_err_and(|error| format!("{error:#}").contains("is lost")),
        "a disk that lies was not found out"
    );
    Ok(())
}

/// Of large records, cut around the checkpoints that copy the write-ahead log, and around its
/// beginning anew.
fn large_records() -> Result<()> {
    const BYTES: usize = 2 * LARGE_BYTES;
    let folder = ScratchFolder::create("recorded")?;
    let recorded = record(folder.path(), scale(360, 1_500) as u64, BYTES)?;
    let is_begun = |(path, change): &(PathBuf, Change)| {
        is_wal(path) && matches!(change, Change::Write { offset: 0, .. })
    };
    let is_checkpoint = |change: &(PathBuf, Change)| !is_wal(&change.0) || is_begun(change);
    let checkpoints: Vec<usize> = (0..recorded.changes.len())
        .filter(|number| is_checkpoint(&recorded.changes[*number]))
        .collect();
    let begun = recorded.changes.iter().filter(|change| is_begun(change)).count();
    ensure!(begun > 1, "the write-ahead log never began anew");
    let mut dice = StdRng::seed_from_u64(39);
    let mut moments: Vec<(usize, Unsynced)> = (0..scale(12, 200))
        .map(|_| {
            let near =
                checkpoints[dice.random_range(0..checkpoints.len())] + dice.random_range(0..4);
            (near.min(recorded.changes.len()), Unsynced::SomeArrive(dice.random()))
        })
        .collect();
    cut(&recorded, &mut moments, BYTES)
}

fn is_wal(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-wal")
}

/// One after the other: there is one recorder.
#[test]
fn whatever_a_power_failure_leaves_holds_every_record_that_was_acknowledged() -> Result<()> {
    small_records().context("small records")?;
    large_records().context("large records")
}
