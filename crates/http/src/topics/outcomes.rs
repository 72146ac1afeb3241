//! `GET /duto/topics/{topic}/outcomes`: what became of messages, by each pipeline that reads the
//! topic. Asked apart from the messages, so that a database that is away holds up nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::looks::PATIENCE;
use super::refusal::Refusal;
use super::{Browser, ReadingPipeline};
use crate::routes::Routes;
use duto_definition::{Pipeline, Role};
use duto_load::failure::Failure;
use duto_load::rejects::sealed_reason_of;
use duto_load::sealed::RejectPlace;

/// Places of one question.
const MOST_PLACES: usize = 500;
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().get(Role::Read, "/duto/topics/{topic}/outcomes", outcomes)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Places, as `0:17,0:18,2:4`.
    at: String,
}

/// What the log is, so that a ledger of another one is not believed.
struct Identity {
    cluster_id: String,
    topic_id: String,
}

async fn outcomes(
    State(browser): State<Arc<Browser>>,
    Path(topic): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let places = places(&wanted.at)?;
    let named = topic.clone();
    let identity = browser
        .ask(move |browser| {
            let described =
                browser.log.topic(&named, PATIENCE)?.ok_or_else(|| Refusal::no_topic(&named))?;
            Ok(Identity { cluster_id: browser.log.cluster_id(PATIENCE)?, topic_id: described.id })
        })
        .await?;
    let asked = browser.readers_of(&topic).map(|reading| of_pipeline(reading, &identity, &places));
    Ok(Json(json!({ "pipelines": join_all(asked).await })))
}

/// Pairs, not marks: a partition comes more than once.
fn places(text: &str) -> Result<Vec<(i32, i64)>, Refusal> {
    let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
    if parts.len() > MOST_PLACES {
        return Err(Refusal::bad_request(format!(
            "{} places are asked for, and at most {MOST_PLACES} are answered",
            parts.len()
        )));
    }
    let place = |part: &&str| {
        super::cursor::read(part).map(|marks| marks.into_iter().next().unwrap_or_default())
    };
    parts.iter().map(place).collect()
}

async fn of_pipeline(
    reading: &ReadingPipeline,
    identity: &Identity,
    places: &[(i32, i64)],
) -> Value {
    let name = &reading.pipeline.name;
    let answer = match tokio::time::timeout(DATABASE_PATIENCE, ask(reading, identity, places)).await
    {
        Ok(answer) => answer.map_err(|failure| failure.to_string()),
        Err(_) => Err(format!("the database did not answer within {DATABASE_PATIENCE:?}")),
    };
    match answer {
        Ok(outcomes) => json!({ "pipeline": name, "away": null, "outcomes": outcomes }),
        Err(reason) => json!({ "pipeline": name, "away": reason, "outcomes": [] }),
    }
}

/// A load covers an offset when it begins at or below it and ends behind it. After a rewind several
/// do, of which one that stored it counts; only the nearest are looked at, so that an old offset
/// costs no more than a new one.
const STATEMENT: &str = r#"
SELECT asked.partition, asked."offset", position.next, position.cluster_id = $5 AND position.topic_id = $6,
       reject.id, reject.status, reject.stage, reject.path, reject.rule, reject.reason, load.id, load.letter, load.committed_at,
       duto.reject.sealed_reason
FROM unnest($3::integer[], $4::bigint[]) AS asked (partition, "offset")
LEFT JOIN duto.position ON position.pipeline = $1 AND position.topic = $2 AND position.partition = asked.partition
LEFT JOIN duto.reject ON reject.pipeline = $1 AND reject.cluster_id = $5 AND reject.topic = $2 AND reject.topic_id = $6
    AND reject.partition = asked.partition AND reject."offset" = asked."offset"
