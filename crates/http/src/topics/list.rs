//! `GET /duto/topics`: the topics with their sizes and rates, and how far the pipelines that read
//! them are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chrono::{SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Browser;
use super::refusal::Refusal;
use super::sampler::{Sample, TopicSample};
use crate::routes::Routes;
use duto_definition::Role;

pub fn routes() -> Routes<Arc<Browser>> {
    Routes::new().get(Role::Read, "/duto/topics", list)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Also Kafka's own topics, such as `__consumer_offsets`.
    #[serde(default)]
    internal: bool,
}

async fn list(
    State(browser): State<Arc<Browser>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let sample = browser.sample().await?;
    let topics = sample.topics.as_ref().map_err(Clone::clone)?;
    let shown: Vec<Value> = topics
        .iter()
        .filter(|topic| wanted.internal || !topic.listing.is_internal())
        .map(|topic| describe(&browser, &sample, topic))
        .collect();
    let hidden = topics.len() - shown.len();
    let at = Utc::now() - chrono::Duration::from_std(sample.taken.elapsed()).unwrap_or_default();
    Ok(Json(json!({
        "log": browser.log.kind(), "at": at.to_rfc3339_opts(SecondsFormat::Millis, true), "topics": shown, "hidden": hidden,
    })))
}

fn describe(browser: &Browser, sample: &Sample, topic: &TopicSample) -> Value {
    let records: i64 = topic.ends.iter().flatten().map(|ends| (ends.high - ends.low).max(0)).sum();
    let end: i64 = topic.ends.iter().flatten().map(|ends| ends.last_stable).sum();
    let reading: Vec<Value> = browser
        .pipelines
        .iter()
        .zip(&sample.positions)
        .filter(|(reading, _)| reading.pipeline.source.topic == topic.listing.name)
        .map(|(reading, positions)| {
            let name = &reading.pipeline.name;
            match positions {
                Ok(positions) => {
                    let lag = (0..).zip(&topic.ends).filter_map(|(partition, ends)| {
                        let ends = ends.as_ref()?;
                        // A partition without a position is read from its first record on.
                        Some(
                            (ends.last_stable
                                - positions.get(&partition).copied().unwrap_or(ends.low))
                            .max(0),
                        )
                    });
                    json!({ "pipeline": name, "lag": lag.sum::<i64>(), "away": null })
                }
                Err(reason) => json!({ "pipeline": name, "lag": null, "away": reason }),
            }
        })
        .collect();
    json!({
        "name": topic.listing.name, "partitions": topic.listing.partitions, "records": records, "end": end,
        "records_per_second": topic.records_per_second, "pipelines": reading,
    })
}
