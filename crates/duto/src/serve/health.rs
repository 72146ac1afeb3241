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
use crate::definition::Pipeline;
use crate::load::failure::Failure;

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
    problems.extend(condition.claim_trouble.iter().map(|reason| format!("partitions cannot be claimed: {reason}")));
    problems.extend(condition.fill_trouble.iter().cloned());
    problems.extend(condition.paused.values().map(|reason| format!("paused: {reason}")));
    problems.extend(condition.publish_trouble.iter().map(|(partition, reason)| format!("publishing from partition {partition}: {reason}")));
    let pulls = condition.pulls.iter().filter_map(|(name, pull)| Some((name, pull.trouble.as_ref()?)));
    problems.extend(pulls.map(|(name, reason)| format!("pull {name}: {reason}")));
    problems.extend(condition.deliveries.iter().map(|(name, reason)| format!("deliver {name}: {reason}")));
    match tokio::time::timeout(DATABASE_TIMEOUT, not_made(served)).await {
        Ok(Ok(missing)) => problems.extend(missing.iter().map(|name| format!("{name} is not made yet"))),
        Ok(Err(failure)) => problems.push(format!("the database: {failure}")),
        Err(_) => problems.push(format!("the database {} does not answer", served.pool.connector.target())),
    }
    problems
}

/// The tables and views that the pipeline declares and the database does not have: a worker makes them when it starts.
async fn not_made(served: &Served) -> Result<Vec<String>, Failure> {
    let Pipeline { tables, rollups, views, .. } = &served.pipeline;
    let tables = tables.iter().map(|table| table.name.as_str());
    let names: Vec<&str> =
        tables.chain(rollups.iter().map(|rollup| rollup.name.as_str())).chain(views.iter().map(|view| view.name.as_str())).collect();
    let statement = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL";
    let connection = served.pool.get().await?;
    let missing = served.pool.connector.within(connection.client.query(statement, &[&names])).await?;
    Ok(missing.iter().map(|row| row.get(0)).collect())
}
