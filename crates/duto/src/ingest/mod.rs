//! `ingest:`, HTTP endpoints that put records on the topic. A record is checked as the file declares it, and answered when the log has it durably.

mod body; // one object, an array, or one object a line
mod send; // into the log, and its outcome

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::{Value, json};

use crate::reject::Reject;
use crate::serve::Served;
use body::Body;
use send::{SendFailure, send_all};

/// A body of many records may be so much longer than one record.
const RECORDS_IN_A_BODY: usize = 64;

/// One route for each declared endpoint.
pub fn routes(served: &Served) -> Router<Arc<Served>> {
    let most_bytes = served.pipeline.source.max_record_bytes.saturating_mul(RECORDS_IN_A_BODY);
    served.pipeline.ingest.iter().fold(Router::new(), |router, endpoint| {
        let method = MethodFilter::try_from(axum::http::Method::from_bytes(endpoint.method.as_bytes()).unwrap_or_default())
            .unwrap_or(MethodFilter::POST);
        router.route(&endpoint.path, on(method, take).layer(DefaultBodyLimit::max(most_bytes)))
    })
}

/// One record: 202 when the log has it, 422 with every problem. Many: 202 when all are in, else 207 with one result a record.
async fn take(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let records = match Body::split(&headers, &body) {
        Body::One(record) => return take_one(&served, record).await,
        Body::Many(records) => records,
        Body::Broken(reason) => return unprocessable(vec![json!({"path": "", "reason": reason})]),
    };
    let problems: Vec<Vec<Reject>> = records.iter().map(|record| served.stages.problems(record)).collect();
    let good: Vec<&[u8]> = records.iter().zip(&problems).filter(|(_, problems)| problems.is_empty()).map(|(record, _)| *record).collect();
    let mut sent = send_all(&served, &good).await.into_iter();
    let results: Vec<Value> = problems
        .iter()
        .map(|problems| match problems.is_empty() {
            false => json!({"status": 422, "problems": describe(problems)}),
            true => match sent.next() {
                Some(Ok(())) => json!({"status": 202}),
                Some(Err(failure)) => json!({"status": failure.status().as_u16(), "error": failure.to_string()}),
                None => json!({"status": 500, "error": "no outcome"}),
            },
        })
        .collect();
    let accepted = results.iter().filter(|result| result["status"] == 202).count();
    let status = if accepted == results.len() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let body = json!({"accepted": accepted, "refused": results.len() - accepted, "results": if status == StatusCode::ACCEPTED { Vec::new() } else { results }});
    (status, axum::Json(body)).into_response()
}

async fn take_one(served: &Served, record: &[u8]) -> Response {
    let problems = served.stages.problems(record);
    if !problems.is_empty() {
        return unprocessable(describe(&problems));
    }
    match send_all(served, &[record]).await.pop() {
        Some(Ok(())) => (StatusCode::ACCEPTED, axum::Json(json!({"accepted": 1}))).into_response(),
        Some(Err(failure)) => refused(&failure),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn describe(problems: &[Reject]) -> Vec<Value> {
    problems.iter().map(|problem| json!({"path": problem.path, "rule": problem.rule, "reason": problem.reason})).collect()
}

fn unprocessable(problems: Vec<Value>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(json!({"error": "the record is not what the pipeline declares", "problems": problems})))
        .into_response()
}

fn refused(failure: &SendFailure) -> Response {
    (failure.status(), [(header::RETRY_AFTER, "1")], axum::Json(json!({"error": failure.to_string()}))).into_response()
}
