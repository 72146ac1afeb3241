//! From the file's text to a [`Pipeline`], or to everything that is wrong with it.

use std::collections::HashSet;

use super::keys::{Key, Keys};
use super::walk::{Fields, Walk};
use super::{Pipeline, Problem, Span};
use super::{
    agreement, auth, batch, checks, dashboard, database, deliver, encryption, endpoints, files,
    generate, http, ingest, listen, once, pipeline, publish, pull, record, rejects, rollups,
    source, table, tests, text, views, yaml,
};

/// A section of the file. A new one is a file with its `SECTION`, and a line below.
pub(super) struct Section {
    pub key: Key,
    /// Reads the section into the pipeline; what is wrong is reported to the walk, and the pipeline
    /// is then not used.
    pub read: fn(&Fields<'_, '_>, &mut Pipeline),
}

/// In the order in which they are read: a section may look at those before it.
const SECTIONS: [Section; 25] = [
    pipeline::SECTION,
    listen::SECTION,
    http::SECTION,
    source::SECTION,
    database::SECTION,
    batch::SECTION,
    rejects::SECTION,
    text::SECTION,
    record::SECTION,
    checks::SECTION,
    table::SECTION,
    once::SECTION,
    rollups::SECTION,
    views::SECTION,
    endpoints::SECTION,
    dashboard::SECTION,
    ingest::SECTION,
    auth::SECTION,
    encryption::SECTION,
    pull::SECTION,
    deliver::SECTION,
    publish::SECTION,
    files::SECTION,
    generate::SECTION,
    tests::SECTION,
];

/// Sections of the language that this version does not have.
const LATER: &[&str] = &[];

/// What the top of the file is called in messages.
pub(super) const FILE: &str = "the file";

static SECTION_KEYS: [Key; SECTIONS.len()] = keys_of(&SECTIONS);

/// The keys at the top of the file.
pub(super) static FILE_KEYS: Keys = Keys { of: FILE, keys: &SECTION_KEYS, later: LATER, note: "" };

/// Reads a pipeline file. `environment` answers the value of a variable. All problems are answered
/// at once, in the file's order; their places are spans of `text`, so that `file_name` stands only
/// in a problem with the file as a whole.
pub fn parse(
    file_name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Pipeline, Vec<Problem>> {
    let (root, mut problems) = yaml::tree(text, environment);
    let walk = Walk::new(text);
    let mut pipeline = Pipeline::default();
    match root {
        Some(root) if !root.is_unset() => {
            if let Some(file) = walk.fields(FILE, &FILE_KEYS, &root, first_character(text)) {
                SECTIONS.iter().for_each(|section| (section.read)(&file, &mut pipeline));
                agreement::check(&file, &pipeline);
            }
        }
        _ if problems.is_empty() => {
            problems.push(
                Problem::new("file.empty", Span::default(), format!("{file_name} is empty"))
                    .help("`duto init NAME` writes one that runs"),
            );
        }
        _ => {}
    }
    problems.extend(walk.into_problems());
    // An alias is read wherever it stands, so its problems could come twice.
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert((problem.span, problem.code, problem.message.clone())));
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    if problems.is_empty() { Ok(pipeline) } else { Err(problems) }
}

/// What is missing from the file as a whole is shown at its first line that says something.
fn first_character(text: &str) -> Span {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start().trim_start_matches('\u{feff}');
        if !content.is_empty() && !content.starts_with('#') && !content.starts_with("---") {
            return Span::new(at, at);
        }
        at += line.len();
    }
    Span::default()
}

const fn keys_of<const N: usize>(sections: &[Section; N]) -> [Key; N] {
    let mut keys = [sections[0].key; N];
    let mut index = 1;
    while index < N {
        keys[index] = sections[index].key;
        index += 1;
    }
    keys
}
