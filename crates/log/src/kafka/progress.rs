//! The topic in which journals keep their notes: compacted, one record a transaction, with the
//! journal's name as key.

use std::ffi::CStr;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::embedded::partition_of_key;
use super::super::{LogError, NewTopic};
use super::handle::{Client, Configuration, Topic, code_error, milliseconds, refused};
use super::{admin, offsets, topic_setting};

pub const TOPIC: &str = "duto-progress";
const TOPIC_C: &CStr = c"duto-progress";

/// A name keeps its partition for ever, so that this number may never change, whatever is added to
/// the topic.
const PARTITIONS: i32 = 8;

/// Small segments, so that compaction, which leaves the last one alone, keeps what has to be read
/// at a start small.
const SETTINGS: [(&CStr, &CStr); 3] = [
    (c"cleanup.policy", c"compact"),
    (c"segment.bytes", c"1048576"),
    (c"min.cleanable.dirty.ratio", c"0.2"),
];

/// Makes the topic if it is missing. One that is there must keep the last note of each name for
/// ever: a journal whose note was deleted would begin anew.
pub fn make(client: &Client, timeout: Duration) -> Result<(), LogError> {
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: PARTITIONS, retention: None };
    let found = match admin::describe_topic(client, TOPIC, timeout)? {
        Some(found) => found,
        None => {
            admin::create_topic(client, &topic, &SETTINGS, timeout)?;
            let made = admin::describe_topic(client, TOPIC, timeout)?;
            made.ok_or_else(|| refused(format!("make the topic {TOPIC}"), "it is gone again"))?
        }
    };
    let doing = || format!("look at the topic {TOPIC}");
    if found.partitions < PARTITIONS {
        return Err(refused(
            doing(),
            &format!("it has {} partitions and needs {PARTITIONS}", found.partitions),
        ));
    }
    match topic_setting::read(client, TOPIC_C, c"cleanup.policy", timeout)? {
        Some(policy) if policy == "compact" => Ok(()),
        policy => {
            let found = policy.unwrap_or_else(|| "not known".to_owned());
            Err(refused(
                doing(),
                &format!(
                    "its cleanup.policy is {found} and must be compact: it would lose how far \
                        journals are"
                ),
            ))
        }
    }
}

/// The partition of a journal's notes.
pub fn partition_of(name: &str) -> i32 {
    partition_of_key(name.as_bytes(), PARTITIONS)
}

/// The last committed note of this name, read up to the partition's end of now. Where another
/// journal's transaction is open below that end, it is waited for: behind it may stand a note of
/// ours.
pub fn last_note(
    questions: &Client,
    pairs: &[(String, String)],
    name: &str,
    deadline: Instant,
) -> Result<Option<Vec<u8>>, LogError> {
    let partition = partition_of(name);
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
    let end = offsets::watermarks(questions, TOPIC, partition, left)?.high;
    let doing = format!("read {TOPIC} [{partition}]");
    let client = Client::new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, Configuration::new(pairs)?)?;
    let topic = Topic::new(&client, TOPIC_C).ok_or_else(|| refused(doing.clone(), "no memory"))?;
    let reading = Reading::start(&topic, partition, &doing)?;
    let (mut note, mut at) = (None, 0);
    while at < end {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let reason =
                format!("up to {at} of {end} is committed; another transaction may still be open");
            return Err(LogError::Unreachable { doing, reason });
        }
        match reading.next(left.min(Duration::from_millis(100)), &doing)? {
            Some(Seen::Record { offset, key, payload }) => {
                at = offset + 1;
                if key.as_deref() == Some(name.as_bytes()) {
                    note = payload;
                }
            }
            Some(Seen::End(offset)) => at = at.max(offset),
            None => {}
        }
    }
    Ok(note)
}

enum Seen {
    Record { offset: i64, key: Option<Vec<u8>>, payload: Option<Vec<u8>> },
    End(i64),
}

/// A partition that is being read, as a member of no group.
struct Reading<'a> {
    topic: &'a Topic,
    partition: i32,
}

impl<'a> Reading<'a> {
    fn start(topic: &'a Topic, partition: i32, doing: &str) -> Result<Reading<'a>, LogError> {
        // SAFETY: the topic lives.
        match unsafe {
            sys::rd_kafka_consume_start(
                topic.raw(),
                partition,
                i64::from(sys::RD_KAFKA_OFFSET_BEGINNING),
            )
        } {
            0 => Ok(Reading { topic, partition }),
            // SAFETY: it only reads what the call before left behind.
            _ => Err(code_error(doing, unsafe { sys::rd_kafka_last_error() })),
        }
    }

    fn next(&self, timeout: Duration, doing: &str) -> Result<Option<Seen>, LogError> {
        // SAFETY: the topic lives; the message is ours until destroyed, and what it points at lives
        // as long.
        unsafe {
            let message =
                sys::rd_kafka_consume(self.topic.raw(), self.partition, milliseconds(timeout));
            let Some(seen) = message.as_ref() else { return Ok(None) };
            let bytes = |start: *mut std::ffi::c_void, length| {
                (!start.is_null())
                    .then(|| slice::from_raw_parts(start.cast::<u8>(), length).to_vec())
            };
            let answer = match seen.err {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(Some(Seen::Record {
                    offset: seen.offset,
                    key: bytes(seen.key, seen.key_len),
                    payload: bytes(seen.payload, seen.len),
                })),
                Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Ok(Some(Seen::End(seen.offset))),
                code => match code_error(doing, code) {
                    // The client goes on trying by itself.
                    LogError::Unreachable { .. } => Ok(None),
                    error => Err(error),
                },
            };
            sys::rd_kafka_message_destroy(message);
            answer
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // SAFETY: the topic lives, and this partition was started.
        unsafe { sys::rd_kafka_consume_stop(self.topic.raw(), self.partition) };
    }
}
