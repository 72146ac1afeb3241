//! `duto status FILE`: a row a partition.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::pipeline_file::{LogArgs, load, open_log};
use super::{exit_code, table};
use duto_definition::Pipeline;
use duto_load::connect::{Connection, Connector};
use duto_log::Log;
use duto_runtime::progress::{MOST_COUNTED, Waiting};
use duto_runtime::publish::mark::Mark;
use duto_runtime::publish::outbox::{self, Position};
use duto_runtime::publish::relay::journal_name;

const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// Over which the rate is counted.
const RATE_SECONDS: f64 = 10.0;

/// Shows how far each partition is.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub log: LogArgs,
}

/// One partition. What is not known is None: no position yet, or no answer of the log.
struct PartitionStatus {
    partition: i32,
    position: Option<i64>,
    end: Option<i64>,
    records_per_second: f64,
    open_rejects: i64,
    updated_seconds_ago: Option<f64>,
    /// What waits in the outbox; None where the pipeline publishes nothing.
    waiting: Option<Waiting>,
}

impl PartitionStatus {
    fn lag(&self) -> Option<i64> {
        // The position is asked for after the end, and may have passed it.
        Some((self.end? - self.position.unwrap_or(0)).max(0))
    }
}

pub async fn run(args: StatusArgs) -> anyhow::Result<i32> {
    let loaded = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let pipeline = &loaded.pipeline;
    let log = open_log(pipeline, &args.log)?;
    let ends = tokio::task::block_in_place(|| {
        let topic = log.topic(&pipeline.source.topic, LOG_TIMEOUT)?;
        let end = |partition| {
            Ok((
                partition,
                log.watermarks(&pipeline.source.topic, partition, LOG_TIMEOUT)?.last_stable,
            ))
        };
        (0..topic.map_or(0, |topic| topic.partitions))
            .map(end)
            .collect::<Result<BTreeMap<i32, i64>, duto_log::LogError>>()
    })?;
    let connector = Connector::new(&pipeline.database, "status")?;
    let connection = connector.connect().await?;
    let mut partitions = read(&connection, pipeline, &ends).await?;
    if pipeline.publishes() {
        for status in partitions.iter_mut().filter(|status| status.position.is_some()) {
            status.waiting =
                Some(waiting(&connection, pipeline, log.as_ref(), status.partition).await?);
        }
    }
    if args.json {
        println!("{}", as_json(pipeline, &partitions));
    } else {
        print!("{}", as_table(&partitions));
    }
    Ok(exit_code::FINE)
}

async fn read(
    on: &Connection,
    pipeline: &Pipeline,
    ends: &BTreeMap<i32, i64>,
) -> anyhow::Result<Vec<PartitionStatus>> {
    let has_schema: bool = on
        .within(on.client.query_one("SELECT to_regclass('duto.position') IS NOT NULL", &[]))
        .await?
        .get(0);
    let mut found: BTreeMap<i32, PartitionStatus> = ends
        .iter()
        .map(|(partition, end)| {
            let partition = *partition;
            (
                partition,
                PartitionStatus {
                    partition,
                    position: None,
                    end: Some(*end),
                    records_per_second: 0.0,
                    open_rejects: 0,
                    updated_seconds_ago: None,
                    waiting: None,
                },
            )
        })
        .collect();
    if !has_schema {
        return Ok(found.into_values().collect());
    }
    let statement = "SELECT p.partition, p.next, extract(epoch FROM now() - p.updated_at)::float8,
             (SELECT coalesce(sum(b.records), 0)::bigint FROM duto.batch b
             WHERE b.pipeline = p.pipeline AND b.topic = p.topic AND b.partition = p.partition
                AND b.kind = 'load' AND b.committed_at > now() - make_interval(secs => $3)),
             (SELECT count(*) FROM duto.reject r WHERE r.pipeline = p.pipeline AND r.topic = p.topic
             AND r.partition = p.partition AND r.status = 'open')
         FROM duto.position p WHERE p.pipeline = $1 AND p.topic = $2";
    for row in on
        .within(
            on.client.query(statement, &[&pipeline.name, &pipeline.source.topic, &RATE_SECONDS]),
        )
        .await?
    {
        let partition = row.get(0);
        let status = PartitionStatus {
            partition,
            position: Some(row.get(1)),
            end: ends.get(&partition).copied(),
            records_per_second: row.get::<_, i64>(3) as f64 / RATE_SECONDS,
            open_rejects: row.get(4),
            updated_seconds_ago: Some(row.get(2)),
            waiting: None,
        };
        found.insert(partition, status);
    }
    Ok(found.into_values().collect())
}

/// How far the relay is stands in the log.
async fn waiting(
    on: &Connection,
    pipeline: &Pipeline,
    log: &dyn Log,
    partition: i32,
) -> anyhow::Result<Waiting> {
    let position = Position {
        pipeline: pipeline.name.clone(),
        topic: pipeline.source.topic.clone(),
        partition,
    };
    let name = journal_name(outbox::database_id(on).await?, &position);
    let note = tokio::task::block_in_place(|| log.journal_note(&name, LOG_TIMEOUT))?;
    Ok(outbox::waiting(on, &position, note.as_deref().and_then(Mark::from_note)).await?)
}

fn as_table(partitions: &[PartitionStatus]) -> String {
    let number =
        |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let publishes = partitions.iter().any(|status| status.waiting.is_some());
    let rows: Vec<Vec<String>> = partitions
        .iter()
        .map(|status| {
            let mut cells = vec![
                status.partition.to_string(),
                number(status.position),
                number(status.end),
                number(status.lag()),
                format!("{:.0}/s", status.records_per_second),
                status.open_rejects.to_string(),
                status
                    .updated_seconds_ago
                    .map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s ago")),
            ];
            if publishes {
                cells.push(status.waiting.map_or_else(|| "-".to_owned(), as_text));
            }
            cells
        })
        .collect();
    let mut heads = vec!["partition", "position", "end", "lag", "rate", "rejects", "last commit"];
    if publishes {
        heads.push("to publish");
    }
    table::align(&heads, &rows)
}

fn as_text(waiting: Waiting) -> String {
    match waiting.rows {
        0 => "0".to_owned(),
        rows => format!(
            "{rows}{}, for {:.0} s",
            if rows >= MOST_COUNTED { "+" } else { "" },
            waiting.oldest_seconds
        ),
    }
}

fn as_json(pipeline: &Pipeline, partitions: &[PartitionStatus]) -> serde_json::Value {
    let partitions: Vec<_> = partitions
        .iter()
        .map(|status| {
            let mut partition = json!({
                "partition": status.partition, "position": status.position, "end": status.end, "lag": status.lag(),
                "records_per_second": status.records_per_second, "open_rejects": status.open_rejects, "updated_seconds_ago": status.updated_seconds_ago,
            });
            if let Some(waiting) = status.waiting {
                partition["to_publish"] = json!({"messages": waiting.rows, "oldest_seconds": waiting.oldest_seconds});
            }
            partition
        })
        .collect();
    json!({"pipeline": pipeline.name, "topic": pipeline.source.topic, "partitions": partitions})
}
