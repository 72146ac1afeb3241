//! Reading records by librdkafka's simple consumer: no group, so nothing that a worker's group
//! could notice.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::{LogError, Look, Span};
use super::handle::{
    Client, Configuration, Queue, Topic, c_string, code_error, milliseconds, refused,
};
use super::records::{error_text, record_of};
use duto_ground::batch::Batch;

/// How often the time is looked at while nothing comes.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The fields are dropped in this order: the topics go before their client.
pub struct KafkaLook {
    topics: BTreeMap<CString, Topic>,
    client: Client,
}

impl KafkaLook {
    pub fn start(pairs: &[(String, String)]) -> Result<KafkaLook, LogError> {
        let client =
            Client::new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, Configuration::new(pairs)?)?;
        Ok(KafkaLook { topics: BTreeMap::new(), client })
    }
}

impl Look for KafkaLook {
    fn read(
        &mut self,
        topic: &str,
        spans: &[Span],
        into: &mut Batch,
        most_bytes: usize,
        patience: Duration,
    ) -> Result<Vec<i64>, LogError> {
        let doing = format!("look at the topic {topic}");
        let no_memory = || refused(&doing, "no memory");
        let name = c_string(topic, &doing)?;
        if !self.topics.contains_key(&name) {
            let handle = Topic::new(&self.client, &name).ok_or_else(no_memory)?;
            self.topics.insert(name.clone(), handle);
        }
        let handle = self.topics.get(&name).ok_or_else(no_memory)?;
        let queue = Queue::new(&self.client).ok_or_else(no_memory)?;
        let mut reading = Reading {
            client: &self.client,
            progress: BTreeMap::new(),
            into,
            most_bytes,
            failure: None,
        };
        for span in spans {
            reading.progress.insert(
                span.partition,
                Progress { next: span.from, to: span.to, is_done: span.from >= span.to },
            );
        }
        let started = Started::begin(handle, &queue, spans, &doing)?;
        let outcome = reading.run(&queue, patience, &doing);
        drop(started);
        outcome?;
        Ok(spans.iter().map(|span| reading.reached(span)).collect())
    }
}

/// The partitions that are being fetched; dropping it stops them.
struct Started<'a> {
    topic: &'a Topic,
    partitions: Vec<i32>,
}

impl<'a> Started<'a> {
    fn begin(
        topic: &'a Topic,
        queue: &Queue,
        spans: &[Span],
        doing: &str,
    ) -> Result<Started<'a>, LogError> {
        let mut started = Started { topic, partitions: Vec::new() };
        for span in spans.iter().filter(|span| span.from < span.to) {
            // SAFETY: topic and queue live; librdkafka counts its own references to them.
            if unsafe {
                sys::rd_kafka_consume_start_queue(
                    topic.raw(),
                    span.partition,
                    span.from,
                    queue.raw(),
                )
            } != 0
            {
                // SAFETY: it reads the error of this thread's last call.
                return Err(code_error(doing, unsafe { sys::rd_kafka_last_error() }));
            }
            started.partitions.push(span.partition);
        }
        Ok(started)
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        for partition in &self.partitions {
            // SAFETY: the topic lives, and the partition was started.
            unsafe { sys::rd_kafka_consume_stop(self.topic.raw(), *partition) };
        }
    }
}

struct Progress {
    next: i64,
    to: i64,
    is_done: bool,
}

/// What one read fills.
struct Reading<'a> {
    client: &'a Client,
    progress: BTreeMap<i32, Progress>,
    into: &'a mut Batch,
    most_bytes: usize,
    failure: Option<LogError>,
}

impl Reading<'_> {
    /// Until all spans are done, `into` is full, or nothing came for so long.
    fn run(&mut self, queue: &Queue, patience: Duration, doing: &str) -> Result<(), LogError> {
        let mut heard = Instant::now();
        while !self.is_finished() {
            let opaque = ptr::from_mut(self).cast::<c_void>();
            let wait = milliseconds(LOOK_INTERVAL.min(patience));
            // SAFETY: the queue lives, and the callback is only called before this returns.
            let served = unsafe {
                sys::rd_kafka_consume_callback_queue(queue.raw(), wait, Some(on_message), opaque)
            };
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if served > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > patience {
                let reason = format!("nothing came for {patience:?}");
                return Err(LogError::Unreachable { doing: doing.to_owned(), reason });
            }
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.failure.is_some()
            || self.into.bytes.len() >= self.most_bytes
            || self.progress.values().all(|progress| progress.is_done)
    }

    fn reached(&self, span: &Span) -> i64 {
        self.progress
            .get(&span.partition)
            .map_or(span.from, |progress| if progress.is_done { span.to } else { progress.next })
    }

    fn take(&mut self, message: &sys::rd_kafka_message_t) {
        if self.is_finished() {
            return;
        }
        let Some(progress) = self.progress.get_mut(&message.partition) else {
            return self.take_error(message);
        };
        match message.err {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR
                if progress.is_done || message.offset < progress.next => {}
            Code::RD_KAFKA_RESP_ERR_NO_ERROR if message.offset >= progress.to => {
                progress.is_done = true
            }
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
                progress.next = message.offset + 1;
                progress.is_done = progress.next >= progress.to;
                // SAFETY: the message lives through the callback.
                unsafe {
                    record_of(message, |place, key, payload, headers| {
                        self.into.push(place, key, payload, headers)
                    })
                };
            }
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => progress.is_done = true,
            _ => self.take_error(message),
        }
        if self.is_finished() {
            // SAFETY: it only sets a flag of this thread; what is queued beyond goes with the
            // queue.
            unsafe { sys::rd_kafka_yield(self.client.raw()) };
        }
    }

    /// What the client tries again by itself is waited for, as long as there is patience.
    fn take_error(&mut self, message: &sys::rd_kafka_message_t) {
        let error = super::handle::describe_error(
            "look at a topic".to_owned(),
            message.err,
            error_text(message),
        );
        if matches!(error, LogError::Refused { .. }) {
            self.failure = Some(error);
        }
    }
}

unsafe extern "C" fn on_message(message: *mut sys::rd_kafka_message_t, reading: *mut c_void) {
    // SAFETY: both live through the call, see `Reading::run`, and nobody else has them.
    let (message, reading) = unsafe { (&*message, &mut *reading.cast::<Reading<'_>>()) };
    reading.take(message);
}
