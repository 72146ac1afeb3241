//! What only Kafka has: rebalances, transactions, leader epochs, static members, topics made anew.

use std::time::{Duration, Instant};

use super::fixture::{
    Folder, Reader, TIMEOUT, first, kafka, kafka_servers, new_topic, send, send_numbers, settings,
    unique,
};
use duto_log::{Event, LogError, OutgoingRecord, Start, open};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const SHORT: Duration = Duration::from_millis(20);

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka_servers()).create().expect("an admin client")
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn transactional() -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka_servers())
        .set("transactional.id", unique("transaction"))
        .create()
        .expect("a transactional producer");
    producer.init_transactions(TIMEOUT).expect("init");
    producer
}

fn send_in_transaction(producer: &BaseProducer, topic: &str, count: usize) {
    producer.begin_transaction().expect("begin");
    for number in 0..count {
        let payload = format!("in a transaction {number}");
        producer
            .send(BaseRecord::<(), str>::to(topic).partition(0).payload(&payload))
            .expect("queued");
    }
    producer.flush(TIMEOUT).expect("flush");
}

#[test]
fn two_members_share_and_hand_over_without_loss_or_repeat() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 4), unique("group"));
    let producer = log.producer().expect("a producer");
    let send_round = |round: usize| {
        for partition in 0..4 {
            send_numbers(producer.as_ref(), &topic, partition, round * 50..(round + 1) * 50);
        }
    };
    send_round(0);
    let mut old = Reader::new(log.as_ref(), &settings(&topic, &group));
    old.poll_until("all to their ends", |reader| {
        (0..4).all(|partition| reader.ended_at(partition, 50))
    });
    assert_eq!(old.owned, [0, 1, 2, 3]);

    let mut new = Reader::new(log.as_ref(), &settings(&topic, &group));
    let deadline = Instant::now() + TIMEOUT * 2;
    while new.owned.len() < 2 {
        assert!(
            Instant::now() < deadline,
            "the new member got nothing: {:?} {:?}",
            old.events,
            new.events
        );
        old.poll(1000, SHORT);
        // As the database's position does: the new member starts where the old one stopped.
        new.positions.clone_from(&old.positions);
        new.poll(1000, SHORT);
    }
    assert!(
        old.events
            .iter()
            .any(|event| matches!(event, Event::Revoked(partitions) if partitions.len() == 2)),
        "{:?}",
        old.events
    );
    assert!(!old.events.iter().any(|event| matches!(event, Event::Lost(_))), "{:?}", old.events);
    assert_eq!(old.owned.len(), 2);

    send_round(1);
    let deadline = Instant::now() + TIMEOUT * 2;
    while old.batch.len() + new.batch.len() < 400 {
        assert!(
            Instant::now() < deadline,
            "{} and {} records of 400",
            old.batch.len(),
            new.batch.len()
        );
        old.poll(1000, SHORT);
        new.poll(1000, SHORT);
    }
    for partition in 0..4 {
        let offsets: Vec<i64> = [old.offsets(partition), new.offsets(partition)].concat();
        assert_eq!(offsets, (0..100).collect::<Vec<i64>>(), "partition {partition}");
    }

    // The member that leaves is not waited for.
    let left = Instant::now();
    old.consumer.close();
    new.positions.extend(
        old.positions.clone().into_iter().filter(|(partition, _)| old.owned.contains(partition)),
    );
    new.poll_until("all four", |reader| reader.owned.len() == 4);
    assert!(left.elapsed() < Duration::from_secs(5), "it took {:?}", left.elapsed());
    send_round(2);
    let before = new.batch.len();
    new.read(before + 200);
    for partition in 0..4 {
        let last: Vec<i64> =
            new.offsets(partition).into_iter().filter(|offset| *offset >= 100).collect();
        assert_eq!(last, (100..150).collect::<Vec<i64>>(), "partition {partition}");
    }
    new.consumer.close();
}

