//! What is kept costs a prune nothing: it looks at the oldest rows, and deletes from below.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use duto_definition::Pipeline;
use duto_load::connect::Connector;
use duto_load::prune;
use duto_runtime::publish::mark::Mark;
use duto_runtime::publish::outbox::{self, Position};
use duto_tests::small::Small;
use duto_tests::verify::connect;
use uuid::Uuid;

/// Rows that are kept, and how many of them a prune may read.
const KEPT: i64 = 100_000;
const MOST_READ: i64 = 30_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const EVENTS: &str = "
record:
  id: BIGINT
tables:
  events:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record
";

async fn stage(purpose: &str) -> Result<(Small, Pipeline, Connector)> {
    let small = Small::create(purpose, EVENTS, "").await?;
    small.send([r#"{"id": 1}"#])?;
    small.load()?;
    let value = |name: &str| {
        small
            .pipeline
            .environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let text = std::fs::read_to_string(&small.pipeline.file)?;
    let pipeline = duto_definition::parse("small.yaml", &text, &value)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let connector = Connector::new(&pipeline.database, "prune")?;
    Ok((small, pipeline, connector))
}

/// Rows of a table that were read so far, by whomever. Sessions tell it when they end.
async fn rows_read(small: &Small, table: &str) -> Result<i64> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let url = small.pipeline.database_url();
    let statement = "SELECT (seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i
         WHERE i.relid = t.relid))::bigint
         FROM pg_stat_user_tables t WHERE schemaname = 'duto' AND relname = $1";
    Ok(connect(&url).await?.query_one(statement, &[&table]).await?.get(0))
}

fn ledger(partition: i32, offsets: std::ops::Range<i64>, age: &str) -> String {
    format!(
        "INSERT INTO duto.batch (pipeline, topic, partition, kind, from_offset, to_offset, records,
             stored, repeated, rejected, filtered,
             not_stored, outcomes, worker, committed_at)
         SELECT pipeline, topic, {partition}, 'load', o, o + 1, 1, 1, 0, 0, 0, '{{}}', '', 'test',
             now() - interval '{age}'
         FROM (SELECT pipeline, topic FROM duto.batch ORDER BY id
             LIMIT 1) AS known, generate_series({}, {}) AS o ORDER BY o",
        offsets.start,
        offsets.end - 1
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_pruned_from_below() -> Result<()> {
    let (small, mut pipeline, connector) = stage("prune-ledger").await?;
    pipeline.database.keep_ledger = 30 * DAY;
    // Old ranges, young ones, and a partition of which nothing is young: its last range stays.
    for rows in [
        ledger(0, 1..12_001, "40 days"),
        ledger(0, 12_001..12_001 + KEPT, "1 day"),
        ledger(1, 0..7_000, "40 days"),
    ] {
        small.client.batch_execute(&rows).await?;
    }
    let go_on = AtomicBool::new(false);
    let pruned = prune::prune(&connector, &pipeline, &go_on).await?;
    ensure!(pruned == 12_000 + 6_999, "{pruned} rows were pruned");
    small
        .expect(
            "SELECT partition, count(*), min(from_offset) FROM duto.batch GROUP BY 1 ORDER BY 1",
            &["0 100001 0", "1 1 6999"],
        )
        .await?;
    let before = rows_read(&small, "batch").await?;
    ensure!(prune::prune(&connector, &pipeline, &go_on).await? == 0);
    let read = rows_read(&small, "batch").await? - before;
    ensure!(read < MOST_READ, "{read} rows were read to prune nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_pruned_from_below() -> Result<()> {
    let (small, _, connector) = stage("prune-outbox").await?;
    let position =
        Position { pipeline: "small".to_owned(), topic: "topic".to_owned(), partition: 0 };
    let token = Uuid::new_v4();
    for (rows, age) in [(2_500, "2 days"), (KEPT, "1 hour")] {
        let statement = format!(
            "INSERT INTO duto.outbox (pipeline, topic, partition, target, value, message_id, token,
             written_at)
             SELECT 'small', 'topic', 0, 'target', 'x', gen_random_uuid(), $1, now() - interval
             '{age}' FROM generate_series(1, $2::bigint)"
        );
        small.client.execute(&statement, &[&token, &rows]).await?;
    }
    let last: i64 = small.client.query_one("SELECT max(id) FROM duto.outbox", &[]).await?.get(0);
    let sent = Mark { id: last, token };
    let on = connector.connect().await?;
    let mut pruned = Vec::new();
    while pruned.last() != Some(&0) {
        pruned.push(outbox::prune(&on, &position, sent, DAY).await?);
    }
    ensure!(pruned.iter().sum::<u64>() == 2_500, "{pruned:?}");
    drop(on);
    let before = rows_read(&small, "outbox").await?;
    let on = connector.connect().await?;
    ensure!(outbox::prune(&on, &position, sent, DAY).await? == 0);
    drop(on);
    let read = rows_read(&small, "outbox").await? - before;
    ensure!(read < MOST_READ, "{read} rows were read to prune nothing");
    Ok(())
}
