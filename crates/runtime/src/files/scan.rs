//! The first pass over a file: what it is known by, and whether it can be loaded at all.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::bad_file::BadFile;
use super::latin1;
use super::unchanged::{PrefixDigest, prefix_digest, read_block};
use duto_definition::Encoding;

/// What is known of a file before its first line is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Of its bytes, in base 16.
    pub sha256: String,
    pub bytes: u64,
    /// Also the heading's and empty ones.
    pub lines: u64,
    /// The digest up to the end of each block, by which the second reading knows the bytes again.
    pub prefixes: Vec<PrefixDigest>,
}

pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Opens a file that can be read again from its beginning.
pub fn open(path: &Path) -> Result<File, BadFile> {
    // Before it is opened: to open a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|error| BadFile::of_io(&error))?;
    match () {
        () if metadata.is_dir() => Err(BadFile::Folder),
        () if !metadata.is_file() => Err(BadFile::NotRegular),
        () if metadata.len() == 0 => Err(BadFile::Empty),
        () => File::open(path).map_err(|error| BadFile::of_io(&error)),
    }
}

/// Reads the whole file and goes back to its beginning. `read` is told how many bytes more were
/// read.
pub fn scan(
    file: &mut File,
    encoding: Encoding,
    read: &mut dyn FnMut(u64),
) -> Result<Scanned, BadFile> {
    let unreadable = |error: std::io::Error| BadFile::of_io(&error);
    let mut digest = Sha256::new();
    let mut check = Check { encoding, line: 1, line_bytes: 0, rest: Vec::new() };
    let (mut block, mut prefixes) = (Vec::new(), Vec::new());
    let (mut bytes, mut last, mut blank) = (0_u64, b'\n', true);
    loop {
        read_block(file, &mut block).map_err(unreadable)?;
        let piece = block.as_slice();
        let Some(end) = piece.last() else { break };
        if bytes == 0 {
            foreign(piece, encoding)?;
        }
        digest.update(piece);
        prefixes.push(prefix_digest(&digest));
        check.take(piece)?;
        blank &=
            piece.iter().all(|byte| byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(byte));
        bytes += piece.len() as u64;
        last = *end;
        read(piece.len() as u64);
    }
    check.end()?;
    if blank {
        return Err(BadFile::Empty);
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(Scanned {
        sha256: hex::encode(digest.finalize()),
        bytes,
        lines: check.line - u64::from(last == b'\n'),
        prefixes,
    })
}

/// What people take for CSV.
fn foreign(beginning: &[u8], encoding: Encoding) -> Result<(), BadFile> {
    match beginning {
        [b'P', b'K', 3, 4, ..] => Err(BadFile::NotCsv("a workbook, or something else that is \
            zipped")),
        [0x1f, 0x8b, ..] => Err(BadFile::NotCsv("compressed by gzip")),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Err(BadFile::Encoding("it is UTF-16: save it as UTF-8, or as Latin-1 with `encoding: \
                latin1` under `files:`".to_owned()))
        }
        _ if encoding == Encoding::Latin1 && beginning.starts_with(BYTE_ORDER_MARK) => Err(BadFile::Encoding(
            "it begins with UTF-8's byte order mark, but the pipeline file declares `encoding: \
                latin1`: take that away".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Whether the bytes are what is declared, piece after piece.
struct Check {
    encoding: Encoding,
    /// The number of the line that goes on with the next byte.
    line: u64,
    /// The bytes of that line so far.
    line_bytes: u64,
    /// The beginning of a character whose end is in the next piece.
    rest: Vec<u8>,
}

impl Check {
    fn take(&mut self, piece: &[u8]) -> Result<(), BadFile> {
        if self.encoding == Encoding::Utf8 {
            let joined;
            let text = if self.rest.is_empty() {
                piece
            } else {
                joined = [&self.rest, piece].concat();
                &joined
            };
            let kept = match simdutf8::compat::from_utf8(text) {
                Ok(_) => 0,
                Err(error) if error.error_len().is_none() => text.len() - error.valid_up_to(),
                Err(error) => return Err(self.not_utf8(text, error.valid_up_to())),
            };
            let rest = text[text.len() - kept..].to_vec();
            self.rest = rest;
        }
        self.line += memchr::memchr_iter(b'\n', piece).count() as u64;
        match memchr::memrchr(b'\n', piece) {
            Some(end) => self.line_bytes = (piece.len() - end - 1) as u64,
            None => self.line_bytes += piece.len() as u64,
        }
        Ok(())
    }

    fn end(&self) -> Result<(), BadFile> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.not_utf8(&self.rest, 0)) }
    }

    /// `text` begins in the line that the last piece ended in.
    fn not_utf8(&self, text: &[u8], at: usize) -> BadFile {
        let before = &text[..at];
        let line = self.line + memchr::memchr_iter(b'\n', before).count() as u64;
        let begin = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
        let byte = text.get(at).copied().unwrap_or_default();
        // The line as it would be in Latin-1, up to the byte and a little behind it.
        let around = &text[begin.max(at.saturating_sub(30))..end.min(at + 20)];
        let shown: String = around
            .iter()
            .map(|byte| latin1::character(*byte))
            .filter(|character| !character.is_control())
            .collect();
        BadFile::Encoding(format!(
            "line {line} is not UTF-8 (byte 0x{byte:02x}); in Latin-1 it would be \"{shown}\". If \
                that reads well, declare `encoding: latin1` under `files:` in the pipeline file"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::unchanged::BLOCK_BYTES;
    use super::*;

    fn scanned(bytes: &[u8], encoding: Encoding) -> Result<Scanned, BadFile> {
        let folder = duto_servers::ScratchFolder::create("scan").expect("a folder");
        let path = folder.path().join("file.csv");
        File::create(&path)
            .and_then(|mut file| file.write_all(bytes))
            .expect("the file is written");
        scan(&mut open(&path)?, encoding, &mut |_| {})
    }

    #[test]
    fn a_file_is_known_by_its_bytes() {
        let one = scanned("a,b\n1,é\n".as_bytes(), Encoding::Utf8).expect("a good file");
        assert_eq!((one.bytes, one.lines), (9, 2));
        assert_eq!(one.sha256.len(), 64);
        assert_eq!(scanned("a,b\n1,é".as_bytes(), Encoding::Utf8).expect("a good file").lines, 2);
        assert_eq!(scanned(b"a\r\n1\r\n\r\n", Encoding::Utf8).expect("a good file").lines, 3);
        // A character across two pieces.
        let long = format!("{}é\n", "a".repeat(BLOCK_BYTES - 1));
        assert_eq!(
            scanned(long.as_bytes(), Encoding::Utf8).expect("a good file").bytes,
            BLOCK_BYTES as u64 + 2
        );
    }

    #[test]
    fn what_cannot_be_loaded_is_told_before_the_first_line() {
        for (bytes, encoding, expected) in [
            (&b""[..], Encoding::Utf8, "it is empty"),
            (b"\xef\xbb\xbf\r\n  \n", Encoding::Utf8, "it is empty"),
            (b"PK\x03\x04whatever", Encoding::Utf8, "workbook"),
            (b"\xff\xfea\0", Encoding::Utf8, "UTF-16"),
            (
                b"a,b\n1,x\n2,S\xe3o Paulo\n",
                Encoding::Utf8,
                "line 3 is not UTF-8 (byte 0xe3); in Latin-1 it would be \"2,São Paulo\"",
            ),
            (b"a,b\n1,x\xc3", Encoding::Utf8, "line 2 is not UTF-8"),
            (b"\xef\xbb\xbfa,b\n1,2\n", Encoding::Latin1, "byte order mark"),
        ] {
            let problem = scanned(bytes, encoding).expect_err(expected).to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(scanned(b"a,b\n2,S\xe3o Paulo\n", Encoding::Latin1).is_ok());
        let missing = open(Path::new("/nowhere/file.csv")).expect_err("there is none");
        assert_eq!(missing.to_string(), "there is no such file");
        assert_eq!(open(Path::new("/tmp")).expect_err("a folder"), BadFile::Folder);
    }
}
