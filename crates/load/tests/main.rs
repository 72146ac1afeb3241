//! What the load does on a real PostgreSQL, without the program around it.

mod rollups; // what PostgreSQL computes again, against what the stages counted