LEFT JOIN LATERAL (
    SELECT judged.id, judged.committed_at, judged.letter
    FROM (
        SELECT near.id, near.committed_at, coalesce(substr(near.outcomes, array_position(near.not_stored, asked."offset"), 1), 's') AS letter
        FROM (
            SELECT id, committed_at, to_offset, not_stored, outcomes FROM duto.batch
            WHERE pipeline = $1 AND topic = $2 AND partition = asked.partition AND kind = 'load' AND from_offset <= asked."offset"
            ORDER BY from_offset DESC LIMIT 20
        ) AS near
        WHERE near.to_offset > asked."offset"
    ) AS judged
    ORDER BY judged.letter = 's' DESC, judged.id DESC LIMIT 1
) AS load ON true"#;

async fn ask(
    reading: &ReadingPipeline,
    identity: &Identity,
    places: &[(i32, i64)],
) -> Result<Vec<Value>, Failure> {
    let connection = reading.readers.get().await?;
    let Some(sealed_reason) = sealed_reason_of(&connection).await? else {
        // The pipeline has never run here.
        return Ok(places
            .iter()
            .map(|(partition, offset)| outcome(*partition, *offset, "waiting"))
            .collect());
    };
    let (partitions, offsets): (Vec<i32>, Vec<i64>) = places.iter().copied().unzip();
    let statement = STATEMENT.replace("duto.reject.sealed_reason", sealed_reason);
    let statement = connection.within(connection.prepared(&statement)).await?;
    let pipeline = &reading.pipeline;
    let Identity { cluster_id, topic_id } = identity;
    let values: [&(dyn ToSql + Sync); 6] =
        [&pipeline.name, &pipeline.source.topic, &partitions, &offsets, cluster_id, topic_id];
    let asked = connection.client.query(&statement, &values);
    let rows = connection.within(asked).await?;
    // One that is asked for twice is answered once.
    let answers: BTreeMap<(i32, i64), Value> =
        rows.iter().map(|row| ((row.get(0), row.get(1)), of_row(pipeline, row))).collect();
    Ok(answers.into_values().collect())
}

fn outcome(partition: i32, offset: i64, word: &str) -> Value {
    json!({ "partition": partition, "offset": offset, "outcome": word })
}

/// One word: `waiting`, `stored`, `duplicate`, `filtered`, `rejected` or `unknown`, and what is
/// known beside it.
fn of_row(pipeline: &Pipeline, row: &Row) -> Value {
    let (partition, offset): (i32, i64) = (row.get(0), row.get(1));
    let of = |word: &str| outcome(partition, offset, word);
    match row.get::<_, Option<i64>>(2) {
        Some(next) if offset < next => {}
        _ => return of("waiting"),
    }
    if !row.get::<_, Option<bool>>(3).unwrap_or(false) {
        let mut unknown = of("unknown");
        unknown["why"] = json!("other_topic");
        return unknown;
    }
    let load: Option<i64> = row.get(10);
    let mut answer = match (row.get::<_, Option<String>>(5), row.get::<_, Option<String>>(11)) {
        (Some(status), _) if status == "replayed" => {
            let mut stored = of("stored");
            stored["replayed"] = json!(true);
            stored
        }
        (Some(status), _) => {
            let mut rejected = of("rejected");
            rejected["status"] = json!(status);
            rejected["reject"] = json!(row.get::<_, Option<i64>>(4));
            for (name, column) in [("stage", 6), ("path", 7), ("rule", 8)] {
                rejected[name] = json!(row.get::<_, Option<String>>(column));
            }
            let place = RejectPlace {
                pipeline: &pipeline.name,
                topic: &pipeline.source.topic,
                partition,
                offset,
            };
            let masked = row.get::<_, Option<String>>(9).unwrap_or_default();
            let keyring = &pipeline.encryption.keyring;
            rejected["reason"] = json!(place.reason(keyring, masked, row.get(13)));
            rejected
        }
        (None, Some(letter)) => of(match letter.as_str() {
            "s" => "stored",
            "f" => "filtered",
            "r" => "rejected",
            _ => "duplicate",
        }),
        (None, None) => {
            let mut unknown = of("unknown");
            unknown["why"] = json!("pruned");
            return unknown;
        }
    };
    answer["batch"] = json!(load);
    answer["at"] = json!(
        row.get::<_, Option<DateTime<Utc>>>(12)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
    );
    answer
}
