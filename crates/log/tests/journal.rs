//! Journals: records and a note together, by one holder at a time.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixture::{
    Folder, Reader, TIMEOUT, kafka, kafka_servers, new_topic, on_both, settings, unique,
};
use duto_ground::batch::decode_headers;
use duto_log::{Log, LogError, OutgoingRecord, open};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

on_both!(
    an_append_is_there_whole_with_its_note,
    a_holder_that_was_taken_over_appends_nothing,
    an_append_that_fails_leaves_nothing,
    large_appends_keep_their_order,
    journals_know_only_their_own_notes,
    an_append_wakes_who_waits_for_records,
);

fn record<'a>(topic: &'a str, partition: i32, payload: &'a str) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition: Some(partition),
        key: None,
        payload: Some(payload.as_bytes()),
        headers: &[],
    }
}

/// What a new reader sees, which reads only what is committed.
fn all_of(log: &Arc<dyn Log>, topic: &str, partitions: i32) -> Reader {
    let ends: Vec<i64> = (0..partitions)
        .map(|partition| log.watermarks(topic, partition, TIMEOUT).expect("the ends").high)
        .collect();
    let mut reader = Reader::new(log.as_ref(), &settings(topic, &unique("group")));
    // Behind them, where Kafka had answered a commit before it wrote the commit's marker.
    let is_read = |reader: &Reader| {
        (0..).zip(&ends).all(|(partition, end)| reader.ended_behind(partition, *end))
    };
    reader.poll_until("all partitions' ends", is_read);
    reader.consumer.close();
    reader
}

fn an_append_is_there_whole_with_its_note(log: &Arc<dyn Log>) {
    let (topic, name) = (new_topic(log.as_ref(), 2), unique("journal"));
    let mut journal = log.journal(&name, TIMEOUT).expect("opened");
    assert_eq!(journal.note(), None);
    let headers: [(&str, &[u8]); 2] = [("duto-message-id", b"1"), ("empty", b"")];
    let with_all = OutgoingRecord {
        topic: &topic,
        partition: Some(1),
        key: Some(b"key"),
        payload: Some(b"b"),
        headers: &headers,
    };
    let without = OutgoingRecord {
        topic: &topic,
        partition: Some(1),
        key: None,
        payload: None,
        headers: &[],
    };
    journal
        .append(&[record(&topic, 0, "a"), with_all, without], b"first", TIMEOUT)
        .expect("appended");
    assert_eq!(journal.note(), Some(b"first".as_slice()));
    journal.append(&[], b"\x00\xff", TIMEOUT).expect("a note alone");
    drop(journal);
    assert_eq!(
        log.journal(&name, TIMEOUT).expect("opened again").note(),
        Some(b"\x00\xff".as_slice())
    );

    let reader = all_of(log, &topic, 2);
    let mut found: Vec<_> = reader
        .batch
        .iter()
        .map(|record| (record.head.partition, record.key, record.payload, record.headers))
        .collect();
    found.sort_by_key(|(partition, ..)| *partition);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].0, found[0].2), (0, Some(b"a".as_slice())));
    assert_eq!((found[1].1, found[1].2), (Some(b"key".as_slice()), Some(b"b".as_slice())));
    let expected = headers.map(|(name, value)| (name.to_owned(), Some(value.to_vec())));
    assert_eq!(decode_headers(found[1].3.expect("headers")), expected);
    assert_eq!((found[2].1, found[2].2, found[2].3), (None, None, None));
}

fn a_holder_that_was_taken_over_appends_nothing(log: &Arc<dyn Log>) {
    let (topic, name) = (new_topic(log.as_ref(), 1), unique("journal"));
    let mut zombie = log.journal(&name, TIMEOUT).expect("opened");
    zombie.append(&[record(&topic, 0, "zombie 1")], b"1", TIMEOUT).expect("appended");
    let mut next = log.journal(&name, TIMEOUT).expect("taken over");
    assert_eq!(next.note(), Some(b"1".as_slice()));
    let error = zombie
        .append(&[record(&topic, 0, "zombie 2")], b"2", TIMEOUT)
        .expect_err("it was taken over");
    assert!(matches!(error, LogError::Locked(_)), "{error:?}");
    next.append(&[record(&topic, 0, "next")], b"3", TIMEOUT).expect("appended");
    assert!(zombie.append(&[record(&topic, 0, "zombie 3")], b"4", TIMEOUT).is_err(), "for ever");
    next.append(&[record(&topic, 0, "next again")], b"5", TIMEOUT).expect("appended");
    assert_eq!(all_of(log, &topic, 1).payloads(), ["zombie 1", "next", "next again"]);
    assert_eq!(log.journal(&name, TIMEOUT).expect("opened").note(), Some(b"5".as_slice()));
}

