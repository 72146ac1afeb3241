//! Messages on their way out: rows of `duto.outbox`, written in the load's own transaction, become records of their target topics, each
//! once for a consumer that reads what is committed, in order per position.

pub mod relay; // one position's rows into their topics
pub mod relays; // those of a worker
pub mod outbox; // duto.outbox
pub mod mark; // how far a relay is
mod targets; // the topics that are written to
pub mod signal; // what a relay waits for

use std::time::Duration;

use crate::definition::Pipeline;

/// How long a row stays in the outbox after it was sent, but for the last one, which stays for good.
pub const KEEP_SENT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the pipeline writes to the outbox.
pub fn publishes(_pipeline: &Pipeline) -> bool {
    false
}
