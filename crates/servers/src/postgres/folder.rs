//! The folder of a private cluster: where it can stand, what is in it, and how it is made.
//!
//! ```text
//! data/          PostgreSQL's own
//! password       of the superuser, 0600
//! postgres.log   what the server said since its last start
//! ```

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::SUPERUSER;
use super::account::Account;
use super::binaries::Binaries;

/// Where a cluster stands and who runs it.
#[derive(Debug, Clone)]
pub struct ClusterFolder {
    pub path: PathBuf,
    pub account: Option<Account>,
}

impl ClusterFolder {
    /// Settles on a folder and makes it. When this process is root and the server's account cannot
    /// reach `wanted` (a clone below /root, say), it is a folder below the system's temp directory,
    /// always the same one for the same `wanted`.
    pub fn prepare(wanted: &Path) -> Result<ClusterFolder> {
        let wanted = std::path::absolute(wanted)?;
        let parent = wanted.parent().unwrap_or(&wanted);
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        let wanted = parent
            .canonicalize()?
            .join(wanted.file_name().context("the root folder cannot hold a cluster")?);
        let path = match Account::for_server(&wanted.join("data"))?
            .and_then(|account| account.stopped_at(&wanted))
        {
            None => wanted,
            Some(stop) => {
                let elsewhere = std::env::temp_dir()
                    .join(format!("duto-postgres-{:016x}", fingerprint(&wanted)));
                tracing::info!(folder = %elsewhere.display(), "PostgreSQL's user cannot enter {}: \
                    the cluster stands elsewhere", stop.display());
                elsewhere
            }
        };
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let account = Account::for_server(&path.join("data"))?;
        let folder = ClusterFolder { path, account };
        folder.own()?;
        Ok(folder)
    }

    /// Runs initdb if there is no cluster yet; it is made beside its place and then renamed, so
    /// that one that was interrupted is begun anew.
    pub fn initialize(&self, binaries: &Binaries, durable: bool) -> Result<()> {
        if self.data().join("PG_VERSION").is_file() {
            return Ok(());
        }
        let unfinished = self.path.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        self.write_password()?;
        let mut command = self.command(&binaries.program("initdb")?);
        command.arg("-D").arg(&unfinished).args([
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        command
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg("--pwfile")
            .arg(self.password_file());
        if !durable {
            command.arg("--no-sync");
        }
        let output = command.stdin(Stdio::null()).output().context("cannot run initdb")?;
        if !output.status.success() {
            bail!(
                "initdb failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        fs::rename(&unfinished, self.data()).context("cannot rename the finished cluster")
    }

    /// A command that runs as the server's account, in a folder that it can enter, and with no
    /// setting of the caller's PostgreSQL.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
    }

    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn log_file(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    /// The version that wrote the cluster; None where there is none yet.
    pub fn major_version(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    pub fn password(&self) -> Result<String> {
        fs::read_to_string(self.password_file())
            .with_context(|| format!("cannot read {}", self.password_file().display()))
    }

    fn password_file(&self) -> PathBuf {
        self.path.join("password")
    }

    fn write_password(&self) -> Result<()> {
        let mut random = [0_u8; 16];
        fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut random))
            .context("cannot read random bytes")?;
        let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.password_file(), password)
            .with_context(|| format!("cannot write {}", self.password_file().display()))?;
        match &self.account {
            Some(account) => account.own(&self.password_file(), 0o600),
            None => private(&self.password_file(), 0o600),
        }
    }

    pub fn put_file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let file = self.data().join(name);
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        match &self.account {
            Some(account) => account.own(&file, 0o600)?,
            None => private(&file, 0o600)?,
        }
        Ok(file)
    }

    /// Only the server's account enters the folder: it holds the password, and the socket trusts
    /// whoever reaches it.
    fn own(&self) -> Result<()> {
        match &self.account {
            Some(account) => {
                let is_link = fs::symlink_metadata(&self.path)?.is_symlink();
                let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&self.path)?);
                if is_link || (owner != 0 && owner != account.uid) {
                    bail!(
                        "{} belongs to somebody else: remove it or use another folder",
                        self.path.display()
                    );
                }
                account.own(&self.path, 0o700)
            }
            None => private(&self.path, 0o700),
        }
    }
}

fn private(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot make {} private", path.display()))
}

/// FNV-1a: a name that stays the same between runs; nothing secret hangs on it.
fn fingerprint(path: &Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
