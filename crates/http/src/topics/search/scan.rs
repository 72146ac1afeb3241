//! The scan of a search: from the newest messages to the oldest, in runs that grow, so that the
//! first matches come at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::super::cursor::Marks;
use super::super::filter::Filter;
use super::super::looks::{Ends, PATIENCE};
use super::super::message::{LISTED_BYTES, Message};
use duto_ground::batch::Batch;
use duto_log::{LogError, Look, Span};

/// Offsets of one run over all partitions: at first, and at most.
const FIRST_RUN: i64 = 4_000;
const LONGEST_RUN: i64 = 256_000;
/// Bytes that one read answers at most.
const MOST_READ_BYTES: usize = 16 << 20;
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// When a search stops by itself.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub matches: usize,
    pub scanned: u64,
}

/// Why it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is nothing older.
    End,
    Matches,
    Scanned,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Matches => "matches",
            Self::Scanned => "scanned",
        }
    }
}

/// What a search tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Messages that were looked at, and offsets that are still to come. A search that ends here
    /// goes on below the cursor, and finds all that was not told.
    Progress {
        scanned: u64,
        remaining: i64,
        cursor: Marks,
    },
    /// The newest first, all older than those that were told before, but for what was dated
    /// wrongly.
    Matches {
        messages: Vec<Message>,
        cursor: Marks,
    },
    /// The last that is told; a search goes on below the cursor.
    Stopped {
        why: Why,
        scanned: u64,
        remaining: i64,
        cursor: Marks,
    },
    Trouble(String),
}

pub struct Scan<'a> {
    pub topic: &'a str,
    pub filter: &'a Filter,
    pub bounds: Bounds,
    pub stop: &'a CancellationToken,
}

/// The matches of one partition in one run.
struct Lane {
    span: Span,
    /// Oldest first. When there are more than are wanted the oldest go.
    matches: VecDeque<Message>,
    /// The newest match that is not told: the next search begins behind it.
    newest_left: Option<i64>,
}

