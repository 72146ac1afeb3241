//! A file as records, each with the number of the line on which it begins. A record is a line, or
//! several where a value in quotes holds line breaks. A quote that is never closed costs its own
//! line only, not the rest of the file.

use std::io::Read;

use super::bad_file::BadFile;
use super::latin1;
use super::scan::BYTE_ORDER_MARK;
use duto_definition::Encoding;
use duto_stages::decode::Values;

/// Longer than any record may be declared to be.
const MOST_BYTES: usize = 128 << 20;
const CHUNK_BYTES: usize = 1 << 18;

/// One record, without its line's end, as UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'l> {
    /// Counted from 1.
    pub number: u64,
    pub bytes: &'l [u8],
}

/// Where a record ends in the buffer, where the next one begins, and how many lines it takes.
#[derive(Debug, Clone, Copy)]
struct Ends {
    end: usize,
    behind: usize,
    lines: u64,
}

/// Reads records one after the other.
pub struct Lines<R> {
    input: R,
    encoding: Encoding,
    delimiter: u8,
    /// How many values a record has; 0 while the heading is not known.
    width: usize,
    /// A value in quotes goes on for at most so many bytes.
    longest_record: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins, and its number.
    start: usize,
    number: u64,
    ended: bool,
    /// Bytes that were taken out of the input.
    pub read_bytes: u64,
}

impl<R: Read> Lines<R> {
    pub fn new(input: R, encoding: Encoding, delimiter: u8, longest_record: usize) -> Self {
        Self {
            input,
            encoding,
            delimiter,
            width: 0,
            longest_record,
            buffer: Vec::new(),
            start: 0,
            number: 1,
            ended: false,
            read_bytes: 0,
        }
    }

    /// From now on a record of several lines must have so many values, or it is none.
    pub fn expect_width(&mut self, width: usize) {
        self.width = width;
    }

    /// The next record that is not blank.
    pub fn next_record(&mut self) -> Result<Option<Line<'_>>, BadFile> {
        loop {
            if self.start >= CHUNK_BYTES {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let Some(mut ends) = self.end_of_line(self.start, MOST_BYTES)? else { return Ok(None) };
            if !self.is_whole(self.start, ends.end)
                && let Some(of_record) = self.end_of_record(ends.behind)?
            {
                ends = of_record;
            }
            let (start, number) = (self.start, self.number);
            self.start = ends.behind;
            self.number += ends.lines;
            if !self.buffer[start..ends.end].trim_ascii().is_empty() {
                return Ok(Some(Line { number, bytes: &self.buffer[start..ends.end] }));
            }
        }
    }

