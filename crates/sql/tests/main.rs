//! The record's SQL beside a real PostgreSQL.

mod differential; // every function, operator and cast over edge values
