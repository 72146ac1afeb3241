//! What both logs must do alike.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fixture::{
    Folder, Reader, TIMEOUT, first, kafka, new_topic, on_both, send, send_numbers, settings, unique,
};
use duto_ground::batch::decode_headers;
use duto_log::{Log, NewTopic, OutgoingRecord, Start};

on_both!(
    records_come_back_as_they_were_sent,
    a_topic_is_made_once_and_keeps_its_id,
    ends_are_told_and_watermarks_agree,
    reading_starts_where_it_is_told_and_seeks_both_ways,
    a_position_outside_the_log_is_told_and_mended_by_a_seek,
    a_paused_partition_gives_nothing_and_loses_nothing,
    a_poll_for_no_records_takes_none_and_loses_none,
    a_lone_record_is_answered_at_once,
    an_unknown_topic_cannot_be_sent_to,
    many_threads_send_and_every_offset_is_used_once,
);

fn records_come_back_as_they_were_sent(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    let producer = log.producer().expect("a producer");
    type Case<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [(&'a str, &'a [u8])]);
    let cases: &[Case<'_>] = &[
        (
            Some(b"key"),
            Some(b"payload"),
            &[("trace", b"1"), ("empty", b""), ("trace", b"\x00\xff")],
        ),
        (None, Some(b"no key"), &[]),
        (Some(b""), Some(b""), &[]),
        (Some(b"tombstone"), None, &[("why", b"deleted")]),
        (Some(b"\x00\xff"), Some(b"\x00not \xfftext"), &[("não", b"x")]),
    ];
    let before_ms = now_ms();
    for (key, payload, headers) in cases {
        let sent = send(
            producer.as_ref(),
            OutgoingRecord {
                topic: &topic,
                partition: None,
                key: *key,
                payload: *payload,
                headers,
            },
        );
        assert_eq!(sent.expect("sent").partition, 0);
    }
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.read(cases.len());
    for (index, (record, (key, payload, headers))) in reader.batch.iter().zip(cases).enumerate() {
        assert_eq!((record.key, record.payload), (*key, *payload), "record {index}");
        assert_eq!(record.head.offset, index as i64);
        let expected: Vec<(String, Option<Vec<u8>>)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())))
            .collect();
        assert_eq!(record.headers.is_some(), !headers.is_empty(), "record {index}");
        assert_eq!(decode_headers(record.headers.unwrap_or_default()), expected, "record {index}");
        let range = before_ms - 1000..=now_ms() + 1000;
        assert!(
            range.contains(&record.head.timestamp_ms),
            "record {index}: {} in {range:?}",
            record.head.timestamp_ms
        );
    }
    reader.consumer.close();
}

fn a_topic_is_made_once_and_keeps_its_id(log: &Arc<dyn Log>) {
    assert_eq!(log.topic(&unique("missing"), TIMEOUT), Ok(None));
    // A name that no topic can have is no reason for an error either.
    for name in ["not a name", "a\0b", "\u{ff}\u{8a}", "a/b", &"x".repeat(250)] {
        assert_eq!(log.topic(name, TIMEOUT), Ok(None), "{name:?}");
    }
    let name = unique("topic");
    for partitions in [3, 5] {
        let topic =
            NewTopic { name: name.clone(), partitions, retention: Some(Duration::from_secs(3600)) };
        log.create_topic(&topic, TIMEOUT).expect("made, or there already");
    }
    let described = log.topic(&name, TIMEOUT).expect("described").expect("there");
    assert_eq!(described.partitions, 3, "a topic that is there keeps its settings");
    assert_eq!(log.topic(&name, TIMEOUT).expect("described").expect("there").id, described.id);
    let other = new_topic(log.as_ref(), 1);
    assert_ne!(log.topic(&other, TIMEOUT).expect("described").expect("there").id, described.id);
    assert!(!log.cluster_id(TIMEOUT).expect("an id").is_empty());
    assert_eq!(log.cluster_id(TIMEOUT), log.cluster_id(TIMEOUT));
}

