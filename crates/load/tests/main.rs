//! What the load does on a real PostgreSQL, without the program around it.

mod tls; // connections that are encrypted, and those that are refused
mod rollups; // what PostgreSQL computes again, against what the stages counted
