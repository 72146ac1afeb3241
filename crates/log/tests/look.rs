//! Looking at a log without being anybody: what is listed, where a time is, and records of any run
//! of offsets.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use duto_ground::batch::{Batch, decode_headers};
use duto_log::{Log, LogError, Look, OutgoingRecord, Span};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::fixture::{
    Folder, Reader, TIMEOUT, kafka, kafka_servers, new_topic, on_both, send, send_numbers,
    settings, unique,
};

const PLENTY: usize = 1 << 20;

on_both!(
    topics_are_listed_with_their_partitions,
    the_ends_of_many_partitions_are_one_question,
    a_time_has_an_offset,
    any_run_of_offsets_is_read_from_either_side,
    what_does_not_fit_is_read_later,
    records_look_as_they_were_sent,
    a_topic_that_is_not_there_is_refused,
    a_worker_notices_nothing,
);

fn topics_are_listed_with_their_partitions(log: &Arc<dyn Log>) {
    let (one, three) = (new_topic(log.as_ref(), 1), new_topic(log.as_ref(), 3));
    let listed = log.topics(TIMEOUT).expect("listed");
    let partitions =
        |name: &str| listed.iter().find(|topic| topic.name == name).map(|topic| topic.partitions);
    assert_eq!(
        (partitions(&one), partitions(&three), partitions("not there")),
        (Some(1), Some(3), None)
    );
    assert!(listed.is_sorted_by(|a, b| a.name < b.name));
}

fn the_ends_of_many_partitions_are_one_question(log: &Arc<dyn Log>) {
    let (full, empty) = (new_topic(log.as_ref(), 2), new_topic(log.as_ref(), 1));
    send_numbers(log.producer().expect("a producer").as_ref(), &full, 1, 0..5);
    let asked = [(full.clone(), 1), (unique("missing"), 0), (empty, 0), (full, 0)];
    let ends = log.ends(&asked, TIMEOUT).expect("answered");
    let found: Vec<_> =
        ends.iter().map(|ends| ends.map(|ends| (ends.low, ends.high, ends.last_stable))).collect();
    assert_eq!(found, [Some((0, 5, 5)), None, Some((0, 0, 0)), Some((0, 0, 0))]);
    assert_eq!(log.ends(&[], TIMEOUT), Ok(Vec::new()));
}

fn a_time_has_an_offset(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    let producer = log.producer().expect("a producer");
    send_numbers(producer.as_ref(), &topic, 0, 0..100);
    std::thread::sleep(Duration::from_millis(50));
    let middle_ms = now_ms();
    std::thread::sleep(Duration::from_millis(50));
    send_numbers(producer.as_ref(), &topic, 0, 100..200);
    let at = |time_ms| log.offset_at(&topic, 0, time_ms, TIMEOUT).expect("answered");
    assert_eq!(at(0), Some(0));
    assert_eq!(at(-5), Some(0));
    assert_eq!(at(middle_ms), Some(100));
    assert_eq!(at(now_ms() + 60_000), None);
    assert_eq!(log.offset_at(&new_topic(log.as_ref(), 1), 0, 0, TIMEOUT), Ok(None));
}

fn any_run_of_offsets_is_read_from_either_side(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 3);
    let producer = log.producer().expect("a producer");
    for partition in 0..2 {
        send_numbers(producer.as_ref(), &topic, partition, 0..3000);
    }
    let mut look = log.look().expect("a look");
    // The newest first, as a page asks for them, then forwards, and a run beyond the end.
    for (from, to) in [(2990, 3000), (2980, 2990), (0, 10), (1000, 2500), (2500, 3000), (5, 5)] {
        let spans: Vec<Span> = (0..3)
            .map(|partition| Span { partition, from, to: if partition == 2 { from } else { to } })
            .collect();
        let mut batch = Batch::default();
        let reached = look.read(&topic, &spans, &mut batch, PLENTY, TIMEOUT).expect("read");
        assert_eq!(reached, [to, to, from], "{from}..{to}");
        for partition in 0..2 {
            assert_eq!(
                offsets(&batch, partition),
                (from..to).collect::<Vec<i64>>(),
                "{from}..{to}"
            );
        }
    }
    let beyond = Span { partition: 2, from: 0, to: 7 };
    let mut batch = Batch::default();
    assert_eq!(
        look.read(&topic, &[beyond], &mut batch, PLENTY, TIMEOUT),
        Ok(vec![7]),
        "the partition is empty"
    );
    assert!(batch.is_empty());
}

fn what_does_not_fit_is_read_later(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    send_numbers(log.producer().expect("a producer").as_ref(), &topic, 0, 0..2000);
    let mut look = log.look().expect("a look");
    let (mut from, mut found, mut reads) = (0, Vec::new(), 0);
    while from < 2000 {
        let mut batch = Batch::default();
        let reached = look
            .read(&topic, &[Span { partition: 0, from, to: 2000 }], &mut batch, 4000, TIMEOUT)
            .expect("read");
        assert!(batch.bytes.len() < 4100, "{} bytes", batch.bytes.len());
        assert!(reached[0] > from, "it goes on");
        from = reached[0];
        found.extend(offsets(&batch, 0));
        reads += 1;
    }
    assert_eq!(found, (0..2000).collect::<Vec<i64>>());
    assert!(reads > 3, "{reads} reads");
}

