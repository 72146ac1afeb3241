//! A file's bytes in its second reading, each known to be the one that was hashed in the first. A
//! file that somebody writes meanwhile ends in an error before the first byte that is another one
//! is seen: what was handed out before is what the file's digest stands for.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::bad_file::BadFile;

/// What is compared at a time, in both readings.
pub const BLOCK_BYTES: usize = 1 << 20;

/// The digest of the file's bytes up to the end of a block.
pub type PrefixDigest = [u8; 32];

/// Hands out blocks only after it compared them.
pub struct Unchanged {
    file: File,
    /// What the file must be: the digest up to the end of each block, and its length.
    expected: Vec<PrefixDigest>,
    length: u64,
    /// The blocks that were read, their digest, and the last of them.
    blocks: usize,
    digest: Sha256,
    block: Vec<u8>,
    /// Bytes of the block that were handed out.
    taken: usize,
}

impl Unchanged {
    /// The file stands at its beginning.
    pub fn new(file: File, expected: Vec<PrefixDigest>, length: u64) -> Self {
        Self {
            file,
            expected,
            length,
            blocks: 0,
            digest: Sha256::new(),
            block: Vec::new(),
            taken: 0,
        }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let changed = || io::Error::other(BadFile::Changed);
        // Also where the beginning stays: a file that grows will be another one, whose digest
        // nobody knows yet.
        if self.file.metadata()?.len() != self.length {
            return Err(changed());
        }
        self.taken = 0;
        read_block(&mut self.file, &mut self.block)?;
        let Some(expected) = self.expected.get(self.blocks) else {
            return if self.block.is_empty() { Ok(()) } else { Err(changed()) };
        };
        self.digest.update(&self.block);
        self.blocks += 1;
        if prefix_digest(&self.digest) != *expected {
            self.block.clear();
            return Err(changed());
        }
        Ok(())
    }
}

impl Read for Unchanged {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() {
            self.next_block()?;
        }
        let length = (&self.block[self.taken..]).read(into)?;
        self.taken += length;
        Ok(length)
    }
}

/// Reads until the block is full or the file ends; an empty block is the end.
pub fn read_block(file: &mut File, block: &mut Vec<u8>) -> io::Result<()> {
    block.clear();
    file.take(BLOCK_BYTES as u64).read_to_end(block).map(|_| ())
}

/// Of everything that went into the hash so far.
pub fn prefix_digest(digest: &Sha256) -> PrefixDigest {
    digest.clone().finalize().into()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::super::scan;
    use super::*;
    use duto_definition::Encoding;

    /// How many bytes are handed out, and whether the file was said to have changed, where it
    /// changes after the first reading and after `read_before` bytes of the second.
    fn read(length: usize, read_before: usize, change: impl Fn(&mut File)) -> (usize, bool) {
        let folder = duto_servers::ScratchFolder::create("unchanged").expect("a folder");
        let path = folder.path().join("file.csv");
        let bytes: Vec<u8> = (0..length)
            .map(|at| if at % 80 == 79 { b'\n' } else { b'a' + (at % 23) as u8 })
            .collect();
        std::fs::write(&path, &bytes).expect("the file is written");
        let mut file = scan::open(&path).expect("it is there");
        let scanned = scan::scan(&mut file, Encoding::Utf8, &mut |_| {}).expect("a good file");
        let mut unchanged = Unchanged::new(file, scanned.prefixes, scanned.bytes);
        let mut found = vec![0; read_before];
        unchanged.read_exact(&mut found).expect("nobody changed it yet");
        change(&mut std::fs::OpenOptions::new().write(true).open(&path).expect("it is there"));
        let outcome = unchanged.read_to_end(&mut found);
        assert!(bytes.starts_with(&found), "other bytes than the hashed ones");
        let changed =
            outcome.as_ref().is_err_and(|error| BadFile::of_io(error) == BadFile::Changed);
        assert!(changed || outcome.is_ok(), "{outcome:?}");
        (found.len(), changed)
    }

    fn overwrite(at: usize) -> impl Fn(&mut File) {
        move |file| {
            file.seek(SeekFrom::Start(at as u64))
                .and_then(|_| file.write_all(b"#"))
                .expect("it is written");
        }
    }

    #[test]
    fn bytes_are_handed_out_only_where_they_are_those_that_were_hashed() {
        let (block, length) = (BLOCK_BYTES, 3 * BLOCK_BYTES + 1_000);
        for length in [1, block - 1, block, block + 1, length] {
            assert_eq!(read(length, 0, |_| {}), (length, false), "{length}");
        }
        assert_eq!(read(length, 0, overwrite(0)), (0, true));
        assert_eq!(
            read(length, 10, overwrite(20)),
            (length, false),
            "compared already: these bytes are the hashed ones"
        );
        assert_eq!(
            read(length, 10, overwrite(2 * block)),
            (2 * block, true),
            "nothing of the block in which one byte is another"
        );
        assert_eq!(read(length, 10, overwrite(length - 1)), (3 * block, true));
        assert_eq!(read(length, 10, overwrite(length)), (block, true), "longer");
        assert_eq!(
            read(length, 10, |file| file.set_len(block as u64 * 2).expect("it is cut")),
            (block, true),
            "shorter"
        );
    }
}