    /// The ends of the line that begins at `from`; None at the end of the file. What is in the
    /// buffer stays where it is.
    fn end_of_line(&mut self, from: usize, most_bytes: usize) -> Result<Option<Ends>, BadFile> {
        let mut looked = from;
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[looked..]).map(|found| looked + found);
            looked = self.buffer.len();
            if found.is_some() || self.ended {
                let end = found.unwrap_or(looked);
                let carriage = usize::from(end > from && self.buffer[end - 1] == b'\r');
                let ends = Ends {
                    end: end - carriage,
                    behind: found.map_or(end, |found| found + 1),
                    lines: 1,
                };
                return Ok((ends.behind > from).then_some(ends));
            }
            if looked - from > most_bytes {
                return Err(BadFile::EndlessLine { line: self.number, most_bytes });
            }
            self.fill()?;
        }
    }

    /// The ends of a record that goes on behind its first line. None if its quotes are never
    /// closed, or if it was another record's quote that closed them: then something stands behind
    /// it, or there is another number of values than in the heading.
    fn end_of_record(&mut self, mut from: usize) -> Result<Option<Ends>, BadFile> {
        let mut lines = 1;
        while from - self.start <= self.longest_record {
            let ends = match self.end_of_line(from, self.longest_record) {
                Err(BadFile::EndlessLine { .. }) => None,
                found => found?,
            };
            let Some(ends) = ends else { return Ok(None) };
            lines += 1;
            // Only a quote can close a quote.
            if memchr::memchr(b'"', &self.buffer[from..ends.end]).is_some()
                && self.is_whole(self.start, ends.end)
            {
                let mut values = Values::new(&self.buffer[self.start..ends.end], self.delimiter);
                let width = values.by_ref().count();
                return Ok((values.is_tidy() && (self.width == 0 || width == self.width))
                    .then_some(Ends { lines, ..ends }));
            }
            from = ends.behind;
        }
        Ok(None)
    }

    fn is_whole(&self, start: usize, end: usize) -> bool {
        let line = &self.buffer[start..end];
        memchr::memchr(b'"', line).is_none()
            || Values::new(line, self.delimiter).all(|value| value.is_ok())
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> Result<(), BadFile> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = self.input.read(&mut chunk).map_err(|error| BadFile::of_io(&error))?;
        let piece = &chunk[..length];
        self.ended = piece.is_empty();
        let piece = if self.read_bytes == 0 {
            piece.strip_prefix(BYTE_ORDER_MARK).unwrap_or(piece)
        } else {
            piece
        };
        self.read_bytes += length as u64;
        match self.encoding {
            Encoding::Utf8 => self.buffer.extend_from_slice(piece),
            Encoding::Latin1 => latin1::append_utf8(piece, &mut self.buffer),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out a few bytes at a time.
    struct Slow<'b>(&'b [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(self.1).min(into.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn records(bytes: &[u8], encoding: Encoding) -> Vec<(u64, String)> {
        let read = |step: usize| {
            let mut lines = Lines::new(Slow(bytes, step), encoding, b',', 1 << 16);
            let mut found = Vec::new();
            while let Some(line) = lines.next_record().expect("it is readable") {
                found.push((line.number, String::from_utf8(line.bytes.to_vec()).expect("UTF-8")));
                if found.len() == 1 {
                    let width = Values::new(found[0].1.as_bytes(), b',').count();
                    lines.expect_width(width);
                }
            }
            assert_eq!(lines.read_bytes, bytes.len() as u64);
            found
        };
        let found = read(usize::MAX);
        // However it is handed out; a byte order mark comes in one piece.
        assert_eq!(read(3), found);
        found
    }

    fn owned(records: &[(u64, &str)]) -> Vec<(u64, String)> {
        records.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn records_are_lines() {
        for (bytes, expected) in [
            ("a,b\n1,2\n3,4\n", &[(1, "a,b"), (2, "1,2"), (3, "3,4")][..]),
            ("\u{feff}a,b\r\n1,2\r\n\r\n  \r\n3,4", &[(1, "a,b"), (2, "1,2"), (5, "3,4")]),
            ("a,b\n\"1\n\n2\",x\n3,4\n", &[(1, "a,b"), (2, "\"1\n\n2\",x"), (5, "3,4")]),
            (
                "a,b\n1,\"Natal, \"\"RN\"\"\"\n3,4\n",
                &[(1, "a,b"), (2, "1,\"Natal, \"\"RN\"\"\""), (3, "3,4")],
            ),
            ("a,b\n1,5\" tubo\n3,4\n", &[(1, "a,b"), (2, "1,5\" tubo"), (3, "3,4")]),
            ("\n\na,b\n", &[(3, "a,b")]),
            ("", &[]),
        ] {
            assert_eq!(records(bytes.as_bytes(), Encoding::Utf8), owned(expected), "{bytes:?}");
        }
        assert_eq!(
            records(b"a,b\nS\xe3o,\x80\n", Encoding::Latin1),
            owned(&[(1, "a,b"), (2, "São,€")])
        );
    }

    #[test]
    fn an_open_quote_costs_its_own_line() {
        for (bytes, expected) in [
            // Never closed.
            ("a,b\n1,\"x\n3,4\n5,6", &[(1, "a,b"), (2, "1,\"x"), (3, "3,4"), (4, "5,6")][..]),
            // Closed by another line's quote, behind which something stands, or which makes too
            // many values of it.
            ("a,b\n\"x,1\n3,\"\n5,6\n", &[(1, "a,b"), (2, "\"x,1"), (3, "3,\""), (4, "5,6")]),
            ("a,b\n1,\"x\n3,\"4\"\n5,6\n", &[(1, "a,b"), (2, "1,\"x"), (3, "3,\"4\""), (4, "5,6")]),
        ] {
            assert_eq!(records(bytes.as_bytes(), Encoding::Utf8), owned(expected), "{bytes:?}");
        }
        let long = format!("a,b\n1,\"x\n{}", "3,4\n".repeat(100_000));
        let found = records(long.as_bytes(), Encoding::Utf8);
        assert_eq!(
            (found.len(), found[1].1.as_str(), found[100_001].0),
            (100_002, "1,\"x", 100_002)
        );
    }

    proptest! {
        /// Whatever is quoted: every line that is not blank is in one record, and no record is
        /// longer than it is told.
        #[test]
        fn no_line_is_lost_or_read_twice(text in "[a,\"\n]{0,40}") {
            let mut next = 1;
            for (number, record) in records(text.as_bytes(), Encoding::Utf8) {
                let lines = text.split('\n').skip(next - 1).take(number as usize - next);
                prop_assert!(lines.into_iter().all(str::is_empty), "a line before {number} is lost \
                    in {text:?}");
                let length = record.split('\n').count();
                let own: Vec<&str> = text.split('\n').skip(number as usize - 1).take(length).collect();
                prop_assert_eq!(own.join("\n"), record);
                next = number as usize + length;
            }
            prop_assert!(text.split('\n').skip(next - 1).all(str::is_empty), "a line behind {next} \
                is lost in {text:?}");
        }
    }

    #[test]
    fn what_has_no_line_ends_is_no_file_of_lines() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                into.fill(b'x');
                Ok(into.len())
            }
        }
        let problem =
            Lines::new(Endless, Encoding::Utf8, b',', 1 << 16).next_record().expect_err("no end");
        assert!(matches!(problem, BadFile::EndlessLine { line: 1, .. }));
    }
}
