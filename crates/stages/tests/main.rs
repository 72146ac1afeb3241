//! What needs a folder of files or a long run of cases.

mod golden; // pipeline files, good and bad, with the whole message
mod decode; // the decoder against a reference and the public suite
