//! Rows into PostgreSQL, exactly once: one transaction for position, rows, rejects and ledger.

pub mod transaction; // the transaction, on one screen
pub mod at_once; // the same for a few rows, as one statement
pub mod rows; // rows into their tables, directly or by a stage
pub mod rollups; // what stored rows add to counters
pub mod register; // rollups and views become the database's
pub mod views; // each made by itself
pub mod fill; // rows that were there before their rollup
pub mod verify; // rollups against their tables
pub mod position; // the fence and the place
pub mod move_position; // an operator moves a position
pub mod rejects; // duto.reject
pub mod audit; // duto.audit
pub mod ledger; // duto.batch
mod pieces; // parameters that fit into a message
pub mod outbox; // duto.outbox
mod answers; // duto.answer
pub mod sealed; // what of them is sealed
pub mod prune; // what is no longer needed
pub mod grains; // fine counters whose time is over
pub mod poison; // which record PostgreSQL refuses
pub mod failure; // what an error means
pub mod target; // the statements
pub mod session; // a connection and where it leads
pub mod few; // a few rows by INSERT
pub mod connections; // how many, and whose turn it is
pub mod connect; // connections and their timeouts
mod search_path; // where names are looked up
mod tls; // whom we believe, and by what we are known
pub mod name_lock; // a worker's name, as long as it lives
pub mod pool; // connections for those who ask now and then
pub mod partitions; // pieces of time, made ahead of the data
pub mod time_partition; // hypertables and partitioned tables
pub mod ddl; // CREATE TABLE
pub mod script; // all of it, for whoever owns the database
pub mod roles; // who may do what
pub mod limits; // how many connections there may be
mod fit; // whether a table is as the file says
pub mod survey; // all that a start will find
pub mod ensure; // tables that fit the file
