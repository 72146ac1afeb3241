//! Lists the files of the web pages, so that the program holds them. Without them it still
//! compiles, and says at `/` how to build them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = manifest.join("../../dashboard/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut names = Vec::new();
    if dist.is_dir() {
        list(&dist, &dist, &mut names)?;
    }
    names.sort();
    let mut table = String::from("pub static ASSETS: &[Asset] = &[\n");
    for name in names.iter().filter(|name| !name.ends_with(".gz")) {
        let path = dist.join(name);
        let zipped = dist.join(format!("{name}.gz"));
        let zipped = if zipped.is_file() {
            format!("Some(include_bytes!({zipped:?}))")
        } else {
            "None".to_owned()
        };
        let _ = writeln!(
            table,
            "    Asset {{ name: {name:?}, plain: include_bytes!({path:?}), zipped: {zipped} }},"
        );
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    std::fs::write(out.join("assets.rs"), table)
}

fn list(root: &Path, folder: &Path, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, names)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
