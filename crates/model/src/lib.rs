//! The protocol that loads a log into PostgreSQL exactly once, as a model that is explored
//! exhaustively within bounds.
//!
//! Two models share one explorer. [`load`] is claim, fence, load transaction, ambiguous COMMIT,
//! rebalance, rewind, skip, replay of rejects, back-fill of a rollup, topic made anew and restored
//! backup, each a switch of [`bounds::Bounds`]; its tests compose them, because all at once are too
//! many states. [`relay`] is the way out: outbox to Kafka in transactions, two relays, and a
//! restored backup.
//!
//! A crash is a step like any other, possible between any two. A zombie is a worker that takes no
//! step for a while, which every order of steps contains; so are a slow network, a lock that is
//! waited for, and a rebalance in the middle of a transaction. [`mutation`] holds the single wrong
//! steps that the exploration must find.
//!
//! That it is a model of this program is shown by `crates/runtime/tests/traces`: the real load
//! walks random ways through it, on PostgreSQL.
//!
//! Not in it: time, leader epochs, retention, two COMMITs of one worker that are both still under
//! way, deadlocks over the users' rows, and what a failing row does to its batch (a poison record
//! is known before BEGIN here).

pub mod explore; // every reachable state, or the shortest way to a wrong one
pub mod mutation; // the single wrong steps
pub mod bounds; // the records, and which faults may happen
pub mod state; // everything that one moment consists of
pub mod step; // the names of the steps
pub mod load; // all actors of the load together
pub mod group; // the group coordinator: who should read what
pub mod worker; // claims partitions, reads the log
pub mod transaction; // position, rows, rejects and ledger in one commit
pub mod at_once; // the same as one statement
pub mod hand_over; // between two lanes of one process
pub mod reconnect; // a worker that lost its connection or its life
pub mod database; // commits, aborts, locks
pub mod operator; // rewind, skip, replay, back-fill
pub mod surroundings; // the topic made anew, the restored backup
pub mod invariants; // what must hold in every state
pub mod relay; // outbox to Kafka
