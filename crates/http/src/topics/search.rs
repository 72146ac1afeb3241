//! `GET /duto/topics/{topic}/search`: messages that fit a filter, the newest first, as server-sent
//! events with the progress between them. It stops by itself, and goes on from its cursor when it
//! is asked.

mod scan;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Browser;
use super::cursor::{self, Marks};
use super::filter::Filter;
use super::looks::Ends;
use super::message::list_to_json;
use super::refusal::Refusal;
use super::stream::events_of;
use crate::routes::Routes;
use duto_definition::Role;
use scan::{Bounds, Found, Scan};

const MATCHES: usize = 100;
const MOST_MATCHES: usize = 200;
/// Messages that are looked at before it stops and asks.
const SCANNED: u64 = 2_000_000;
/// Events that wait for a slow page.
const WAITING_EVENTS: usize = 16;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().get(Role::Read, "/duto/topics/{topic}/search", search)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    key: Option<String>,
    text: Option<String>,
    partition: Option<i32>,
    /// Where an earlier search stopped.
    before: Option<String>,
    /// Stops after so many matches.
    matches: Option<usize>,
    /// Stops after so many messages.
    scanned: Option<u64>,
}

async fn search(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let filter = Filter::new(wanted.key.as_deref(), wanted.text.as_deref())?;
    let permit = browser.searches.clone().try_acquire_owned().map_err(|_| {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "as many searches run as this server takes at once: try again when one has ended",
        )
    })?;
    let named = topic.clone();
    let ends = browser.ask(move |browser| browser.ends_of(&named)).await?;
    let marks = start(&wanted, &ends)?;
    let bounds = Bounds {
        matches: wanted.matches.unwrap_or(MATCHES).clamp(1, MOST_MATCHES),
        scanned: wanted.scanned.unwrap_or(SCANNED).max(1),
    };
    Ok(events_of(WAITING_EVENTS, permit, move |tell| {
        let scan = Scan { topic: &topic, filter: &filter, bounds, stop: &browser.stop };
        // A page that is gone takes no more events, which ends the search.
        let mut tell_page = |found: Found| tell.blocking_send(event(&found)).is_ok();
        let outcome = browser.looks.with(|look| scan.run(look, &ends, &marks, &mut tell_page));
        if let Err(error) = outcome {
            tell_page(Found::Trouble(error.to_string()));
        }
    }))
}

fn start(wanted: &Wanted, ends: &Ends) -> Result<Marks, Refusal> {
    let mut marks = match &wanted.before {
        Some(before) => cursor::within(&cursor::read(before)?, ends),
        None => cursor::of_ends(ends),
    };
    if let Some(partition) = wanted.partition {
        marks.retain(|known, _| *known == partition);
    }
    Ok(marks)
}

fn event(found: &Found) -> Event {
    let (name, data): (&str, Value) = match found {
        Found::Progress { scanned, remaining, cursor } => (
            "progress",
            json!({ "scanned": scanned, "remaining": remaining, "before": cursor::write(cursor) }),
        ),
        Found::Matches { messages, cursor } => (
            "matches",
            json!({ "messages": list_to_json(messages), "before": cursor::write(cursor) }),
        ),
        Found::Stopped { why, scanned, remaining, cursor } => (
            "stopped",
            json!({ "why": why.as_str(), "scanned": scanned, "remaining": remaining, "before": cursor::write(cursor) }),
        ),
        Found::Trouble(error) => ("trouble", json!({ "error": error })),
    };
    Event::default().event(name).data(data.to_string())
}
