//! A disk that is soon full.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use duto_servers::ScratchFolder;

/// A tmpfs of a few megabytes, unmounted with this value. Mounting takes root, or sudo that asks
/// for no password.
pub struct SmallDisk {
    path: PathBuf,
    _folder: ScratchFolder,
}

impl SmallDisk {
    /// It belongs to whoever has `like`.
    pub fn mount(megabytes: usize, like: &Path) -> Result<SmallDisk> {
        let folder = ScratchFolder::create("disk")?;
        let path = folder.path().join("disk");
        fs::create_dir(&path)?;
        let owner = fs::metadata(like)?;
        let options =
            format!("size={megabytes}m,mode=0777,uid={},gid={}", owner.uid(), owner.gid());
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &path.display().to_string()])?;
        Ok(SmallDisk { path, _folder: folder })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves no room at all.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.ballast())?;
        let mut piece_bytes = 1 << 20;
        while piece_bytes > 0 {
            if ballast.write_all(&vec![1; piece_bytes]).is_err() {
                piece_bytes /= 2;
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn clear(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server may still have files open there.
        let _ = run("umount", &["-l", &self.path.display().to_string()]);
    }
}

/// As root, or through sudo.
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    // SAFETY: the call only answers.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut command = if is_root { Command::new(program) } else { Command::new("sudo") };
    if !is_root {
        command.args(["-n", program]);
    }
    let output = command.args(arguments).output().with_context(|| format!("running {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
