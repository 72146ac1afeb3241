//! A copy of the embedded log as it was at one moment, while others write, and its way back.
//!
//! What was acknowledged after that moment is not in the copy, but it may be in tables: a log that
//! goes on from a copy must give no offset a second time. So a copy is marked as one, and who opens
//! it first moves every partition's next offset far beyond all that the lost log can have given. A
//! position that is behind the copy's end reads the rest of it; one that is beyond finds nothing
//! until the first new record.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::super::LogError;
use super::file;

/// More offsets than a log can have given since its copy was made: a million a second for twelve
/// days.
pub const LEFT_OUT: i64 = 1 << 40;
/// The setting that marks a copy; its value is the time of the copy.
const MARK: &str = "backup";

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub records: u64,
    pub bytes: u64,
}

/// Copies the log of a folder into a file that is not there yet. Senders and readers go on
/// meanwhile. The file is whole and on the disk when this returns, or it is not there.
pub fn backup(folder: &Path, into: &Path) -> Result<Backup, LogError> {
    let path = file::path_in(folder);
    let doing = format!("back up the embedded log {} into {}", path.display(), into.display());
    let refused = |reason: String| LogError::Refused { doing: doing.clone(), reason };
    let io = |error: std::io::Error| refused(error.to_string());
    let sqlite = |error: rusqlite::Error| file::describe(&doing, &error);
    if !path.exists() {
        return Err(refused("there is no such log".to_owned()));
    }
    if into.exists() {
        return Err(refused("the file is there already".to_owned()));
    }
    let partial = with_suffix(into, "partial");
    let _ = fs::remove_file(&partial);
    let copy = || {
        // One transaction's view of everything; no lock that a writer would wait for.
        let source = file::connect(&path).map_err(sqlite)?;
        source.execute("VACUUM INTO ?1", [partial.display().to_string()]).map_err(sqlite)?;
        let backup = mark(&partial).map_err(sqlite)?;
        File::open(&partial).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&partial, into).map_err(io)?;
        sync_folder_of(into).map_err(io)?;
        Ok(backup)
    };
    copy().inspect_err(|_| drop(fs::remove_file(&partial)))
}

/// Puts a copy into a folder that has no log. Nobody may use the folder meanwhile.
pub fn restore(from: &Path, folder: &Path) -> Result<(), LogError> {
    let path = file::path_in(folder);
    let doing = format!("restore the embedded log {} from {}", path.display(), from.display());
    let refused = |reason: String| LogError::Refused { doing: doing.clone(), reason };
    let io = |error: std::io::Error| refused(error.to_string());
    if path.exists() {
        return Err(refused(format!(
            "{} is a log already: move it away with the files beside it, or name another folder",
            path.display()
        )));
    }
    if !from.exists() {
        return Err(refused("there is no such file".to_owned()));
    }
    // What cannot be read as a log is none.
    let taken_at = read(from).and_then(|connection| taken_at(&connection)).unwrap_or_default();
    if taken_at.is_none() {
        return Err(refused(
            "that file is no backup, or it was opened as a log already: going on from it would \
             give offsets a second time"
                .to_owned(),
        ));
    }
    fs::create_dir_all(folder).map_err(io)?;
    let partial = with_suffix(&path, "partial");
    let copy = || {
        fs::copy(from, &partial)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &path)?;
        sync_folder_of(&path)
    };
    copy().map_err(|error| {
        let _ = fs::remove_file(&partial);
        io(error)
    })
}

/// Leaves the offsets out that the log may have given since this copy of it was made; answers when
/// that was. None where the file is no copy, or was opened before.
pub(super) fn leave_offsets_out(transaction: &Transaction<'_>) -> rusqlite::Result<Option<String>> {
    let Some(taken_at) = taken_at(transaction)? else { return Ok(None) };
    transaction.execute("UPDATE partition SET next_offset = next_offset + ?1", [LEFT_OUT])?;
    transaction.execute("UPDATE setting SET name = 'restored' || rowid WHERE name = ?1", [MARK])?;
    Ok(Some(taken_at))
}

fn taken_at(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM setting WHERE name = ?1", [MARK], |row| row.get(0))
        .optional()
}

/// Says in the copy that it is one, and looks whether it can be read.
fn mark(copy: &Path) -> rusqlite::Result<Backup> {
    let connection = Connection::open(copy)?;
    connection.execute(
        "INSERT OR REPLACE INTO setting VALUES (?1, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
        params![MARK],
    )?;
    let records: i64 = connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    let bytes = fs::metadata(copy).map_or(0, |metadata| metadata.len());
    Ok(Backup { records: u64::try_from(records).unwrap_or_default(), bytes })
}

fn read(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The file's name is on the disk only then.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
