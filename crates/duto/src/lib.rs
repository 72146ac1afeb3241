//! duto moves events from a log into PostgreSQL exactly once. The modules stand in the order in which a record meets them.

pub mod definition; // the pipeline file, parsed
pub mod generate; // plausible records, and bad ones
pub mod ingest; // HTTP endpoints that take records
pub mod pull; // HTTP endpoints that are read
pub mod log; // Kafka, or the embedded log
pub mod batch; // records as bytes, with their places
pub mod decode; // bytes to columns
pub mod check; // rules in SQL
pub mod transform; // columns to rows, by SQL
pub mod rollup; // what stored rows add to counters
pub mod reject; // why a record was not stored
pub mod message_id; // the names of what leaves
pub mod deliver; // a call for each record
pub mod stages; // all of these, and the batch that is ready to be written
pub mod changes; // which tables have new rows
pub mod progress; // what was done, and how it is
pub mod load; // rows into PostgreSQL, exactly once
pub mod publish; // a message for each stored row, exactly once
pub mod query; // views and endpoints, what each reads
pub mod replay; // rejects come again
pub mod files; // CSV files through the same stages
pub mod worker; // the log through the stages into the load
pub mod serve; // the page, endpoints, live updates, health and metrics
pub mod commands; // the command line
mod backoff; // pauses between tries
mod supervised; // threads that begin again
mod clock; // the time
mod time_slice; // soon on the CPU
mod http_client; // what every answer of HTTP may say