fn records_look_as_they_were_sent(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    let producer = log.producer().expect("a producer");
    let headers: &[(&str, &[u8])] = &[("trace", b"1"), ("não", b"\x00\xff")];
    let sent = OutgoingRecord {
        topic: &topic,
        partition: None,
        key: Some(b"\x00\xff"),
        payload: Some(b"text"),
        headers,
    };
    send(producer.as_ref(), sent).expect("sent");
    send(producer.as_ref(), OutgoingRecord { key: None, payload: None, headers: &[], ..sent })
        .expect("sent");
    let mut batch = Batch::default();
    read(log.look().expect("a look").as_mut(), &topic, 0..2, &mut batch).expect("read");
    let (full, bare) = (batch.get(0), batch.get(1));
    assert_eq!((full.key, full.payload), (Some(b"\x00\xff".as_slice()), Some(b"text".as_slice())));
    let expected: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.to_vec()))).collect();
    assert_eq!(decode_headers(full.headers.unwrap_or_default()), expected);
    assert!((now_ms() - full.head.timestamp_ms).abs() < 60_000);
    assert_eq!((bare.key, bare.payload, bare.headers), (None, None, None));
}

fn a_topic_that_is_not_there_is_refused(log: &Arc<dyn Log>) {
    let outcome = read(
        log.look().expect("a look").as_mut(),
        &unique("missing"),
        0..10,
        &mut Batch::default(),
    );
    assert!(matches!(outcome, Err(LogError::Refused { .. })), "{outcome:?}");
}

fn a_worker_notices_nothing(log: &Arc<dyn Log>) {
    let topic = new_topic(log.as_ref(), 1);
    let producer = log.producer().expect("a producer");
    send_numbers(producer.as_ref(), &topic, 0, 0..500);
    let mut worker = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    worker.read(500);
    let mut look = log.look().expect("a look");
    for round in 0..20 {
        let mut batch = Batch::default();
        read(look.as_mut(), &topic, 0..500, &mut batch).expect("read");
        assert_eq!(batch.len(), 500);
        send_numbers(producer.as_ref(), &topic, 0, 500 + round..501 + round);
        worker.poll(10, Duration::from_millis(5));
    }
    worker.read(520);
    assert_eq!(worker.offsets(0), (0..520).collect::<Vec<i64>>());
    let disturbed = |event: &duto_log::Event| {
        matches!(event, duto_log::Event::Revoked(_) | duto_log::Event::Lost(_))
    };
    assert!(!worker.events.iter().any(disturbed), "{:?}", worker.events);
    worker.consumer.close();
}

/// What a worker would not get is not shown either, and the markers of transactions are no records.
#[test]
fn aborted_records_and_markers_are_passed_over() {
    let log = kafka();
    let topic = new_topic(log.as_ref(), 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka_servers())
        .set("transactional.id", unique("transaction"))
        .create()
        .expect("a transactional producer");
    producer.init_transactions(TIMEOUT).expect("init");
    for (round, commits) in [true, false, true].into_iter().enumerate() {
        producer.begin_transaction().expect("begin");
        for number in 0..3 {
            let payload = format!("{round} {number}");
            producer
                .send(BaseRecord::<(), str>::to(&topic).partition(0).payload(&payload))
                .expect("queued");
        }
        producer.flush(TIMEOUT).expect("flush");
        if commits {
            producer.commit_transaction(TIMEOUT)
        } else {
            producer.abort_transaction(TIMEOUT)
        }
        .expect("ended");
    }
    // A transaction's marker is written a moment after it has ended.
    let deadline = Instant::now() + TIMEOUT;
    while log.watermarks(&topic, 0, TIMEOUT).expect("the ends").last_stable < 12 {
        assert!(Instant::now() < deadline, "the last marker is missing");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut batch = Batch::default();
    let mut look = log.look().expect("a look");
    read(look.as_mut(), &topic, 0..12, &mut batch).expect("read");
    assert_eq!(offsets(&batch, 0), [0, 1, 2, 8, 9, 10]);
    let mut gap = Batch::default();
    read(look.as_mut(), &topic, 3..8, &mut gap).expect("read");
    assert!(gap.is_empty(), "there is nothing between the markers");
}

fn read(
    look: &mut dyn Look,
    topic: &str,
    offsets: std::ops::Range<i64>,
    into: &mut Batch,
) -> Result<Vec<i64>, LogError> {
    look.read(
        topic,
        &[Span { partition: 0, from: offsets.start, to: offsets.end }],
        into,
        PLENTY,
        TIMEOUT,
    )
}

fn offsets(batch: &Batch, partition: i32) -> Vec<i64> {
    batch
        .records
        .iter()
        .filter(|head| head.partition == partition)
        .map(|head| head.offset)
        .collect()
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis())
        .expect("in range")
}
