//! What librdkafka's callbacks tell: rebalances and errors.
//!
//! A rebalance is noted here and answered later, outside of the callback, when the worker calls
//! `assign` or `unassign`. Until then librdkafka waits (its join states "wait assign call" and
//! "wait unassign call"), sends heartbeats from its own thread, and delivers nothing of the
//! partitions that the member keeps either.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::Event;
use super::handle::{Heard, code_error, object_result, read_text};
use super::partitions::partitions_of;
use super::trouble::code_of;

/// What was told and not yet asked for. The callbacks run inside the polls and the close of the one
/// thread that reads.
#[derive(Default)]
pub struct Told(Mutex<State>);

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// Announced, and not answered yet.
    unanswered: Option<Code>,
    closing: bool,
}

impl Told {
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    pub fn tell(&self, event: Event) {
        self.lock().events.push(event);
    }

    /// Notes that the rebalance is answered; answers whether there was one of this kind.
    pub fn answered(&self, kind: Code) -> bool {
        let mut state = self.lock();
        let was_asked = state.unanswered == Some(kind);
        if was_asked {
            state.unanswered = None;
        }
        was_asked
    }

    /// From here on rebalances are answered at once. Answers the one that still waits.
    pub fn begin_to_close(&self) -> Option<Code> {
        let mut state = self.lock();
        state.closing = true;
        state.unanswered.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// # Safety
/// Called by librdkafka with a [`Heard`] that outlives the client.
pub unsafe extern "C" fn on_rebalance(
    client: *mut sys::rd_kafka_t,
    code: Code,
    list: *mut sys::rd_kafka_topic_partition_list_t,
    heard: *mut c_void,
) {
    // SAFETY: see above; client and list live through the call.
    unsafe {
        let told = &(*heard.cast::<Heard>()).told;
        let partitions = partitions_of(list);
        // Nobody is there to answer while closing, and nobody need think about nothing.
        let closing = told.lock().closing;
        let at_once = closing || partitions.is_empty();
        let event = match code {
            Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if at_once => {
                return forget(sys::rd_kafka_incremental_assign(client, list));
            }
            Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if closing => return give_up_all(client),
            Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if at_once => {
                return forget(sys::rd_kafka_incremental_unassign(client, list));
            }
            Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(partitions),
            Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
                if sys::rd_kafka_assignment_lost(client) != 0 =>
            {
                Event::Lost(partitions)
            }
            Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Event::Revoked(partitions),
            other => {
                sys::rd_kafka_assign(client, ptr::null());
                return told.tell(Event::Trouble(code_error("rebalance", other).to_string()));
            }
        };
        let mut state = told.lock();
        state.unanswered = Some(code);
        state.events.push(event);
    }
}

/// librdkafka goes on trying by itself, but for a fatal error.
///
/// # Safety
/// As [`on_rebalance`].
pub unsafe extern "C" fn on_error(
    client: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    heard: *mut c_void,
) {
    // SAFETY: see above; the reason ends with a NUL and lives through the call.
    unsafe {
        let heard = &*heard.cast::<Heard>();
        if code == Code::RD_KAFKA_RESP_ERR__FATAL as c_int {
            heard.told.tell(end_of(client));
        } else {
            let reason = CStr::from_ptr(reason).to_string_lossy();
            heard.told.tell(Event::Trouble(heard.trouble.note(code_of(code), &reason)));
        }
    }
}

/// Why a client is finished.
///
/// # Safety
/// The client lives, and had a fatal error.
pub unsafe fn end_of(client: *mut sys::rd_kafka_t) -> Event {
    let mut text = [0 as c_char; 512];
    // SAFETY: see above; the text's size is given.
    let code = unsafe { sys::rd_kafka_fatal_error(client, text.as_mut_ptr(), text.len()) };
    match code {
        Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID => Event::Superseded(read_text(&text)),
        _ => Event::Fatal(read_text(&text)),
    }
}

/// Answers a revocation with what the client really has: the list names partitions that were given
/// up or never taken over, too, for which librdkafka would refuse all of it.
///
/// # Safety
/// As [`on_rebalance`].
unsafe fn give_up_all(client: *mut sys::rd_kafka_t) {
    let mut assigned = ptr::null_mut();
    // SAFETY: see above; the list is ours until destroyed.
    unsafe {
        match sys::rd_kafka_assignment(client, &mut assigned) {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
                forget(sys::rd_kafka_incremental_unassign(client, assigned));
                sys::rd_kafka_topic_partition_list_destroy(assigned);
            }
            code => tracing::debug!("{}", code_error("list what is assigned", code)),
        }
    }
}

fn forget(error: *mut sys::rd_kafka_error_t) {
    if let Err((_, error)) = object_result("answer a rebalance", error) {
        tracing::debug!("{error}");
    }
}
