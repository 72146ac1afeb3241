//! Folders that are cleaned up even when the process that made them was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

const PREFIX: &str = "duto-scratch-";

/// A folder below the system's temp directory that goes away with this value. Those of processes
/// that ended without cleaning up go away when the next one is made.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
}

impl ScratchFolder {
    /// Makes an empty folder. `purpose` is part of its name, for whoever looks at the temp
    /// directory.
    pub fn create(purpose: &str) -> Result<ScratchFolder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}-{purpose}", std::process::id()));
        // A folder of that name is left from an earlier process with the same id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(ScratchFolder { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What is left is found by `remove_abandoned` later.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes scratch folders whose process is gone. Failures do not matter: the folder may be another
/// user's.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        let Some(pid) = maker.and_then(|digits| digits.parse::<libc::pid_t>().ok()) else {
            continue;
        };
        if pid > 0 && !is_running(pid) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_running(pid: libc::pid_t) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe {
        libc::kill(pid, 0) == 0
            || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_value() {
        let folder = ScratchFolder::create("own").unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_abandoned_folders_are_removed() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended_pid = child.id();
        child.wait().unwrap();
        let parent = ScratchFolder::create("parent").unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}{ended_pid}-0-x"));
        let alive = parent.path().join(format!("{PREFIX}{}-0-x", std::process::id()));
        let foreign = parent.path().join("something-else");
        for folder in [&abandoned, &alive, &foreign] {
            fs::create_dir(folder).unwrap();
        }
        remove_abandoned(parent.path());
        assert!(!abandoned.exists());
        assert!(alive.exists() && foreign.exists());
    }
}
