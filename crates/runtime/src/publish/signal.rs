//! What a relay waits for: new rows, or its end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared by a relay and those who wake or stop it. Rings are counted, so that one between a look
/// and a wait is not lost.
#[derive(Default)]
pub struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rings: u64,
    /// How many rings there were before a look that found nothing to send.
    drained: Option<u64>,
    stopped: bool,
    ended: bool,
}

impl Signal {
    /// There may be new rows.
    pub fn ring(&self) {
        self.lock().rings += 1;
        self.changed.notify_all();
    }

    pub fn rings(&self) -> u64 {
        self.lock().rings
    }

    /// Asks the relay to end once what is in flight is settled.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The relay found nothing to send when there had been so many rings.
    pub fn drained(&self, rings: u64) {
        self.lock().drained = Some(rings);
    }

    /// Whether nothing was left to send when it was last told of new rows.
    pub fn is_drained(&self) -> bool {
        let state = self.lock();
        state.drained == Some(state.rings)
    }

    /// Waits for a ring beyond these, or for the end.
    pub fn wait(&self, rings: u64, timeout: Duration) {
        self.wait_while(timeout, |state| state.rings <= rings && !state.stopped);
    }

    /// Waits for the end, whatever rings.
    pub fn wait_for_stop(&self, timeout: Duration) {
        self.wait_while(timeout, |state| !state.stopped);
    }

    /// The relay ended.
    pub fn ended(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits until the relay ended; answers whether it did.
    pub fn wait_until_ended(&self, timeout: Duration) -> bool {
        self.wait_while(timeout, |state| !state.ended);
        self.lock().ended
    }

    fn wait_while(&self, timeout: Duration, keep_waiting: impl Fn(&State) -> bool) {
        let state = self.lock();
        drop(
            self.changed
                .wait_timeout_while(state, timeout, |state| keep_waiting(state))
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
