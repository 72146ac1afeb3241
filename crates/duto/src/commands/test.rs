//! `duto test FILE...`: the file's own examples through the real stages, without any server.

use std::path::PathBuf;

use super::exit_code;
use super::pipeline_file::{Loaded, load};
use super::test_case;

/// Runs the tests of pipeline files, without any server.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Pipeline files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Prints what failed and, as its last line, how many passed and failed. A bad file counts as one
/// failure.
pub fn run(args: &TestArgs) -> i32 {
    let (mut passed, mut failed) = (0, 0);
    let mut code = exit_code::FINE;
    for file in &args.files {
        match load(file) {
            Ok(loaded) => {
                for (number, problem) in failures(&loaded) {
                    failed += 1;
                    let line = line_of(file, loaded.pipeline.tests[number].span.start);
                    println!(
                        "{}:{line}: test {} of {}: {problem}",
                        file.display(),
                        number + 1,
                        loaded.pipeline.name
                    );
                }
                passed += loaded.pipeline.tests.len();
            }
            Err(bad) => {
                failed += 1;
                passed += 1;
                code = code.max(bad);
            }
        }
    }
    println!("{} passed, {failed} failed", passed - failed);
    if failed > 0 { code.max(exit_code::FAILED) } else { code }
}

fn failures(loaded: &Loaded) -> Vec<(usize, String)> {
    let tests = loaded.pipeline.tests.iter().enumerate();
    tests
        .filter_map(|(number, test)| {
            test_case::run(loaded, test).err().map(|problem| (number, problem))
        })
        .collect()
}

fn line_of(file: &std::path::Path, offset: usize) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
