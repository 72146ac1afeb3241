//! `endpoints:`, answers of SQL. Each is kept until a commit touches its tables, so that a thousand
//! viewers cost one query.

mod answer; // one query, kept
mod parameters; // what the caller gave

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Served;
use super::routes::Routes;
pub use answer::{Answer, Answers};
use duto_definition::Role;

/// One route an endpoint.
pub fn routes(served: &Served) -> Routes<Arc<Served>> {
    let endpoints = served.stages.queries().endpoints.iter().enumerate();
    endpoints.fold(Routes::new(), |routes, (index, query)| {
        let answer = move |State(served): State<Arc<Served>>,
                           Path(path): Path<Vec<(String, String)>>,
                           RawQuery(given): RawQuery,
                           headers: HeaderMap| async move {
            respond(&served, index, &path, given.as_deref().unwrap_or_default(), &headers).await
        };
        routes.get(Role::Read, &query.endpoint.path, answer)
    })
}

async fn respond(
    served: &Served,
    index: usize,
    path: &[(String, String)],
    given: &str,
    headers: &HeaderMap,
) -> Response {
    let query = &served.stages.queries().endpoints[index];
    let values = match parameters::read(&query.endpoint, path, given) {
        Ok(values) => values,
        Err(problems) => {
            let body = json!({"error": "a parameter is not what the endpoint \
                declares", "problems": problems});
            return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
        }
    };
    match served.answers.get(served, index, query, values).await {
        Ok(Some(answer)) => found(&answer, headers),
        Ok(None) => (StatusCode::NOT_FOUND, axum::Json(json!({"error": "there is no such row"})))
            .into_response(),
        // Told in the log by `faults`, once.
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!({"error": reason})))
            .into_response(),
    }
}

fn found(answer: &Answer, headers: &HeaderMap) -> Response {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let same = known
        .split(',')
        .any(|tag| tag.trim().trim_start_matches("W/") == answer.etag || tag.trim() == "*");
    let mut response = match same {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            ([(header::CONTENT_TYPE, "application/json")], answer.body.clone()).into_response()
        }
    };
    let own = [("x-duto-as-of", &answer.as_of), ("x-duto-position", &answer.position)];
    let all = [(header::ETAG.as_str(), &answer.etag)].into_iter().chain(own);
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
