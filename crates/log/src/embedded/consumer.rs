//! Reading the embedded log: by offset, in chunks, one snapshot a partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::super::{Consumer, ConsumerSettings, Event, LogError, Sealing, Start};
use super::file;
use super::lock::ReaderLock;
use super::opening::{ReadError, Topic};
use super::queue::GroupPosition;
use super::shared::Shared;
use duto_ground::batch::{Batch, Place};

/// How often other processes' commits are looked for; those of this process are told at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A record that cannot be opened is tried again so often: its key may have come.
const OPEN_INTERVAL: Duration = Duration::from_secs(1);

/// A batch is not filled beyond this, so that large records do not make an arena of gigabytes (its
/// places are 32 bits wide).
const MOST_BATCH_BYTES: usize = 64 << 20;

/// The only reader of its topic for its group: it is assigned all partitions at once, and keeps
/// them until it closes.
pub struct EmbeddedConsumer {
    shared: Arc<Shared>,
    sealing: Arc<Sealing>,
    connection: Connection,
    lock: Option<ReaderLock>,
    topic: String,
    topic_id: i64,
    group: String,
    announced: bool,
    partitions: i32,
    reading: BTreeMap<i32, Reading>,
    /// The partition that comes first in the next read, so that a busy one does not starve the
    /// others.
    turn: i32,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    next: i64,
    paused: bool,
    /// Its position is outside the log: it waits for a seek.
    broken: bool,
    told_end: Option<i64>,
    /// The next record cannot be opened: it is tried again then.
    sealed_until: Option<Instant>,
}

/// What one look at a partition found.
enum Found {
    Records,
    End(i64),
    Outside(String),
    TopicGone,
}

impl EmbeddedConsumer {
    pub fn new(
        shared: Arc<Shared>,
        sealing: Arc<Sealing>,
        settings: &ConsumerSettings,
    ) -> Result<EmbeddedConsumer, LogError> {
        let doing = format!("read the topic {}", settings.topic);
        let row = shared.topic(&settings.topic)?;
        let row = row.ok_or_else(|| LogError::Refused {
            doing: doing.clone(),
            reason: "there is no such topic".to_owned(),
        })?;
        let lock = ReaderLock::take(&shared.folder, &settings.topic, &settings.group)?;
        let connection =
            file::connect(&shared.path).map_err(|error| file::describe(&doing, &error))?;
        shared.start_threads()?;
        Ok(EmbeddedConsumer {
            shared,
            sealing,
            connection,
            lock: Some(lock),
            topic: settings.topic.clone(),
            topic_id: row.id,
            group: settings.group.clone(),
            announced: false,
            partitions: row.partitions,
            reading: BTreeMap::new(),
            turn: 0,
        })
    }

    /// Reads what is there, and tells of ends and of positions outside the log.
    fn read(&mut self, into: &mut Batch, max_records: usize, events: &mut Vec<Event>) {
        let now = Instant::now();
        let is_sealed = |reading: &Reading| reading.sealed_until.is_some_and(|until| until > now);
        let ready = |reading: &Reading| !reading.paused && !reading.broken && !is_sealed(reading);
        let mut order: Vec<i32> = self
            .reading
            .iter()
            .filter(|(_, reading)| ready(reading))
            .map(|(partition, _)| *partition)
            .collect();
        let first = order.iter().position(|partition| *partition > self.turn).unwrap_or(0);
        order.rotate_left(first);
        let full = into.len() + max_records;
        for (index, partition) in order.iter().enumerate() {
            let share = (full - into.len()).div_ceil(order.len() - index);
            if share == 0 || into.bytes.len() >= MOST_BATCH_BYTES {
                break;
            }
            self.turn = *partition;
            match self.read_partition(*partition, into, share) {
                Ok(found) => {
                    self.note_opened(*partition, events);
                    self.note(*partition, found, events);
                }
                Err(ReadError::Seal(reason)) => self.note_sealed(*partition, reason, events),
                Err(ReadError::File(error)) => {
                    events.push(Event::Trouble(
                        file::describe(&format!("read {} [{partition}]", self.topic), &error)
                            .to_string(),
                    ));
                }
            }
        }
    }

