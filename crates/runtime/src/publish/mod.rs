//! `publish:`, a message for each stored row: a row of `duto.outbox`, written in the load's own
//! transaction, becomes a record of its target topic, once for a consumer that reads what is
//! committed, in order per position.

pub mod outbox; // duto.outbox
pub mod relay; // one position's rows into their topics
pub mod relays; // those of a worker
pub mod mark; // how far a relay is
pub mod message; // rows as records
mod files; // rows of files that were loaded
mod targets; // the topics that are written to
pub mod signal; // what a relay waits for

use std::time::Duration;

/// How long a row stays in the outbox after it was sent, but for the last one, which stays for
/// good.
pub const KEEP_SENT: Duration = Duration::from_secs(24 * 60 * 60);
