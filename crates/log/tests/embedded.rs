//! What only the embedded log has: its file, its lock, retention, a full disk, several processes,
//! and kills.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::fixture::{Folder, Reader, TIMEOUT, first, new_topic, send, send_numbers, settings};
use duto_log::{LogError, NewTopic, OutgoingRecord, Start, backup};

const TOPIC: &str = "killed";

/// Names the folder for [`a_sender_prints_what_was_acknowledged`] when it runs as a process of its
/// own.
const ROLE: &str = "DUTO_TEST_SENDER";

fn make_topic(folder: &Path, partitions: i32) {
    let topic = NewTopic { name: TOPIC.to_owned(), partitions, retention: None };
    duto_log::open(None, &[], folder).expect("open").create_topic(&topic, TIMEOUT).expect("made");
}

#[test]
fn what_was_acknowledged_outlives_kills_and_no_offset_is_used_twice() {
    let folder = Folder::new();
    make_topic(&folder.0, 3);
    let mut acknowledged = BTreeSet::new();
    for round in 0..14_u64 {
        let mut senders = vec![start_sender(&folder.0)];
        if round % 3 == 0 {
            senders.push(start_sender(&folder.0));
        }
        // Moments spread over opening, sending, committing and checkpoints.
        std::thread::sleep(Duration::from_millis(30 + round * 53 % 700));
        for mut sender in senders {
            sender.kill().expect("killed");
            let output = BufReader::new(sender.stdout.take().expect("its output"));
            for line in output.lines().map_while(Result::ok) {
                // A line that the kill cut is not an acknowledgement that anybody got.
                let [word, partition, offset, payload, "."] =
                    line.split(' ').collect::<Vec<_>>()[..]
                else {
                    continue;
                };
                assert_eq!(word, "acknowledged");
                let place: (i32, i64) =
                    (partition.parse().expect("a partition"), offset.parse().expect("an offset"));
                assert!(acknowledged.insert((place, payload.to_owned())), "{line}: twice");
            }
            sender.wait().expect("waited for");
        }
    }
    let places: BTreeSet<(i32, i64)> = acknowledged.iter().map(|(place, _)| *place).collect();
    assert_eq!(places.len(), acknowledged.len(), "an offset was acknowledged for two records");
    assert!(acknowledged.len() > 1000, "only {} records were acknowledged", acknowledged.len());

    let log = folder.log();
    let mut reader = Reader::new(log.as_ref(), &settings(TOPIC, "check"));
    let ends: Vec<i64> = (0..3)
        .map(|partition| log.watermarks(TOPIC, partition, TIMEOUT).expect("the ends").high)
        .collect();
    reader.poll_until("all partitions' ends", |reader| {
        (0..3).all(|partition| reader.ended_at(partition, ends[partition as usize]))
    });
    let mut kept = BTreeSet::new();
    for (record, payload) in reader.batch.iter().zip(reader.payloads()) {
        kept.insert(((record.head.partition, record.head.offset), payload));
    }
    for partition in 0..3 {
        assert_eq!(
            reader.offsets(partition),
            (0..ends[partition as usize]).collect::<Vec<i64>>(),
            "partition {partition}"
        );
    }
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost: {:?}",
        lost.len(),
        acknowledged.len(),
        lost.first()
    );
    let check = rusqlite::Connection::open(folder.0.join("log.db")).expect("opens");
    let answer: String =
        check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(answer, "ok");
}

