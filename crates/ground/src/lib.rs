//! What everything stands on: the values that travel, and small tools that know of no pipeline.

pub mod batch; // records as bytes, with their places
pub mod index; // places of records and rows
pub mod reject; // why a record was not stored
pub mod message_id; // the names of what leaves
pub mod changes; // which tables have new rows
pub mod backoff; // pauses between tries
pub mod supervised; // threads that begin again
pub mod clock; // the time
pub mod seal; // encryption at rest
pub mod quoting; // names and texts in SQL