/// Each rebalance pauses what a member keeps. A record that comes right after the end of a
/// partition was told must not be skipped.
#[test]
fn a_rebalance_at_a_partitions_end_skips_nothing() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 2), unique("group"));
    let producer = log.producer().expect("a producer");
    let mut stays = Reader::new(log.as_ref(), &settings(&topic, &group));
    stays.poll_until("the ends", |reader| reader.ended_at(0, 0) && reader.ended_at(1, 0));
    let mut sent = 0;
    for _ in 0..4 {
        let mut joins = Reader::new(log.as_ref(), &settings(&topic, &group));
        let deadline = Instant::now() + TIMEOUT;
        while joins.owned.is_empty() && Instant::now() < deadline {
            stays.poll(100, SHORT);
            joins.positions.clone_from(&stays.positions);
            joins.poll(0, SHORT);
        }
        assert_eq!((stays.owned.len(), joins.owned.len()), (1, 1));
        let kept = stays.owned[0];
        send_numbers(producer.as_ref(), &topic, kept, 0..1);
        sent += 1;
        joins.consumer.close();
        stays.poll_until("both again, and the record", |reader| {
            reader.owned.len() == 2 && reader.batch.len() >= sent
        });
        assert_eq!(stays.batch.len(), sent, "no repeat: {:?}", stays.batch.records);
    }
    stays.consumer.close();
}

#[test]
fn the_membership_outlives_a_slow_answer() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 2), unique("group"));
    let mut old = Reader::new(log.as_ref(), &settings(&topic, &group));
    old.poll_until("both partitions", |reader| reader.owned.len() == 2);
    let mut new = Reader::new(log.as_ref(), &settings(&topic, &group));
    let mut revoked = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    while revoked.is_empty() {
        assert!(Instant::now() < deadline, "nothing was revoked");
        for event in old.consumer.poll(&mut old.batch, 0, SHORT) {
            if let Event::Revoked(partitions) = event {
                revoked = partitions;
            }
        }
        new.poll(0, SHORT);
    }
    // Longer than the session's timeout: the batch in flight is being finished.
    let answered = Instant::now() + Duration::from_secs(8);
    while Instant::now() < answered {
        let events = old.consumer.poll(&mut old.batch, 0, SHORT);
        assert!(
            events.iter().all(|event| matches!(event, Event::End { .. } | Event::Trouble(_))),
            "{events:?}"
        );
        new.poll(0, SHORT);
        assert!(new.owned.is_empty(), "the partition still belongs to the old member");
    }
    old.consumer.unassign(&revoked).expect("unassign");
    let deadline = Instant::now() + TIMEOUT;
    while new.owned != revoked {
        assert!(Instant::now() < deadline, "{:?} instead of {revoked:?}", new.owned);
        old.poll(0, SHORT);
        new.poll(0, SHORT);
    }
    new.consumer.close();
    old.consumer.close();
}

#[test]
fn closing_in_the_middle_of_a_rebalance_does_not_hang() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 2), unique("group"));
    let mut unanswered = log.consumer(&settings(&topic, &group)).expect("a consumer");
    let mut batch = Default::default();
    let deadline = Instant::now() + TIMEOUT;
    while !unanswered
        .poll(&mut batch, 0, SHORT)
        .iter()
        .any(|event| matches!(event, Event::Assigned(_)))
    {
        assert!(Instant::now() < deadline, "nothing was assigned");
    }
    let started = Instant::now();
    unanswered.close();
    assert!(started.elapsed() < Duration::from_secs(3), "it took {:?}", started.elapsed());
    let mut next = Reader::new(log.as_ref(), &settings(&topic, &group));
    next.poll_until("both partitions", |reader| reader.owned.len() == 2);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "the group had to wait for the session's timeout"
    );
    next.consumer.close();
}

#[test]
fn aborted_transactions_are_not_read_and_their_markers_move_the_end() {
    let log = kafka();
    let topic = new_topic(log.as_ref(), 1);
    let producer = transactional();
    send_in_transaction(&producer, &topic, 3);
    producer.commit_transaction(TIMEOUT).expect("commit");
    send_in_transaction(&producer, &topic, 4);
    producer.abort_transaction(TIMEOUT).expect("abort");
    // Three records, a marker, four aborted records, a marker.
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("the end behind the last marker", |reader| reader.ended_at(0, 9));
    assert_eq!(reader.offsets(0), [0, 1, 2]);

    send_in_transaction(&producer, &topic, 5);
    let ends = log.watermarks(&topic, 0, TIMEOUT).expect("the ends");
    assert_eq!(
        (ends.low, ends.high, ends.last_stable),
        (0, 14, 9),
        "an open transaction holds the stable end back"
    );
    reader.poll(100, Duration::from_millis(500));
    assert_eq!(reader.batch.len(), 3, "nothing of an open transaction");
    producer.commit_transaction(TIMEOUT).expect("commit");
    reader.poll_until("the end behind the commit", |reader| reader.ended_at(0, 15));
    assert_eq!(reader.offsets(0), [0, 1, 2, 9, 10, 11, 12, 13]);
    let ends = log.watermarks(&topic, 0, TIMEOUT).expect("the ends");
    assert_eq!((ends.high, ends.last_stable), (15, 15));
    reader.consumer.close();
}

