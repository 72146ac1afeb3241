//! `POST /duto/topics/{topic}/messages`: one message by hand. A record that a pipeline would reject
//! is only sent when that is said.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::Browser;
use super::check::{is_good, judge};
use super::looks::PATIENCE;
use super::refusal::Refusal;
use crate::auth::{Address, Caller};
use duto_load::audit::{Action, Actor, Entry, Via};
use duto_log::OutgoingRecord;

/// A message with its JSON around it.
pub const MOST_BODY_BYTES: usize = 16 << 20;
const DURABLE_WITHIN: Duration = Duration::from_secs(30);

/// A message to send. Bytes that are no text come as `payload_hex`, `key_hex` and `value_hex`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outgoing {
    /// Without one the pipeline's own key is taken, where a pipeline reads the topic and names one;
    /// null sends none.
    #[serde(deserialize_with = "given")]
    key: Option<Option<String>>,
    key_hex: Option<String>,
    /// None is a tombstone.
    payload: Option<String>,
    payload_hex: Option<String>,
    headers: Vec<OutgoingHeader>,
    partition: Option<i32>,
    /// Sends it although a pipeline would reject it.
    anyway: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutgoingHeader {
    name: String,
    #[serde(default)]
    value: String,
    value_hex: Option<String>,
}

/// A key that is null is given; one that is missing is not.
fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Outgoing {
    pub fn payload_bytes(&self) -> Result<Option<Vec<u8>>, Refusal> {
        bytes("payload_hex", self.payload_hex.as_deref(), self.payload.as_deref())
    }

    /// The key as it is given; the outer None is "not given".
    fn key_bytes(&self) -> Result<Option<Option<Vec<u8>>>, Refusal> {
        match (&self.key_hex, &self.key) {
            (None, None) => Ok(None),
            (hex, key) => {
                bytes("key_hex", hex.as_deref(), key.as_ref().and_then(Option::as_deref)).map(Some)
            }
        }
    }

    fn header_bytes(&self) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        let one = |header: &OutgoingHeader| {
            let value = bytes("value_hex", header.value_hex.as_deref(), Some(&header.value))?;
            Ok((header.name.clone(), value.unwrap_or_default()))
        };
        self.headers.iter().map(one).collect()
    }
}

fn bytes(name: &str, in_hex: Option<&str>, text: Option<&str>) -> Result<Option<Vec<u8>>, Refusal> {
    match in_hex {
        Some(digits) => hex::decode(digits)
            .map(Some)
            .map_err(|error| Refusal::bad_request(format!("{name} is not in base 16: {error}"))),
        None => Ok(text.map(|text| text.as_bytes().to_vec())),
    }
}

/// 201 with its place when the log has it durably, 422 with the problems of a record that would be
/// rejected.
pub async fn send(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    caller: Option<Extension<Caller>>,
    address: Option<Extension<Address>>,
    Json(outgoing): Json<Outgoing>,
) -> Result<Response, Refusal> {
    let payload = outgoing.payload_bytes()?;
    let (given_key, headers) = (outgoing.key_bytes()?, outgoing.header_bytes()?);
    let (asked, checked) = (topic.clone(), payload.clone());
    let judged = browser
        .ask(move |browser| {
            browser.log.topic(&asked, PATIENCE)?.ok_or_else(|| Refusal::no_topic(&asked))?;
            Ok(judge(browser, &asked, checked.as_deref()))
        })
        .await?;
    if !is_good(&judged) && !outgoing.anyway {
        let error = "a pipeline would reject this record: mend it, or send it anyway";
        return Ok((
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({ "error": error, "pipelines": judged })),
        )
            .into_response());
    }
    let own_key =
        || judged.iter().find_map(|one| one["key"].as_str()).map(|key| key.as_bytes().to_vec());
    let key = given_key.unwrap_or_else(own_key);
    let (tell, outcome) = oneshot::channel();
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let record = OutgoingRecord {
        topic: &topic,
        partition: outgoing.partition,
        key: key.as_deref(),
        payload: payload.as_deref(),
        headers: &headers,
    };
    let told = move |result| {
        let _ = tell.send(result);
    };
    browser.producer.send(record, Box::new(told))?;
    let sent = match tokio::time::timeout(DURABLE_WITHIN, outcome).await {
        Ok(Ok(sent)) => sent?,
        Ok(Err(_)) => return Err(Refusal::internal()),
        Err(_) => {
            let error = format!(
                "the log did not answer within {DURABLE_WITHIN:?}: the message may still get there"
            );
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error));
        }
    };
    let name = match (caller, address) {
        (Some(Extension(caller)), _) => caller.name,
        (None, Some(Extension(Address(address)))) => address,
        (None, None) => String::new(),
    };
    let (partition, offset) = (sent.partition, sent.offset);
    let bytes = payload.as_deref().map_or(0, <[u8]>::len);
    let although = if is_good(&judged) { "" } else { ", although it is rejected" };
    let entry = Entry {
        actor: Actor { name, via: Via::Http, why: None },
        action: Action::Send,
        what: format!(
            "a message of {bytes} bytes sent to {topic}: partition {partition}, offset {offset}{although}"
        ),
    };
    for reading in browser.readers_of(&topic) {
        browser.audit.push(&reading.pipeline.name, entry.clone());
    }
    Ok((StatusCode::CREATED, Json(json!({ "partition": sent.partition, "offset": sent.offset })))
        .into_response())
}
