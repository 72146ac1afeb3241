//! `ingest:`, HTTP endpoints that put records on a topic. A record is checked as the file declares
//! it, and answered when the log has it durably, or when it is stored.

mod body; // one object, an array, or one object a line
mod send; // into the log, and its outcome
mod stored; // answered after the store

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use body::Body;
use duto_definition::Pipeline;
use duto_ground::changes::Changes;
use duto_ground::reject::Reject;
use duto_load::pool::Pool;
use duto_log::Producer;
use duto_stages::Stages;
use duto_stages::intake::Intake;
use send::{Outgoing, SendFailure, send_all};
use stored::{Keyed, no_outcome};

/// A body of many records may be so much longer than one record.
const RECORDS_IN_A_BODY: usize = 64;
const KEY_BYTES_MAX: usize = 255;

/// What the endpoints work with.
pub struct Ingest {
    pub pipeline: Pipeline,
    pub stages: Arc<Stages>,
    /// Where kept answers are looked up.
    pub pool: Pool,
    /// By which it is known when a record is stored.
    pub changes: Arc<Changes>,
    pub producer: Arc<dyn Producer>,
}

/// A route that takes records.
pub struct Taken<S> {
    pub method: Method,
    pub path: String,
    pub handler: MethodRouter<S>,
}

/// One route for each declared endpoint.
pub fn routes<S: Clone + Send + Sync + 'static>(state: Ingest) -> Vec<Taken<S>> {
    let state = Arc::new(state);
    let most_bytes = state.pipeline.source.max_record_bytes.saturating_mul(RECORDS_IN_A_BODY);
    let taken = |intake: &&Arc<Intake>| state.pipeline.ingest.contains(&intake.endpoint);
    let route = |intake: &Arc<Intake>| {
        let endpoint = &intake.endpoint;
        let method = Method::from_bytes(endpoint.method.as_bytes()).unwrap_or(Method::POST);
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::POST);
        let intake = intake.clone();
        let handler = move |State(state): State<Arc<Ingest>>, headers: HeaderMap, body: Bytes| async move {
            take(&state, &intake, &headers, &body).await
        };
        let limit = DefaultBodyLimit::max(endpoint.max_body_bytes.unwrap_or(most_bytes));
        let handler = on(filter, handler).layer(limit).with_state(state.clone());
        Taken { method, path: endpoint.path.clone(), handler }
    };
    state.stages.intakes().iter().filter(taken).map(route).collect()
}

/// One record: its declared answer, or 422 with every problem. Many: 202 when all are in, else 207
/// with one result a record.
async fn take(state: &Ingest, intake: &Intake, headers: &HeaderMap, body: &[u8]) -> Response {
    let key = match idempotency_key(headers) {
        Ok(key) => key,
        Err(reason) => {
            return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": reason })))
                .into_response();
        }
    };
    let records = match Body::split(headers, body) {
        Body::One(record) => return take_one(state, intake, key, record).await,
        Body::Many(records) => records,
        Body::Broken(reason) => return unprocessable(vec![json!({"path": "", "reason": reason})]),
    };
    let problems = tokio::task::block_in_place(|| problems_of_each(state, intake, &records));
    let results = match intake.endpoint.stored {
        true => store_all(state, intake, key.as_deref(), &records, &problems).await,
        false => accept_all(state, intake, &records, &problems).await,
    };
    let is_accepted =
        |result: &&Value| result["status"].as_u64().is_some_and(|status| status < 300);
    let accepted = results.iter().filter(is_accepted).count();
    let all = accepted == results.len();
    let status = if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    // Where all are in, the log's word is one; answers of stored records differ.
    let told = if all && !intake.endpoint.stored { Vec::new() } else { results };
    let refused = records.len() - accepted;
    (status, axum::Json(json!({"accepted": accepted, "refused": refused, "results": told})))
        .into_response()
}