#[test]
fn a_topic_made_anew_has_another_id() {
    let log = kafka();
    let topic = new_topic(log.as_ref(), 2);
    let before = log.topic(&topic, TIMEOUT).expect("described").expect("there");
    wait_for(admin().delete_topics(&[&topic], &AdminOptions::new())).expect("deleted");
    let deadline = Instant::now() + TIMEOUT;
    while log.topic(&topic, TIMEOUT).expect("described").is_some() {
        assert!(Instant::now() < deadline, "it is still there");
        std::thread::sleep(SHORT);
    }
    let again = duto_log::NewTopic {
        name: topic.clone(),
        partitions: 3,
        retention: Some(Duration::from_secs(60)),
    };
    log.create_topic(&again, TIMEOUT).expect("made anew");
    let after = log.topic(&topic, TIMEOUT).expect("described").expect("there");
    assert_ne!(before.id, after.id);
    assert_eq!((before.partitions, after.partitions), (2, 3));
}

#[test]
fn partitions_that_are_added_are_assigned_too() {
    let often = [("topic.metadata.refresh.interval.ms".to_owned(), "300".to_owned())];
    let log = open(Some(&kafka_servers()), &often, &Folder::new().0).expect("open Kafka");
    let topic = new_topic(log.as_ref(), 2);
    let producer = log.producer().expect("a producer");
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.poll_until("two partitions", |reader| reader.owned.len() == 2);
    send_numbers(producer.as_ref(), &topic, 0, 0..5);
    wait_for(admin().create_partitions(&[NewPartitions::new(&topic, 4)], &AdminOptions::new()))
        .expect("added");
    reader.poll_until("four partitions", |reader| reader.owned.len() == 4);
    send_numbers(producer.as_ref(), &topic, 0, 5..10);
    send_numbers(producer.as_ref(), &topic, 3, 0..7);
    reader.read(17);
    assert_eq!((reader.offsets(0).len(), reader.offsets(3).len()), (10, 7));
    reader.consumer.close();
}

#[test]
fn records_that_were_deleted_below_the_position_are_told() {
    let log = kafka();
    let topic = new_topic(log.as_ref(), 1);
    send_numbers(log.producer().expect("a producer").as_ref(), &topic, 0, 0..20);
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&topic, 0, Offset::Offset(12)).expect("an offset");
    wait_for(admin().delete_records(&below, &AdminOptions::new())).expect("deleted");
    assert_eq!(log.watermarks(&topic, 0, TIMEOUT).expect("the ends").low, 12);
    let mut reader =
        Reader::new(log.as_ref(), &settings(&topic, &unique("group"))).starting_at(first(0));
    reader.poll_until("the gap", |reader| reader.out_of_range(0).is_some());
    assert!(reader.batch.is_empty());
    reader.consumer.seek(Start { partition: 0, offset: 12, leader_epoch: -1 }).expect("seek");
    reader.read(8);
    assert_eq!(reader.offsets(0), (12..20).collect::<Vec<i64>>());
    reader.consumer.close();
}

