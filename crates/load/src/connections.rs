//! The number of connections that a process has open to a pipeline's database: never more than
//! `database.max_connections`, whichever part asks.
//!
//! A few are kept for the lanes, so that nobody keeps the load waiting. All others share the rest,
//! in the order in which they ask; while somebody waits, no pool keeps an idle one. A connection
//! counts until its backend is gone, which is a moment after it was closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use duto_definition::CONNECTIONS_BESIDE_WORKERS;

/// What must be left beside the lanes: two, because a rollup is filled by two.
pub const LEAST_OTHERS: usize = CONNECTIONS_BESIDE_WORKERS;
/// The worker's name, the claims, the filling of rollups, and one each for health and endpoints.
const COMFORTABLE: usize = 6;

/// The connections of one process to one pipeline's database.
pub struct Connections {
    lanes: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// The number of parts that wait for a connection.
    waiting: AtomicUsize,
    /// Each closes the idle connections of a pool.
    idle: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    shares: Mutex<Shares>,
}

/// What is left beside the lanes, and how it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Kept for the lanes.
    pub lanes: usize,
    /// For everybody else.
    pub others: usize,
}

/// The right to have one connection.
pub struct Seat {
    _permit: OwnedSemaphorePermit,
}

impl Shares {
    /// `lanes` is the number of load connections of this process; 0 where it does not load.
    pub fn new(most: usize, lanes: usize) -> Self {
        let lanes = lanes.min(most.saturating_sub(LEAST_OTHERS));
        Self { lanes, others: most - lanes }
    }

    /// Too few for parts that keep a connection for themselves: then each gives it back after use.
    pub fn are_tight(self) -> bool {
        self.lanes > 0 && self.others < COMFORTABLE
    }

    /// Whether a worker can lock its name in the group for as long as it lives.
    pub fn can_lock_names(self) -> bool {
        self.others > LEAST_OTHERS
    }

    /// For the endpoints: what is left beside the parts that the load and the pages cannot wait
    /// for.
    pub fn readers(self, publishes: bool) -> usize {
        let worker = if self.lanes > 0 { 2 + usize::from(publishes) } else { 0 };
        self.others.saturating_sub(worker + 1).max(1)
    }
}

impl Connections {
    pub fn new(shares: Shares) -> Arc<Self> {
        Arc::new(Self {
            lanes: Arc::new(Semaphore::new(shares.lanes)),
            others: Arc::new(Semaphore::new(shares.others)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            shares: Mutex::new(shares),
        })
    }

    pub fn most(&self) -> usize {
        let shares = self.shares();
        shares.lanes + shares.others
    }

    pub fn shares(&self) -> Shares {
        *self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens no more than so many from now on, because somebody allows no more, but as many as are
    /// needed; answers whether that are fewer than before. Before the lanes connect.
    pub fn limit_to(&self, most: usize) -> bool {
        let before = self.shares();
        let after = Shares::new(most.max(1 + LEAST_OTHERS), before.lanes);
        if after.lanes + after.others >= before.lanes + before.others {
            return false;
        }
        *self.shares.lock().unwrap_or_else(PoisonError::into_inner) = after;
        let fewer = [
            (self.lanes.clone(), before.lanes.saturating_sub(after.lanes)),
            (self.others.clone(), before.others.saturating_sub(after.others)),
        ];
        for (semaphore, seats) in fewer {
            let seats = u32::try_from(seats).unwrap_or(u32::MAX);
            tokio::spawn(async move {
                // What is in use is taken away when it is given back.
                if let Ok(permits) = semaphore.acquire_many_owned(seats).await {
                    permits.forget();
                }
            });
        }
        self.close_idle();
        true
    }

    /// A pool whose idle connections may be closed when somebody else waits.
    pub(super) fn register(&self, close_idle: impl Fn() + Send + Sync + 'static) {
        self.idle().push(Box::new(close_idle));
    }

    /// Whether somebody waits for a connection that another part could give back.
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn close_idle(&self) {
        self.idle().iter().for_each(|close| close());
    }

    /// Waits for its turn, no longer than `patience`. A lane also takes what is left of the others'.
    pub(super) async fn seat(&self, is_lane: bool, patience: Duration) -> Option<Seat> {
        let (lanes, others) = (self.lanes.clone(), self.others.clone());
        let kept = if is_lane { lanes.clone().try_acquire_owned().ok() } else { None };
        if let Some(permit) = kept.or_else(|| others.clone().try_acquire_owned().ok()) {
            return Some(Seat { _permit: permit });
        }
        let _waiting = Waiting::begin(&self.waiting);
        self.close_idle();
        let turn = async {
            match is_lane {
                true => tokio::select! {
                    permit = lanes.acquire_owned() => permit.ok(),
                    permit = others.acquire_owned() => permit.ok(),
                },
                false => others.acquire_owned().await.ok(),
            }
        };
        let permit = tokio::time::timeout(patience, turn).await.ok().flatten()?;
        Some(Seat { _permit: permit })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Fn() + Send + Sync>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one that waits, also where it gives up.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn begin(count: &'w AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn shares_add_up_whatever_is_asked_for() {
        for most in 3..40 {
            for lanes in 0..40 {
                let shares = Shares::new(most, lanes);
                assert_eq!(shares.lanes + shares.others, most);
                assert!(shares.others >= LEAST_OTHERS && shares.lanes <= lanes, "{shares:?}");
                assert!((1..=shares.others).contains(&shares.readers(true)), "{shares:?}");
            }
        }
        assert_eq!(Shares::new(3, 1), Shares { lanes: 1, others: 2 });
        assert!(Shares::new(3, 1).are_tight() && !Shares::new(3, 1).can_lock_names());
        assert!(!Shares::new(10, 2).are_tight() && Shares::new(10, 2).readers(false) == 5);
    }

    #[tokio::test]
    async fn a_lane_has_its_own_and_the_others_wait_for_theirs() {
        let connections = Connections::new(Shares::new(3, 1));
        let first = connections.seat(false, MOMENT).await.expect("the first");
        let second = connections.seat(false, MOMENT).await.expect("the second");
        assert!(connections.seat(false, MOMENT).await.is_none(), "the lane's is not given away");
        let lane = connections.seat(true, MOMENT).await.expect("the lane's");
        assert!(connections.seat(true, MOMENT).await.is_none());
        drop(first);
        let borrowed = connections.seat(true, MOMENT).await.expect("what is left");
        drop((second, lane, borrowed));
        assert!(!connections.is_wanted());
    }

    #[tokio::test]
    async fn a_lower_limit_holds_when_what_is_in_use_was_given_back() {
        let connections = Connections::new(Shares::new(10, 4));
        let in_use = connections.seat(false, MOMENT).await.expect("a seat");
        assert!(connections.limit_to(3) && !connections.limit_to(5));
        assert_eq!(connections.shares(), Shares { lanes: 1, others: 2 });
        tokio::time::sleep(MOMENT).await;
        drop(in_use);
        let mut seats = Vec::new();
        while let Some(seat) = connections.seat(seats.is_empty(), MOMENT).await {
            seats.push(seat);
        }
        assert_eq!(seats.len(), 3);
    }

    #[tokio::test]
    async fn whoever_waits_gets_what_a_pool_keeps_idle() {
        let connections = Connections::new(Shares::new(3, 0));
        let mut seats = Vec::new();
        for _ in 0..3 {
            seats.push(connections.seat(false, MOMENT).await.expect("a seat"));
        }
        let idle = Mutex::new(seats.pop());
        connections.register(move || drop(idle.lock().expect("a pool").take()));
        assert!(connections.seat(false, MOMENT).await.is_some());
    }
}
