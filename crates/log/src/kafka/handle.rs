//! A librdkafka client and what belongs to it. Everything here frees itself; nothing else of this
//! folder frees by hand.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::LogError;
use super::journal::Deliveries;
use super::rebalance::Told;
use super::seldom;
use super::trouble::{Trouble, on_certificate, on_error};

/// The most that a call of librdkafka writes into its error text.
const ERROR_TEXT_BYTES: usize = 512;

/// What the callbacks of one client write, each its own part: they get a pointer to it.
#[derive(Default)]
pub struct Heard {
    /// Of any client.
    pub trouble: Trouble,
    /// Of a consumer.
    pub told: Told,
    /// Of a journal's producer.
    pub deliveries: Deliveries,
}

pub type RebalanceCallback = unsafe extern "C" fn(
    *mut sys::rd_kafka_t,
    Code,
    *mut sys::rd_kafka_topic_partition_list_t,
    *mut c_void,
);
pub type ErrorCallback =
    unsafe extern "C" fn(*mut sys::rd_kafka_t, c_int, *const c_char, *mut c_void);
pub type DeliveryCallback =
    unsafe extern "C" fn(*mut sys::rd_kafka_t, *const sys::rd_kafka_message_t, *mut c_void);

/// A configuration that no client took yet.
pub struct Configuration {
    raw: NonNull<sys::rd_kafka_conf_t>,
    heard: Arc<Heard>,
}

impl Configuration {
    /// Takes the pairs in their order: a later one wins.
    pub fn new(pairs: &[(String, String)]) -> Result<Configuration, LogError> {
        // SAFETY: it takes nothing; a null answer is looked at.
        let configuration = NonNull::new(unsafe { sys::rd_kafka_conf_new() })
            .map(|raw| Configuration { raw, heard: Arc::default() })
            .ok_or_else(|| refused("configure the Kafka client", "no memory"))?;
        for (name, value) in pairs {
            configuration.set(name, value)?;
        }
        let (raw, heard) = (configuration.raw.as_ptr(), Arc::as_ptr(&configuration.heard));
        // SAFETY: the pointer is ours, the callbacks have the types that are asked for, and what
        // they get outlives the client, which shares it.
        unsafe {
            sys::rd_kafka_conf_set_log_cb(raw, Some(on_log_line));
            sys::rd_kafka_conf_set_opaque(raw, heard.cast_mut().cast::<c_void>());
            sys::rd_kafka_conf_set_error_cb(raw, Some(on_error));
            match sys::rd_kafka_conf_set_ssl_cert_verify_cb(raw, Some(on_certificate)) {
                sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(configuration),
                _ => Err(refused("configure the Kafka client", "it was built without TLS")),
            }
        }
    }

