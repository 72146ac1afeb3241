//! `/metrics` in the OpenMetrics text format.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Served;
use crate::routes::Routes;
use duto_definition::Role;
use duto_runtime::progress::MOST_COUNTED;
use duto_runtime::progress::{Condition, Histogram, STAGES};
use duto_runtime::pull::pulls;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub fn routes() -> Routes<Arc<Served>> {
    Routes::new().get(Role::Read, "/metrics", metrics)
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    let database = Database::look(&served).await;
    let mut registry = Registry::with_prefix_and_labels(
        "duto",
        [("pipeline".into(), served.pipeline.name.clone().into())].into_iter(),
    );
    registry.register_collector(Box::new(Counts(served.clone())));
    registry.register_collector(Box::new(database));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(fmt::Error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n").into_response()
        }
    }
}

/// The worker's counters.
struct Counts(Arc<Served>);

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counts")
    }
}

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Served { progress, pipeline, .. } = self.0.as_ref();
        let (records, rejected) =
            (progress.records.load(Ordering::Relaxed), progress.rejected_total());
        counter(&mut encoder, "records", "Records whose batch is committed", records)?;
        counter(
            &mut encoder,
            "stored",
            "Records that are stored",
            progress.stored.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "repeated",
            "Records that were stored before",
            progress.repeated.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "filtered",
            "Records of which no row was made",
            progress.filtered.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "batches",
            "Committed transactions",
            progress.batches.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "read_bytes",
            "Bytes of committed records",
            progress.bytes.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "calls",
            "Calls that were made for `deliver:`",
            progress.calls.load(Ordering::Relaxed),
        )?;
        counter(
            &mut encoder,
            "calls_failed",
            "Calls that have to be made again",
            progress.calls_failed.load(Ordering::Relaxed),
        )?;
        let mut by_stage = encoder.encode_descriptor(
            "rejected",
            "Records that were rejected, by stage",
            None,
            MetricType::Counter,
        )?;
        for (stage, count) in STAGES.iter().zip(&progress.rejected) {
            by_stage
                .encode_family(&[("stage", stage.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(&count.load(Ordering::Relaxed), None)?;
        }
        let success = if records == 0 { 1.0 } else { 1.0 - rejected as f64 / records as f64 };
        gauge(
            &mut encoder,
            "success_ratio",
            "Share of records that were not rejected, since the start",
            success,
        )?;
        histogram(&mut encoder, "batch_records", "Records in a batch", &progress.batch_records)?;
        histogram(
            &mut encoder,
            "decode_seconds",
            "Decoding and checking a batch",
            &progress.decode_seconds,
        )?;
        histogram(
            &mut encoder,
            "transform_seconds",
            "Transforming and encoding a batch",
            &progress.transform_seconds,
        )?;
        histogram(
            &mut encoder,
            "commit_seconds",
            "Loading a batch, from BEGIN to the answer of COMMIT, retries included",
            &progress.commit_seconds,
        )?;
        let condition = progress.condition();
        let mut lag = encoder.encode_descriptor(
            "lag_records",
            "Last stable offset less the position",
            None,
            MetricType::Gauge,
        )?;
        for (partition, records) in &condition.lag {
            lag.encode_family(&[("partition", partition.to_string())])?.encode_gauge(records)?;
        }
        if pipeline.publishes() {
            published(&mut encoder, progress.published.load(Ordering::Relaxed), &condition)?;
        }
        if pulls(pipeline) {
            pulled(&mut encoder, &condition)?;
        }
        let connections = progress.load_connections.load(Ordering::Relaxed) as f64;
        gauge(
            &mut encoder,
            "load_connections",
            "Connections over which the partitions are spread at the moment",
            connections,
        )?;
        gauge(
            &mut encoder,
            "halted_partitions",
            "Partitions that wait for an operator",
            condition.halted.len() as f64,
        )?;
        gauge(
            &mut encoder,
            "paused_lanes",
            "Load connections that wait for an operator",
            condition.paused.len() as f64,
        )
    }
}

/// What the database says of itself, asked at each scrape.
#[derive(Debug)]
struct Database {
    up: bool,
    query_seconds: f64,
    connections: f64,
    size_bytes: f64,
    open_rejects: f64,
}

impl Database {
    async fn look(served: &Served) -> Self {
        let nothing = Self {
            up: false,
            query_seconds: 0.0,
            connections: 0.0,
            size_bytes: 0.0,
            open_rejects: 0.0,
        };
        let Ok(connection) = served.pool.get().await else { return nothing };
        let statement =
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'duto:%'
             AND datname = current_database()),
             pg_database_size(current_database()), (SELECT count(*) FROM duto.reject
             WHERE pipeline = $1 AND status = 'open')";
        let started = Instant::now();
        let asked = connection
            .within(connection.client.query_one(statement, &[&served.pipeline.name]))
            .await;
        let query_seconds = started.elapsed().as_secs_f64();
        let Ok(row) = asked else { return Self { up: true, query_seconds, ..nothing } };
        let number = |column: usize| row.get::<_, i64>(column) as f64;
        Self {
            up: true,
            query_seconds,
            connections: number(0),
            size_bytes: number(1),
            open_rejects: number(2),
        }
    }
}