fn an_append_that_fails_leaves_nothing(log: &Arc<dyn Log>) {
    let (topic, name) = (new_topic(log.as_ref(), 1), unique("journal"));
    let mut journal = log.journal(&name, TIMEOUT).expect("opened");
    journal.append(&[record(&topic, 0, "good")], b"1", TIMEOUT).expect("appended");
    let records = [
        record(&topic, 0, "not alone"),
        record(&topic, 7, "nowhere"),
        record(&topic, 0, "not alone"),
    ];
    let error = journal.append(&records, b"2", TIMEOUT).expect_err("there is no partition 7");
    assert!(!matches!(error, LogError::Locked(_)), "{error:?}");
    let error = journal
        .append(&[record(&topic, 0, "too early")], b"3", TIMEOUT)
        .expect_err("its outcome is unknown");
    assert!(error.to_string().contains("opened again"), "{error}");
    let mut journal = log.journal(&name, TIMEOUT).expect("opened again");
    assert_eq!(journal.note(), Some(b"1".as_slice()));
    journal.append(&[record(&topic, 0, "after it")], b"2", TIMEOUT).expect("appended");
    assert_eq!(all_of(log, &topic, 1).payloads(), ["good", "after it"]);
}

fn large_appends_keep_their_order(log: &Arc<dyn Log>) {
    const APPENDS: usize = 12;
    const RECORDS: usize = 2_000;
    let (topic, name) = (new_topic(log.as_ref(), 1), unique("journal"));
    let mut journal = log.journal(&name, TIMEOUT).expect("opened");
    let padding = "x".repeat(500);
    for append in 0..APPENDS {
        let payloads: Vec<String> =
            (0..RECORDS).map(|number| format!("{} {padding}", append * RECORDS + number)).collect();
        let records: Vec<_> = payloads.iter().map(|payload| record(&topic, 0, payload)).collect();
        journal.append(&records, append.to_string().as_bytes(), TIMEOUT).expect("appended");
    }
    let mut large = vec![b'y'; 60 << 20];
    large[0] = b'[';
    if log.kind() == "embedded" {
        let one = OutgoingRecord {
            topic: &topic,
            partition: None,
            key: None,
            payload: Some(&large),
            headers: &[],
        };
        journal.append(&[one], b"a large one", TIMEOUT).expect("appended");
    }
    let numbers = all_of(log, &topic, 1).payloads();
    let numbers: Vec<usize> =
        numbers.iter().filter_map(|payload| payload.split(' ').next()?.parse().ok()).collect();
    assert_eq!(numbers, (0..APPENDS * RECORDS).collect::<Vec<usize>>());
}

fn journals_know_only_their_own_notes(log: &Arc<dyn Log>) {
    let (topic, prefix) = (new_topic(log.as_ref(), 1), unique("journal"));
    let name = |number: usize| format!("{prefix}/{number}");
    let mut journals: Vec<_> =
        (0..12).map(|number| log.journal(&name(number), TIMEOUT).expect("opened")).collect();
    for round in 0..3 {
        for (number, journal) in journals.iter_mut().enumerate() {
            let text = format!("{number} {round}");
            journal
                .append(&[record(&topic, 0, &text)], text.as_bytes(), TIMEOUT)
                .expect("appended");
        }
    }
    for number in 0..12 {
        let note = log.journal(&name(number), TIMEOUT).expect("opened").note().map(<[u8]>::to_vec);
        assert_eq!(note, Some(format!("{number} 2").into_bytes()));
    }
    assert_eq!(all_of(log, &topic, 1).batch.len(), 36);
}

fn an_append_wakes_who_waits_for_records(log: &Arc<dyn Log>) {
    let (topic, name) = (new_topic(log.as_ref(), 1), unique("journal"));
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("the end", |reader| reader.ended_at(0, 0));
    let mut journal = log.journal(&name, TIMEOUT).expect("opened");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            journal.append(&[record(&topic, 0, "wake up")], b"1", TIMEOUT).expect("appended");
        });
        let began = Instant::now();
        while reader.batch.is_empty() {
            reader.poll(10, TIMEOUT);
        }
        assert!(began.elapsed() < TIMEOUT / 2, "it took {:?}", began.elapsed());
    });
    reader.consumer.close();
}

/// Names the log, the topic and the journal for [`an_appender_goes_on_from_its_note`] when it runs
/// as a process of its own.
const ROLE: &str = "DUTO_TEST_APPENDER";

#[test]
fn kills_leave_whole_appends_each_once_on_kafka() {
    kills_leave_whole_appends_each_once(&kafka(), "");
}

#[test]
fn kills_leave_whole_appends_each_once_on_embedded() {
    let folder = Folder::new();
    kills_leave_whole_appends_each_once(&folder.log(), &folder.0.display().to_string());
}

