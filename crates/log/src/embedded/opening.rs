//! A row of the file as the record that it was.

use rusqlite::Row;

use super::super::Sealing;
use super::super::sealing::Part;
use duto_ground::batch::{Batch, Place};
use duto_ground::seal::SealFault;

/// Whose records they are.
pub struct Topic<'a> {
    pub id: i64,
    pub name: &'a str,
    pub sealing: &'a Sealing,
}

/// Why a record could not be read.
pub enum ReadError {
    File(rusqlite::Error),
    /// It is there, and cannot be opened with the keys that are given.
    Seal(String),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error)
    }
}

impl Topic<'_> {
    /// Appends the record, whose key, payload and headers stand in the columns 2 to 4.
    pub fn push(&self, row: &Row<'_>, place: Place, into: &mut Batch) -> Result<(), ReadError> {
        let kept = |index| row.get_ref(index)?.as_blob_or_null().map_err(rusqlite::Error::from);
        let sealed = |fault: SealFault| {
            let Place { partition, offset, .. } = place;
            let Self { name, .. } = self;
            ReadError::Seal(format!("the record {offset} of {name} [{partition}]: {fault}"))
        };
        let open = |part, kept| self.sealing.open(self.name, part, kept).map_err(sealed);
        let key = open(Part::Key, kept(2)?)?;
        let payload = open(Part::Payload, kept(3)?)?;
        let headers = open(Part::Headers, kept(4)?)?;
        into.push(place, key.as_deref(), payload.as_deref(), headers.as_deref());
        Ok(())
    }
}
