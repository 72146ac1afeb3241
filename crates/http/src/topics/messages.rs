//! `GET /duto/topics/{topic}/messages`: a page of messages, the newest first; and one message with
//! all of its payload.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cursor::{self, Marks};
use super::looks::{Ends, PATIENCE};
use super::message::{Message, OPENED_BYTES, list_to_json};
use super::paging::{self, Page};
use super::refusal::Refusal;
use super::{Browser, send};
use crate::routes::Routes;
use duto_definition::Role;
use duto_ground::batch::Batch;
use duto_log::Span;

const LISTED: usize = 100;
const MOST_LISTED: usize = 200;
const MOST_READ_BYTES: usize = 1 << 20;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new()
        .get(Role::Read, "/duto/topics/{topic}/messages", messages)
        .on(
            Method::POST,
            Role::Operate,
            "/duto/topics/{topic}/messages",
            send::send,
            send::MOST_BODY_BYTES,
        )
        .get(Role::Read, "/duto/topics/{topic}/messages/{partition}/{offset}", message)
        .get(Role::Read, "/duto/topics/{topic}/messages/{partition}/{offset}/payload", payload)
}

/// Where a page begins: below `before`, from `after` on, at an offset of a partition, at a time,
/// or, without any of them, at the end.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    partition: Option<i32>,
    before: Option<String>,
    after: Option<String>,
    offset: Option<i64>,
    /// Milliseconds since 1970: the page begins with the last message that is not younger.
    time: Option<i64>,
    limit: Option<usize>,
}

async fn messages(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    browser.ask(move |browser| page(browser, &topic, &wanted)).await.map(Json)
}

fn page(browser: &Browser, topic: &str, wanted: &Wanted) -> Result<Value, Refusal> {
    let ends = browser.ends_of(topic)?;
    let limit = wanted.limit.unwrap_or(LISTED).clamp(1, MOST_LISTED);
    let mut marks = cursor::of_ends(&ends);
    if let Some(partition) = wanted.partition {
        if !ends.contains_key(&partition) {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("the topic {topic} has no partition {partition}"),
            ));
        }
        marks.retain(|known, _| *known == partition);
    }
    let page = match &wanted.after {
        Some(after) => {
            let marks = cursor::within(&cursor::read(after)?, &ends);
            browser.looks.with(|look| paging::above(look, topic, &ends, &marks, limit))?
        }
        None => {
            let marks = cursor::within(&start(browser, topic, wanted, &ends, marks)?, &ends);
            browser.looks.with(|look| paging::below(look, topic, &ends, &marks, limit))?
        }
    };
    Ok(to_json(browser, topic, &ends, &page))
}

/// The marks below which the page stands.
fn start(
    browser: &Browser,
    topic: &str,
    wanted: &Wanted,
    ends: &Ends,
    marks: Marks,
) -> Result<Marks, Refusal> {
    if let Some(before) = &wanted.before {
        return cursor::read(before);
    }
    if let Some(offset) = wanted.offset {
        return match marks.len() {
            1 => Ok(marks
                .into_keys()
                .map(|partition| (partition, offset.saturating_add(1)))
                .collect()),
            _ => {
                Err(Refusal::bad_request("an offset belongs to a partition: give `partition` too"))
            }
        };
    }
    let Some(time_ms) = wanted.time else { return Ok(marks) };
    let behind = |partition: i32| -> Result<(i32, i64), Refusal> {
        let found = browser.log.offset_at(topic, partition, time_ms.saturating_add(1), PATIENCE)?;
        Ok((
            partition,
            found.unwrap_or_else(|| ends.get(&partition).map_or(0, |ends| ends.last_stable)),
        ))
    };
    marks.into_keys().map(behind).collect()
}

fn to_json(browser: &Browser, topic: &str, ends: &Ends, page: &Page) -> Value {
    let partitions: Vec<Value> =
        ends.iter().map(|(partition, ends)| json!({ "partition": partition, "low": ends.low, "high": ends.last_stable })).collect();
    let has_newer = page
        .newer
        .iter()
        .any(|(partition, mark)| ends.get(partition).is_some_and(|ends| *mark < ends.last_stable));
    json!({
        "topic": topic, "partitions": partitions, "messages": list_to_json(&page.messages),
        "older": page.older.as_ref().map(cursor::write), "newer": cursor::write(&page.newer), "has_newer": has_newer,
        "pipelines": browser.readers_of(topic).map(|reading| &reading.pipeline.name).collect::<Vec<_>>(),
    })
}

async fn message(
    State(browser): State<Arc<Browser>>,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
) -> Result<Json<Value>, Refusal> {
    let found = browser.ask(move |browser| one(browser, &topic, partition, offset)).await?;
    let first = found.iter().next().ok_or_else(Refusal::internal)?;
    Ok(Json(Message::of(first, OPENED_BYTES).to_json()))
}

/// The payload as it was sent, to keep: never shown as a page, whatever it says of itself.
async fn payload(
    State(browser): State<Arc<Browser>>,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
) -> Result<Response, Refusal> {
    let name = format!("{topic}-{partition}-{offset}")
        .replace(|letter: char| !letter.is_ascii_alphanumeric() && !"-._".contains(letter), "_");
    let found = browser.ask(move |browser| one(browser, &topic, partition, offset)).await?;
    let payload =
        found.iter().next().and_then(|record| record.payload).unwrap_or_default().to_vec();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, payload).into_response())
}

/// A batch with the one record, or that it is not there.
fn one(browser: &Browser, topic: &str, partition: i32, offset: i64) -> Result<Batch, Refusal> {
    let missing = |why: String| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            format!("there is no message {partition}:{offset} in {topic}: {why}"),
        )
    };
    let ends = browser.ends_of(topic)?;
    let of_partition =
        ends.get(&partition).ok_or_else(|| missing("there is no such partition".to_owned()))?;
    if !(of_partition.low..of_partition.last_stable).contains(&offset) {
        return Err(missing(format!(
            "the log has the offsets from {} to {}",
            of_partition.low, of_partition.last_stable
        )));
    }
    let mut batch = Batch::default();
    let span = Span { partition, from: offset, to: offset + 1 };
    browser.looks.with(|look| look.read(topic, &[span], &mut batch, MOST_READ_BYTES, PATIENCE))?;
    if batch.is_empty() {
        Err(missing("this offset holds no record".to_owned()))
    } else {
        Ok(batch)
    }
}