fn kills_leave_whole_appends_each_once(log: &Arc<dyn Log>, folder: &str) {
    let (topic, name) = (new_topic(log.as_ref(), 2), unique("journal"));
    for round in 0..8_u64 {
        let mut appender = Command::new(std::env::current_exe().expect("this test's file"))
            .args([
                "--exact",
                "journal::an_appender_goes_on_from_its_note",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(ROLE, format!("{topic}\n{name}\n{folder}"))
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        // Every other one is killed wherever its start has got to, the rest in the middle of their
        // appends.
        if round % 2 == 1 {
            let appended = || {
                log.journal_note(&name, TIMEOUT)
                    .expect("answered")
                    .map_or(0, |note| number_of(&note))
            };
            let (before, deadline) = (appended(), Instant::now() + TIMEOUT);
            while appended() == before {
                assert!(Instant::now() < deadline, "nothing is appended in round {round}");
            }
        }
        std::thread::sleep(Duration::from_millis(round * 173 % 900));
        appender.kill().expect("killed");
        appender.wait().expect("waited for");
    }
    let journal = log.journal(&name, TIMEOUT).expect("opened");
    let appended = journal.note().map_or(0, number_of);
    assert!(appended > 8, "only {appended} appends in all rounds");
    let reader = all_of(log, &topic, 2);
    for partition in 0..2 {
        let payloads = reader.batch.iter().filter(|record| record.head.partition == partition);
        let numbers: Vec<u64> =
            payloads.map(|record| number_of(record.payload.expect("a payload"))).collect();
        let expected: Vec<u64> = (1..=appended).flat_map(|append| [append; 3]).collect();
        assert_eq!(numbers, expected, "partition {partition}");
    }
}

/// As a process of its own it appends until it is killed; else it appends a little and looks at it.
#[test]
fn an_appender_goes_on_from_its_note() {
    let role = std::env::var(ROLE).ok();
    let own = role.is_none().then(Folder::new);
    let role = role.unwrap_or_else(|| {
        format!("appender\njournal\n{}", own.as_ref().expect("a folder").0.display())
    });
    let [topic, name, folder] = role.split('\n').collect::<Vec<_>>()[..] else {
        panic!("{role:?}")
    };
    let log = match folder {
        "" => kafka(),
        folder => open(None, &[], folder.as_ref()).expect("open"),
    };
    log.create_topic(
        &duto_log::NewTopic { name: topic.to_owned(), partitions: 2, retention: None },
        TIMEOUT,
    )
    .expect("made");
    let mut journal = log.journal(name, TIMEOUT).expect("opened");
    let first = journal.note().map_or(0, number_of) + 1;
    let deadline = Instant::now() + Duration::from_secs(60);
    for number in first.. {
        if Instant::now() > deadline || (own.is_some() && number > 20) {
            break;
        }
        let text = number.to_string();
        let records: Vec<_> =
            [0, 1, 0, 1, 0, 1].iter().map(|partition| record(topic, *partition, &text)).collect();
        journal.append(&records, text.as_bytes(), TIMEOUT).expect("appended");
    }
    if own.is_some() {
        assert_eq!(all_of(&log, topic, 2).batch.len(), 120);
    }
}

fn number_of(text: &[u8]) -> u64 {
    std::str::from_utf8(text).expect("text").parse().expect("a number")
}

/// Where another journal's transaction is open, a note of ours may stand above what is stable:
/// opening waits for it.
#[test]
fn a_note_behind_another_transaction_is_waited_for() {
    let log = kafka();
    let name = unique("journal");
    let mut journal = log.journal(&name, TIMEOUT).expect("opened");
    journal.append(&[], b"1", TIMEOUT).expect("appended");
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka_servers())
        .set("transactional.id", unique("transaction"))
        .create()
        .expect("a transactional producer");
    other.init_transactions(TIMEOUT).expect("init");
    other.begin_transaction().expect("begin");
    let partitions =
        log.topic("duto-progress", TIMEOUT).expect("described").expect("there").partitions;
    for partition in 0..partitions {
        other
            .send(
                BaseRecord::<str, str>::to("duto-progress")
                    .partition(partition)
                    .key("nobody")
                    .payload("1"),
            )
            .expect("queued");
    }
    other.flush(TIMEOUT).expect("flushed");
    journal.append(&[], b"2", TIMEOUT).expect("appended");
    let error =
        log.journal(&name, Duration::from_secs(3)).err().expect("the other transaction is open");
    assert!(matches!(error, LogError::Unreachable { .. }), "{error:?}");
    let note = std::thread::scope(|scope| {
        let opening =
            scope.spawn(|| log.journal(&name, TIMEOUT).expect("opened").note().map(<[u8]>::to_vec));
        std::thread::sleep(Duration::from_millis(500));
        other.commit_transaction(TIMEOUT).expect("committed");
        opening.join().expect("opened")
    });
    assert_eq!(note, Some(b"2".to_vec()));
}
