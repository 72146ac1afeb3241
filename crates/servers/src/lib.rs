//! The servers that the demo, the tests and the bench start for themselves, and a proxy that makes
//! faults between them and duto.
//!
//! Everything here is private to the process that starts it: free ports, folders of its own, and no
//! server outlives the process.

mod authority; // certificates that nobody else believes
mod bound_child; // a child process that ends with this one
mod free_port; // ports that nobody has
pub mod kafka; // Apache Kafka, one KRaft node
pub mod postgres; // a private PostgreSQL cluster
pub mod proxy; // a TCP proxy that makes faults
mod scratch; // folders that are cleaned up even after a kill
pub mod shared; // the servers that a whole test run shares

pub use authority::{Signed, TestAuthority};
pub use bound_child::spawn_bound;
pub use free_port::free_port;
pub use kafka::{Kafka, KafkaSettings, ScramUser, TlsListener, cache_folder};
pub use postgres::{Mode, Postgres, PostgresSettings};
pub use proxy::{Action, Direction, Point, Protocol, Proxy, ProxyHandle, Trap};
pub use scratch::ScratchFolder;
