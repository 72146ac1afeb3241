//! Which way rows go into each table: straight by COPY, or by a stage while keys repeat.

use duto_ground::index::RowIndex;
use duto_load::rows::Path;
use duto_stages::prepared::Prepared;

/// After so many batches without a repeat, rows are copied straight into their table again.
const CLEAN_BATCHES_UNTIL_DIRECT: u32 = 20;

/// What a lane learnt about its tables.
pub struct Paths {
    paths: Vec<Path>,
    clean_batches: Vec<u32>,
}

impl Paths {
    pub fn new(tables: usize) -> Self {
        Self { paths: vec![Path::Direct; tables], clean_batches: vec![0; tables] }
    }

    /// One path a table.
    pub fn of_tables(&self) -> &[Path] {
        &self.paths
    }

    /// A key was there already, so a batch was written in vain.
    pub fn repeated(&mut self, table: usize) {
        self.paths[table] = Path::Staged;
        self.clean_batches[table] = 0;
    }

    /// Something else than a key stood in the way of the shortcut, and not in that of the stage.
    /// Returns whether a shortcut had been taken.
    pub fn shortcut_failed(&mut self, batch: &Prepared) -> bool {
        let written = batch.tables.iter().enumerate().filter(|(_, table)| !table.rows.is_empty());
        let direct: Vec<usize> = written
            .map(|(index, _)| index)
            .filter(|index| self.paths[*index] == Path::Direct)
            .collect();
        direct.iter().for_each(|index| self.repeated(*index));
        !direct.is_empty()
    }

    /// A table of few keys, such as a catalogue, stays staged: nearly every batch repeats one.
    pub fn learn(&mut self, batch: &Prepared, stored: &[Vec<RowIndex>]) {
        for (index, (table, stored)) in batch.tables.iter().zip(stored).enumerate() {
            if stored.len() < table.rows.len() {
                self.clean_batches[index] = 0;
            } else if !stored.is_empty() {
                self.clean_batches[index] += 1;
            }
            if self.clean_batches[index] >= CLEAN_BATCHES_UNTIL_DIRECT {
                self.paths[index] = Path::Direct;
            }
        }
    }
}
