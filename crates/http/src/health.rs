//! `/livez`: the process answers. `/readyz`: it can do its work. `/health`: both, with reasons, as
//! the old services had it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Served;
use crate::routes::Routes;
use duto_definition::{Pipeline, Role};
use duto_load::failure::Failure;

const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

pub fn routes() -> Routes<Arc<Served>> {
    Routes::new().open("/livez", livez).open("/readyz", readyz).get(Role::Read, "/health", health)
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
    match (problems(&served).await, faults(&served).await) {
        (none, faults) if none.is_empty() && faults.is_empty() => {
            (StatusCode::OK, Json(json!({"status": "healthy", "timestamp": timestamp})))
        }
        // Records are stored, and what is not named here is served: who restarts it because of its
        // status would lose that too.
        (none, faults) if none.is_empty() => (
            StatusCode::OK,
            Json(
                json!({"status": "degraded", "timestamp": timestamp, "error": faults.join("; "), "problems": faults}),
            ),
        ),
        (mut found, faults) => {
            found.extend(faults);
            let body = json!({"status": "unhealthy", "timestamp": timestamp, "error": found.join("; "), "problems": found});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body))
        }
    }
}

/// Everything that keeps the pipeline from doing its work, each as a sentence.
async fn problems(served: &Served) -> Vec<String> {
    let condition = served.progress.condition();
    let mut problems: Vec<String> =
        condition.ended.iter().map(|reason| format!("the worker ended: {reason}")).collect();
    problems.extend(condition.halted.values().map(|reason| format!("halted: {reason}")));
    problems.extend(condition.unreadable.values().cloned());
    problems.extend(
        condition
            .claim_trouble
            .iter()
            .map(|reason| format!("partitions cannot be claimed: {reason}")),
    );
    problems.extend(condition.fill_trouble.iter().cloned());
    problems.extend(condition.paused.values().map(|reason| format!("paused: {reason}")));
    problems.extend(
        condition
            .publish_trouble
            .iter()
            .map(|(partition, reason)| format!("publishing from partition {partition}: {reason}")),
    );
    let pulls =
        condition.pulls.iter().filter_map(|(name, pull)| Some((name, pull.trouble.as_ref()?)));
    problems.extend(pulls.map(|(name, reason)| format!("pull {name}: {reason}")));
    problems.extend(
        condition.deliveries.iter().map(|(name, reason)| format!("deliver {name}: {reason}")),
    );
    match tokio::time::timeout(DATABASE_TIMEOUT, not_made(served)).await {
        Ok(Ok(missing)) => {
            problems.extend(missing.iter().map(|name| format!("{name} is not made yet")))
        }
        Ok(Err(failure)) => problems.push(format!("the database: {failure}")),
        Err(_) => problems
            .push(format!("the database {} does not answer", served.pool.connector.target())),
    }
    problems
}

/// Views that are not as they are declared, endpoints that cannot answer, and that most of what
/// comes is rejected, each as a sentence: they keep nothing else from its work.
async fn faults(served: &Served) -> Vec<String> {
    // A database that does not answer is among the problems.
    let views = tokio::time::timeout(DATABASE_TIMEOUT, view_faults(served))
        .await
        .unwrap_or(Ok(Vec::new()))
        .unwrap_or_default();
    let views = views.into_iter().map(|(view, reason)| format!("the view {view}: {reason}"));
    let endpoints = served
        .faults
        .shown()
        .into_iter()
        .map(|(path, reason)| format!("the endpoint GET {path}: {reason}"));
    views.chain(endpoints).chain(served.progress.condition().mostly_rejected).collect()
}

/// Whether everything is there that a worker makes at its start, but for views that are faults.
pub(super) async fn is_made(served: &Served) -> bool {
    matches!(tokio::time::timeout(DATABASE_TIMEOUT, not_made(served)).await, Ok(Ok(missing)) if missing.is_empty())
}

/// The tables and views that the pipeline declares and the database does not have: a worker makes
/// them when it starts. Views that it could not make, and those that somebody dropped since, are
/// not among them.
async fn not_made(served: &Served) -> Result<Vec<String>, Failure> {
    let Pipeline { tables, rollups, views, .. } = &served.pipeline;
    let tables = tables.iter().map(|table| table.name.as_str());
    let names: Vec<&str> = tables
        .chain(rollups.iter().map(|rollup| rollup.name.as_str()))
        .chain(views.iter().map(|view| view.name.as_str()))
        .collect();
    // Tables that somebody else made are there before the schema is, without which a request cannot
    // be answered.
    let statement =
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL
         UNION ALL SELECT 'the schema duto' WHERE to_regclass('duto.answer') IS NULL";
    let missing: Vec<String> = {
        let connection = served.pool.get().await?;
        let missing = connection.within(connection.client.query(statement, &[&names])).await?;
        missing.iter().map(|row| row.get(0)).collect()
    };
    if missing.is_empty() {
        return Ok(missing);
    }
    let faults = view_faults(served).await?;
    Ok(missing.into_iter().filter(|name| faults.iter().all(|(view, _)| view != name)).collect())
}

/// Each view that a worker could not make, or that is gone since, and why.
async fn view_faults(served: &Served) -> Result<Vec<(String, String)>, Failure> {
    let connection = served.pool.get().await?;
    // A program before this one made the table without the column, and where none ever ran there is
    // no table.
    let knows =
        "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('duto.view')
        AND attname = 'refused' AND NOT attisdropped)";
    let knows = connection.within(connection.client.query_one(knows, &[])).await?;
    if !knows.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let statement = "SELECT name, coalesce(refused,
         'somebody dropped or renamed it; the next start makes it again') FROM duto.view
         WHERE pipeline = $1 AND (refused IS NOT NULL OR to_regclass(quote_ident(name)) IS NULL)
         ORDER BY place";
    let rows =
        connection.within(connection.client.query(statement, &[&served.pipeline.name])).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
