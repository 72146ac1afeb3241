//! `GET /duto/topics/{topic}/example`: a record to begin with, as the pipeline that reads the topic
//! declares it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Browser, ReadingPipeline};
use crate::routes::Routes;
use duto_definition::Role;
use duto_generate::{Generator, put_examples};
use duto_stages::decode::key_of;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().get(Role::Read, "/duto/topics/{topic}/example", example)
}

/// `payload` is null where no pipeline reads the topic.
async fn example(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let answer = browser.ask(move |browser| {
        let ends = browser.ends_of(&topic)?;
        let records: i64 = ends.values().map(|ends| ends.high).sum();
        let made = browser.readers_of(&topic).next().and_then(|reading| make(reading, records));
        let key = made.as_ref().and_then(|(_, key)| key.as_deref()).map(String::from_utf8_lossy);
        Ok(json!({ "payload": made.as_ref().map(|(payload, _)| payload), "key": key }))
    });
    answer.await.map(Json)
}

/// What the generator would send next had it sent all that is in the topic, with the file's own
/// examples in it.
fn make(reading: &ReadingPipeline, records: i64) -> Option<(String, Option<Vec<u8>>)> {
    let mut generator = Generator::new(&reading.pipeline, None).ok()?;
    generator.skip(u64::try_from(records).unwrap_or(0));
    let mut record: Value = serde_json::from_slice(&generator.next_payload()).ok()?;
    put_examples(&reading.pipeline.record.fields, &mut record);
    let payload = record.to_string();
    let key =
        reading.pipeline.source.key.as_deref().and_then(|field| key_of(payload.as_bytes(), field));
    Some((payload, key))
}
