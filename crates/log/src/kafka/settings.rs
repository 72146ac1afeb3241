//! Which settings librdkafka gets: ours, then the pipeline file's, and which of those would break
//! the promise.

use std::time::Duration;

use super::super::{ConsumerSettings, LogError};

/// What a pipeline file may not set, and what to say instead. A key that ends in `*` stands for all
/// that begin so.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it comes from KAFKA_BOOTSTRAP_SERVERS"),
    ("metadata.broker.list", "it comes from KAFKA_BOOTSTRAP_SERVERS"),
    ("group.*", "the group is `source.group`, and its protocol is fixed"),
    (
        "partition.assignment.strategy",
        "partitions change hands cooperatively, so that a rebalance does not stop the others",
    ),
    ("enable.auto.commit", "the position is kept in the database, in the rows' own transaction"),
    ("auto.commit.*", "the position is kept in the database, in the rows' own transaction"),
    (
        "enable.auto.offset.store",
        "the position is kept in the database, in the rows' own transaction",
    ),
    ("offset.store.*", "the position is kept in the database, in the rows' own transaction"),
    (
        "auto.offset.reset",
        "an offset that is not in the log must stop the partition: to jump would lose or repeat \
            records",
    ),
    ("isolation.level", "records of an aborted transaction must not be read"),
    ("enable.partition.eof", "it tells when a partition is caught up"),
    ("session.timeout.ms", "it follows from the worker's own timeouts"),
    ("heartbeat.interval.ms", "it follows from the session's timeout"),
    ("max.poll.interval.ms", "the worker answers while it waits for the database"),
    (
        "allow.auto.create.topics",
        "topics are made with the partitions and the retention that the file names",
    ),
    ("consume.callback.max.messages", "it bounds the client's memory"),
    ("enable.idempotence", "without it a retry could store a record twice"),
    ("acks", "a record counts as accepted when all replicas have it"),
    ("request.required.acks", "a record counts as accepted when all replicas have it"),
    ("transactional.id", "it would make every send part of a transaction"),
    ("partitioner", "a key must go where a Java producer would send it"),
];

/// Refuses settings that would break the promise; `pairs` are those of `source.kafka`.
pub fn check(pairs: &[(String, String)]) -> Result<(), LogError> {
    for (name, _) in pairs {
        let refused = REFUSED.iter().find(|(key, _)| match key.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == key,
        });
        if let Some((_, why)) = refused {
            return Err(LogError::Refused {
                doing: format!("source.kafka: {name}"),
                reason: format!("duto sets this itself: {why}"),
            });
        }
    }
    Ok(())
}

/// For questions to the cluster.
pub fn for_questions(servers: &str, pairs: &[(String, String)]) -> Vec<(String, String)> {
    with(servers, pairs, vec![])
}

/// What a producer takes of one record, and what may wait in it, in KiB: more than the longest that
/// a file may declare (100 MiB). The topic's own limit decides what is too large, not the client's,
/// whose default is a million bytes.
const LONGEST_MESSAGE_BYTES: &str = "120000000";
const WAITING_KBYTES: &str = "131072";

