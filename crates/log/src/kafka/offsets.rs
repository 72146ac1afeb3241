//! Questions for offsets: the ends of partitions, and the offset of a time. Many partitions share
//! one question.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::slice;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_IsolationLevel_t as Isolation;
use rdkafka_sys::rd_kafka_OffsetSpec_t as Place;
use rdkafka_sys::rd_kafka_admin_op_t as Question;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{LogError, Watermarks};
use super::admin::ask;
use super::handle::{Client, c_string, code_error, object_result, refused};
use super::partitions::PartitionList;

/// A partition, and what is asked of it: a [`Place`], or a time in milliseconds since 1970.
type Asked<'a> = (&'a CStr, i32, i64);

/// A partition's ends. They are asked for from the bottom up, so that records which come meanwhile
/// leave them in order. (librdkafka's own question for both watermarks answers the stable end for
/// the high one, whatever the client reads.)
pub fn watermarks(
    client: &Client,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> Result<Watermarks, LogError> {
    let doing = format!("ask for the ends of {topic} [{partition}]");
    let name = c_string(topic, &doing)?;
    let one = |place: Place, level: Isolation| {
        single(client, (&name, partition, place as i64), level, timeout, &doing)
    };
    Ok(Watermarks {
        low: one(
            Place::RD_KAFKA_OFFSET_SPEC_EARLIEST,
            Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
        )?,
        last_stable: one(
            Place::RD_KAFKA_OFFSET_SPEC_LATEST,
            Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        )?,
        high: one(
            Place::RD_KAFKA_OFFSET_SPEC_LATEST,
            Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
        )?,
    })
}

/// The ends of many partitions, in their order; None for one that the brokers do not know.
pub fn ends(
    client: &Client,
    partitions: &[(String, i32)],
    timeout: Duration,
) -> Result<Vec<Option<Watermarks>>, LogError> {
    let doing = format!("ask for the ends of {} partitions", partitions.len());
    let names = partitions
        .iter()
        .map(|(topic, _)| c_string(topic, &doing))
        .collect::<Result<Vec<CString>, LogError>>()?;
    let all = |place: Place, level: Isolation| {
        let asked: Vec<Asked<'_>> = names
            .iter()
            .zip(partitions)
            .map(|(name, (_, partition))| (name.as_c_str(), *partition, place as i64))
            .collect();
        list(client, &asked, level, timeout, &doing)
    };
    let low = all(
        Place::RD_KAFKA_OFFSET_SPEC_EARLIEST,
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    )?;
    let last_stable = all(
        Place::RD_KAFKA_OFFSET_SPEC_LATEST,
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
    )?;
    let high = all(
        Place::RD_KAFKA_OFFSET_SPEC_LATEST,
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    )?;
    let together = |((low, last_stable), high): ((Found, Found), Found)| -> Result<Option<Watermarks>, LogError> {
        match (low, last_stable, high) {
            (Ok(low), Ok(last_stable), Ok(high)) => Ok(Some(Watermarks { low, high, last_stable })),
            (Err(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION), _, _) => Ok(None),
            (Err(code), _, _) | (_, Err(code), _) | (_, _, Err(code)) => Err(code_error(&doing, code)),
        }
    };
    low.into_iter().zip(last_stable).zip(high).map(together).collect()
}

/// The first offset whose record is of this time or later; None where all are older.
pub fn at_time(
    client: &Client,
    topic: &str,
    partition: i32,
    time_ms: i64,
    timeout: Duration,
) -> Result<Option<i64>, LogError> {
    let doing = format!("look for a time in {topic} [{partition}]");
    let name = c_string(topic, &doing)?;
    // A negative one would be taken for one of the named places.
    let asked = (name.as_c_str(), partition, time_ms.max(0));
    let offset = single(
        client,
        asked,
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
        timeout,
        &doing,
    )?;
    Ok((offset >= 0).then_some(offset))
}

fn single(
    client: &Client,
    asked: Asked<'_>,
    level: Isolation,
    timeout: Duration,
    doing: &str,
) -> Result<i64, LogError> {
    match list(client, &[asked], level, timeout, doing)?.pop() {
        Some(Ok(offset)) => Ok(offset),
        Some(Err(code)) => Err(code_error(doing, code)),
        None => Err(refused(doing, "the answer does not name the partition")),
    }
}

/// The offset of a partition, or why there is none.
type Found = Result<i64, Code>;

/// Between two questions while brokers and client do not agree about a leader.
const LEADER_INTERVAL: Duration = Duration::from_millis(50);

/// One question for all; the answers are in the order of what was asked. It is asked again while a
/// leader is only being made known, as just after its topic was made.
fn list(
    client: &Client,
    asked: &[Asked<'_>],
    level: Isolation,
    timeout: Duration,
    doing: &str,
) -> Result<Vec<Found>, LogError> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = list_once(client, asked, level, left, doing)?;
        let has_settled =
            !found.iter().any(|found| matches!(found, Err(code) if is_about_leaders(*code)));
        if has_settled || left < LEADER_INTERVAL {
            return Ok(found);
        }
        std::thread::sleep(LEADER_INTERVAL);
    }
}

fn is_about_leaders(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH
            | Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
            | Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
    )
}

fn list_once(
    client: &Client,
    asked: &[Asked<'_>],
    level: Isolation,
    timeout: Duration,
    doing: &str,
) -> Result<Vec<Found>, LogError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let list = PartitionList::of_places(asked.iter().copied());
    let answer =
        ask(client, Question::RD_KAFKA_ADMIN_OP_LISTOFFSETS, doing, timeout, |options, queue| {
            // SAFETY: options and list live; the request copies the list.
            unsafe {
                let error = sys::rd_kafka_AdminOptions_set_isolation_level(options, level);
                object_result(doing, error).map_err(|(_, error)| error)?;
                sys::rd_kafka_ListOffsets(client.raw(), list.raw(), options, queue);
            }
            Ok(())
        })?;
    let mut found: HashMap<(Vec<u8>, i32), Found> = HashMap::new();
    // SAFETY: what the answer points at lives as long as the answer does.
    unsafe {
        let mut count = 0;
        let infos = sys::rd_kafka_ListOffsets_result_infos(
            sys::rd_kafka_event_ListOffsets_result(answer.raw()),
            &mut count,
        );
        let infos = if infos.is_null() { &[] } else { slice::from_raw_parts(infos, count) };
        for info in infos {
            let entry = &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
            let offset = if entry.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                Ok(entry.offset)
            } else {
                Err(entry.err)
            };
            found
                .insert((CStr::from_ptr(entry.topic).to_bytes().to_vec(), entry.partition), offset);
        }
    }
    let missing = Err(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    Ok(asked
        .iter()
        .map(|(topic, partition, _)| {
            *found.get(&(topic.to_bytes().to_vec(), *partition)).unwrap_or(&missing)
        })
        .collect())
}
