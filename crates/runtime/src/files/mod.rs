//! CSV files on their way through the stages. A load of a file is a run of the same stages whose
//! position is the line: the file's digest stands where the topic's name would, so that the same
//! content is loaded once, however the file is called.

pub mod bad_file; // why a file cannot be loaded
pub mod scan; // its digest and its length, before the first line is stored
mod unchanged; // its bytes again, each known to be the same
mod latin1; // bytes that are not UTF-8
pub mod lines; // records, which may be several lines
pub mod heading; // which column is which field
pub mod read; // lines as batches
pub mod load; // from the position to the end
pub mod figures; // what became of the lines

use duto_definition::Pipeline;

/// What a file's name as a topic begins with; no topic of a log has a colon.
pub const TOPIC_PREFIX: &str = "file:";
/// The cluster of all files.
pub const CLUSTER: &str = "files";
/// A file has one partition.
pub const PARTITION: i32 = 0;
/// The header of a line that names its file.
pub const NAME_HEADER: &str = "file";
/// The header of a line that holds the file's heading.
pub const HEADING_HEADER: &str = "heading";

/// The pipeline as a file's lines go through it: they come from the file instead of the topic, and
/// every value comes as a text.
pub fn pipeline_of(pipeline: &Pipeline, sha256: &str) -> Pipeline {
    let mut of_file = pipeline.clone();
    of_file.source.topic = format!("{TOPIC_PREFIX}{sha256}");
    of_file.record.fields.iter_mut().for_each(|field| field.rules.coerce = true);
    of_file
}