    fn set(&self, name: &str, value: &str) -> Result<(), LogError> {
        let doing = || format!("set the Kafka client's {name}");
        let (name_c, value_c) = (c_string(name, &doing())?, c_string(value, &doing())?);
        let mut text = [0 as c_char; ERROR_TEXT_BYTES];
        // SAFETY: both strings end with a NUL and outlive the call, and the text's size is given.
        let answer = unsafe {
            sys::rd_kafka_conf_set(
                self.raw.as_ptr(),
                name_c.as_ptr(),
                value_c.as_ptr(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        match answer {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            _ => Err(refused(doing(), &read_text(&text))),
        }
    }

    pub fn set_callbacks(
        &self,
        rebalance: Option<RebalanceCallback>,
        error: ErrorCallback,
        delivery: Option<DeliveryCallback>,
    ) {
        // SAFETY: the configuration is ours, and the callbacks have the types that are asked for.
        unsafe {
            sys::rd_kafka_conf_set_error_cb(self.raw.as_ptr(), Some(error));
            if rebalance.is_some() {
                sys::rd_kafka_conf_set_rebalance_cb(self.raw.as_ptr(), rebalance);
            }
            if delivery.is_some() {
                sys::rd_kafka_conf_set_dr_msg_cb(self.raw.as_ptr(), delivery);
            }
        }
    }
}

impl Configuration {
    /// Gives up the configuration without freeing it: the client that took it does.
    fn leave_to_client(self) {
        let mut left = std::mem::ManuallyDrop::new(self);
        // SAFETY: it is dropped once, because nothing else of what is left drops.
        unsafe { std::ptr::drop_in_place(&mut left.heard) };
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: no client took it, see `Client::new`.
        unsafe { sys::rd_kafka_conf_destroy(self.raw.as_ptr()) };
    }
}

/// A client of either kind.
pub struct Client {
    raw: NonNull<sys::rd_kafka_t>,
    heard: Arc<Heard>,
}

// SAFETY: librdkafka's clients may be used from any thread, by several at once.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub fn new(
        kind: sys::rd_kafka_type_t,
        configuration: Configuration,
    ) -> Result<Client, LogError> {
        let mut text = [0 as c_char; ERROR_TEXT_BYTES];
        // SAFETY: on success the client owns the configuration, so it is forgotten; on failure it
        // is still ours.
        let raw = unsafe {
            sys::rd_kafka_new(kind, configuration.raw.as_ptr(), text.as_mut_ptr(), text.len())
        };
        match NonNull::new(raw) {
            Some(raw) => {
                let heard = Arc::clone(&configuration.heard);
                configuration.leave_to_client();
                Ok(Client { raw, heard })
            }
            None => Err(refused("start the Kafka client", &read_text(&text))),
        }
    }

    pub fn raw(&self) -> *mut sys::rd_kafka_t {
        self.raw.as_ptr()
    }

    /// What the callbacks wrote.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Lets the callbacks tell what is known. Only for a client that nobody else polls.
    pub fn listen(&self) {
        // SAFETY: the client lives; the callbacks run in here.
        unsafe { sys::rd_kafka_poll(self.raw(), 0) };
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Without the flag this would wait for a rebalance callback that nobody answers any more.
        // SAFETY: the client is ours; queues and topics of it were dropped before, see the order of
        // fields where it is used.
        unsafe {
            sys::rd_kafka_destroy_flags(
                self.raw.as_ptr(),
                sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE,
            )
        };
    }
}

/// A queue of a client. Dropped before its client.
pub struct Queue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues have locks of their own.
unsafe impl Send for Queue {}

impl Queue {
    pub fn new(client: &Client) -> Option<Queue> {
        // SAFETY: the client lives.
        NonNull::new(unsafe { sys::rd_kafka_queue_new(client.raw()) }).map(Queue)
    }

    /// The queue of rebalances and errors, and of the records of partitions that were forwarded
    /// nowhere else.
    pub fn of_consumer(client: &Client) -> Option<Queue> {
        // SAFETY: the client lives.
        NonNull::new(unsafe { sys::rd_kafka_queue_get_consumer(client.raw()) }).map(Queue)
    }

    pub fn of_partition(client: &Client, topic: &CStr, partition: i32) -> Option<Queue> {
        // SAFETY: the client lives, the name ends with a NUL.
        NonNull::new(unsafe {
            sys::rd_kafka_queue_get_partition(client.raw(), topic.as_ptr(), partition)
        })
        .map(Queue)
    }

