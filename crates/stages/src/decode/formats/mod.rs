//! What a record's bytes are. A format makes of them the JSON document that [`super::read`] reads
//! by the declared record; its own faults are rejects of the record alone. Each is one file here
//! and one line of [`of`].

mod csv;
mod json;

use std::fmt::Debug;
use std::sync::Arc;

pub use csv::{CsvLayout, Unclosed, Values};
use duto_definition::{Format, Source};

use super::fault::Outcome;

/// How the bytes of one record become a JSON document. It holds no state between records: threads
/// may share it.
pub(super) trait ReadFormat: Debug + Send + Sync {
    /// The document of these bytes, which are not empty and not too long. It stands in `room`,
    /// whatever that held, or is the bytes themselves. It need not be well-formed: the scanner says
    /// where it is not.
    fn document<'a>(&self, bytes: &'a [u8], room: &'a mut Vec<u8>) -> Outcome<&'a [u8]>;
}

/// The format of what stands on the pipeline's topic.
pub(super) fn of(source: &Source) -> Arc<dyn ReadFormat> {
    match source.format {
        Format::Json => Arc::new(json::Json { unwrap_strings: source.unwrap_strings }),
    }
}