impl Scan<'_> {
    /// Until a bound is reached, nothing is left, or `tell` answers that nobody listens.
    pub fn run(
        &self,
        look: &mut dyn Look,
        ends: &Ends,
        from: &Marks,
        tell: &mut dyn FnMut(Found) -> bool,
    ) -> Result<(), LogError> {
        let low = |partition: i32| ends.get(&partition).map_or(0, |ends| ends.low);
        let remaining = |marks: &Marks| {
            marks.iter().map(|(partition, mark)| (mark - low(*partition)).max(0)).sum::<i64>()
        };
        let (mut marks, mut scanned, mut found, mut run) = (from.clone(), 0, 0, FIRST_RUN);
        let why = loop {
            let left = remaining(&marks);
            if left == 0 {
                break Why::End;
            }
            if found >= self.bounds.matches {
                break Why::Matches;
            }
            if scanned >= self.bounds.scanned {
                break Why::Scanned;
            }
            // Each partition's share is that of what it has left, so that all reach their beginning
            // together.
            let share = |mark: i64, low: i64| {
                ((mark - low) as f64 / left as f64 * run.min(left) as f64).ceil() as i64
            };
            let mut lanes: Vec<Lane> = marks
                .iter()
                .map(|(partition, mark)| (*partition, *mark, low(*partition)))
                .filter(|(_, mark, low)| mark > low)
                .map(|(partition, mark, low)| Span {
                    partition,
                    from: (mark - share(mark, low)).max(low),
                    to: mark,
                })
                .map(|span| Lane { span, matches: VecDeque::new(), newest_left: None })
                .collect();
            let wanted = self.bounds.matches - found;
            let mut progress = |scanned, to_do| {
                tell(Found::Progress { scanned, remaining: left - to_do, cursor: marks.clone() })
            };
            if !self.scan(look, &mut lanes, wanted, &mut scanned, &mut progress)? {
                return Ok(());
            }
            let matches = newest(&mut lanes, wanted);
            found += matches.len();
            for lane in &lanes {
                let newest_left =
                    lane.matches.back().map(|message| message.offset).max(lane.newest_left);
                marks.insert(
                    lane.span.partition,
                    newest_left.map_or(lane.span.from, |offset| offset + 1),
                );
            }
            if !matches.is_empty()
                && !tell(Found::Matches { messages: matches, cursor: marks.clone() })
            {
                return Ok(());
            }
            run = (run * 2).min(LONGEST_RUN);
        };
        tell(Found::Stopped { why, scanned, remaining: remaining(&marks), cursor: marks });
        Ok(())
    }

    /// Looks at all messages of the lanes' spans; `progress` gets what was scanned and how many
    /// offsets of the spans are done. Answers whether somebody still listens.
    fn scan(
        &self,
        look: &mut dyn Look,
        lanes: &mut [Lane],
        wanted: usize,
        scanned: &mut u64,
        progress: &mut dyn FnMut(u64, i64) -> bool,
    ) -> Result<bool, LogError> {
        let mut spans: Vec<Span> = lanes.iter().map(|lane| lane.span).collect();
        let (mut batch, mut folded) = (Batch::default(), Vec::new());
        let whole: i64 = spans.iter().map(|span| span.to - span.from).sum();
        let mut told = Instant::now();
        while !spans.is_empty() {
            batch.records.clear();
            batch.bytes.clear();
            let reached = look.read(self.topic, &spans, &mut batch, MOST_READ_BYTES, PATIENCE)?;
            *scanned += batch.len() as u64;
            for record in batch.iter().filter(|record| self.filter.takes(*record, &mut folded)) {
                let Some(lane) =
                    lanes.iter_mut().find(|lane| lane.span.partition == record.head.partition)
                else {
                    continue;
                };
                lane.matches.push_back(Message::of(record, LISTED_BYTES));
                if lane.matches.len() > wanted {
                    lane.newest_left = lane.matches.pop_front().map(|message| message.offset);
                }
            }
            spans = spans
                .iter()
                .zip(reached)
                .map(|(span, reached)| Span { from: reached, ..*span })
                .filter(|span| span.from < span.to)
                .collect();
            let to_do: i64 = spans.iter().map(|span| span.to - span.from).sum();
            if told.elapsed() > PROGRESS_INTERVAL || spans.is_empty() {
                told = Instant::now();
                if !progress(*scanned, whole - to_do) {
                    return Ok(false);
                }
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Takes the newest matches out of the lanes, by time between partitions.
fn newest(lanes: &mut [Lane], wanted: usize) -> Vec<Message> {
    let mut taken = Vec::new();
    while taken.len() < wanted {
        let latest = lanes.iter_mut().filter(|lane| !lane.matches.is_empty());
        let latest = latest.max_by_key(|lane| {
            (lane.matches.back().map(|message| message.timestamp_ms), lane.span.partition)
        });
        match latest.and_then(|lane| lane.matches.pop_back()) {
            Some(message) => taken.push(message),
            None => break,
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_ground::batch::Place;
    use duto_log::Watermarks;

    /// Two partitions; every tenth message of each has the key `ten`.
    struct Stored(i64);

    impl Look for Stored {
        fn read(
            &mut self,
            _: &str,
            spans: &[Span],
            into: &mut Batch,
            _: usize,
            _: Duration,
        ) -> Result<Vec<i64>, LogError> {
            for span in spans {
                for offset in span.from..span.to.min(self.0) {
                    let place = Place {
                        partition: span.partition,
                        offset,
                        leader_epoch: -1,
                        timestamp_ms: offset * 2 + i64::from(span.partition),
                    };
                    into.push(
                        place,
                        Some(if offset % 10 == 0 { b"ten" } else { b"other" }),
                        Some(b"x"),
                        None,
                    );
                }
            }
            Ok(spans.iter().map(|span| span.to).collect())
        }
    }

    fn ends(high: i64) -> Ends {
        (0..2)
            .map(|partition| (partition, Watermarks { low: 0, high, last_stable: high }))
            .collect()
    }

    fn search(
        high: i64,
        bounds: Bounds,
        from: &Marks,
        key: &str,
    ) -> (Vec<(i32, i64)>, Why, Marks, u64) {
        let (filter, stop) = (Filter::new(Some(key), None).unwrap(), CancellationToken::new());
        let scan = Scan { topic: "t", filter: &filter, bounds, stop: &stop };
        let (mut places, mut end) = (Vec::new(), None);
        scan.run(&mut Stored(high), &ends(high), from, &mut |found| {
            match found {
                Found::Matches { messages: matches, .. } => {
                    places.extend(matches.iter().map(|message| (message.partition, message.offset)))
                }
                Found::Stopped { why, scanned, remaining, cursor } => {
                    assert_eq!(remaining, cursor.values().sum::<i64>());
                    end = Some((why, cursor, scanned));
                }
                _ => {}
            }
            true
        })
        .unwrap();
        let (why, cursor, scanned) = end.unwrap();
        (places, why, cursor, scanned)
    }

    #[test]
    fn goes_on_where_it_stopped_and_finds_each_match_once() {
        let high = 30_000;
        let bounds = Bounds { matches: 70, scanned: u64::MAX };
        let mut marks = Marks::from([(0, high), (1, high)]);
        let mut all = Vec::new();
        loop {
            let (places, why, cursor, _) = search(high, bounds, &marks, "ten");
            all.extend(places);
            marks = cursor;
            match why {
                Why::Matches => assert_eq!(all.len() % 70, 0),
                Why::End => break,
                Why::Scanned => panic!("there was no such bound"),
            }
        }
        let expected: Vec<(i32, i64)> =
            (0..high / 10).rev().flat_map(|ten| [(1, ten * 10), (0, ten * 10)]).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn stops_politely_when_it_finds_nothing() {
        let high = 100_000;
        let bounds = Bounds { matches: 10, scanned: 20_000 };
        let (places, why, cursor, scanned) =
            search(high, bounds, &Marks::from([(0, high), (1, high)]), "not there");
        assert_eq!((places.len(), why), (0, Why::Scanned));
        assert!((20_000..60_000).contains(&scanned), "{scanned}");
        assert_eq!(cursor.values().sum::<i64>(), 2 * high - scanned as i64);
        let unbounded = Bounds { matches: 10, scanned: u64::MAX };
        let (_, why, cursor, rest) = search(high, unbounded, &cursor, "not there");
        assert_eq!(
            (why, cursor, scanned + rest),
            (Why::End, Marks::from([(0, 0), (1, 0)]), 2 * high as u64)
        );
    }
}
