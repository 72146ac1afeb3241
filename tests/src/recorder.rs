//! Records what SQLite writes and syncs below a folder, so that a test can ask what a power failure
//! would have left.
//!
//! The recorder is SQLite's own file layer but for the five calls that change a file. It becomes
//! the default of this process, so the product needs to know nothing of it; files elsewhere are not
//! touched.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi;

/// What happened to a file, named by its path.
#[derive(Debug, Clone)]
pub enum Change {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        bytes: usize,
    },
    Delete,
    /// Everything before this number in the recording that concerns the file is on the disk.
    Sync {
        covers: usize,
    },
    /// Of a folder: files of it that were deleted before this number stay deleted.
    SyncNames {
        covers: usize,
    },
}

type Methods = *const ffi::sqlite3_io_methods;

#[derive(Default)]
struct Recorder {
    recording: Option<(PathBuf, Vec<(PathBuf, Change)>)>,
    /// Open files by their address.
    open: HashMap<usize, OpenFile>,
    /// Methods that record, by the ones that they stand for.
    recording_methods: HashMap<usize, usize>,
    own_open: Option<Open>,
    own_delete: Option<Delete>,
}

#[derive(Clone)]
struct OpenFile {
    path: PathBuf,
    /// SQLite's own methods.
    own: usize,
    /// SQLite syncs the folder too when it first syncs a journal or a write-ahead log that it may
    /// have made.
    syncs_names: bool,
}

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    *const c_char,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;
type Delete = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, c_int) -> c_int;

static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

/// The recording of one folder; one at a time. It ends with [`Recording::finish`].
pub struct Recording;

impl Recording {
    /// Files that are opened below the folder from now on are recorded.
    pub fn start(folder: &Path) -> Recording {
        static REGISTER: Once = Once::new();
        REGISTER.call_once(register);
        with(|recorder| {
            assert!(recorder.recording.is_none(), "one recording at a time");
            recorder.recording = Some((folder.to_owned(), Vec::new()));
        });
        Recording
    }

    /// How many changes there are so far: what a sender heard before then, it heard of nothing
    /// later.
    pub fn len(&self) -> usize {
        with(|recorder| recorder.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn finish(self) -> Vec<(PathBuf, Change)> {
        with(|recorder| recorder.recording.take().map(|(_, changes)| changes).unwrap_or_default())
    }
}

fn lock() -> MutexGuard<'static, Option<Recorder>> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(run: impl FnOnce(&mut Recorder) -> T) -> T {
    run(lock().get_or_insert_default())
}

impl Recorder {
    fn is_recorded(&self, path: &Path) -> bool {
        self.recording.as_ref().is_some_and(|(folder, _)| path.starts_with(folder))
    }

    fn len(&self) -> usize {
        self.recording.as_ref().map_or(0, |(_, changes)| changes.len())
    }

    fn note(&mut self, path: &Path, change: Change) {
        if self.is_recorded(path)
            && let Some((_, changes)) = &mut self.recording
        {
            changes.push((path.to_owned(), change));
        }
    }

