//! Small batches go one after the other. At low rates every lane has only a few records at a time, and lanes that commit beside each other
//! cost the database a transaction each, and the records the wait for all of them. While one lane's small batch is on its way, those of the
//! others gather more. A full batch never waits, and a small one not for long: a lane that hangs must not hold the others up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar};
use std::time::Duration;

/// A small batch waits no longer for another lane's.
pub const COURTESY: Duration = Duration::from_millis(20);

/// Whose small batch is on its way. One for all lanes of a worker.
#[derive(Default)]
pub struct Turns {
    taken: AtomicBool,
    /// What the lanes wait on.
    waiting: std::sync::Mutex<Vec<Arc<Condvar>>>,
}

/// Held while a small batch is on its way.
pub struct Turn(Arc<Turns>);

impl Turns {
    /// A lane that is to be woken when a turn is free.
    pub fn join(&self, lane: Arc<Condvar>) {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lane);
    }

    /// None while another lane has its turn.
    pub fn take(self: &Arc<Self>) -> Option<Turn> {
        let free = self.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok();
        free.then(|| Turn(self.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().for_each(|lane| lane.notify_all());
    }
}
