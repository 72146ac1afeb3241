//! Pipeline files, good and bad, each with the whole message that a person gets. `UPDATE_GOLDEN=1`
//! writes the messages anew.

mod runner;

use std::path::Path;

use duto_definition::{parse, render};
use duto_stages::Stages;

/// Only what these files are meant to find set; everything else is unset.
fn environment(name: &str) -> Option<String> {
    match name {
        "GOLDEN_SECRET" => Some("hunter2".to_string()),
        "GOLDEN_EMPTY" => Some(String::new()),
        _ => None,
    }
}

#[test]
fn definition() {
    runner::run(Path::new("tests/golden/definition"), &|file_name, text| match parse(
        file_name,
        text,
        &environment,
    ) {
        Ok(_) => "no problem\n".to_string(),
        Err(problems) => render(&problems, file_name, text, false),
    });
}

/// The SQL of a file that is otherwise good: problems are shown in the file's own lines.
#[test]
fn sql() {
    runner::run(Path::new("tests/golden/sql"), &|file_name, text| match parse(
        file_name,
        text,
        &environment,
    )
    .and_then(|pipeline| Stages::plan(&pipeline))
    {
        Ok(_) => "no problem\n".to_string(),
        Err(problems) => render(&problems, file_name, text, false),
    });
}

/// The names say what is expected, so that a good file cannot turn bad, or a bad one good, by
/// writing the messages anew.
#[test]
fn good_files_are_good_and_bad_ones_bad() {
    for (path, text) in runner::files(Path::new("tests/golden/definition")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert_eq!(parse(&name, &text, &environment).is_ok(), name.starts_with("good_"), "{name}");
    }
}

#[test]
fn no_message_tells_a_variable() {
    for (path, text) in runner::files(Path::new("tests/golden/definition")) {
        let Err(problems) = parse("x.yaml", &text, &environment) else { continue };
        assert!(
            !render(&problems, "x.yaml", &text, false).contains("hunter2"),
            "{}",
            path.display()
        );
    }
}

/// The pipelines that come with duto are good files, whatever the environment leaves unset.
#[test]
fn pipelines_are_good() {
    let mut found = 0;
    for folder in std::fs::read_dir("../../pipelines").expect("the pipelines' folder") {
        for (path, text) in runner::files(&folder.expect("a folder").path()) {
            let name = path.display().to_string();
            if let Err(problems) =
                parse(&name, &text, &|_| None).and_then(|pipeline| Stages::plan(&pipeline))
            {
                panic!("{}", render(&problems, &name, &text, false));
            }
            found += 1;
        }
    }
    assert!(found > 0);
}

/// What README.md shows as a whole file is one.
#[test]
fn the_readme_shows_good_files() {
    let readme = std::fs::read_to_string("../../README.md").expect("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let files: Vec<&str> = blocks.filter(|block| block.starts_with("pipeline:")).collect();
    assert!(files.len() >= 2, "README.md shows {} pipelines", files.len());
    let environment =
        |name: &str| (name == "DATABASE_URL").then(|| "postgresql://localhost/orders".to_owned());
    for text in files {
        if let Err(problems) =
            parse("README.md", text, &environment).and_then(|pipeline| Stages::plan(&pipeline))
        {
            panic!("{}", render(&problems, "README.md", text, false));
        }
    }
}

/// Half a file, or one with a hole, is what an editor saves: it may be wrong in any way but must
/// not stop the program.
#[test]
fn no_cut_of_a_file_is_too_much() {
    let path = Path::new("tests/golden/definition/good_everything.yaml");
    let text = std::fs::read_to_string(path).expect("the file is read");
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    for (index, &at) in places.iter().enumerate().step_by(11) {
        let next = places.get(index + 7).copied().unwrap_or(text.len());
        for cut in [
            text[..at].to_string(),
            format!("{}{}", &text[..at], &text[next..]),
            format!("{}\t\"{{", &text[..at]) + &text[at..],
        ] {
            if let Err(problems) = parse("cut.yaml", &cut, &environment) {
                assert!(problems.iter().all(|problem| problem.span.start <= problem.span.end
                    && problem.span.end <= cut.len()));
                assert!(!render(&problems, "cut.yaml", &cut, true).is_empty());
            }
        }
    }
}

/// What a smallest file has, by its sections.
const SMALLEST: &[(&str, &str)] = &[
    ("pipeline", "p"),
    ("source", "{ topic: t }"),
    ("database", "{ name: d }"),
    ("record", "{ id: BIGINT }"),
    (
        "tables",
        "{ t: { columns: { id: BIGINT PRIMARY KEY }, repeat: ignore, select: SELECT id FROM record } }",
    ),
];

/// The lines to write stand in a file that is otherwise good.
#[test]
fn docs_show_lines_that_are_good() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let variable = |name: &str| match name {
        "DATABASE_URL" => Some("postgresql://me@db/shop".to_owned()),
        "DUTO_KEYS" => Some(format!("2026-11:{}=", "A".repeat(43))),
        name if name.ends_with("_HASH") => Some(hash.clone()),
        _ => Some("a secret of somebody".to_owned()),
    };
    let page = std::fs::read_to_string("../../docs/security.md").expect("the page");
    let shown: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(shown.len() >= 10, "only {} examples", shown.len());
    for lines in shown {
        let missing = SMALLEST
            .iter()
            .filter(|(name, _)| !lines.lines().any(|line| line.starts_with(&format!("{name}:"))));
        let others: String = missing.map(|(name, value)| format!("{name}: {value}\n")).collect();
        let text = format!("{others}{lines}");
        if let Err(problems) = parse("security.yaml", &text, &variable) {
            panic!("{}", render(&problems, "security.yaml", &text, false));
        }
    }
}
