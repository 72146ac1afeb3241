//! Reads the positions, by which the commits of other processes are known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;

use duto_definition::Pipeline;
use duto_ground::changes::{Changes, LOOK_INTERVAL, OTHER_SOURCES};
use duto_load::pool::Pool;

/// Reads them while somebody looks, until the stop.
pub async fn watch(changes: Arc<Changes>, pool: Pool, pipeline: Pipeline, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        if changes.wanted() {
            look(&changes, &pool, &pipeline).await;
        }
    }
}

/// Reads them once. Where the database is away, nothing is learned.
pub async fn look(changes: &Changes, pool: &Pool, pipeline: &Pipeline) {
    let statement = "SELECT partition, next, updated_at FROM duto.position WHERE pipeline = $1
         AND topic = $2
         UNION ALL SELECT $3, sum(next)::bigint, max(updated_at) FROM duto.position
         WHERE pipeline = $1 AND topic <> $2 HAVING count(*) > 0";
    let Ok(connection) = pool.get().await else { return };
    let values: [&(dyn ToSql + Sync); 3] = [&pipeline.name, &pipeline.source.topic, &OTHER_SOURCES];
    let Ok(rows) = connection.within(connection.client.query(statement, &values)).await else {
        return;
    };
    let found: BTreeMap<i32, (i64, SystemTime)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    changes.learn(found);
}