    pub fn raw(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// A topic's handle. Dropped before its client.
pub struct Topic(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: librdkafka counts the references to a topic atomically.
unsafe impl Send for Topic {}

impl Topic {
    pub fn new(client: &Client, name: &CStr) -> Option<Topic> {
        // SAFETY: the client lives, the name ends with a NUL, and no configuration means the
        // client's own.
        NonNull::new(unsafe {
            sys::rd_kafka_topic_new(client.raw(), name.as_ptr(), ptr::null_mut())
        })
        .map(Topic)
    }

    pub fn raw(&self) -> *mut sys::rd_kafka_topic_t {
        self.0.as_ptr()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// What librdkafka calls a code.
pub fn code_text(code: Code) -> String {
    // SAFETY: the answer is a static text.
    unsafe { CStr::from_ptr(sys::rd_kafka_err2str(code)) }.to_string_lossy().into_owned()
}

/// The error of a call that answers a code: one that may pass, or not.
pub fn code_error(doing: impl Into<String>, code: Code) -> LogError {
    describe_error(doing.into(), code, code_text(code))
}

/// The error of a call that answers an error object; null is success. Frees it.
pub fn object_result(
    doing: impl Into<String>,
    error: *mut sys::rd_kafka_error_t,
) -> Result<(), (Code, LogError)> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: it is not null and ours until destroyed; its text lives as long as it does.
    let (code, text) = unsafe {
        let code = sys::rd_kafka_error_code(error);
        let text = CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        sys::rd_kafka_error_destroy(error);
        (code, text)
    };
    Err((code, describe_error(doing.into(), code, text)))
}

pub fn describe_error(doing: String, code: Code, reason: String) -> LogError {
    use Code::*;
    let passes = matches!(
        code,
        RD_KAFKA_RESP_ERR__TRANSPORT
            | RD_KAFKA_RESP_ERR__TIMED_OUT
            | RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
            | RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
            | RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
            | RD_KAFKA_RESP_ERR__RESOLVE
            | RD_KAFKA_RESP_ERR__WAIT_COORD
            | RD_KAFKA_RESP_ERR__PURGE_QUEUE
            | RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
            | RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
            | RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
            | RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
            | RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION
            | RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
            | RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
            | RD_KAFKA_RESP_ERR_NOT_COORDINATOR
            | RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
            | RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | RD_KAFKA_RESP_ERR_NOT_CONTROLLER
            | RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
            | RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
            | RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH
    );
    match code {
        RD_KAFKA_RESP_ERR__QUEUE_FULL => LogError::QueueFull,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE | RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE => {
            LogError::TooLarge {
                doing,
                reason: format!(
                    "{reason}: raise `max.message.bytes` of the topic, and it goes by itself"
                ),
            }
        }
        _ if passes => LogError::Unreachable { doing, reason },
        _ => LogError::Refused { doing, reason },
    }
}

pub fn refused(doing: impl Into<String>, reason: &str) -> LogError {
    LogError::Refused { doing: doing.into(), reason: reason.to_owned() }
}

/// A text for librdkafka; one with a NUL inside is refused.
pub fn c_string(text: &str, doing: &str) -> Result<CString, LogError> {
    CString::new(text).map_err(|_| refused(doing, "there is a NUL in it"))
}

/// Milliseconds as librdkafka takes them: at least one, so that a short wait is not "do not wait".
pub fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX).max(1)
}

/// A text that librdkafka wrote into a buffer of ours.
pub fn read_text(text: &[c_char]) -> String {
    let bytes: Vec<u8> =
        text.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is at least as bad is told to the error callback too.
const LOG_ERR: c_int = 3;

/// librdkafka's own log, by syslog level. A connection that a broker closed is told here alone.
unsafe extern "C" fn on_log_line(
    client: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: librdkafka gives two texts that live through the call.
    let (facility, line) = unsafe {
        (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(line).to_string_lossy())
    };
    // Before what is left out: only the first line of many is told, but each is a reason.
    if level > LOG_ERR && facility == "FAIL" && !client.is_null() {
        // SAFETY: the client lives through the call, and what is heard as long as it does.
        let heard = unsafe { sys::rd_kafka_opaque(client).cast::<Heard>().as_ref() };
        let reason = line.split_once("]: ").map_or(line.as_ref(), |(_thread, reason)| reason);
        if let Some(heard) = heard {
            heard.trouble.note(Code::RD_KAFKA_RESP_ERR__TRANSPORT, reason);
        }
    }
    if level <= 6 && !seldom::is_due(&line) {
        return;
    }
    match level {
        0..=3 => tracing::error!(target: "duto_log::kafka", %facility, "{line}"),
        4 => tracing::warn!(target: "duto_log::kafka", %facility, "{line}"),
        5 | 6 => tracing::info!(target: "duto_log::kafka", %facility, "{line}"),
        _ => tracing::debug!(target: "duto_log::kafka", %facility, "{line}"),
    }
}