/// For sending: acknowledged by all replicas, in order, once.
pub fn for_producer(servers: &str, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let ours = [
        ("linger.ms", "1"),
        ("queue.buffering.max.kbytes", WAITING_KBYTES),
        ("message.max.bytes", LONGEST_MESSAGE_BYTES),
        ("queue.buffering.max.messages", "200000"),
        ("message.timeout.ms", "120000"),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("partitioner", "murmur2_random"),
    ];
    with(servers, pairs, ours.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// How long a transaction may stay open whose producer died: until then it holds back everybody who
/// reads what is committed.
const TRANSACTION_TIMEOUT_MS: u32 = 30_000;

/// For appending to a journal: one transaction after the other, under a name that fences whoever
/// had it before. The file's own limits for a send are left out: librdkafka refuses those that do
/// not fit the transaction's.
pub fn for_journal(servers: &str, pairs: &[(String, String)], name: &str) -> Vec<(String, String)> {
    let limits = [
        "message.timeout.ms",
        "delivery.timeout.ms",
        "socket.timeout.ms",
        "transaction.timeout.ms",
    ];
    let pairs: Vec<(String, String)> =
        pairs.iter().filter(|(name, _)| !limits.contains(&name.as_str())).cloned().collect();
    let mut ours: Vec<(String, String)> = [
        ("linger.ms", "1"),
        ("queue.buffering.max.kbytes", WAITING_KBYTES),
        ("message.max.bytes", LONGEST_MESSAGE_BYTES),
        ("queue.buffering.max.messages", "200000"),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("partitioner", "murmur2_random"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    ours.push(("transactional.id".to_owned(), format!("duto-{name}")));
    ours.push(("transaction.timeout.ms".to_owned(), TRANSACTION_TIMEOUT_MS.to_string()));
    with(servers, &pairs, ours)
}

/// For reading one partition of the progress from its beginning, as a member of no group.
pub fn for_progress(servers: &str, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let ours = [
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
        ("fetch.wait.max.ms", "50"),
        ("fetch.error.backoff.ms", "50"),
        ("check.crcs", "true"),
    ];
    with(servers, pairs, ours.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// For reading as a member of a group that keeps its position elsewhere.
///
/// Memory: librdkafka takes about 400 bytes beside each queued record, so the queue is bounded in
/// records as well as in bytes. It looks again every few milliseconds whether there is room; its
/// own default, a second, would starve a fast worker.
pub fn for_consumer(
    servers: &str,
    pairs: &[(String, String)],
    settings: &ConsumerSettings,
) -> Vec<(String, String)> {
    let session_ms = settings.session_timeout.as_millis().clamp(1_000, 3_600_000);
    let queued_kbytes = (settings.max_queued_bytes / 1024).clamp(256, 2_000_000);
    let fetch_bytes = (settings.max_queued_bytes / 4).clamp(1_048_576, 4_194_304);
    // A limit, not memory that is taken: a producer's batch of many records may be larger than any
    // of them.
    let receive_bytes = (settings.max_record_bytes + 1_048_576).clamp(100_000_000, 1_000_000_000);
    let mut ours: Vec<(String, String)> = [
        ("group.id", settings.group.clone()),
        ("group.protocol", "classic".to_owned()),
        ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("auto.offset.reset", "error".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("session.timeout.ms", session_ms.to_string()),
        ("heartbeat.interval.ms", (session_ms / 4).min(HEARTBEAT.as_millis()).to_string()),
        ("max.poll.interval.ms", session_ms.max(300_000).to_string()),
        ("queued.max.messages.kbytes", queued_kbytes.to_string()),
        ("queued.min.messages", "40000".to_owned()),
        ("fetch.queue.backoff.ms", "4".to_owned()),
        ("fetch.min.bytes", "1".to_owned()),
        ("fetch.wait.max.ms", "100".to_owned()),
        ("fetch.message.max.bytes", "1048576".to_owned()),
        ("fetch.max.bytes", fetch_bytes.to_string()),
        ("receive.message.max.bytes", receive_bytes.to_string()),
        ("fetch.error.backoff.ms", "100".to_owned()),
        ("check.crcs", "true".to_owned()),
        ("consume.callback.max.messages", "1000".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(instance_id) = &settings.instance_id {
        ours.push(("group.instance.id".to_owned(), instance_id.clone()));
    }
    with(servers, pairs, ours)
}

/// For looking at records without a group. Fetches are small, and an end is told soon: a person
/// waits for them.
pub fn for_look(servers: &str, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let ours = [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
        ("queued.max.messages.kbytes", "32768"),
        ("queued.min.messages", "50000"),
        ("fetch.queue.backoff.ms", "4"),
        ("fetch.min.bytes", "1"),
        ("fetch.wait.max.ms", "20"),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.max.bytes", "8388608"),
        ("receive.message.max.bytes", "100000000"),
        ("fetch.error.backoff.ms", "100"),
        ("topic.metadata.propagation.max.ms", "2000"),
    ];
    with(servers, pairs, ours.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// How often a member says that it lives. Its answer tells it of a rebalance, and a rebalance waits
/// for the last member to hear of it: three seconds, as is usual, would be three seconds in which
/// nobody reads the partitions of a worker that stopped.
pub const HEARTBEAT: Duration = Duration::from_millis(300);

/// How long a member that leaves waits for its own joining to end.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a member that unsubscribed may take to ask the group to forget it.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long leaving the group may take before the brokers are left to notice.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What all clients have, then `ours`, then the file's, which may change what was not refused.
fn with(
    servers: &str,
    pairs: &[(String, String)],
    ours: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let all_clients = [
        ("bootstrap.servers", servers),
        ("client.id", "duto"),
        ("socket.nagle.disable", "true"),
        ("socket.keepalive.enable", "true"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("topic.metadata.refresh.interval.ms", "30000"),
    ];
    let all_clients =
        all_clients.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    all_clients.chain(ours).chain(pairs.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_break_the_promise_and_says_why() {
        let cases = [
            ("enable.auto.commit", Some("the position is kept in the database")),
            ("auto.commit.interval.ms", Some("the position is kept in the database")),
            ("auto.offset.reset", Some("must stop the partition")),
            ("isolation.level", Some("aborted transaction")),
            ("group.id", Some("source.group")),
            ("group.instance.id", Some("source.group")),
            ("acks", Some("all replicas")),
            ("partitioner", Some("Java producer")),
            ("bootstrap.servers", Some("KAFKA_BOOTSTRAP_SERVERS")),
            ("security.protocol", None),
            ("sasl.mechanisms", None),
            ("ssl.ca.location", None),
            ("message.timeout.ms", None),
            ("compression.type", None),
        ];
        for (name, expected) in cases {
            let answer = check(&[(name.to_owned(), "x".to_owned())]);
            match expected {
                None => assert_eq!(answer, Ok(()), "{name}"),
                Some(why) => {
                    let text = answer.expect_err(name).to_string();
                    assert!(text.contains(why) && text.contains(name), "{name}: {text}");
                }
            }
        }
    }

    #[test]
    fn lets_the_file_change_the_rest() {
        let pairs = for_producer("a:9092", &[("linger.ms".to_owned(), "50".to_owned())]);
        let last =
            |name: &str| pairs.iter().rev().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
        assert_eq!(last("linger.ms"), Some("50"));
        assert_eq!(last("acks"), Some("all"));
        assert_eq!(last("bootstrap.servers"), Some("a:9092"));
    }
}
