//! Records of every length on Kafka: the topic's own limit decides what is too large, and says so.

use super::fixture::{TIMEOUT, kafka, kafka_servers, new_topic, send, unique};
use duto_log::{LogError, OutgoingRecord};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

fn record<'a>(topic: &'a str, payload: &'a [u8]) -> OutgoingRecord<'a> {
    OutgoingRecord { topic, partition: Some(0), key: None, payload: Some(payload), headers: &[] }
}

fn set_limit(topic: &str, bytes: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka_servers())
        .create()
        .expect("an admin client");
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let changed =
        runtime.block_on(admin.alter_configs([&change], &AdminOptions::new())).expect("an answer");
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
}

#[test]
fn the_topic_decides_what_is_too_large() {
    let log = kafka();
    let (topic, large) = (new_topic(log.as_ref(), 1), vec![b'x'; 3_000_000]);
    let producer = log.producer().expect("a producer");
    let refused =
        send(producer.as_ref(), record(&topic, &large)).expect_err("the default limit is a MiB");
    assert!(
        matches!(&refused, LogError::TooLarge { reason, .. } if reason.contains("max.message.bytes")),
        "{refused:?}"
    );
    let mut journal = log.journal(&unique("journal"), TIMEOUT).expect("opened");
    let refused = journal
        .append(&[record(&topic, b"small"), record(&topic, &large)], b"1", TIMEOUT)
        .expect_err("as above");
    assert!(matches!(refused, LogError::TooLarge { .. }), "{refused:?}");

    set_limit(&topic, "4000000");
    send(producer.as_ref(), record(&topic, &large)).expect("the topic takes it now");
    let mut journal = log.journal(&unique("journal"), TIMEOUT).expect("opened");
    journal
        .append(&[record(&topic, b"small"), record(&topic, &large)], b"1", TIMEOUT)
        .expect("the topic takes it now");
}

/// Many that are each within the topic's limit are not gathered into something beyond it.
#[test]
fn records_are_not_gathered_beyond_the_limit() {
    let log = kafka();
    let (topic, long) = (new_topic(log.as_ref(), 1), vec![b'x'; 400_000]);
    let producer = log.producer().expect("a producer");
    let (tell, told) = std::sync::mpsc::channel();
    for _ in 0..20 {
        let tell = tell.clone();
        producer
            .send(record(&topic, &long), Box::new(move |outcome| drop(tell.send(outcome))))
            .expect("queued");
    }
    for _ in 0..20 {
        told.recv_timeout(TIMEOUT).expect("an outcome").expect("sent");
    }
}
