//! Tells the readers of this process that something was committed.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts its rings, so that one between a look and a wait is not lost.
#[derive(Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        *rings += 1;
        drop(rings);
        self.rung.notify_all();
    }

    pub fn rings(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are more than `seen`; answers how many there are.
    pub fn wait_beyond(&self, seen: u64, timeout: Duration) -> u64 {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .rung
            .wait_timeout_while(rings, timeout, |rings| *rings <= seen)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}
