//! What is left of files when the power fails: all that was synced, and of the rest what happens to
//! have reached the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::recorder::Change;

/// A disk writes a sector whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What becomes of the changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    AllArrive,
    NoneArrive,
    /// Each as a throw of the dice says, some of them only in part.
    SomeArrive(u64),
    /// All but the end of the last write.
    LastIsTorn {
        kept_bytes: usize,
    },
}

/// The files of a recording at rising moments; what is synced is applied once.
pub struct Disk<'a> {
    changes: &'a [(PathBuf, Change)],
    /// None: the file is not there.
    synced: BTreeMap<&'a Path, Option<Vec<u8>>>,
    /// Of each file the changes that no sync covers yet, by their numbers.
    unsynced: BTreeMap<&'a Path, Vec<usize>>,
    at: usize,
}

impl<'a> Disk<'a> {
    pub fn new(changes: &'a [(PathBuf, Change)]) -> Disk<'a> {
        Disk { changes, synced: BTreeMap::new(), unsynced: BTreeMap::new(), at: 0 }
    }

    /// Goes on to the moment after so many changes, never back.
    pub fn go_on(&mut self, until: usize) {
        for number in self.at..until {
            let (path, change) = &self.changes[number];
            if let Change::SyncNames { covers } = change {
                self.forget_deleted(*covers);
                continue;
            }
            let unsynced = self.unsynced.entry(path).or_default();
            match change {
                Change::Sync { covers } => {
                    let file = self.synced.entry(path).or_default();
                    let (durable, rest): (Vec<usize>, Vec<usize>) =
                        unsynced.iter().partition(|number| **number < *covers);
                    durable
                        .iter()
                        .for_each(|number| apply(file, &self.changes[*number].1, |_| true));
                    *unsynced = rest;
                }
                _ => unsynced.push(number),
            }
        }
        self.at = self.at.max(until);
    }

    /// Files that were deleted before are gone for good.
    fn forget_deleted(&mut self, covers: usize) {
        for (path, unsynced) in &mut self.unsynced {
            let is_deleted = |number: &usize| {
                *number < covers && matches!(self.changes[*number].1, Change::Delete)
            };
            if let Some(place) = unsynced.iter().rposition(is_deleted) {
                unsynced.drain(..=place);
                self.synced.insert(path, None);
            }
        }
    }

    /// Writes what a power failure at this moment leaves into a folder. The files keep their names.
    pub fn write_into(&self, folder: &Path, what: Unsynced) -> Result<()> {
        let mut dice =
            StdRng::seed_from_u64(if let Unsynced::SomeArrive(seed) = what { seed } else { 0 });
        let last = self.unsynced.values().flatten().max().copied();
        for (path, unsynced) in &self.unsynced {
            let mut file = self.synced.get(path).cloned().flatten();
            for number in unsynced {
                let change = &self.changes[*number].1;
                match what {
                    Unsynced::AllArrive => apply(&mut file, change, |_| true),
                    Unsynced::NoneArrive => {}
                    Unsynced::LastIsTorn { kept_bytes } if Some(*number) == last => {
                        apply(&mut file, change, |sector| sector < kept_bytes / SECTOR_BYTES);
                    }
                    Unsynced::LastIsTorn { .. } => apply(&mut file, change, |_| true),
                    Unsynced::SomeArrive(_) => match dice.random_range(0..3) {
                        0 => {}
                        1 => apply(&mut file, change, |_| true),
                        _ => apply(&mut file, change, |_| dice.random_bool(0.5)),
                    },
                }
            }
            if let (Some(bytes), Some(name)) = (file, path.file_name()) {
                std::fs::write(folder.join(name), bytes)?;
            }
        }
        Ok(())
    }
}

/// Applies a change, of a write only the sectors that arrive.
fn apply(file: &mut Option<Vec<u8>>, change: &Change, mut arrives: impl FnMut(usize) -> bool) {
    match change {
        Change::Write { offset, bytes } => {
            let file = file.get_or_insert_default();
            for (sector, piece) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let (from, to) =
                    (offset + sector * SECTOR_BYTES, offset + sector * SECTOR_BYTES + piece.len());
                if arrives(sector) {
                    file.resize(file.len().max(to), 0);
                    file[from..to].copy_from_slice(piece);
                }
            }
        }
        Change::Truncate { bytes } if arrives(0) => file.get_or_insert_default().truncate(*bytes),
        Change::Delete if arrives(0) => *file = None,
        Change::Truncate { .. }
        | Change::Delete
        | Change::Sync { .. }
        | Change::SyncNames { .. } => {}
    }
}
