//! Records on their way from the log to the database, as bytes, each with the place it came from.

use std::ops::Range;

/// Records of one topic, those of a partition in the order of their offsets. The bytes stand in one
/// arena, so that a batch is two allocations whatever the number of its records.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub records: Vec<RecordHead>,
    pub bytes: Vec<u8>,
}

/// One record: where it stands in the log, and where its bytes stand in the batch's arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHead {
    pub partition: i32,
    pub offset: i64,
    /// -1 where the log knows none.
    pub leader_epoch: i32,
    /// Milliseconds since 1970 UTC; -1 where the log knows none.
    pub timestamp_ms: i64,
    pub key: Option<Range<u32>>,
    /// None is a tombstone.
    pub payload: Option<Range<u32>>,
    /// See [`encode_headers`].
    pub headers: Option<Range<u32>>,
}

/// A record borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    pub head: &'a RecordHead,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: Option<&'a [u8]>,
}

/// What the log tells of a record beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub timestamp_ms: i64,
}

impl Batch {
    /// Copies a record behind the ones that are there.
    pub fn push(
        &mut self,
        place: Place,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Option<&[u8]>,
    ) {
        let mut put = |bytes: &[u8]| self.put(bytes);
        let (key, payload, headers) =
            (key.map(&mut put), payload.map(&mut put), headers.map(&mut put));
        let Place { partition, offset, leader_epoch, timestamp_ms } = place;
        self.records.push(RecordHead {
            partition,
            offset,
            leader_epoch,
            timestamp_ms,
            key,
            payload,
            headers,
        });
    }

    /// Copies bytes into the arena; answers where they are.
    pub fn put(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len() as u32
    }

    /// Copies a record without a key behind the ones that are there. Its headers were put into the
    /// arena before, once for many records.
    pub fn push_sharing_headers(
        &mut self,
        place: Place,
        payload: &[u8],
        headers: Option<Range<u32>>,
    ) {
        let payload = Some(self.put(payload));
        let Place { partition, offset, leader_epoch, timestamp_ms } = place;
        self.records.push(RecordHead {
            partition,
            offset,
            leader_epoch,
            timestamp_ms,
            key: None,
            payload,
            headers,
        });
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes the records from this place on out of the batch.
    pub fn split_off(&mut self, at: usize) -> Batch {
        let (mut first, mut rest) = (Batch::default(), Batch::default());
        for (place, record) in self.iter().enumerate() {
            if place < at { first.push_record(record) } else { rest.push_record(record) }
        }
        *self = first;
        rest
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record at this place of the batch.
    pub fn get(&self, index: usize) -> RecordRef<'_> {
        let head = &self.records[index];
        let slice = |range: &Option<Range<u32>>| {
            range.as_ref().map(|range| &self.bytes[range.start as usize..range.end as usize])
        };
        RecordRef {
            head,
            key: slice(&head.key),
            payload: slice(&head.payload),
            headers: slice(&head.headers),
        }
    }

    /// Copies a record of another batch behind the ones that are there.
    pub fn push_record(&mut self, record: RecordRef<'_>) {
        let RecordHead { partition, offset, leader_epoch, timestamp_ms, .. } = *record.head;
        self.push(
            Place { partition, offset, leader_epoch, timestamp_ms },
            record.key,
            record.payload,
            record.headers,
        );
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Headers as one run of bytes: for each, the name's length (u32, little endian), the name, the
/// value's length (i32, -1 for none), the value.
pub fn encode_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.extend_from_slice(&(name.len() as u32).to_le_bytes());
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(&value.map_or(-1, |value| value.len() as i32).to_le_bytes());
        encoded.extend_from_slice(value.unwrap_or_default());
    }
    encoded
}

/// The inverse of [`encode_headers`]; stops where the bytes are not what it wrote.
pub fn decode_headers(mut encoded: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = from.split_at_checked(length)?;
        *from = rest;
        Some(taken)
    }
    let mut headers = Vec::new();
    while !encoded.is_empty() {
        let mut one = || {
            let length = u32::from_le_bytes(take(&mut encoded, 4)?.try_into().ok()?);
            let name = String::from_utf8_lossy(take(&mut encoded, length as usize)?).into_owned();
            let length = i32::from_le_bytes(take(&mut encoded, 4)?.try_into().ok()?);
            let value = match usize::try_from(length) {
                Ok(length) => Some(take(&mut encoded, length)?.to_vec()),
                Err(_) => None,
            };
            Some((name, value))
        };
        match one() {
            Some(header) => headers.push(header),
            None => break,
        }
    }
    headers
}
