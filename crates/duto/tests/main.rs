//! What needs a server, a folder of files or a long run of cases. One binary, because each one links everything.

mod golden; // pipeline files, good and bad, with the whole message
mod decode; // the decoder against a reference and the public suite
mod log; // Kafka and the embedded log, side by side
mod rollups; // what PostgreSQL computes again, against what the worker counted
mod traces; // ways through the model, walked by the load
