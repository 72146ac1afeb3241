//! `POST /duto/topics/{topic}/check`: what the pipelines that read a topic would say of a record,
//! before it is sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Method;
use serde_json::{Value, json};

use super::Browser;
use super::refusal::Refusal;
use super::send::{MOST_BODY_BYTES, Outgoing};
use crate::routes::Routes;
use duto_definition::Role;
use duto_stages::decode::key_of;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().on(Method::POST, Role::Read, "/duto/topics/{topic}/check", check, MOST_BODY_BYTES)
}

async fn check(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    Json(outgoing): Json<Outgoing>,
) -> Result<Json<Value>, Refusal> {
    let payload = outgoing.payload_bytes()?;
    let answer = browser.ask(move |browser| {
        let judged = judge(browser, &topic, payload.as_deref());
        Ok(json!({ "ok": is_good(&judged), "pipelines": judged }))
    });
    answer.await.map(Json)
}

/// For each pipeline: every problem of the record, and the key under which the pipeline would have
/// it sent.
pub fn judge(browser: &Browser, topic: &str, payload: Option<&[u8]>) -> Vec<Value> {
    let payload = payload.unwrap_or_default();
    let one = |reading: &super::ReadingPipeline| {
        let problems: Vec<Value> = reading
            .stages
            .problems(payload)
            .iter()
            .map(|problem| json!({ "stage": problem.stage.as_str(), "path": problem.path, "rule": problem.rule, "reason": problem.reason }))
            .collect();
        let field = reading.pipeline.source.key.as_deref();
        let key = field
            .and_then(|field| key_of(payload, field))
            .map(|key| String::from_utf8_lossy(&key).into_owned());
        json!({ "pipeline": reading.pipeline.name, "problems": problems, "key_field": field, "key": key })
    };
    browser.readers_of(topic).map(one).collect()
}

pub fn is_good(judged: &[Value]) -> bool {
    judged.iter().all(|one| one["problems"].as_array().is_none_or(Vec::is_empty))
}
