//! Sending to Kafka: idempotent, acknowledged by all replicas.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;
use rdkafka_sys::rd_kafka_vtype_t as Part;

use super::super::{LogError, OutgoingRecord, Producer, Sent};
use super::handle::{
    Client, Configuration, Heard, c_string, code_error, milliseconds, object_result, refused,
};
use super::seldom;
use super::trouble::code_of;

type Outcome = Box<dyn FnOnce(Result<Sent, LogError>) + Send>;

/// librdkafka copies a record, queues it, and gathers batches by itself; a thread of ours hands the
/// outcomes out.
pub struct KafkaProducer {
    client: Arc<Client>,
    stopping: Arc<AtomicBool>,
    outcomes: Option<JoinHandle<()>>,
}

impl KafkaProducer {
    pub fn start(pairs: &[(String, String)]) -> Result<KafkaProducer, LogError> {
        let configuration = Configuration::new(pairs)?;
        configuration.set_callbacks(None, on_error, Some(on_delivery));
        let client = Arc::new(Client::new(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, configuration)?);
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("kafka-outcomes".to_owned());
        let (their_client, their_stopping) = (Arc::clone(&client), Arc::clone(&stopping));
        let outcomes = thread
            .spawn(move || {
                while !their_stopping.load(Ordering::Acquire) {
                    // SAFETY: the client lives; the callbacks run in here.
                    unsafe { sys::rd_kafka_poll(their_client.raw(), 100) };
                }
            })
            .map_err(|error| refused("start the Kafka producer", &error.to_string()))?;
        Ok(KafkaProducer { client, stopping, outcomes: Some(outcomes) })
    }
}

/// Queues a copy of the record; `opaque` comes back with its delivery report. After an error
/// nothing was queued.
pub fn produce(
    client: &Client,
    record: &OutgoingRecord<'_>,
    opaque: *mut c_void,
) -> Result<(), LogError> {
    let doing = || format!("send to {}", record.topic);
    let topic = c_string(record.topic, &doing())?;
    let mut parts = Vec::with_capacity(6 + record.headers.len());
    parts.push(part(
        Part::RD_KAFKA_VTYPE_TOPIC,
        sys::rd_kafka_vu_s__bindgen_ty_1 { cstr: topic.as_ptr() },
    ));
    if let Some(partition) = record.partition {
        parts.push(part(
            Part::RD_KAFKA_VTYPE_PARTITION,
            sys::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition },
        ));
    }
    parts.push(part(Part::RD_KAFKA_VTYPE_KEY, memory(record.key)));
    parts.push(part(Part::RD_KAFKA_VTYPE_VALUE, memory(record.payload)));
    let names: Result<Vec<_>, LogError> =
        record.headers.iter().map(|(name, _)| c_string(name, &doing())).collect();
    let names = names?;
    for (name, (_, value)) in names.iter().zip(record.headers) {
        let header = sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
            name: name.as_ptr(),
            val: value.as_ptr().cast(),
            size: value.len() as isize,
        };
        parts.push(part(Part::RD_KAFKA_VTYPE_HEADER, sys::rd_kafka_vu_s__bindgen_ty_1 { header }));
    }
    let copy = c_int::try_from(sys::RD_KAFKA_MSG_F_COPY).unwrap_or_default();
    parts.push(part(Part::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: copy }));
    parts.push(part(Part::RD_KAFKA_VTYPE_OPAQUE, sys::rd_kafka_vu_s__bindgen_ty_1 { ptr: opaque }));
    // SAFETY: all that the parts point at outlives the call, and librdkafka copies it.
    let error = unsafe { sys::rd_kafka_produceva(client.raw(), parts.as_ptr(), parts.len()) };
    object_result(doing(), error).map_err(|(_, error)| error)
}

impl Producer for KafkaProducer {
    fn send(&self, record: OutgoingRecord<'_>, outcome: Outcome) -> Result<(), LogError> {
        let opaque = Box::into_raw(Box::new(outcome));
        produce(&self.client, &record, opaque.cast()).inspect_err(|_| {
            // SAFETY: librdkafka did not take the record, so it never calls back with this pointer.
            drop(unsafe { Box::from_raw(opaque) });
        })
    }

    fn flush(&self, timeout: Duration) -> Result<(), LogError> {
        // SAFETY: the client lives.
        match unsafe { sys::rd_kafka_flush(self.client.raw(), milliseconds(timeout)) } {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code_error("flush what was sent to Kafka", code)),
        }
    }
}

impl Drop for KafkaProducer {
    /// What is still queued is given up: each of those gets its outcome, an error.
    fn drop(&mut self) {
        let everything =
            c_int::try_from(sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT)
                .unwrap_or_default();
        // SAFETY: the client lives; the flush runs the callbacks of what was purged.
        unsafe {
            sys::rd_kafka_purge(self.client.raw(), everything);
            sys::rd_kafka_flush(self.client.raw(), 2_000);
        }
        self.stopping.store(true, Ordering::Release);
        if let Some(outcomes) = self.outcomes.take()
            && outcomes.thread().id() != thread::current().id()
        {
            let _ = outcomes.join();
        }
    }
}

fn part(vtype: Part, u: sys::rd_kafka_vu_s__bindgen_ty_1) -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t { vtype, u }
}

/// Null is Kafka's null; nothing is a pointer to no bytes.
fn memory(bytes: Option<&[u8]>) -> sys::rd_kafka_vu_s__bindgen_ty_1 {
    let (ptr, size) = bytes.map_or((ptr::null_mut(), 0), |bytes| {
        (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len())
    });
    sys::rd_kafka_vu_s__bindgen_ty_1 {
        mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
    }
}

unsafe extern "C" fn on_delivery(
    _client: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    heard: *mut c_void,
) {
    // SAFETY: the message lives through the call, what is heard as long as the client, and the
    // message's own pointer is the box that `send` gave away, once.
    let (message, heard, outcome) = unsafe {
        let message = &*message;
        if message._private.is_null() {
            return;
        }
        (message, &*heard.cast::<Heard>(), Box::from_raw(message._private.cast::<Outcome>()))
    };
    let result = match message.err {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
            Ok(Sent { partition: message.partition, offset: message.offset })
        }
        code => Err(heard.trouble.explain(code_error("send to Kafka", code))),
    };
    // A panic must not unwind into C.
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outcome(result))).is_err() {
        tracing::error!("the answer to a send panicked");
    }
}

unsafe extern "C" fn on_error(
    _client: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    heard: *mut c_void,
) {
    // SAFETY: librdkafka gives a text that lives through the call, and what is heard lives as long
    // as the client.
    let (heard, reason) =
        unsafe { (&*heard.cast::<Heard>(), std::ffi::CStr::from_ptr(reason).to_string_lossy()) };
    // Before the line, whose arguments are not looked at where nobody reads it.
    let told = heard.trouble.note(code_of(code), &reason);
    if seldom::is_due(&reason) {
        tracing::warn!(code, "the Kafka producer: {told}");
    }
}
