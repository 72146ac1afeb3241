//! `/livez`: the process answers. `/readyz`: it can do its work. `/health`: both, with reasons, as the old services had it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Served;

const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

pub fn routes() -> Router<Arc<Served>> {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).route("/health", get(health))
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(served): State<Arc<Served>>) -> (StatusCode, String) {
    match problems(&served).await {
        none if none.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
        found => (StatusCode::SERVICE_UNAVAILABLE, found.join("\n") + "\n"),
    }
}

async fn health(State(served): State<Arc<Served>>) -> (StatusCode, Json<Value>) {
    let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    match problems(&served).await {
        none if none.is_empty() => (StatusCode::OK, Json(json!({"status": "healthy", "timestamp": timestamp}))),
        found => {
            let body = json!({"status": "unhealthy", "timestamp": timestamp, "error": found.join("; "), "problems": found});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body))
        }
    }
}

/// Everything that keeps the pipeline from doing its work, each as a sentence.
async fn problems(served: &Served) -> Vec<String> {
    let condition = served.progress.condition();
    let mut problems: Vec<String> = condition.ended.iter().map(|reason| format!("the worker ended: {reason}")).collect();
    problems.extend(condition.halted.values().map(|reason| format!("halted: {reason}")));
    problems.extend(condition.paused.values().map(|reason| format!("paused: {reason}")));
    let target = served.pool.connector.target();
    match tokio::time::timeout(DATABASE_TIMEOUT, served.pool.get()).await {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => problems.push(format!("the database {target}: {failure}")),
        Err(_) => problems.push(format!("the database {target} does not answer")),
    }
    problems
}
