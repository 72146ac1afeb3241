//! Answers that are given when a record is stored: which records of a batch wait for one, and what
//! it is.

use std::collections::HashSet;

use serde_json::json;

use super::prepared::{Outcome, Prepared};
use crate::transform::{RecordDocuments, Transform};
use duto_definition::{IngestEndpoint, Pipeline};
use duto_ground::batch::{Batch, decode_headers};
use duto_ground::index::RecordIndex;
use duto_ground::reject::Reject;

/// The header that names the request; a record with it waits for its answer.
pub const KEY_HEADER: &str = "duto-idempotency-key";
/// The header that names the endpoint, as the file does: `POST /orders`.
pub const ENDPOINT_HEADER: &str = "duto-endpoint";

/// A record that came by a request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub record: RecordIndex,
    pub key: String,
    /// The endpoint's place in `ingest:`.
    endpoint: usize,
}

/// What a request is told, and every repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub record: RecordIndex,
    pub key: String,
    pub status: i32,
    pub body: String,
}

/// The records of a batch that wait, and those that repeat the key of one before them.
pub fn waiting(pipeline: &Pipeline, batch: &Batch) -> (Vec<Waiting>, HashSet<RecordIndex>) {
    let (mut waiting, mut repeated, mut keys) = (Vec::new(), HashSet::new(), HashSet::new());
    if !pipeline.ingest.iter().any(|endpoint| endpoint.stored) {
        return (waiting, repeated);
    }
    for (record, headers) in RecordIndex::all().zip(batch.iter().map(|record| record.headers)) {
        let Some(headers) = headers else { continue };
        let headers = decode_headers(headers);
        let header = |wanted: &str| {
            let value = headers
                .iter()
                .find(|(name, _)| name == wanted)
                .and_then(|(_, value)| value.clone())?;
            String::from_utf8(value).ok()
        };
        let Some((key, name)) = header(KEY_HEADER).zip(header(ENDPOINT_HEADER)) else { continue };
        let Some(endpoint) =
            pipeline.ingest.iter().position(|endpoint| endpoint.stored && endpoint.name() == name)
        else {
            continue;
        };
        if keys.insert(key.clone()) {
            waiting.push(Waiting { record, key, endpoint });
        } else {
            repeated.insert(record);
        }
    }
    (waiting, repeated)
}

/// The answers, in the order of their keys, against deadlocks. Records that are known to repeat a
/// key have none.
pub fn answers(
    pipeline: &Pipeline,
    transform: &Transform,
    waiting: Vec<Waiting>,
    documents: &[RecordDocuments],
    batch: &Prepared,
    resolved: &HashSet<RecordIndex>,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for Waiting { record, key, endpoint } in waiting {
        if resolved.contains(&record) {
            continue;
        }
        let endpoint = &pipeline.ingest[endpoint];
        let (status, body) = match batch.rejects.iter().find(|reject| reject.record == record) {
            Some(reject) if batch.outcomes.get(record.place()) == Some(&Outcome::Rejected) => {
                (422, refusal(reject))
            }
            _ => (i32::from(endpoint.status), acceptance(transform, endpoint, documents, record)),
        };
        answers.push(Answer { record, key, status, body });
    }
    answers.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    answers
}

fn acceptance(
    transform: &Transform,
    endpoint: &IngestEndpoint,
    documents: &[RecordDocuments],
    record: RecordIndex,
) -> String {
    let documents = transform.answer_of(&endpoint.name()).and_then(|place| documents.get(place));
    let text = documents.and_then(|documents| {
        Some(&documents.texts[documents.record.binary_search(&record).ok()?])
    });
    text.cloned().unwrap_or_else(|| json!({ "stored": 1 }).to_string())
}

fn refusal(reject: &Reject) -> String {
    let problem = json!({ "path": reject.path, "rule": reject.rule, "reason": reject.reason });
    json!({ "error": "the record cannot be stored", "problems": [problem] }).to_string()
}
