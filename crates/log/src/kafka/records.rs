//! From librdkafka's queues into a batch: the inner loop of reading.
//!
//! The callback call is used, not `rd_kafka_consume_batch_queue`: up to 2.12 the latter counts a
//! partition's end as a record when it notes how far the application is, so that a pause after an
//! end (every rebalance makes one) resumes one record too far and loses it. The callback call also
//! answers as soon as there is one record, where the other waits until its array is full.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::slice;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{Event, Start};
use super::handle::{Client, Queue, Topic, code_text};
use super::rebalance::end_of;
use duto_ground::batch::{Batch, Place, encode_headers};

/// A batch is not filled beyond this, so that large records do not make an arena of gigabytes (its
/// places are 32 bits wide).
const MOST_BATCH_BYTES: usize = 64 << 20;

/// How far a partition of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Where the next record is read, and the epoch of the one before.
    pub next: Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// librdkafka has not yet confirmed the start: nothing that comes is of use.
    Starting,
    Reading,
    /// A record could not be had or read; what follows it is dropped until somebody seeks.
    Broken,
}

/// What one poll fills.
pub struct Taking<'a> {
    pub client: &'a Client,
    pub progress: &'a mut BTreeMap<i32, Progress>,
    pub into: &'a mut Batch,
    pub left: usize,
    pub events: &'a mut Vec<Event>,
}

impl Taking<'_> {
    /// Takes what is queued, up to `left` records; waits for nothing. Any partition whose queue is
    /// forwarded to the records' queue stands for all of them: only the call by partition lets
    /// librdkafka bound what it hands out at once, and what it hands out does not count as queued,
    /// so that without the bound it would fetch beyond the queue's limit.
    pub fn take(&mut self, topic: &Topic, partition: i32) {
        loop {
            let before = self.left;
            // SAFETY: topic and client live, and the callback is only called before this returns.
            let served = unsafe {
                sys::rd_kafka_consume_callback(
                    topic.raw(),
                    partition,
                    0,
                    Some(on_record),
                    ptr::from_mut(self).cast::<c_void>(),
                )
            };
            if served <= 0 || self.left == 0 || (self.left == before && !self.events.is_empty()) {
                return;
            }
        }
    }

    /// Serves rebalances and errors. Records come this way only when librdkafka undid a forwarding:
    /// those partitions start anew.
    pub fn serve_events(&mut self, queue: &Queue) {
        loop {
            // SAFETY: the queue lives; the callbacks run in here. A message is ours until
            // destroyed.
            unsafe {
                let message = sys::rd_kafka_consume_queue(queue.raw(), 0);
                let Some(seen) = message.as_ref() else { return };
                self.take_event(seen);
                sys::rd_kafka_message_destroy(message);
            }
        }
    }

    fn take_event(&mut self, message: &sys::rd_kafka_message_t) {
        match message.err {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR | Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                if let Some(progress) = self.progress.get_mut(&message.partition)
                    && progress.stage == Stage::Reading
                {
                    progress.stage = Stage::Starting;
                }
            }
            _ => self.take_error(message),
        }
    }

    fn take_record(&mut self, message: &sys::rd_kafka_message_t) {
        let Some(progress) = self.progress.get_mut(&message.partition) else { return };
        if progress.stage != Stage::Reading || message.offset < progress.next.offset {
            return;
        }
        progress.next.offset = message.offset + 1;
        // SAFETY: the message lives through the callback.
        unsafe {
            record_of(message, |place, key, payload, headers| {
                progress.next.leader_epoch = place.leader_epoch;
                self.into.push(place, key, payload, headers);
            });
        }
        self.left -= 1;
        if self.into.bytes.len() >= MOST_BATCH_BYTES {
            self.left = 0;
        }
        if self.left == 0 {
            // SAFETY: it only sets a flag of this thread; the rest of the queue stays as it is.
            unsafe { sys::rd_kafka_yield(self.client.raw()) };
        }
    }

    fn take_error(&mut self, message: &sys::rd_kafka_message_t) {
        use Code::*;
        let progress = self.progress.get_mut(&message.partition);
        match message.err {
            RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                if let Some(progress) = progress
                    && progress.stage == Stage::Reading
                {
                    progress.next.offset = progress.next.offset.max(message.offset);
                    self.events
                        .push(Event::End { partition: message.partition, offset: message.offset });
                }
            }
            // librdkafka goes on behind a batch that it cannot read: the records of it would be
            // lost without a word.
            RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            | RD_KAFKA_RESP_ERR__BAD_MSG
            | RD_KAFKA_RESP_ERR__BAD_COMPRESSION
            | RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED => {
                let reason = error_text(message);
                match progress {
                    Some(progress) => {
                        progress.stage = Stage::Broken;
                        self.events
                            .push(Event::OutOfRange { partition: message.partition, reason });
                    }
                    None => self.events.push(Event::Trouble(reason)),
                }
            }
            RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID => {
                self.events.push(Event::Superseded(error_text(message)))
            }
            // SAFETY: the client lives.
            RD_KAFKA_RESP_ERR__FATAL => self.events.push(unsafe { end_of(self.client.raw()) }),
            _ => self.events.push(Event::Trouble(error_text(message))),
        }
    }
}

