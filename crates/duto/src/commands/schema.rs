//! `duto schema`: the JSON Schema of the pipeline file, for editors.

use std::io::Write;

use super::exit_code;

/// Prints the JSON Schema of the pipeline file, by which editors complete it.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {}

/// Prints the schema; the answer is the exit code.
pub fn run(_args: &SchemaArgs) -> i32 {
    let schema = format!("{:#}\n", duto_definition::json_schema());
    // A closed pipe is not this command's trouble.
    let _ = std::io::stdout().write_all(schema.as_bytes());
    exit_code::FINE
}
