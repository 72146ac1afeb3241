//! What runs: everything that reads, calls, loads and sends, and what it says about itself. The
//! modules stand in the order in which a record meets them.

pub mod ingest; // HTTP endpoints that take records
pub mod pull; // HTTP endpoints that are read
pub mod deliver; // a call for each record
pub mod progress; // what was done, and how it is
pub mod publish; // a message for each stored row, exactly once
pub mod replay; // rejects come again
pub mod files; // CSV files through the same stages
pub mod worker; // the log through the stages into the load
mod http_client; // what every answer of HTTP may say
