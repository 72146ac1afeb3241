//! The switchboard of a proxy: which faults are on, which traps are set, what was done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// Where in PostgreSQL's protocol a trap lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Just before a simple query with a COMMIT statement is forwarded: the server never sees all
    /// of it.
    CommitRequest,
    /// Just before the server's `COMMIT` is forwarded: it is committed, and the client does not
    /// learn it.
    CommitAnswer,
    /// Just before the CopyData message is forwarded that brings one COPY's bytes above so many.
    CopyData { after_bytes: u64 },
    /// Just before a simple query or a Parse message is forwarded whose text contains this, in
    /// whatever case.
    Statement(String),
    /// Just before a Bind message is forwarded of a statement whose text contains this, in whatever
    /// case.
    Execution(String),
    /// Just before the server's word is forwarded that such a statement is complete. One that is a
    /// transaction by itself is committed then: the server answers nothing before the Sync behind
    /// it.
    ExecutionAnswer(String),
}

/// What a trap does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Resets both sides.
    Reset,
    /// Forwards nothing more in either direction until [`ProxyHandle::release`] or a reset; both
    /// sides stay open.
    Hold,
}

/// Springs at most `times` times, whichever connections come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    pub at: Point,
    pub action: Action,
    pub times: u32,
}

/// What a proxy has done since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub accepted_connections: u64,
    pub refused_connections: u64,
    /// By [`ProxyHandle::reset_all`], a trap, or because one side was reset.
    pub reset_connections: u64,
    pub to_server_bytes: u64,
    pub to_client_bytes: u64,
    pub sprung_traps: u64,
}

/// Switches a proxy at run time. Every fault stays on until it is switched off, and several may be
/// on at once.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    control: Arc<Control>,
}

impl ProxyHandle {
    pub(super) fn new(control: Arc<Control>) -> ProxyHandle {
        ProxyHandle { control }
    }

    /// Switches all faults off, forgets the traps and releases what is held: bytes that were
    /// withheld flow.
    pub fn pass(&self) {
        self.control.traps.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.control.faults.send_modify(|faults| {
            *faults = Faults {
                releases: faults.releases + 1,
                resets: faults.resets,
                ..Faults::default()
            };
        });
    }

    /// Resets every connection that is open now.
    pub fn reset_all(&self) {
        self.control.reset_all();
    }

    /// Withholds what flows in this direction, ends of streams included, as a network that loses
    /// every packet.
    pub fn silence(&self, direction: Direction, on: bool) {
        self.control.faults.send_modify(|faults| match direction {
            Direction::ToServer => faults.silent_to_server = on,
            Direction::ToClient => faults.silent_to_client = on,
        });
    }

    /// Every byte arrives so much later, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.control.faults.send_modify(|faults| faults.delay = delay);
    }

    /// Sends in pieces of so many bytes; None sends as it comes.
    pub fn slice(&self, piece_bytes: Option<usize>) {
        self.control.faults.send_modify(|faults| faults.piece_bytes = piece_bytes);
    }

    /// Resets new connections as soon as they are made. Those that are open stay.
    pub fn refuse(&self, on: bool) {
        self.control.faults.send_modify(|faults| faults.refuse = on);
    }

    /// Adds a trap; several may lie at once, the first that fits springs.
    pub fn set_trap(&self, trap: Trap) {
        self.control.traps.lock().unwrap_or_else(PoisonError::into_inner).push(trap);
    }

    /// Lets connections that a trap holds go on where they stood.
    pub fn release(&self) {
        self.control.faults.send_modify(|faults| faults.releases += 1);
    }

    /// Waits until traps have sprung so many times since the start; false if they have not by then.
    /// Blocks the thread.
    pub fn wait_until_sprung(&self, times: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.counters().sprung_traps < times {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    pub fn counters(&self) -> Counters {
        let counted = &self.control.counted;
        Counters {
            accepted_connections: counted.accepted.load(Ordering::Relaxed),
            refused_connections: counted.refused.load(Ordering::Relaxed),
            reset_connections: counted.reset.load(Ordering::Relaxed),
            to_server_bytes: counted.to_server_bytes.load(Ordering::Relaxed),
            to_client_bytes: counted.to_client_bytes.load(Ordering::Relaxed),
            sprung_traps: counted.sprung.load(Ordering::Relaxed),
        }
    }
}

/// The faults that are on. `resets` and `releases` only count up: who saw a smaller number has
/// something to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub refuse: bool,
    pub silent_to_server: bool,
    pub silent_to_client: bool,
    pub delay: Duration,
    pub piece_bytes: Option<usize>,
    pub resets: u64,
    pub releases: u64,
}

impl Faults {
    pub fn silences(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.silent_to_server,
            Direction::ToClient => self.silent_to_client,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counted {
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub reset: AtomicU64,
    pub to_server_bytes: AtomicU64,
    pub to_client_bytes: AtomicU64,
    pub sprung: AtomicU64,
}

/// What the handle and the connections share.
#[derive(Debug)]
pub(super) struct Control {
    pub faults: watch::Sender<Faults>,
    traps: Mutex<Vec<Trap>>,
    pub counted: Counted,
}

impl Control {
    pub fn new() -> Control {
        Control {
            faults: watch::Sender::new(Faults::default()),
            traps: Mutex::default(),
            counted: Counted::default(),
        }
    }

    pub fn reset_all(&self) {
        self.faults.send_modify(|faults| faults.resets += 1);
    }

    /// The action of the first trap that lies at one of these points; it has sprung once more then.
    pub fn spring(&self, is_at: impl Fn(&Point) -> bool) -> Option<Action> {
        let mut traps = self.traps.lock().unwrap_or_else(PoisonError::into_inner);
        let trap = traps.iter_mut().find(|trap| trap.times > 0 && is_at(&trap.at))?;
        trap.times -= 1;
        Some(trap.action)
    }

    pub fn count(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::ToServer => &self.counted.to_server_bytes,
            Direction::ToClient => &self.counted.to_client_bytes,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