fn ends_are_told_and_watermarks_agree(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("the ends of an empty topic", |reader| {
        reader.ended_at(0, 0) && reader.ended_at(1, 0)
    });
    assert_eq!(send_numbers(producer.as_ref(), &topic, 1, 0..5), [0, 1, 2, 3, 4]);
    reader.poll_until("the end behind five records", |reader| reader.ended_at(1, 5));
    assert_eq!(reader.offsets(1), [0, 1, 2, 3, 4]);
    for (partition, high) in [(0, 0), (1, 5)] {
        let ends = log.watermarks(&topic, partition, TIMEOUT).expect("the ends");
        assert_eq!((ends.low, ends.high, ends.last_stable), (0, high, high));
    }
    assert!(log.watermarks(&topic, 2, Duration::from_secs(2)).is_err(), "there is no partition 2");
    reader.consumer.close();
}

fn reading_starts_where_it_is_told_and_seeks_both_ways(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    send_numbers(log.producer().expect("a producer").as_ref(), &topic, 0, 0..1000);
    let middle = Start { partition: 0, offset: 400, leader_epoch: -1 };
    let mut reader =
        Reader::new(log.as_ref(), &settings(&topic, &unique("group"))).starting_at(middle);
    reader.read(600);
    assert_eq!(reader.offsets(0), (400..1000).collect::<Vec<i64>>());
    for start in [0, 990, 7] {
        reader.batch = Default::default();
        reader
            .consumer
            .seek(Start { partition: 0, offset: start, leader_epoch: -1 })
            .expect("seek");
        reader.poll(3, TIMEOUT);
        let left = usize::try_from(1000 - start).expect("a count");
        reader.read(left);
        assert_eq!(
            reader.offsets(0),
            (start..1000).collect::<Vec<i64>>(),
            "after a seek to {start}"
        );
    }
    reader.consumer.close();
}

fn a_position_outside_the_log_is_told_and_mended_by_a_seek(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    send_numbers(producer.as_ref(), &topic, 0, 0..10);
    send_numbers(producer.as_ref(), &topic, 1, 0..10);
    let beyond = Start { partition: 0, offset: 99, leader_epoch: -1 };
    let mut reader =
        Reader::new(log.as_ref(), &settings(&topic, &unique("group"))).starting_at(beyond);
    reader.poll_until("partition 0 outside", |reader| reader.out_of_range(0).is_some());
    reader.poll_until("partition 1 read", |reader| reader.ended_at(1, 10));
    assert_eq!((reader.offsets(0), reader.offsets(1)), (vec![], (0..10).collect()));
    assert!(reader.out_of_range(1).is_none());
    reader.consumer.seek(first(0)).expect("seek");
    reader.read(20);
    assert_eq!(reader.offsets(0), (0..10).collect::<Vec<i64>>());
    reader.consumer.close();
}

fn a_paused_partition_gives_nothing_and_loses_nothing(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    for partition in [0, 1] {
        send_numbers(producer.as_ref(), &topic, partition, 0..2000);
    }
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("some records of both", |reader| {
        !reader.offsets(0).is_empty() && !reader.offsets(1).is_empty() || reader.batch.len() > 3000
    });
    reader.consumer.pause(&[0]).expect("pause");
    let paused_at = reader.offsets(0).len();
    reader.poll_until("the other partition to its end", |reader| reader.ended_at(1, 2000));
    send_numbers(producer.as_ref(), &topic, 1, 2000..2010);
    reader.poll_until("the other partition's new end", |reader| reader.ended_at(1, 2010));
    assert_eq!(reader.offsets(0).len(), paused_at, "nothing of a paused partition");
    reader.consumer.resume(&[0]).expect("resume");
    reader.poll_until("all of the paused one", |reader| reader.ended_at(0, 2000));
    assert_eq!(reader.offsets(0), (0..2000).collect::<Vec<i64>>());
    assert_eq!(reader.offsets(1), (0..2010).collect::<Vec<i64>>());
    // A pause at a partition's end, then records: none may be skipped.
    for round in 0..5 {
        reader.consumer.pause(&[0, 1]).expect("pause");
        send_numbers(producer.as_ref(), &topic, 0, 0..1);
        reader.poll(100, Duration::from_millis(20));
        reader.consumer.resume(&[0, 1]).expect("resume");
        reader.poll_until("the record behind the end", |reader| reader.ended_at(0, 2001 + round));
    }
    assert_eq!(reader.offsets(0), (0..2005).collect::<Vec<i64>>());
    reader.consumer.close();
}

