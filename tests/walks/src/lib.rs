//! The machine that finds wrong pipelines before a user does: random pipeline files, records and
//! events, walked by the real program and judged by a sequential model and by PostgreSQL. It shares
//! no code with the program.

pub mod chance; // what a seed decides
pub mod walk; // a pipeline file, its records and what happens
pub mod generate; // random walks
pub mod ground; // servers, databases and folders
pub mod program; // bin/duto as a process
pub mod log_file; // the embedded log
pub mod play; // step after step
pub mod posts; // requests
pub mod json_text; // the model's own JSON reader
pub mod decimal; // exact numbers
pub mod shape; // the declared record
pub mod decode; // what a record's bytes mean
pub mod definition; // the declared tables
pub mod sql_words; // the file's SQL as PostgreSQL's
pub mod oracle; // one record after the other, in PostgreSQL
pub mod measure; // a rollup's figure as an aggregate
pub mod canonical; // JSON texts that say the same
pub mod judge; // what is there against what should be
pub mod failure; // what is wrong
pub mod shrink; // the smallest walk that fails the same way
pub mod many; // thousands of walks
