//! `GET /duto/topics/{topic}/follow`: new messages as they come, as server-sent events. When they
//! come faster than anybody reads, the newest are told, and how many were passed over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::Browser;
use super::cursor::{self, Marks};
use super::filter::Filter;
use super::looks::{Ends, PATIENCE};
use super::message::{LISTED_BYTES, Message, list_to_json};
use super::refusal::Refusal;
use super::stream::events_of;
use crate::routes::Routes;
use duto_definition::Role;
use duto_ground::batch::Batch;
use duto_log::Span;

/// How often the ends are asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// After a failure.
const NEXT_TRY: Duration = Duration::from_secs(1);
/// An event at least so often, so that the page knows that the server lives.
const PULSE: Duration = Duration::from_secs(2);
/// Messages of one event.
const MOST_TOLD: usize = 100;
/// Messages of one look that a filter goes through.
const MOST_FILTERED: i64 = 50_000;
const MOST_READ_BYTES: usize = 16 << 20;
const WAITING_EVENTS: usize = 4;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().get(Role::Read, "/duto/topics/{topic}/follow", follow)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    key: Option<String>,
    text: Option<String>,
    partition: Option<i32>,
    /// What comes from here on; without it, from now on.
    after: Option<String>,
}

async fn follow(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let filter = Filter::new(wanted.key.as_deref(), wanted.text.as_deref())?;
    let permit = browser.followers.clone().try_acquire_owned().map_err(|_| {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "as many pages follow topics as this server takes at once: close one, then try again",
        )
    })?;
    let named = topic.clone();
    let ends = browser.ask(move |browser| browser.ends_of(&named)).await?;
    let marks = match &wanted.after {
        Some(after) => cursor::within(&cursor::read(after)?, &ends),
        None => cursor::of_ends(&ends),
    };
    Ok(events_of(WAITING_EVENTS, permit, move |tell| {
        Follower {
            browser: &browser,
            topic: &topic,
            filter: &filter,
            partition: wanted.partition,
            marks,
        }
        .run(tell);
    }))
}

struct Follower<'a> {
    browser: &'a Browser,
    topic: &'a str,
    filter: &'a Filter,
    partition: Option<i32>,
    /// Everything below was told or passed over.
    marks: Marks,
}

/// What one look found.
struct News {
    /// The newest first.
    messages: Vec<Message>,
    passed_over: i64,
}

impl Follower<'_> {
    /// Until nobody listens, or the server stops.
    fn run(&mut self, tell: &mpsc::Sender<Event>) {
        let mut told = None::<Instant>;
        while !tell.is_closed() && !self.browser.stop.is_cancelled() {
            let (event, pause) = match self.look() {
                Err(refusal) => {
                    (Some(event("trouble", &json!({ "error": refusal.error }))), NEXT_TRY)
                }
                Ok(Some(news)) => (Some(self.tell(&news)), LOOK_INTERVAL),
                Ok(None) if told.is_none_or(|told| told.elapsed() > PULSE) => (
                    Some(event("pulse", &json!({ "after": cursor::write(&self.marks) }))),
                    LOOK_INTERVAL,
                ),
                Ok(None) => (None, LOOK_INTERVAL),
            };
            if let Some(event) = event {
                if tell.blocking_send(event).is_err() {
                    return;
                }
                told = Some(Instant::now());
            }
            std::thread::sleep(pause);
        }
    }

    fn tell(&self, news: &News) -> Event {
        let data = json!({
            "messages": list_to_json(&news.messages), "passed_over": news.passed_over, "after": cursor::write(&self.marks),
        });
        event("messages", &data)
    }

    /// None where nothing came that the filter takes.
    fn look(&mut self) -> Result<Option<News>, Refusal> {
        let mut ends = self.browser.ends_of(self.topic)?;
        ends.retain(|partition, _| self.partition.is_none_or(|only| only == *partition));
        let most = if self.filter.takes_all() { MOST_TOLD as i64 } else { MOST_FILTERED };
        let (spans, mut passed_over) = self.spans(&ends, most);
        if spans.is_empty() {
            return Ok(None);
        }
        let mut messages = self.read(spans)?;
        // The order of one look; what comes later is newer, whatever its time says.
        messages.sort_by_key(|message| {
            std::cmp::Reverse((message.timestamp_ms, message.partition, message.offset))
        });
        if messages.len() > MOST_TOLD {
            passed_over += (messages.len() - MOST_TOLD) as i64;
            messages.truncate(MOST_TOLD);
        }
        self.marks.extend(cursor::of_ends(&ends));
        Ok((!messages.is_empty() || passed_over > 0).then_some(News { messages, passed_over }))
    }

    /// What came, at most so many offsets of each partition, and how many were left out.
    fn spans(&self, ends: &Ends, most: i64) -> (Vec<Span>, i64) {
        let mut passed_over = 0;
        let mut spans = Vec::new();
        for (partition, ends) in ends {
            // A topic made anew begins at 0 again; a partition that was added is new from its first
            // record on.
            let mark = self.marks.get(partition).copied().unwrap_or(ends.low);
            let mark = if mark > ends.last_stable { ends.low } else { mark.max(ends.low) };
            let from = mark.max(ends.last_stable - most);
            passed_over += from - mark;
            if from < ends.last_stable {
                spans.push(Span { partition: *partition, from, to: ends.last_stable });
            }
        }
        (spans, passed_over)
    }

    fn read(&self, mut spans: Vec<Span>) -> Result<Vec<Message>, Refusal> {
        let (mut messages, mut folded) = (Vec::new(), Vec::new());
        while !spans.is_empty() {
            let mut batch = Batch::default();
            let reached = self.browser.looks.with(|look| {
                look.read(self.topic, &spans, &mut batch, MOST_READ_BYTES, PATIENCE)
            })?;
            let fitting = batch.iter().filter(|record| self.filter.takes(*record, &mut folded));
            messages.extend(fitting.map(|record| Message::of(record, LISTED_BYTES)));
            spans = spans
                .iter()
                .zip(reached)
                .map(|(span, reached)| Span { from: reached, ..*span })
                .filter(|span| span.from < span.to)
                .collect();
        }
        Ok(messages)
    }
}

fn event(name: &str, data: &serde_json::Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
