//! The account that a PostgreSQL server runs as. The server refuses to run as root.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// An unprivileged account, by its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The account to change to, or None where this process is not root and runs the server as
    /// itself. A cluster that is there already goes on as the account that owns it.
    pub fn for_server(existing_data: &Path) -> Result<Option<Account>> {
        // SAFETY: geteuid only answers.
        if unsafe { libc::geteuid() } != 0 {
            return Ok(None);
        }
        if let Ok(owner) = fs::metadata(existing_data)
            && owner.uid() != 0
        {
            return Ok(Some(Account { uid: owner.uid(), gid: owner.gid() }));
        }
        match Account::named("postgres").or_else(|| Account::named("nobody")) {
            Some(account) => Ok(Some(account)),
            None => bail!(
                "PostgreSQL refuses to run as root, and there is neither a user postgres nor \
                    nobody: start as another user"
            ),
        }
    }

    fn named(name: &str) -> Option<Account> {
        let name = CString::new(name).ok()?;
        // SAFETY: every pointer outlives the call, the buffer's length is its own, and the entry is
        // read only when the call says that it filled it.
        unsafe {
            let mut entry: libc::passwd = std::mem::zeroed();
            let mut strings = vec![0 as libc::c_char; 16 * 1024];
            let mut found: *mut libc::passwd = std::ptr::null_mut();
            let code = libc::getpwnam_r(
                name.as_ptr(),
                &mut entry,
                strings.as_mut_ptr(),
                strings.len(),
                &mut found,
            );
            (code == 0 && !found.is_null() && entry.pw_uid != 0)
                .then_some(Account { uid: entry.pw_uid, gid: entry.pw_gid })
        }
    }

    /// Has the command run as this account, without root's supplementary groups.
    pub fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Makes the account the owner of one file or folder, which only it can read from then on.
    pub fn own(&self, path: &Path, mode: u32) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to PostgreSQL's user", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot set the mode of {}", path.display()))
    }

    /// The first of the folder's ancestors, from the root down, which this account cannot pass;
    /// None if it can reach the folder. Access control lists are not looked at.
    pub fn stopped_at(&self, folder: &Path) -> Option<PathBuf> {
        let mut above: Vec<&Path> = folder.ancestors().skip(1).collect();
        above.reverse();
        above.into_iter().find(|path| !self.may_search(path)).map(Path::to_owned)
    }

    fn may_search(&self, folder: &Path) -> bool {
        let Ok(folder) = fs::metadata(folder) else { return false };
        let bit = if folder.uid() == self.uid {
            0o100
        } else if folder.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        folder.mode() & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScratchFolder;

    #[test]
    fn where_an_account_is_stopped() {
        let outer = ScratchFolder::create("account").unwrap();
        let owner = fs::metadata(outer.path()).unwrap();
        let stranger = Account { uid: owner.uid() + 4_000, gid: owner.gid() + 4_000 };
        let member = Account { uid: owner.uid() + 4_000, gid: owner.gid() };
        let itself = Account { uid: owner.uid(), gid: owner.gid() };
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let cases = [
            (0o700, [Some(outer.path()), Some(outer.path()), None]),
            (0o710, [Some(outer.path()), None, None]),
            (0o711, [None, None, None]),
            (0o755, [None, None, None]),
        ];
        for (mode, expected) in cases {
            fs::set_permissions(outer.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = [stranger, member, itself].map(|account| account.stopped_at(&inner));
            assert_eq!(found.each_ref().map(Option::as_deref), expected, "mode {mode:o}");
        }
    }

    #[test]
    fn an_unknown_name_is_no_account() {
        assert_eq!(Account::named("no-such-user-here"), None);
        assert_eq!(Account::named("root"), None, "root is not unprivileged");
    }
}
