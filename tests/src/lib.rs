//! What the end-to-end tests share. They run the real program against a real Kafka, the embedded
//! log and a real PostgreSQL; nothing is skipped for want of a server.

pub mod admin; // what an operator of Kafka does to a topic
pub mod carrier; // an HTTP API to read
pub mod orders; // messages of the sales topic, and what must become of each
pub mod events; // messages of the e-commerce topic
pub mod products; // messages of the products topic, and the two applications
pub mod topic; // what a consumer of committed messages finds
pub mod receiver; // an API that answers as it is told
pub mod event_model; // tables, views and endpoints against a sequential model of the events
pub mod tracking; // records of the logistics topic and of its files
pub mod tracking_model; // tables and endpoints against a sequential model of them
pub mod log; // the log under test
pub mod load; // a load that goes on while faults are made
pub mod own_servers; // servers that a test may break
pub mod pipeline; // a copy of a pipeline of a test's own
pub mod published; // messages that went out
pub mod power_cut; // what is left of files when the power fails
pub mod recorder; // what SQLite writes and syncs
pub mod scale; // how much a fault run does
pub mod small; // pipelines of a few lines
pub mod small_disk; // a disk that is soon full
pub mod verify; // rows, rejects and ledger against a sequential model
pub mod timescale; // a server with TimescaleDB
pub mod wait; // for a condition, never for a time
pub mod worker; // the program as a process
pub mod routes; // what it answers to
pub mod cut_streams; // streams that end soon
pub mod http; // requests to it
