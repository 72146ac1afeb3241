//! A page of messages out of many partitions, the newest first or going forwards. Only the records
//! near the page are read, however long the topic is.
//!
//! Within a partition the offsets decide, between partitions the times: what a producer dated
//! wrongly moves its partition's records against the others', never against each other.

use std::collections::VecDeque;

use super::cursor::Marks;
use super::looks::{Ends, PATIENCE};
use super::message::{LISTED_BYTES, Message};
use duto_ground::batch::Batch;
use duto_log::{LogError, Look, Span};

/// Bytes that one read answers at most; a longer run takes several.
const MOST_READ_BYTES: usize = 8 << 20;
/// Partitions of which a whole page is read at first; of more, each gets its share.
const FULL_LANES: usize = 8;
const LEAST_WINDOW: i64 = 16;

/// Messages, the newest first, and where to go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub messages: Vec<Message>,
    /// Everything older stands below these marks; None if there is nothing.
    pub older: Option<Marks>,
    /// Everything newer stands at these marks or above.
    pub newer: Marks,
}

/// A partition on its way through the page.
struct Lane {
    partition: i32,
    /// Where reading goes on: below it when going back, at it when going forwards.
    at: i64,
    /// Where the partition ends in that direction.
    end: i64,
    window: i64,
    /// Read and not yet taken, the next one in front.
    waiting: VecDeque<Message>,
}

impl Lane {
    fn is_hungry(&self) -> bool {
        self.waiting.is_empty() && self.at != self.end
    }

    /// The next run to read.
    fn span(&self, backwards: bool) -> Span {
        let (from, to) = if backwards {
            ((self.at - self.window).max(self.end), self.at)
        } else {
            (self.at, (self.at + self.window).min(self.end))
        };
        Span { partition: self.partition, from, to }
    }

    /// The first offset that was not taken: of those below it when going back, of those from it on
    /// when going forwards.
    fn mark(&self, backwards: bool) -> i64 {
        self.waiting.front().map_or(self.at, |message| message.offset + i64::from(backwards))
    }
}

/// The page below the marks, which lie within the ends.
pub fn below(
    look: &mut dyn Look,
    topic: &str,
    ends: &Ends,
    marks: &Marks,
    limit: usize,
) -> Result<Page, LogError> {
    let end = |partition: i32| ends.get(&partition).map_or(0, |ends| ends.low);
    let mut lanes = lanes(marks, end, limit);
    let messages = take(look, topic, &mut lanes, limit, true)?;
    let older: Marks = lanes.iter().map(|lane| (lane.partition, lane.mark(true))).collect();
    let has_older = lanes.iter().any(|lane| lane.mark(true) > lane.end);
    Ok(Page { messages, older: has_older.then_some(older), newer: marks.clone() })
}

/// The page from the marks on.
pub fn above(
    look: &mut dyn Look,
    topic: &str,
    ends: &Ends,
    marks: &Marks,
    limit: usize,
) -> Result<Page, LogError> {
    let end = |partition: i32| ends.get(&partition).map_or(0, |ends| ends.last_stable);
    let mut lanes = lanes(marks, end, limit);
    let mut messages = take(look, topic, &mut lanes, limit, false)?;
    messages.reverse();
    let newer = lanes.iter().map(|lane| (lane.partition, lane.mark(false))).collect();
    let has_older = marks
        .iter()
        .any(|(partition, mark)| ends.get(partition).is_some_and(|ends| *mark > ends.low));
    Ok(Page { messages, older: has_older.then(|| marks.clone()), newer })
}

fn lanes(marks: &Marks, end: impl Fn(i32) -> i64, limit: usize) -> Vec<Lane> {
    let share = limit * FULL_LANES / marks.len().max(FULL_LANES);
    let window = i64::try_from(share).unwrap_or(i64::MAX).max(LEAST_WINDOW);
    let lane = |(partition, mark): (&i32, &i64)| Lane {
        partition: *partition,
        at: *mark,
        end: end(*partition),
        window,
        waiting: VecDeque::new(),
    };
    marks.iter().map(lane).collect()
}

/// Takes up to `limit` messages, always the one whose turn it is by its time.
fn take(
    look: &mut dyn Look,
    topic: &str,
    lanes: &mut [Lane],
    limit: usize,
    backwards: bool,
) -> Result<Vec<Message>, LogError> {
    let mut taken = Vec::with_capacity(limit);
    while taken.len() < limit {
        // Whose next message is not known could have the one whose turn it is.
        while lanes.iter().any(Lane::is_hungry) {
            feed(look, topic, lanes, backwards)?;
        }
        // At the same time the higher partition counts as the newer, in both directions.
        let direction = if backwards { 1 } else { -1 };
        let turn = |lane: &&mut Lane| {
            let time_ms = lane.waiting.front().map(|message| message.timestamp_ms * direction);
            (time_ms, i64::from(lane.partition) * direction)
        };
        match lanes
            .iter_mut()
            .filter(|lane| !lane.waiting.is_empty())
            .max_by_key(turn)
            .and_then(|lane| lane.waiting.pop_front())
        {
            Some(message) => taken.push(message),
            None => break,
        }
    }
    Ok(taken)
}

