//! A folder of golden files: `name.yaml`, and beside it `name.txt` with what must come of it.

use std::path::{Path, PathBuf};

/// Holds every file's message against the one beside it, and fails with all that differ. `message`
/// gets the file's name, without its folder, and its text. With `UPDATE_GOLDEN=1` the messages are
/// written instead.
pub fn run(folder: &Path, message: &dyn Fn(&str, &str) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut differing = Vec::new();
    for (path, text) in files(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let actual = message(&name, &text);
        let beside = path.with_extension("txt");
        if update {
            std::fs::write(&beside, &actual).expect("the message is written");
        } else if std::fs::read_to_string(&beside).unwrap_or_default() != actual {
            let expected =
                std::fs::read_to_string(&beside).unwrap_or_else(|error| format!("({error})\n"));
            differing.push(format!("{name}: expected\n{expected}\nbut got\n{actual}"));
        }
    }
    assert!(differing.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", differing.join("\n"));
    assert_eq!(orphans(folder), Vec::<PathBuf>::new(), "messages without a file");
}

/// The folder's pipeline files and their texts, by name; a folder without any is a mistake.
pub fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut paths = with_extension(folder, "yaml");
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no pipeline file", folder.display());
    let text = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("the file is read");
        (path, text)
    };
    paths.into_iter().map(text).collect()
}

fn orphans(folder: &Path) -> Vec<PathBuf> {
    with_extension(folder, "txt")
        .into_iter()
        .filter(|path| !path.with_extension("yaml").exists())
        .collect()
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}
