//! `duto.batch`: what each transaction did, offset by offset.

use std::collections::HashMap;
use std::fmt::Write;

use super::connect::{Connection, Connector};
use super::failure::Failure;
use super::prepared::{OffsetRange, Outcome, Prepared};
use super::target::{Target, literal};

/// The outcomes of one partition's records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    stored: u32,
    repeated: u32,
    rejected: u32,
    filtered: u32,
    /// The offsets that were not stored, as the inside of an array literal.
    not_stored: String,
    /// One letter for each of `not_stored`: `d` repeated, `r` rejected, `f` filtered.
    letters: String,
}

/// One INSERT for each partition of the batch. The texts in it are quoted; the rest are numbers.
pub fn insert_statements(target: &Target, batch: &Prepared, outcomes: &[Outcome]) -> String {
    batch.ranges.iter().map(|range| insert_statement(target, batch, range, outcomes, "load")).collect()
}

fn insert_statement(target: &Target, batch: &Prepared, range: &OffsetRange, outcomes: &[Outcome], kind: &str) -> String {
    let counts = count(batch, range, outcomes);
    let records = counts.stored + counts.repeated + counts.rejected + counts.filtered;
    format!(
        "INSERT INTO duto.batch (pipeline, topic, partition, kind, from_offset, to_offset, records, stored, repeated, rejected, filtered, not_stored, outcomes, worker) \
         VALUES ({}, {}, {}, '{kind}', {}, {}, {records}, {}, {}, {}, {}, '{{{}}}', '{}', {});",
        literal(&target.pipeline),
        literal(&target.topic),
        range.partition,
        range.from,
        range.to,
        counts.stored,
        counts.repeated,
        counts.rejected,
        counts.filtered,
        counts.not_stored,
        counts.letters,
        literal(&target.worker),
    )
}

/// One INSERT for a replay of one partition's rejects: its range is that of their offsets.
pub fn replay_statement(target: &Target, batch: &Prepared, outcomes: &[Outcome]) -> String {
    let offsets = || batch.batch.records.iter().map(|head| head.offset);
    let (Some(first), Some(last)) = (offsets().min(), offsets().max()) else { return String::new() };
    let partition = batch.batch.records[0].partition;
    insert_statement(target, batch, &OffsetRange { partition, from: first, to: last + 1, leader_epoch: -1 }, outcomes, "replay")
}

/// The outcomes of a batch that turned out to be committed after its connection was lost.
pub async fn read_outcomes(on: &Connection, by: &Connector, target: &Target, batch: &Prepared) -> Result<Vec<Outcome>, Failure> {
    let statement = "SELECT not_stored, outcomes FROM duto.batch
         WHERE pipeline = $1 AND topic = $2 AND partition = $3 AND from_offset = $4 AND to_offset = $5 AND kind = 'load' ORDER BY id DESC LIMIT 1";
    let mut outcomes = vec![Outcome::Stored; batch.batch.len()];
    for range in &batch.ranges {
        let row =
            by.within(on.client.query_opt(statement, &[&target.pipeline, &target.topic, &range.partition, &range.from, &range.to])).await?;
        let Some(row) = row else { continue };
        let (offsets, letters): (Vec<i64>, String) = (row.get(0), row.get(1));
        let known: HashMap<i64, char> = offsets.into_iter().zip(letters.chars()).collect();
        for (head, outcome) in batch.batch.records.iter().zip(&mut outcomes).filter(|(head, _)| head.partition == range.partition) {
            *outcome = match known.get(&head.offset) {
                None => Outcome::Stored,
                Some('r') => Outcome::Rejected,
                Some('f') => Outcome::Filtered,
                Some(_) => Outcome::Repeated,
            };
        }
    }
    Ok(outcomes)
}

fn count(batch: &Prepared, range: &OffsetRange, outcomes: &[Outcome]) -> Counts {
    let mut counts = Counts::default();
    for (head, outcome) in batch.batch.records.iter().zip(outcomes) {
        if head.partition != range.partition {
            continue;
        }
        let (counter, letter) = match outcome {
            Outcome::Stored => {
                counts.stored += 1;
                continue;
            }
            Outcome::Repeated => (&mut counts.repeated, 'd'),
            Outcome::Rejected => (&mut counts.rejected, 'r'),
            Outcome::Filtered => (&mut counts.filtered, 'f'),
        };
        *counter += 1;
        let comma = if counts.letters.is_empty() { "" } else { "," };
        let _ = write!(counts.not_stored, "{comma}{}", head.offset);
        counts.letters.push(letter);
    }
    counts
}