    /// The folder of this file was synced.
    fn note_names(&mut self, path: &Path, covers: usize) {
        if let Some(folder) = path.parent() {
            self.note(folder, Change::SyncNames { covers });
        }
    }
}

fn register() {
    // SAFETY: SQLite initializes itself at the first call; the copy of its layer lives for ever, as
    // it must.
    unsafe {
        let own = &*ffi::sqlite3_vfs_find(std::ptr::null());
        let layer = Box::leak(Box::new(*own));
        layer.zName = c"recorder".as_ptr();
        layer.pNext = std::ptr::null_mut();
        layer.xOpen = Some(open);
        layer.xDelete = Some(delete);
        with(|recorder| (recorder.own_open, recorder.own_delete) = (own.xOpen, own.xDelete));
        assert_eq!(ffi::sqlite3_vfs_register(layer, 1), ffi::SQLITE_OK);
    }
}

unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: the caller's, who got the name from SQLite: it ends with a NUL, or is NULL for a file
    // without a name.
    if name.is_null() {
        PathBuf::new()
    } else {
        PathBuf::from(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(own_open) = with(|recorder| recorder.own_open) else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: SQLite's own arguments go to SQLite's own function; afterwards the file's methods are
    // ours to change until it is closed.
    unsafe {
        let code = own_open(layer, name, file, flags, out_flags);
        let path = path_of(name);
        if code == ffi::SQLITE_OK && !(*file).pMethods.is_null() {
            with(|recorder| {
                if recorder.is_recorded(&path) {
                    let own = (*file).pMethods as usize;
                    let methods = *recorder
                        .recording_methods
                        .entry(own)
                        .or_insert_with(|| recording(&*(own as Methods)));
                    let journals = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
                    let syncs_names = flags & journals != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0;
                    recorder.open.insert(file as usize, OpenFile { path, own, syncs_names });
                    (*file).pMethods = methods as Methods;
                }
            });
        }
        code
    }
}

fn recording(own: &ffi::sqlite3_io_methods) -> usize {
    let mut methods = *own;
    methods.xWrite = Some(write);
    methods.xTruncate = Some(truncate);
    methods.xSync = Some(sync);
    methods.xClose = Some(close);
    std::ptr::from_ref(Box::leak(Box::new(methods))) as usize
}

/// The file's path, and the methods that do the work.
fn file_of(file: *mut ffi::sqlite3_file) -> (PathBuf, &'static ffi::sqlite3_io_methods) {
    let open = with(|recorder| recorder.open.get(&(file as usize)).cloned())
        .expect("only files that were opened here come here");
    // SAFETY: SQLite's methods are statics of its own.
    (open.path, unsafe { &*(open.own as Methods) })
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    let (path, own) = file_of(file);
    // SAFETY: SQLite's own arguments; the buffer has as many bytes as it says.
    unsafe {
        let kept = std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize).to_vec();
        with(|recorder| {
            recorder.note(&path, Change::Write { offset: offset as usize, bytes: kept })
        });
        own.xWrite.map_or(ffi::SQLITE_IOERR, |write| write(file, bytes, count, offset))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let (path, own) = file_of(file);
    with(|recorder| recorder.note(&path, Change::Truncate { bytes: size as usize }));
    // SAFETY: SQLite's own arguments.
    unsafe { own.xTruncate.map_or(ffi::SQLITE_IOERR, |truncate| truncate(file, size)) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (path, own) = file_of(file);
    // What another thread writes meanwhile may come too late for this one.
    let covers = with(|recorder| recorder.len());
    // SAFETY: SQLite's own arguments.
    let code = unsafe { own.xSync.map_or(ffi::SQLITE_IOERR, |sync| sync(file, flags)) };
    if code == ffi::SQLITE_OK {
        with(|recorder| {
            recorder.note(&path, Change::Sync { covers });
            if recorder
                .open
                .get_mut(&(file as usize))
                .is_some_and(|open| std::mem::take(&mut open.syncs_names))
            {
                recorder.note_names(&path, covers);
            }
        });
    }
    code
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let (_, own) = file_of(file);
    with(|recorder| recorder.open.remove(&(file as usize)));
    // SAFETY: SQLite's own argument.
    unsafe { own.xClose.map_or(ffi::SQLITE_IOERR, |close| close(file)) }
}

unsafe extern "C" fn delete(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    let Some(own_delete) = with(|recorder| recorder.own_delete) else { return ffi::SQLITE_IOERR };
    // SAFETY: SQLite's own arguments.
    let (path, code) = unsafe { (path_of(name), own_delete(layer, name, sync_folder)) };
    if code == ffi::SQLITE_OK {
        with(|recorder| {
            recorder.note(&path, Change::Delete);
            if sync_folder != 0 {
                recorder.note_names(&path, recorder.len());
            }
        });
    }
    code
}