/// A log that was cut and grew again looks whole by its offsets; the epoch of the last record
/// tells.
#[test]
fn a_start_is_validated_by_its_leader_epoch() {
    let log = kafka();
    let topic = new_topic(log.as_ref(), 1);
    send_numbers(log.producer().expect("a producer").as_ref(), &topic, 0, 0..10);
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")));
    reader.read(10);
    let epoch = reader.batch.records[4].leader_epoch;
    assert!(epoch >= 0, "the records carry their epoch");
    reader.consumer.close();

    let known = Start { partition: 0, offset: 5, leader_epoch: epoch };
    let mut reader =
        Reader::new(log.as_ref(), &settings(&topic, &unique("group"))).starting_at(known);
    reader.read(5);
    assert_eq!(reader.offsets(0), [5, 6, 7, 8, 9]);
    reader.consumer.close();

    let of_another_history = Start { partition: 0, offset: 5, leader_epoch: epoch + 1000 };
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &unique("group")))
        .starting_at(of_another_history);
    reader.poll_until("the truncation", |reader| reader.out_of_range(0).is_some());
    assert!(reader.batch.is_empty(), "nothing is read before the epoch is validated");
    reader.consumer.close();
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 2), unique("group"));
    let member = |name: &str| {
        let mut settings = settings(&topic, &group);
        settings.instance_id = Some(name.to_owned());
        Reader::new(log.as_ref(), &settings)
    };
    let (mut one, mut two) = (member("one"), member("two"));
    let deadline = Instant::now() + TIMEOUT;
    while one.owned.len() != 1 || two.owned.len() != 1 {
        assert!(Instant::now() < deadline, "{:?} {:?}", one.owned, two.owned);
        one.poll(0, SHORT);
        two.poll(0, SHORT);
    }
    let (owned, events_before) = (two.owned.clone(), one.events.len());
    two.consumer.close();
    drop(two);
    let mut two = member("two");
    let deadline = Instant::now() + Duration::from_secs(5);
    while two.owned.is_empty() {
        assert!(Instant::now() < deadline, "it did not get its partition back");
        one.poll(0, SHORT);
        two.poll(0, SHORT);
    }
    assert_eq!(two.owned, owned);
    let since: Vec<&Event> = one.events[events_before..]
        .iter()
        .filter(|event| !matches!(event, Event::End { .. }))
        .collect();
    assert!(since.is_empty(), "the other member was left alone: {since:?}");

    // A second process with the same name: the first one is told that it is finished.
    let mut usurper = member("two");
    let deadline = Instant::now() + TIMEOUT;
    while !two.events.iter().any(|event| matches!(event, Event::Superseded(_))) {
        assert!(Instant::now() < deadline, "{:?}", two.events);
        one.poll(0, SHORT);
        two.poll(0, SHORT);
        usurper.poll(0, SHORT);
    }
    for mut reader in [one, two, usurper] {
        reader.consumer.close();
    }
}

#[test]
fn the_groups_copy_of_the_position_is_there_for_lag_tools() {
    let log = kafka();
    let (topic, group) = (new_topic(log.as_ref(), 1), unique("group"));
    send_numbers(log.producer().expect("a producer").as_ref(), &topic, 0, 0..10);
    let mut reader = Reader::new(log.as_ref(), &settings(&topic, &group));
    reader.read(10);
    let outsider: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka_servers())
        .set("group.id", &group)
        .create()
        .expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        reader.consumer.commit_copy(&[(0, 7)]);
        reader.poll(0, Duration::from_millis(100));
        let committed = outsider.committed_offsets(asked.clone(), TIMEOUT).expect("committed");
        if committed.elements()[0].offset() == Offset::Offset(7) {
            break;
        }
        assert!(Instant::now() < deadline, "{committed:?}");
    }
    reader.consumer.close();
}

#[test]
fn a_cluster_that_is_away_is_told_in_time() {
    let nowhere = open(Some("127.0.0.1:1"), &[], &Folder::new().0).expect("nothing connects yet");
    let started = Instant::now();
    let timeout = Duration::from_secs(1);
    let unreachable =
        |error: LogError| assert!(matches!(error, LogError::Unreachable { .. }), "{error:?}");
    unreachable(nowhere.cluster_id(timeout).expect_err("nobody there"));
    unreachable(nowhere.topic("sales", timeout).expect_err("nobody there"));
    unreachable(nowhere.watermarks("sales", 0, timeout).expect_err("nobody there"));
    assert!(started.elapsed() < Duration::from_secs(8), "it took {:?}", started.elapsed());
}

#[test]
fn settings_that_would_break_the_promise_are_refused_with_either_log() {
    let folder = Folder::new();
    let bad = [("auto.offset.reset".to_owned(), "latest".to_owned())];
    for servers in [None, Some("127.0.0.1:1")] {
        let error = open(servers, &bad, &folder.0).err().expect("refused").to_string();
        assert!(
            error.contains("auto.offset.reset") && error.contains("must stop the partition"),
            "{error}"
        );
    }
    let unknown = [("no.such.setting".to_owned(), "1".to_owned())];
    let log = open(Some("127.0.0.1:1"), &unknown, &folder.0)
        .expect("not looked at before a client starts");
    let error = log.producer().err().expect("refused").to_string();
    assert!(error.contains("no.such.setting"), "{error}");
}

#[test]
fn a_send_that_cannot_be_delivered_is_told() {
    let settings = [("message.timeout.ms".to_owned(), "1500".to_owned())];
    let nowhere =
        open(Some("127.0.0.1:1"), &settings, &Folder::new().0).expect("nothing connects yet");
    let producer = nowhere.producer().expect("a producer");
    let record = OutgoingRecord {
        topic: "sales",
        partition: Some(0),
        key: None,
        payload: Some(b"x"),
        headers: &[],
    };
    let error = send(producer.as_ref(), record).expect_err("nobody there");
    assert!(matches!(error, LogError::Unreachable { .. }), "{error:?}");
}