/// Reads the next run of every lane that has nothing left.
fn feed(
    look: &mut dyn Look,
    topic: &str,
    lanes: &mut [Lane],
    backwards: bool,
) -> Result<(), LogError> {
    let mut spans: Vec<Span> =
        lanes.iter().filter(|lane| lane.is_hungry()).map(|lane| lane.span(backwards)).collect();
    let whole = spans.clone();
    while !spans.is_empty() {
        let mut batch = Batch::default();
        let reached = look.read(topic, &spans, &mut batch, MOST_READ_BYTES, PATIENCE)?;
        for record in batch.iter() {
            let Some(lane) = lanes.iter_mut().find(|lane| lane.partition == record.head.partition)
            else {
                continue;
            };
            let message = Message::of(record, LISTED_BYTES);
            if backwards {
                lane.waiting.push_front(message);
            } else {
                lane.waiting.push_back(message);
            }
        }
        spans = spans
            .iter()
            .zip(reached)
            .map(|(span, reached)| Span { from: reached, ..*span })
            .filter(|span| span.from < span.to)
            .collect();
    }
    for span in whole {
        let Some(lane) = lanes.iter_mut().find(|lane| lane.partition == span.partition) else {
            continue;
        };
        lane.at = if backwards { span.from } else { span.to };
        if lane.waiting.is_empty() {
            // A gap: of compaction, or of transactions.
            lane.window = lane.window.saturating_mul(4);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use duto_ground::batch::Place;
    use duto_log::Watermarks;

    /// Records as (partition, offset, time), and how much one read answers.
    struct Stored {
        records: Vec<(i32, i64, i64)>,
        reads: usize,
    }

    impl Look for Stored {
        fn read(
            &mut self,
            _: &str,
            spans: &[Span],
            into: &mut Batch,
            _: usize,
            _: Duration,
        ) -> Result<Vec<i64>, LogError> {
            self.reads += 1;
            for span in spans {
                for (partition, offset, timestamp_ms) in &self.records {
                    if *partition == span.partition && (span.from..span.to).contains(offset) {
                        let place = Place {
                            partition: *partition,
                            offset: *offset,
                            leader_epoch: -1,
                            timestamp_ms: *timestamp_ms,
                        };
                        into.push(place, None, Some(b"x"), None);
                    }
                }
            }
            Ok(spans.iter().map(|span| span.to).collect())
        }
    }

    fn ends(highs: &[i64]) -> Ends {
        (0..)
            .zip(highs.iter().map(|high| Watermarks { low: 0, high: *high, last_stable: *high }))
            .collect()
    }

    fn places(page: &Page) -> Vec<(i32, i64)> {
        page.messages.iter().map(|message| (message.partition, message.offset)).collect()
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        // Partition 0 has a gap, partition 1 a record that is dated wrongly, partition 2 nothing.
        let mut records: Vec<(i32, i64, i64)> = (0..200)
            .filter(|offset| !(50..120).contains(offset))
            .map(|offset| (0, offset, offset * 10))
            .collect();
        records
            .extend((0..300).map(|offset| (1, offset, if offset == 150 { 5 } else { offset * 7 })));
        let total = records.len();
        let mut stored = Stored { records, reads: 0 };
        let ends = ends(&[200, 300, 0]);
        let mut marks = super::super::cursor::of_ends(&ends);
        let mut seen = Vec::new();
        let mut turns = vec![marks.clone()];
        loop {
            let page = below(&mut stored, "t", &ends, &marks, 25).unwrap();
            assert_eq!(page.newer, marks);
            seen.extend(places(&page));
            match page.older {
                Some(older) => marks = older,
                None => break,
            }
            turns.push(marks.clone());
        }
        assert_eq!(seen.len(), total);
        for partition in 0..2 {
            let offsets: Vec<i64> =
                seen.iter().filter(|place| place.0 == partition).map(|place| place.1).collect();
            assert!(offsets.is_sorted_by(|a, b| a > b), "partition {partition} is in order");
        }
        assert_eq!(
            seen[..3],
            [(1, 299), (1, 298), (1, 297)],
            "2093, 2086 and 2079 are newer than 1990"
        );

        let mut forwards = Vec::new();
        let mut marks = Marks::from([(0, 0), (1, 0), (2, 0)]);
        loop {
            let page = above(&mut stored, "t", &ends, &marks, 40).unwrap();
            let mut places = places(&page);
            if places.is_empty() {
                break;
            }
            places.reverse();
            forwards.extend(places);
            marks = page.newer;
        }
        assert_eq!(forwards.len(), total);
        assert_eq!(marks, super::super::cursor::of_ends(&ends));
        assert_eq!(forwards[..2], [(0, 0), (1, 0)]);
    }

    #[test]
    fn a_page_reads_no_more_than_it_needs() {
        let mut stored =
            Stored { records: (0..100_000).map(|offset| (0, offset, offset)).collect(), reads: 0 };
        let ends = ends(&[100_000]);
        let page =
            below(&mut stored, "t", &ends, &super::super::cursor::of_ends(&ends), 50).unwrap();
        assert_eq!((page.messages.len(), stored.reads), (50, 1));
        assert_eq!(page.older, Some(Marks::from([(0, 99_950)])));
    }
}