fn a_poll_for_no_records_takes_none_and_loses_none(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 3);
    let producer = log.producer().expect("a producer");
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("the assignment", |reader| reader.owned.len() == 3);
    for partition in 0..3 {
        send_numbers(producer.as_ref(), &topic, partition, 0..1000);
    }
    let mut most = 1;
    while reader.batch.len() < 3000 {
        for _ in 0..3 {
            let before = reader.batch.len();
            let started = Instant::now();
            reader.poll(0, Duration::from_millis(5));
            assert_eq!(reader.batch.len(), before);
            assert!(started.elapsed() < Duration::from_secs(2));
        }
        reader.poll(most, TIMEOUT);
        most = (most * 3).min(700);
    }
    for partition in 0..3 {
        assert_eq!(
            reader.offsets(partition),
            (0..1000).collect::<Vec<i64>>(),
            "partition {partition}"
        );
    }
    reader.consumer.close();
}

fn a_lone_record_is_answered_at_once(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    let producer = log.producer().expect("a producer");
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("the end", |reader| reader.ended_at(0, 0));
    let mut waits = Vec::new();
    for number in 0..21 {
        let sender = &producer;
        let topic = &topic;
        let acknowledged = std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(10));
                send_numbers(sender.as_ref(), topic, 0, number..number + 1);
                Instant::now()
            });
            let before = reader.batch.len();
            while reader.batch.len() == before {
                reader.poll(10_000, TIMEOUT);
            }
            let read = Instant::now();
            read.saturating_duration_since(sending.join().expect("sent"))
        });
        waits.push(acknowledged);
    }
    waits.sort();
    assert!(
        waits[10] < Duration::from_millis(20),
        "from acknowledged to answered, the median: {:?}",
        waits[10]
    );
    reader.consumer.close();
}

fn an_unknown_topic_cannot_be_sent_to(log: &Arc<dyn Log>) {
    let topic = unique("missing");
    if log.kind() == "embedded" {
        let producer = log.producer().expect("a producer");
        let record = OutgoingRecord {
            topic: &topic,
            partition: None,
            key: None,
            payload: Some(b"x"),
            headers: &[],
        };
        let error = send(producer.as_ref(), record).expect_err("there is no such topic");
        assert!(error.to_string().contains("there is no topic"), "{error}");
        return;
    }
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    let record = OutgoingRecord {
        topic: &topic,
        partition: Some(7),
        key: None,
        payload: Some(b"x"),
        headers: &[],
    };
    let error = send(producer.as_ref(), record).expect_err("there is no partition 7");
    assert!(error.to_string().to_lowercase().contains("partition"), "{error}");
}

fn many_threads_send_and_every_offset_is_used_once(log: &Arc<dyn Log>) {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    let mut offsets: Vec<i64> = std::thread::scope(|scope| {
        let (producer, topic) = (producer.as_ref(), topic.as_str());
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(move || send_numbers(producer, topic, 1, 0..EACH)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a sender")).collect()
    });
    offsets.sort_unstable();
    assert_eq!(offsets, (0..(THREADS * EACH) as i64).collect::<Vec<i64>>());
    producer.flush(TIMEOUT).expect("flushed");
}

/// A system that moves from one log to the other keeps its keys' partitions.
#[test]
fn a_key_goes_to_the_same_partition_in_both() {
    let folder = Folder::new();
    let partitions = [kafka(), folder.log()].map(|log| {
        let topic = new_topic(log.as_ref(), 7);
        let producer = log.producer().expect("a producer");
        let partition = |number: u32| {
            let key = format!("USER{number:03}");
            let record = OutgoingRecord {
                topic: &topic,
                partition: None,
                key: Some(key.as_bytes()),
                payload: None,
                headers: &[],
            };
            send(producer.as_ref(), record).expect("sent").partition
        };
        (0..60).map(partition).collect::<Vec<i32>>()
    });
    assert_eq!(partitions[0], partitions[1]);
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}
