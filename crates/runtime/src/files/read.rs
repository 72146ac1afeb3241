//! A file's lines as batches: read by one thread, prepared by another, so that both go on while the
//! database stores.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::mpsc;

use super::bad_file::BadFile;
use super::lines::{Line, Lines};
use super::scan::{self, Scanned};
use super::unchanged::Unchanged;
use super::{HEADING_HEADER, NAME_HEADER, PARTITION, heading};
use duto_definition::{Files, Pipeline};
use duto_ground::batch::{Batch, Place, encode_headers};
use duto_stages::Stages;
use duto_stages::decode::CsvLayout;
use duto_stages::prepared::{OffsetRange, Prepared};

/// A file that can be loaded, at its first record.
pub struct Source {
    pub scanned: Scanned,
    pub layout: CsvLayout,
    lines: Lines<Unchanged>,
    /// The first record, which had to be read to know that there is one.
    first: (u64, Vec<u8>),
    /// What each of its records has as headers: the file's name and its heading, so that a reject
    /// can be read by itself.
    headers: Vec<u8>,
}

/// Records of a file, and how far it is read behind them.
pub struct Portion {
    pub batch: Batch,
    pub range: OffsetRange,
    pub read_bytes: u64,
}

/// The same, ready to be stored.
pub struct PreparedPortion {
    pub prepared: Prepared,
    pub read_bytes: u64,
}

/// Batches that wait between two threads.
const WAITING: usize = 2;

impl Source {
    /// Reads the whole file once, for its digest, and then its first lines. `read` is told how many
    /// bytes more were read.
    pub fn open(
        path: &Path,
        pipeline: &Pipeline,
        files: &Files,
        read: &mut dyn FnMut(u64),
    ) -> Result<Self, BadFile> {
        let mut file = scan::open(path)?;
        let mut scanned = scan::scan(&mut file, files.encoding, read)?;
        let unchanged = Unchanged::new(file, std::mem::take(&mut scanned.prefixes), scanned.bytes);
        let mut lines = Lines::new(
            unchanged,
            files.encoding,
            files.delimiter,
            pipeline.source.max_record_bytes,
        );
        let line = lines.next_record()?.ok_or(BadFile::Empty)?;
        let layout = heading::layout(line.bytes, pipeline, files)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let headers = encode_headers([
            (NAME_HEADER, Some(name.as_bytes())),
            (HEADING_HEADER, Some(line.bytes)),
        ]);
        lines.expect_width(layout.width());
        let first = lines
            .next_record()?
            .map(|Line { number, bytes }| (number, bytes.to_vec()))
            .ok_or(BadFile::OnlyHeading)?;
        Ok(Self { scanned, layout, lines, first, headers })
    }

    /// The position of a file that is stored whole.
    pub fn end(&self) -> i64 {
        self.scanned.lines as i64 + 1
    }

    /// Starts reading at a line; what is ready comes in order, and behind the last portion nothing.
    /// An error ends it. Every byte of a portion is one that was hashed, see [`Unchanged`].
    pub fn start(
        self,
        from: i64,
        pipeline: &Pipeline,
        stages: &Arc<Stages>,
    ) -> anyhow::Result<mpsc::Receiver<Result<PreparedPortion, BadFile>>> {
        let (portions, waiting) = bounded(WAITING);
        let (ready, stored) = mpsc::channel(WAITING);
        let (most_records, most_bytes) = (pipeline.batch.max_records, pipeline.batch.max_bytes);
        spawn("read", move || {
            let mut reading = Reading {
                portions,
                next: from,
                most_records,
                most_bytes,
                batch: Batch::default(),
                headers: self.headers.clone(),
            };
            // Nobody listens when the load has ended already.
            if let Err(Stop::Bad(problem)) = reading.run(self) {
                let _ = reading.portions.send(Err(problem));
            }
        })?;
        let stages = stages.clone();
        spawn("prepare", move || prepare(&waiting, &ready, &stages))?;
        Ok(stored)
    }
}

fn prepare(
    waiting: &Receiver<Result<Portion, BadFile>>,
    ready: &mpsc::Sender<Result<PreparedPortion, BadFile>>,
    stages: &Stages,
) {
    for portion in waiting {
        let (mut batch, mut ranges, read_bytes) = match portion {
            Ok(Portion { batch, range, read_bytes }) => (batch, vec![range], read_bytes),
            Err(problem) => {
                let _ = ready.blocking_send(Err(problem));
                return;
            }
        };
        loop {
            let (prepared, _, rest) = stages.prepare_fitting(batch, ranges);
            if ready.blocking_send(Ok(PreparedPortion { prepared, read_bytes })).is_err() {
                return;
            }
            match rest {
                Some(rest) => (batch, ranges) = (rest.batch, rest.ranges),
                None => break,
            }
        }
    }
}

/// Why reading ended before the file did.
enum Stop {
    Bad(BadFile),
    /// The load has ended.
    NobodyListens,
}

impl From<BadFile> for Stop {
    fn from(problem: BadFile) -> Self {
        Self::Bad(problem)
    }
}

struct Reading {
    portions: Sender<Result<Portion, BadFile>>,
    /// The line at which the portion that is put together begins.
    next: i64,
    most_records: usize,
    most_bytes: usize,
    batch: Batch,
    headers: Vec<u8>,
}

impl Reading {
    fn run(&mut self, source: Source) -> Result<(), Stop> {
        let Source { scanned, mut lines, first: (number, bytes), .. } = source;
        self.take(Line { number, bytes: &bytes }, 0)?;
        loop {
            let read_bytes = lines.read_bytes;
            match lines.next_record()? {
                Some(line) => self.take(line, read_bytes)?,
                None => break,
            }
        }
        self.send(scanned.lines as i64 + 1, scanned.bytes)
    }

    /// Adds a record that is not stored yet, behind the portion that is full.
    fn take(&mut self, line: Line<'_>, read_bytes: u64) -> Result<(), Stop> {
        let number = line.number as i64;
        if number < self.next {
            return Ok(());
        }
        let is_full = self.batch.len() >= self.most_records
            || self.batch.bytes.len() + line.bytes.len() > self.most_bytes;
        if is_full && !self.batch.is_empty() {
            self.send(number, read_bytes)?;
        }
        let headers = match self.batch.records.first() {
            Some(first) => first.headers.clone(),
            None => Some(self.batch.put(&self.headers)),
        };
        let place =
            Place { partition: PARTITION, offset: number, leader_epoch: -1, timestamp_ms: -1 };
        self.batch.push_sharing_headers(place, line.bytes, headers);
        Ok(())
    }

    fn send(&mut self, to: i64, read_bytes: u64) -> Result<(), Stop> {
        let range = OffsetRange { partition: PARTITION, from: self.next, to, leader_epoch: -1 };
        self.next = to;
        let batch = std::mem::take(&mut self.batch);
        self.portions
            .send(Ok(Portion { batch, range, read_bytes }))
            .map_err(|_| Stop::NobodyListens)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("duto-file-{name}"))
        .spawn(run)
        .with_context(|| format!("starting the thread {name}"))
}
