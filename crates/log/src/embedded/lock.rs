//! One reader of a topic for a group at a time, on this machine: a lock that the system frees when
//! its process ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::super::LogError;

/// Held until dropped.
pub struct ReaderLock {
    _file: File,
}

impl ReaderLock {
    pub fn take(folder: &Path, topic: &str, group: &str) -> Result<ReaderLock, LogError> {
        let locks = folder.join("locks");
        let path = locks.join(format!("{}--{}.lock", file_name(topic), file_name(group)));
        let doing = || format!("lock {}", path.display());
        let refused =
            |error: std::io::Error| LogError::Refused { doing: doing(), reason: error.to_string() };
        fs::create_dir_all(&locks).map_err(refused)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(refused)?;
        // SAFETY: the descriptor is open as long as the file is.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::WouldBlock {
                return Err(refused(error));
            }
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder
                .trim()
                .parse::<u32>()
                .map_or_else(|_| "another process".to_owned(), |pid| format!("process {pid}"));
            return Err(LogError::Locked(format!(
                "{holder} already reads the topic {topic} for the group {group}: the embedded log \
                    has one worker a group at a time; \
                 stop that one, or set KAFKA_BOOTSTRAP_SERVERS to run several"
            )));
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(refused)?;
        Ok(ReaderLock { _file: file })
    }
}

/// A name that any file system takes; different names stay different.
fn file_name(name: &str) -> String {
    let mut safe = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("%{byte:02x}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_safe_and_stay_different() {
        let cases = [
            ("sales", "sales"),
            ("Sales", "%53ales"),
            ("../x", "%2e%2e%2fx"),
            ("a b", "a%20b"),
            ("á", "%c3%a1"),
        ];
        for (name, expected) in cases {
            assert_eq!(file_name(name), expected);
        }
    }
}