fn start_sender(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this test's file"))
        .args([
            "--exact",
            "embedded::a_sender_prints_what_was_acknowledged",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(ROLE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// As a process of its own it sends until it is killed; else it sends a little and looks at what it
/// would print.
#[test]
fn a_sender_prints_what_was_acknowledged() {
    let role = std::env::var_os(ROLE);
    let own = role.is_none().then(Folder::new);
    let folder = own
        .as_ref()
        .map(|own| own.0.clone())
        .or(role.clone().map(Into::into))
        .expect("one of both");
    make_topic(&folder, 3);
    let log = duto_log::open(None, &[], &folder).expect("open");
    let producer = log.producer().expect("a producer");
    let (tell, told) = mpsc::channel();
    let deadline = Instant::now() + Duration::from_secs(60);
    let (mut number, mut printed) = (0_u64, 0);
    while Instant::now() < deadline && (role.is_some() || number < 100) {
        let payload =
            format!("{}-{number}-{}", std::process::id(), "x".repeat(number as usize * 7 % 300));
        let record = OutgoingRecord {
            topic: TOPIC,
            partition: None,
            key: None,
            payload: Some(payload.as_bytes()),
            headers: &[],
        };
        let (tell, said) = (tell.clone(), payload.clone());
        let outcome = move |outcome: Result<duto_log::Sent, LogError>| {
            let sent = outcome.expect("sent");
            println!("acknowledged {} {} {said} .", sent.partition, sent.offset);
            let _ = tell.send(());
        };
        match producer.send(record, Box::new(outcome)) {
            Ok(()) => number += 1,
            Err(LogError::QueueFull) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
        if number.is_multiple_of(50) {
            std::thread::sleep(Duration::from_micros(number * 13 % 3000));
        }
        printed += told.try_iter().count();
    }
    producer.flush(TIMEOUT).expect("flushed");
    printed += told.try_iter().count();
    assert_eq!(printed as u64, number);
}

#[test]
fn one_reader_a_group_and_the_next_is_told_who_it_is() {
    let folder = Folder::new();
    let log = folder.log();
    let (topic, other_topic) = (new_topic(log.as_ref(), 1), new_topic(log.as_ref(), 1));
    let mut holder = log.consumer(&settings(&topic, "group")).expect("the first");
    let error = log.consumer(&settings(&topic, "group")).err().expect("the second is refused");
    assert!(matches!(&error, LogError::Locked(_)), "{error:?}");
    let (text, pid) = (error.to_string(), format!("process {}", std::process::id()));
    assert!(
        text.contains(&pid) && text.contains("KAFKA_BOOTSTRAP_SERVERS") && text.contains(&topic),
        "{text}"
    );
    let mut another_group =
        log.consumer(&settings(&topic, "another group")).expect("another group");
    let mut another_topic = log.consumer(&settings(&other_topic, "group")).expect("another topic");
    holder.close();
    let mut next = log.consumer(&settings(&topic, "group")).expect("free again");
    for consumer in [&mut next, &mut another_group, &mut another_topic] {
        consumer.close();
    }
    assert!(log.consumer(&settings("no such topic", "group")).is_err());
}

#[test]
fn a_log_that_goes_on_from_a_backup_gives_no_offset_again() {
    let folder = Folder::new();
    let log = folder.log();
    for (name, retention) in [("kept", None), ("short", Some(Duration::from_secs(2)))] {
        let topic = NewTopic { name: name.to_owned(), partitions: 2, retention };
        log.create_topic(&topic, TIMEOUT).expect("made");
    }
    let producer = log.producer().expect("a producer");
    send_numbers(producer.as_ref(), "kept", 0, 0..1500);
    send_numbers(producer.as_ref(), "short", 0, 0..10);
    let copy = folder.0.join("copy.db");
    let made = backup::backup(&folder.0, &copy).expect("a backup");
    assert!((1500..=1510).contains(&made.records), "{made:?}");
    assert!(backup::backup(&folder.0, &copy).is_err(), "a backup was written over");
    // The lost log gives more offsets, which a position may be behind.
    assert_eq!(send_numbers(producer.as_ref(), "kept", 0, 0..20).last(), Some(&1519));

    let restored = Folder::new();
    backup::restore(&copy, &restored.0).expect("restored");
    assert!(backup::restore(&copy, &restored.0).is_err(), "a log was written over");
    let log = restored.log();
    let next = 1500 + backup::LEFT_OUT;
    assert_eq!(log.watermarks("kept", 0, TIMEOUT).expect("the ends").high, next);
    let reads = |group: &str, offset| {
        let reader = Reader::new(log.as_ref(), &settings("kept", group));
        reader.starting_at(Start { partition: 0, offset, leader_epoch: -1 })
    };
    let mut behind = reads("behind", 1490);
    behind.poll_until("the end", |reader| reader.ended_at(0, next));
    assert_eq!(behind.offsets(0), (1490..1500).collect::<Vec<_>>());
    let mut beyond = reads("beyond", 1510);
    beyond.poll_until("the end", |reader| reader.ended_at(0, next));
    assert!(beyond.offsets(0).is_empty());
    let producer = log.producer().expect("a producer");
    assert_eq!(send_numbers(producer.as_ref(), "kept", 0, 0..3), [next, next + 1, next + 2]);
    for reader in [&mut behind, &mut beyond] {
        reader.poll_until("the new records", |reader| reader.ended_at(0, next + 3));
        assert!(reader.offsets(0).ends_with(&[next, next + 1, next + 2]));
    }
    // Opened again it is no copy any more; and retention finds its way over what was left out.
    assert!(backup::restore(&restored.0.join("log.db"), &Folder::new().0).is_err());
    let deadline = Instant::now() + TIMEOUT;
    while log.watermarks("short", 0, TIMEOUT).expect("the ends").low < 10 + backup::LEFT_OUT {
        assert!(Instant::now() < deadline, "not everything old was deleted");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn retention_deletes_the_oldest_and_never_gives_their_offsets_again() {
    let folder = Folder::new();
    let log = folder.log();
    let topic = NewTopic {
        name: "short".to_owned(),
        partitions: 2,
        retention: Some(Duration::from_millis(300)),
    };
    log.create_topic(&topic, TIMEOUT).expect("made");
    let producer = log.producer().expect("a producer");
    assert_eq!(send_numbers(producer.as_ref(), "short", 0, 0..2500).last(), Some(&2499));
    let deadline = Instant::now() + TIMEOUT;
    while log.watermarks("short", 0, TIMEOUT).expect("the ends").low < 2500 {
        assert!(Instant::now() < deadline, "nothing was deleted");
        std::thread::sleep(Duration::from_millis(50));
    }
    let ends = log.watermarks("short", 0, TIMEOUT).expect("the ends");
    assert_eq!((ends.low, ends.high), (2500, 2500));
    assert_eq!(send_numbers(producer.as_ref(), "short", 0, 0..3), [2500, 2501, 2502]);

    let mut reader = Reader::new(log.as_ref(), &settings("short", "late")).starting_at(first(0));
    reader
        .poll_until("records are missing below the log", |reader| reader.out_of_range(0).is_some());
    assert!(reader.offsets(0).is_empty(), "what is left is not read over the gap");
    let reason = reader.out_of_range(0).unwrap_or_default();
    assert!(reason.contains("the position is 0"), "{reason}");
    reader.consumer.close();
}

#[test]
fn a_log_opened_again_goes_on_where_it_was() {
    let folder = Folder::new();
    let (id, topic_id) = {
        let log = folder.log();
        make_topic(&folder.0, 2);
        let producer = log.producer().expect("a producer");
        assert_eq!(send_numbers(producer.as_ref(), TOPIC, 1, 0..10).last(), Some(&9));
        (log.cluster_id(TIMEOUT), log.topic(TOPIC, TIMEOUT))
    };
    let log = folder.log();
    assert_eq!((log.cluster_id(TIMEOUT), log.topic(TOPIC, TIMEOUT)), (id.clone(), topic_id));
    assert_eq!(
        send_numbers(log.producer().expect("a producer").as_ref(), TOPIC, 1, 10..12),
        [10, 11]
    );
    let after = Start { partition: 1, offset: 9, leader_epoch: -1 };
    let mut reader = Reader::new(log.as_ref(), &settings(TOPIC, "group")).starting_at(after);
    reader.read(3);
    assert_eq!(reader.payloads(), ["payload 9", "payload 10", "payload 11"]);
    reader.consumer.close();
    assert_ne!(Folder::new().log().cluster_id(TIMEOUT), id, "another log has another id");
}

#[test]
fn a_topic_made_anew_has_another_id_and_its_senders_follow() {
    let folder = Folder::new();
    let log = folder.log();
    make_topic(&folder.0, 1);
    let producer = log.producer().expect("a producer");
    send_numbers(producer.as_ref(), TOPIC, 0, 0..5);
    let mut reader = Reader::new(log.as_ref(), &settings(TOPIC, "group"));
    reader.read(5);
    let before = log.topic(TOPIC, TIMEOUT).expect("described").expect("there");
    let by_hand = rusqlite::Connection::open(folder.0.join("log.db")).expect("opens");
    by_hand
        .execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM topic; DELETE FROM partition; DELETE FROM record; COMMIT",
        )
        .expect("deleted");
    make_topic(&folder.0, 1);
    let after = log.topic(TOPIC, TIMEOUT).expect("described").expect("there");
    assert_ne!(before.id, after.id);
    let record = OutgoingRecord {
        topic: TOPIC,
        partition: None,
        key: None,
        payload: Some(b"x"),
        headers: &[],
    };
    let first_error = send(producer.as_ref(), record).expect_err("the topic that it knew is gone");
    assert!(first_error.to_string().contains("deleted"), "{first_error}");
    assert_eq!(send(producer.as_ref(), record).expect("sent to the new one").offset, 0);
    reader.poll_until("told that its topic is gone", |reader| {
        reader.events.iter().any(
            |event| matches!(event, duto_log::Event::Fatal(reason) if reason.contains("deleted")),
        )
    });
    reader.consumer.close();
}

/// The write-ahead log must not grow without bound while a reader follows a busy sender.
#[test]
fn the_write_ahead_log_stays_bounded() {
    let folder = Folder::new();
    let log = folder.log();
    make_topic(&folder.0, 1);
    let producer = log.producer().expect("a producer");
    let mut reader = Reader::new(log.as_ref(), &settings(TOPIC, "group"));
    let payload = vec![b'x'; 20_000];
    let (mut sent, mut largest) = (0, 0);
    while sent < 15_000 {
        let record = OutgoingRecord {
            topic: TOPIC,
            partition: None,
            key: None,
            payload: Some(&payload),
            headers: &[],
        };
        match producer.send(record, Box::new(|outcome| assert!(outcome.is_ok()))) {
            Ok(()) => sent += 1,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        if sent % 100 == 0 {
            reader.poll(200, Duration::ZERO);
            reader.batch = Default::default();
            largest = largest
                .max(std::fs::metadata(folder.0.join("log.db-wal")).map_or(0, |file| file.len()));
        }
    }
    producer.flush(TIMEOUT * 3).expect("flushed");
    assert!(largest < 200 << 20, "the write-ahead log grew to {largest} bytes of 300 MB sent");
    reader.consumer.close();
}

/// Runs in a process of its own, which sees a small file system where the log stands.
#[test]
fn a_full_disk_is_told_and_forgotten_when_there_is_room() {
    const FOLDER: &str = "DUTO_TEST_SMALL_DISK";
    if let Ok(folder) = std::env::var(FOLDER) {
        return fill_and_empty(Path::new(&folder));
    }
    let folder = Folder::new();
    let mount =
        format!("mount -t tmpfs -o size=6m none '{}' && exec \"$0\" \"$@\"", folder.0.display());
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
    command.arg(std::env::current_exe().expect("this test's file"));
    command.args([
        "--exact",
        "embedded::a_full_disk_is_told_and_forgotten_when_there_is_room",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    let output = command
        .env(FOLDER, &folder.0)
        .process_group(0)
        .output()
        .expect("unshare makes a small file system");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn fill_and_empty(folder: &Path) {
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 3 << 20]).expect("the small disk takes it");
    make_topic(folder, 1);
    let log = duto_log::open(None, &[], folder).expect("open");
    let producer = log.producer().expect("a producer");
    let payload = vec![b'x'; 50_000];
    let record = OutgoingRecord {
        topic: TOPIC,
        partition: None,
        key: None,
        payload: Some(&payload),
        headers: &[],
    };
    let mut stored = Vec::new();
    let error = loop {
        match send(producer.as_ref(), record) {
            Ok(sent) => stored.push(sent.offset),
            Err(error) => break error,
        }
        assert!(stored.len() < 200, "the disk does not fill");
    };
    assert_eq!(error, LogError::QueueFull);
    assert!(send(producer.as_ref(), record).is_err(), "still full");
    assert!(!stored.is_empty());
    std::fs::remove_file(&ballast).expect("removed");
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match send(producer.as_ref(), record) {
            Ok(sent) => break stored.push(sent.offset),
            Err(error) => assert!(Instant::now() < deadline, "there is room, and yet: {error}"),
        }
    }
    assert_eq!(stored, (0..stored.len() as i64).collect::<Vec<i64>>());
    let mut reader = Reader::new(log.as_ref(), &settings(TOPIC, "group"));
    reader.read(stored.len());
    assert_eq!(reader.offsets(0), stored);
    reader.consumer.close();
}
