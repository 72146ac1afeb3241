//! The calls of a Kafka transaction, each within a deadline, and what their errors mean for whoever
//! made them.

use std::ffi::CStr;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::LogError;
use super::handle::{Client, describe_error, milliseconds};

/// Between two tries of a call that the brokers could not answer yet.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Fences every other producer of the same transactional id. What the one before had open is
/// aborted; a commit of its that the brokers had taken is finished first.
pub fn initialize(client: &Client, deadline: Instant) -> Result<(), LogError> {
    within(client, "take over a journal", deadline, |left_ms| {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_init_transactions(client.raw(), left_ms) }
    })
}

pub fn begin(client: &Client) -> Result<(), LogError> {
    // SAFETY: the client lives.
    read(client, "begin a transaction", unsafe { sys::rd_kafka_begin_transaction(client.raw()) })
        .map_err(|failed| failed.error)
}

/// Sends what is queued and commits. Without an answer within the deadline the outcome is unknown.
pub fn commit(client: &Client, deadline: Instant) -> Result<(), LogError> {
    within(client, "commit a transaction", deadline, |left_ms| {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_commit_transaction(client.raw(), left_ms) }
    })
}

/// For courtesy: what stays open holds back everybody who reads what is committed, until its
/// timeout or the next who takes over.
pub fn abort(client: &Client, deadline: Instant) {
    let aborted = within(client, "abort a transaction", deadline, |left_ms| {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_abort_transaction(client.raw(), left_ms) }
    });
    if let Err(error) = aborted {
        tracing::debug!("{error}");
    }
}

/// An error, and whether the same call may simply be made again: librdkafka then goes on where it
/// was.
struct Failed {
    error: LogError,
    again: bool,
}

fn within(
    client: &Client,
    doing: &str,
    deadline: Instant,
    call: impl Fn(i32) -> *mut sys::rd_kafka_error_t,
) -> Result<(), LogError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match read(client, doing, call(milliseconds(left))) {
            Ok(()) => return Ok(()),
            Err(failed) if failed.again && Instant::now() + RETRY_PAUSE < deadline => {
                thread::sleep(RETRY_PAUSE)
            }
            Err(failed) => return Err(failed.error),
        }
    }
}

/// Reads an answer; null is success. Frees it.
fn read(client: &Client, doing: &str, error: *mut sys::rd_kafka_error_t) -> Result<(), Failed> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: it is not null and ours until destroyed; its text lives as long as it does.
    let (code, reason, again) = unsafe {
        let code = sys::rd_kafka_error_code(error);
        let reason =
            CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        let again = sys::rd_kafka_error_is_retriable(error) != 0;
        sys::rd_kafka_error_destroy(error);
        (code, reason, again)
    };
    Err(Failed { error: describe(client, doing, code, reason), again })
}

/// As [`describe_error`], but a producer that was fenced is told so. It may also hear of that only
/// as a fatal error of the client.
pub fn describe(client: &Client, doing: &str, code: Code, reason: String) -> LogError {
    let fenced = |code| {
        matches!(
            code,
            Code::RD_KAFKA_RESP_ERR__FENCED
                | Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
                | Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
        )
    };
    // SAFETY: the client lives, and no text is asked for.
    let fatal = unsafe { sys::rd_kafka_fatal_error(client.raw(), std::ptr::null_mut(), 0) };
    if fenced(code) || fenced(fatal) {
        return LogError::Locked(format!(
            "{doing}: another process took the journal over: {reason}"
        ));
    }
    describe_error(doing.to_owned(), code, reason)
}
