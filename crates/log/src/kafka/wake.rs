//! A bell that librdkafka rings when an empty queue got something, so that one thread can wait for
//! two queues.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka_sys as sys;

use super::handle::Queue;

/// Stays at its place in memory: librdkafka keeps a pointer to it.
#[derive(Default)]
pub struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    /// Rings for this queue from now on. The bell must outlive the queue, or be silenced before.
    pub fn ring_for(&self, queue: &Queue) {
        let bell = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the queue lives; the bell does as long as the queue is not silenced.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.raw(), Some(on_queue_filled), bell) };
    }

    pub fn silence(queue: &Queue) {
        // SAFETY: the queue lives.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.raw(), None, ptr::null_mut()) };
    }

    /// Forgets earlier rings. Called before the queues are looked into, so that a ring between the
    /// look and the wait is not lost.
    pub fn forget(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Waits for a ring since the last [`Wake::forget`].
    pub fn wait(&self, timeout: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.bell.wait_timeout_while(rung, timeout, |rung| !*rung);
    }

    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_one();
    }
}

/// Runs in a thread of librdkafka's, which holds the queue's lock: it must not call librdkafka.
unsafe extern "C" fn on_queue_filled(_client: *mut sys::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: see `Wake::ring_for`.
    unsafe { &*bell.cast::<Wake>() }.ring();
}
