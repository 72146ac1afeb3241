//! While a receiver is down, one call at a time tries whether it is back, and ever more rarely; the
//! others wait behind it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use duto_definition::Deliver;
use duto_ground::backoff;

/// The state of one receiver.
pub(super) struct Gate {
    backoff: Duration,
    backoff_max: Duration,
    /// Held by the call that probes.
    probe: tokio::sync::Mutex<()>,
    failing: Mutex<Option<Failing>>,
}

#[derive(Clone, Copy)]
struct Failing {
    attempts: u32,
    /// When the next probe may leave.
    next_at: Instant,
}

/// Kept while a call probes.
pub(super) type Probe<'g> = tokio::sync::MutexGuard<'g, ()>;

impl Gate {
    pub(super) fn new(deliver: &Deliver) -> Self {
        Self {
            backoff: deliver.retry_backoff,
            backoff_max: deliver.retry_backoff_max,
            probe: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
        }
    }

    /// Waits for a call's turn: at once while all is well. While nothing is answered the call
    /// becomes the probe, when its time has come.
    pub(super) async fn pass(&self) -> Option<Probe<'_>> {
        self.failing()?;
        let probe = self.probe.lock().await;
        // The probe before may have found that all is well.
        let failing = self.failing()?;
        tokio::time::sleep_until(failing.next_at).await;
        Some(probe)
    }

    /// A call was answered; answers whether that is news.
    pub(super) fn succeeded(&self) -> bool {
        self.lock().take().is_some()
    }

    /// A call failed: how long the next one waits, and how many failed. None where others failed
    /// with it and spoke already.
    pub(super) fn failed(
        &self,
        retry_after: Option<Duration>,
        probing: bool,
    ) -> Option<(Duration, u32)> {
        let mut failing = self.lock();
        if failing.is_some() && !probing {
            return None;
        }
        let attempts = failing.map_or(0, |failing| failing.attempts) + 1;
        let pause =
            backoff::pause_at_least(retry_after, self.backoff, self.backoff_max, attempts - 1);
        *failing = Some(Failing { attempts, next_at: Instant::now() + pause });
        Some((pause, attempts))
    }

    fn failing(&self) -> Option<Failing> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_secs(5),
            probe: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
        }
    }

    #[tokio::test]
    async fn calls_that_fail_together_count_once_and_pauses_grow() {
        let gate = gate();
        assert!(gate.pass().await.is_none());
        let (first, attempt) = gate.failed(None, false).expect("the first one speaks");
        assert!(attempt == 1 && first <= Duration::from_millis(20));
        assert!(gate.failed(None, false).is_none());
        let started = Instant::now();
        let probe = gate.pass().await;
        assert!(probe.is_some() && started.elapsed() >= first);
        let (second, attempt) = gate.failed(None, true).expect("a probe speaks");
        assert!(attempt == 2 && second >= Duration::from_millis(20));
        let (asked, _) = gate.failed(Some(Duration::from_secs(60)), true).expect("a probe speaks");
        assert_eq!(asked, Duration::from_secs(60));
        // The other side is back meanwhile.
        drop(probe);
        assert!(gate.succeeded() && !gate.succeeded());
        assert!(gate.pass().await.is_none());
    }
}
