//! A load that goes on while faults are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::log::{Placed, TestLog};
use crate::orders::Orders;

const INTERVAL: Duration = Duration::from_millis(20);

/// Bounded, whatever becomes of the test.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub per_second: usize,
    pub most: usize,
}

/// Sends orders from a thread of its own until it is told to finish.
pub struct Load {
    stop: Arc<AtomicBool>,
    bursts: Arc<AtomicUsize>,
    sender: JoinHandle<Result<Vec<Placed>>>,
}

impl Load {
    pub fn start(log: &Arc<TestLog>, mut orders: Orders, rate: Rate) -> Load {
        let stop = Arc::<AtomicBool>::default();
        let bursts = Arc::<AtomicUsize>::default();
        let (log, stopped, burst) = (log.clone(), stop.clone(), bursts.clone());
        let sender = std::thread::spawn(move || {
            let began = Instant::now();
            let mut placed: Vec<Placed> = Vec::new();
            while !stopped.load(Ordering::Relaxed) && placed.len() < rate.most {
                let even = (began.elapsed().as_secs_f64() * rate.per_second as f64) as usize;
                let due = (even + burst.load(Ordering::Relaxed)).min(rate.most);
                // What a stalled log held back comes in pieces, as it would from many senders.
                let count = due.saturating_sub(placed.len()).min(1_000);
                if count > 0 {
                    placed.extend(log.send(&orders.take(count))?);
                }
                std::thread::sleep(INTERVAL);
            }
            Ok(placed)
        });
        Load { stop, bursts, sender }
    }

    /// Sends so many beside the rate, at once.
    pub fn burst(&self, records: usize) {
        self.bursts.fetch_add(records, Ordering::Relaxed);
    }

    /// Sends nothing more; answers where everything is.
    pub fn finish(self) -> Result<Vec<Placed>> {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().map_err(|_| anyhow!("the sender panicked"))?
    }
}