unsafe extern "C" fn on_record(message: *mut sys::rd_kafka_message_t, taking: *mut c_void) {
    // SAFETY: both live through the call, see `Taking::take`, and nobody else has them.
    let (message, taking) = unsafe { (&*message, &mut *taking.cast::<Taking<'_>>()) };
    match message.err {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => taking.take_record(message),
        _ => taking.take_error(message),
    }
}

/// Hands on a record with its place, key, payload and encoded headers.
///
/// # Safety
/// The message lives through the call, and holds a record.
pub unsafe fn record_of(
    message: &sys::rd_kafka_message_t,
    take: impl FnOnce(Place, Option<&[u8]>, Option<&[u8]>, Option<&[u8]>),
) {
    // SAFETY: see above; the bytes that the message points at live as long as it does.
    let (leader_epoch, timestamp_ms, key, payload, headers) = unsafe {
        (
            sys::rd_kafka_message_leader_epoch(message),
            sys::rd_kafka_message_timestamp(message, ptr::null_mut()),
            bytes(message.key, message.key_len),
            bytes(message.payload, message.len),
            headers(message),
        )
    };
    take(
        Place { partition: message.partition, offset: message.offset, leader_epoch, timestamp_ms },
        key,
        payload,
        headers.as_deref(),
    );
}

/// Null is Kafka's null.
///
/// # Safety
/// The pointer is null, or `length` bytes live there as long as the answer is used.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: see above.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// None where the record has none, which costs nothing.
///
/// # Safety
/// The message lives through the call.
unsafe fn headers(message: *const sys::rd_kafka_message_t) -> Option<Vec<u8>> {
    let mut headers = ptr::null_mut();
    // SAFETY: see above; the headers belong to the message.
    if unsafe { sys::rd_kafka_message_headers(message, &mut headers) }
        != Code::RD_KAFKA_RESP_ERR_NO_ERROR
    {
        return None;
    }
    let mut found: Vec<(String, Option<&[u8]>)> = Vec::new();
    let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) =
        (ptr::null(), ptr::null(), 0);
    // SAFETY: the name ends with a NUL; name and value live as long as the message.
    unsafe {
        while sys::rd_kafka_header_get_all(headers, found.len(), &mut name, &mut value, &mut size)
            == Code::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            found.push((CStr::from_ptr(name).to_string_lossy().into_owned(), bytes(value, size)));
        }
    }
    (!found.is_empty())
        .then(|| encode_headers(found.iter().map(|(name, value)| (name.as_str(), *value))))
}

/// What librdkafka says of a message that is an error.
pub fn error_text(message: &sys::rd_kafka_message_t) -> String {
    // SAFETY: the text belongs to the message, or is null.
    let text = unsafe {
        let text = sys::rd_kafka_message_errstr(message);
        if text.is_null() {
            code_text(message.err)
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    };
    match message.partition {
        partition if partition >= 0 => format!("partition {partition}: {text}"),
        _ => text,
    }
}