    /// One snapshot: the ends and the records belong together, so that nothing is skipped that
    /// retention deletes meanwhile.
    fn read_partition(
        &mut self,
        partition: i32,
        into: &mut Batch,
        most: usize,
    ) -> Result<Found, ReadError> {
        let Some(reading) = self.reading.get_mut(&partition) else { return Ok(Found::Records) };
        let transaction = self.connection.unchecked_transaction()?;
        let Some((low, high)) = file::partition_ends(&transaction, self.topic_id, partition)?
        else {
            return Ok(Found::TopicGone);
        };
        if reading.next < low || reading.next > high {
            return Ok(Found::Outside(format!(
                "the position is {}, and the log has the offsets from {low} to {high}",
                reading.next
            )));
        }
        if reading.next == high {
            return Ok(Found::End(high));
        }
        let mut select = transaction.prepare_cached(
            "SELECT \"offset\", timestamp_ms, \"key\", payload, headers FROM record
             WHERE topic_id = ?1 AND partition = ?2 AND \"offset\" >= ?3 ORDER BY \"offset\"
             LIMIT ?4",
        )?;
        let topic = Topic { id: self.topic_id, name: &self.topic, sealing: &self.sealing };
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = select.query(params![self.topic_id, partition, reading.next, limit])?;
        let (mut read, mut has_room) = (0, true);
        while let Some(row) = rows.next()? {
            read += 1;
            let (offset, timestamp_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            let place = Place { partition, offset, leader_epoch: -1, timestamp_ms };
            topic.push(row, place, into)?;
            reading.next = offset + 1;
            if into.bytes.len() >= MOST_BATCH_BYTES {
                has_room = false;
                break;
            }
        }
        // Where the log goes on from a backup, offsets are left out.
        if read < most && has_room {
            reading.next = high;
        }
        Ok(if reading.next == high { Found::End(high) } else { Found::Records })
    }

    /// What lies before the record was answered; it is told once, and tried every second.
    fn note_sealed(&mut self, partition: i32, reason: String, events: &mut Vec<Event>) {
        let Some(reading) = self.reading.get_mut(&partition) else { return };
        let again = Instant::now() + OPEN_INTERVAL;
        if reading.sealed_until.replace(again).is_none() {
            events.push(Event::Unreadable { partition, reason: Some(reason) });
        }
    }

    fn note_opened(&mut self, partition: i32, events: &mut Vec<Event>) {
        let Some(reading) = self.reading.get_mut(&partition) else { return };
        if reading.sealed_until.take().is_some() {
            events.push(Event::Unreadable { partition, reason: None });
        }
    }

    fn note(&mut self, partition: i32, found: Found, events: &mut Vec<Event>) {
        let Some(reading) = self.reading.get_mut(&partition) else { return };
        match found {
            Found::Records => {}
            Found::End(offset) => {
                if reading.told_end.replace(offset) != Some(offset) {
                    events.push(Event::End { partition, offset });
                }
            }
            Found::Outside(reason) => {
                reading.broken = true;
                events.push(Event::OutOfRange { partition, reason });
            }
            Found::TopicGone => {
                reading.broken = true;
                events.push(Event::Fatal(format!("the topic {} was deleted", self.topic)));
            }
        }
    }

    /// Changes when another connection committed, in this process or another; costs no read of the
    /// file.
    fn data_version(&self) -> i64 {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap_or_default()
    }

    /// Waits for a commit, of anybody's.
    fn wait(&self, rings_before: u64, version_before: i64, deadline: Instant) {
        let mut rings = rings_before;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            rings = self.shared.committed.wait_beyond(rings, left.min(LOOK_INTERVAL));
            if rings != rings_before || self.data_version() != version_before {
                return;
            }
        }
    }
}

/// At another place the next record may be one that opens, which is then told.
fn try_now(before: Option<&Reading>) -> Option<Instant> {
    before.and_then(|reading| reading.sealed_until).map(|_| Instant::now())
}

impl Consumer for EmbeddedConsumer {
    fn poll(&mut self, into: &mut Batch, max_records: usize, timeout: Duration) -> Vec<Event> {
        let deadline = Instant::now() + timeout;
        let (mut events, records_before) = (Vec::new(), into.len());
        if self.lock.is_some() && !std::mem::replace(&mut self.announced, true) {
            events.push(Event::Assigned((0..self.partitions).collect()));
            return events;
        }
        loop {
            let (rings, version) = (self.shared.committed.rings(), self.data_version());
            if max_records > 0 {
                self.read(into, max_records, &mut events);
            }
            if !events.is_empty() || into.len() > records_before || Instant::now() >= deadline {
                return events;
            }
            if max_records == 0 {
                // Nothing can be taken and nobody else can join: there is nothing to hear of before
                // the time is over.
                std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
            } else {
                self.wait(rings, version, deadline);
            }
        }
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), LogError> {
        for start in starts {
            if !(0..self.partitions).contains(&start.partition) {
                let doing = format!("read partition {} of {}", start.partition, self.topic);
                return Err(LogError::Refused {
                    doing,
                    reason: format!("it has {} partitions", self.partitions),
                });
            }
            let before = self.reading.get(&start.partition);
            let reading = Reading {
                next: start.offset,
                paused: false,
                broken: false,
                told_end: None,
                sealed_until: try_now(before),
            };
            self.reading.insert(start.partition, reading);
        }
        Ok(())
    }

    fn unassign(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        for partition in partitions {
            self.reading.remove(partition);
        }
        Ok(())
    }

    fn seek(&mut self, start: Start) -> Result<(), LogError> {
        match self.reading.get_mut(&start.partition) {
            Some(reading) => {
                *reading = Reading {
                    next: start.offset,
                    paused: reading.paused,
                    broken: false,
                    told_end: None,
                    sealed_until: try_now(Some(reading)),
                };
                Ok(())
            }
            None => Err(LogError::Refused {
                doing: format!("seek partition {}", start.partition),
                reason: "it is not assigned to this member".to_owned(),
            }),
        }
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.set_paused(partitions, true);
        Ok(())
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.set_paused(partitions, false);
        Ok(())
    }

    fn commit_copy(&mut self, positions: &[(i32, i64)]) {
        let (topic_id, group) = (self.topic_id, &self.group);
        let position = |&(partition, next_offset)| GroupPosition {
            topic_id,
            group: group.clone(),
            partition,
            next_offset,
        };
        self.shared.queue.push_positions(positions.iter().map(position).collect());
    }

    fn leave(&mut self) {}

    fn close(&mut self) {
        self.reading.clear();
        self.lock = None;
    }
}

impl EmbeddedConsumer {
    fn set_paused(&mut self, partitions: &[i32], paused: bool) {
        for partition in partitions {
            if let Some(reading) = self.reading.get_mut(partition) {
                reading.paused = paused;
            }
        }
    }
}
