//! `publish:`, a message for each stored row: written in its transaction, sent after its commit.

pub mod messages; // what a batch has to tell
