//! Counts the rows that were there before their rollup, while the load goes on. Sums enter a shard
//! of their own, all at once; distinct values come in short transactions, so that no load waits
//! long for one of them. After a crash everything is made anew.

use tokio_postgres::types::ToSql;

use super::connect::{Connection, Connector};
use super::failure::{Failure, Scope};
use super::register::Fill;
use super::rollups::{FILLED_SETS_SHARD, RollupTarget, SetTarget};

/// Values of one short transaction.
const VALUES_AT_A_TIME: usize = 5_000;
/// A deadlock with a load is tried again so often.
const TRIES: u32 = 20;

/// Fills the rollups and says when they are ready. What fails leaves them unfilled, for the next
/// start.
pub async fn run(by: &Connector, pipeline: &str, fill: Fill) -> Result<(), Failure> {
    let Fill { rollups, snapshot } = fill;
    let writer = by.connect().await?;
    for rollup in &rollups {
        for set in &rollup.sets {
            fill_set(&snapshot, &writer, set).await?;
        }
        sent(snapshot.client.batch_execute(&rollup.fill).await)?;
    }
    sent(snapshot.client.batch_execute("COMMIT").await)?;
    // The snapshot is older than the rollups' own rows, so it cannot change them. A crash in
    // between leaves the rollup to be made anew.
    for rollup in &rollups {
        let ready = "UPDATE duto.rollup SET state = 'ready', filled_at = clock_timestamp()
            WHERE pipeline = $1 AND name = $2 AND definition = $3";
        let values: [&(dyn ToSql + Sync); 3] = [&pipeline, &rollup.name, &rollup.definition];
        writer.within(writer.client.execute(ready, &values)).await?;
    }
    let names: Vec<&str> =
        rollups.iter().map(|rollup: &RollupTarget| rollup.name.as_str()).collect();
    tracing::info!(pipeline, rollups = names.join(", "), "rows that were there before are counted");
    Ok(())
}

/// Without the client's patience: a large table takes its time.
fn sent<T>(answer: Result<T, tokio_postgres::Error>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::of(&error, Scope::Own))
}

async fn fill_set(
    snapshot: &Connection,
    writer: &Connection,
    set: &SetTarget,
) -> Result<(), Failure> {
    sent(
        snapshot
            .client
            .batch_execute(&format!("DECLARE duto_fill NO SCROLL CURSOR FOR {}", set.select))
            .await,
    )?;
    loop {
        let rows = sent(
            snapshot.client.query(&format!("FETCH {VALUES_AT_A_TIME} FROM duto_fill"), &[]).await,
        )?;
        let Some(first) = rows.first() else { break };
        let columns: Vec<Vec<Option<String>>> = (0..first.len())
            .map(|column| rows.iter().map(|row| row.get(column)).collect())
            .collect();
        insert(writer, set, &columns).await?;
    }
    sent(snapshot.client.batch_execute("CLOSE duto_fill").await)
}

async fn insert(
    writer: &Connection,
    set: &SetTarget,
    columns: &[Vec<Option<String>>],
) -> Result<(), Failure> {
    let values: Vec<&(dyn ToSql + Sync)> =
        std::iter::once(&FILLED_SETS_SHARD as &(dyn ToSql + Sync))
            .chain(columns.iter().map(|column| column as &(dyn ToSql + Sync)))
            .collect();
    let mut tries = 0;
    loop {
        let attempt = writer
            .within(async {
                writer.client.execute(&writer.prepared(&set.insert).await?, &values).await
            })
            .await;
        match attempt {
            Err(Failure::Again(_) | Failure::Slow(_) | Failure::Locked(_)) if tries < TRIES => {
                tries += 1
            }
            other => return other.map(|_| ()),
        }
    }
}
