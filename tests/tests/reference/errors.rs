//! Every error of a pipeline file that the golden files show, with the first of them.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use duto_tests::pipeline::root;

use super::keys::cell;

pub fn written() -> Result<String> {
    let mut errors: BTreeMap<String, (String, String)> = BTreeMap::new();
    for folder in ["definition", "sql"] {
        let folder = root().join("crates/stages/tests/golden").join(folder);
        let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in
            files.iter().filter(|file| file.path().extension().is_some_and(|kind| kind == "txt"))
        {
            let text = std::fs::read_to_string(file.path())?;
            for problem in text.split("\n\n") {
                let Some((code, message)) = problem
                    .lines()
                    .next()
                    .and_then(|line| line.strip_prefix("error[")?.split_once("]: "))
                else {
                    continue;
                };
                let help = problem
                    .lines()
                    .find_map(|line| line.trim_start().strip_prefix("= help: "))
                    .unwrap_or_default();
                errors
                    .entry(code.to_owned())
                    .or_insert_with(|| (message.to_owned(), help.to_owned()));
            }
        }
    }
    ensure!(errors.len() > 100, "only {} errors are shown", errors.len());
    let mut text = "## Errors\n\nWhat `duto check` may say, each with an example: what is wrong, \
        and what to do. It stands under the line of the file that it is \
        about; `duto check --json` gives code, place, message and help.\n\n| code | for example | \
        what to do |\n| --- | --- | --- |\n"
        .to_owned();
    for (code, (message, help)) in errors {
        text.push_str(&format!("| `{code}` | {} | {} |\n", cell(&message), cell(&help)));
    }
    Ok(text)
}