async fn take_one(state: &Ingest, intake: &Intake, key: Option<String>, record: &[u8]) -> Response {
    let problems = problems(state, intake, record);
    if !problems.is_empty() {
        return match kept_before(state, intake, key.as_deref()).await {
            Some((status, body)) => {
                (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
            }
            None => unprocessable(describe(&problems)),
        };
    }
    if intake.endpoint.stored {
        let key = key.unwrap_or_else(own_key);
        return match stored::take(state, intake, Keyed { key: &key, record }).await {
            Ok((status, body)) => {
                (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
            }
            Err(failure) => refused(&failure),
        };
    }
    // Before the record is sent: one whose answer cannot be made is refused, and may be mended.
    let answer = match intake.answer(record) {
        Ok(answer) => answer.unwrap_or_else(|| json!({"accepted": 1}).to_string()),
        Err(reason) => {
            return unprocessable(vec![json!({"path": "", "rule": "answer", "reason": reason})]);
        }
    };
    match send_all(state, intake, &[outgoing(record)]).await.pop() {
        Some(Ok(_)) => {
            let status =
                StatusCode::from_u16(intake.endpoint.status).unwrap_or(StatusCode::ACCEPTED);
            (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
        Some(Err(failure)) => refused(&failure),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The results, one a record, in the posted order.
async fn accept_all(
    state: &Ingest,
    intake: &Intake,
    records: &[&[u8]],
    problems: &[Vec<Reject>],
) -> Vec<Value> {
    let good = records.iter().zip(problems).filter(|(_, problems)| problems.is_empty());
    let outgoing: Vec<Outgoing<'_>> = good.map(|(record, _)| outgoing(record)).collect();
    let told = |outcome: Result<_, SendFailure>| match outcome {
        Ok(_) => json!({"status": intake.endpoint.status}),
        Err(failure) => json!({"status": failure.status().as_u16(), "error": failure.to_string()}),
    };
    let mut outcomes = send_all(state, intake, &outgoing).await.into_iter().map(told);
    let result = |problems: &Vec<Reject>| match problems.is_empty() {
        false => json!({"status": 422, "problems": describe(problems)}),
        true => outcomes.next().unwrap_or_else(|| json!({"status": 500, "error": "no outcome"})),
    };
    problems.iter().map(result).collect()
}

/// The results, one a record, in the posted order. Each record has a key of its own, made of the
/// request's and its place among ALL that were posted: a request that is made again with its bad
/// records mended finds the same answers at the same places.
async fn store_all(
    state: &Ingest,
    intake: &Intake,
    key: Option<&str>,
    records: &[&[u8]],
    problems: &[Vec<Reject>],
) -> Vec<Value> {
    let request = key.map_or_else(own_key, str::to_owned);
    let keys: Vec<String> = (0..records.len()).map(|place| key_of_place(&request, place)).collect();
    let good = keys.iter().zip(records).zip(problems).filter(|(_, problems)| problems.is_empty());
    let good: Vec<Keyed<'_>> = good.map(|((key, record), _)| Keyed { key, record }).collect();
    let mut stored = stored::take_all(state, intake, &good).await.into_iter();
    let bad =
        keys.iter().zip(problems).filter(|(_, problems)| key.is_some() && !problems.is_empty());
    let kept = stored::kept_of(state, &bad.map(|(key, _)| key.as_str()).collect::<Vec<_>>())
        .await
        .unwrap_or_default();
    let result =
        |(key, problems): (&String, &Vec<Reject>)| match (problems.is_empty(), kept.get(key)) {
            (true, _) => told(stored.next().unwrap_or_else(no_outcome)),
            (false, Some(answer)) => told(Ok(answer.clone())),
            (false, None) => json!({"status": 422, "problems": describe(problems)}),
        };
    keys.iter().zip(problems).map(result).collect()
}

/// A key that no request can give itself: an Idempotency-Key is ASCII.
fn key_of_place(request: &str, place: usize) -> String {
    format!("{request}\u{b7}{place}")
}

fn told(answered: stored::Answered) -> Value {
    match answered {
        Ok((status, body)) => {
            let answer =
                String::from_utf8(body).ok().and_then(|body| RawValue::from_string(body).ok());
            json!({"status": status.as_u16(), "answer": answer})
        }
        Err(failure) => json!({"status": failure.status().as_u16(), "error": failure.to_string()}),
    }
}

/// What the caller's key was answered before: a repeat gets it, whatever its body, also one that
/// could not be taken now.
async fn kept_before(
    state: &Ingest,
    intake: &Intake,
    key: Option<&str>,
) -> Option<(StatusCode, Vec<u8>)> {
    let key = key.filter(|_| intake.endpoint.stored)?;
    stored::kept_of(state, &[key]).await.ok()?.remove(key)
}

fn problems(state: &Ingest, intake: &Intake, record: &[u8]) -> Vec<Reject> {
    intake.problems(record).unwrap_or_else(|| state.stages.problems(record))
}

fn problems_of_each(state: &Ingest, intake: &Intake, records: &[&[u8]]) -> Vec<Vec<Reject>> {
    let elsewhere: Option<Vec<Vec<Reject>>> =
        records.iter().map(|record| intake.problems(record)).collect();
    elsewhere
        .filter(|problems| !problems.is_empty())
        .unwrap_or_else(|| state.stages.problems_of_each(records))
}

fn outgoing(record: &[u8]) -> Outgoing<'_> {
    Outgoing { record, fallback_key: None, headers: &[] }
}

/// The request's Idempotency-Key; an error is a sentence.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_BYTES_MAX || !is_visible {
        return Err(format!(
            "an Idempotency-Key is a visible text without blanks of at most {KEY_BYTES_MAX} \
                characters"
        ));
    }
    Ok(Some(text.to_owned()))
}

/// Of a request that gave none: nobody can repeat it.
fn own_key() -> String {
    format!("request {}", Uuid::new_v4())
}

fn describe(problems: &[Reject]) -> Vec<Value> {
    problems
        .iter()
        .map(
            |problem| json!({"path": problem.path, "rule": problem.rule, "reason": problem.reason}),
        )
        .collect()
}

fn unprocessable(problems: Vec<Value>) -> Response {
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        axum::Json(
            json!({"error": "the record is not what the pipeline declares", "problems": problems}),
        ),
    )
        .into_response()
}

fn refused(failure: &SendFailure) -> Response {
    let mut response =
        (failure.status(), axum::Json(json!({"error": failure.to_string()}))).into_response();
    if failure.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_the_document_says() {
        let key = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", value.try_into().expect("a header"));
            idempotency_key(&headers).ok().flatten()
        };
        assert_eq!(key(b"8e03978e-40d5"), Some("8e03978e-40d5".to_owned()));
        assert_eq!(key(b" \"~!\" "), Some("\"~!\"".to_owned()));
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        let long = vec![b'k'; KEY_BYTES_MAX + 1];
        for wrong in [b"".as_slice(), b" ", b"two words", b"a\tb", "\u{e9}".as_bytes(), &long] {
            assert_eq!(key(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
    }
}