impl Collector for Database {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        gauge(
            &mut encoder,
            "database_up",
            "Whether the database answers",
            f64::from(u8::from(self.up)),
        )?;
        gauge(
            &mut encoder,
            "database_query_seconds",
            "How long this scrape's own query took",
            self.query_seconds,
        )?;
        gauge(
            &mut encoder,
            "database_connections",
            "Connections of this program to the database, of all its processes",
            self.connections,
        )?;
        gauge(&mut encoder, "database_size_bytes", "Size of the database", self.size_bytes)?;
        gauge(
            &mut encoder,
            "open_rejects",
            "Rejects of the pipeline that are not resolved",
            self.open_rejects,
        )
    }
}

/// What came from endpoints that are read.
fn pulled(encoder: &mut DescriptorEncoder, condition: &Condition) -> fmt::Result {
    let mut records = encoder.encode_descriptor(
        "pulled",
        "Records that an endpoint gave",
        None,
        MetricType::Counter,
    )?;
    for (name, pull) in &condition.pulls {
        records
            .encode_family(&[("pull", name.as_str())])?
            .encode_counter::<NoLabelSet, _, u64>(&pull.records, None)?;
    }
    let help = "How long ago an endpoint's last answer was in the log";
    let mut age = encoder.encode_descriptor("pull_age_seconds", help, None, MetricType::Gauge)?;
    for (name, read_at) in
        condition.pulls.iter().filter_map(|(name, pull)| Some((name, pull.read_at?)))
    {
        age.encode_family(&[("pull", name.as_str())])?
            .encode_gauge(&read_at.elapsed().as_secs_f64())?;
    }
    let mut trouble = encoder.encode_descriptor(
        "pull_trouble",
        "Whether an endpoint cannot be read at the moment",
        None,
        MetricType::Gauge,
    )?;
    for (name, pull) in &condition.pulls {
        trouble
            .encode_family(&[("pull", name.as_str())])?
            .encode_gauge(&f64::from(u8::from(pull.trouble.is_some())))?;
    }
    Ok(())
}

/// What went out of the outbox, and what waits in it.
fn published(encoder: &mut DescriptorEncoder, sent: u64, condition: &Condition) -> fmt::Result {
    counter(encoder, "published", "Messages that were written to their topics", sent)?;
    let help =
        format!("Messages that wait to be published, counted up to {MOST_COUNTED} a partition");
    let mut rows =
        encoder.encode_descriptor("publish_waiting_rows", &help, None, MetricType::Gauge)?;
    for (partition, waiting) in &condition.publish_waiting {
        rows.encode_family(&[("partition", partition.to_string())])?.encode_gauge(&waiting.rows)?;
    }
    let help = "How long ago the oldest message that waits to be published was stored";
    let mut oldest =
        encoder.encode_descriptor("publish_oldest_seconds", help, None, MetricType::Gauge)?;
    for (partition, waiting) in &condition.publish_waiting {
        oldest
            .encode_family(&[("partition", partition.to_string())])?
            .encode_gauge(&waiting.oldest_seconds)?;
    }
    gauge(
        encoder,
        "publish_trouble_partitions",
        "Partitions whose messages cannot be published at the moment",
        condition.publish_trouble.len() as f64,
    )
}

fn counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> fmt::Result {
    encoder
        .encode_descriptor(name, help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: f64) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn histogram(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    histogram: &Histogram,
) -> fmt::Result {
    let (mut buckets, sum) = histogram.read();
    let count = buckets.iter().map(|(_, count)| count).sum();
    if let Some(last) = buckets.last_mut() {
        last.0 = f64::INFINITY;
    }
    encoder
        .encode_descriptor(name, help, None, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
