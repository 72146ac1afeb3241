//! The exactly-once transaction: position, rows, rejects and ledger change together, or not at all.

use std::collections::HashMap;

use futures_util::join;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connect::Connection;
use super::failure::Failure;
use super::position::{ADVANCE, Moves};
use super::rejects::KnownRejects;
use super::rows::{self, Path, StoredRows};
use super::session::LoadSession;
use super::target::Target;
use super::{answers, ledger, outbox, rejects, rollups};
use duto_stages::prepared::{Outcome, Prepared};
use duto_stages::rollup::Rollups;

/// What a committed batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One a record of the batch.
    pub outcomes: Vec<Outcome>,
    pub stored: StoredRows,
}

/// Loads one batch. The fence is compared and the position moved first, in the same transaction as
/// everything that follows, so that a worker that lost its partitions writes nothing. After
/// [`Failure::Lost`] the outcome is unknown: ask [`resolve`](super::position::resolve). After any
/// other failure nothing was written and the connection is ready for the next transaction.
pub async fn load(
    on: &mut Connection,
    target: &Target,
    counters: &Rollups,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
    paths: &[Path],
) -> Result<Committed, Failure> {
    let on: &Connection = on;
    let session = LoadSession::new(on, target);
    let attempt = async {
        let known = begin_at_position(session, batch, fences).await?;
        known.are_left_out_of(batch)?;
        answers::write(session, batch).await?;
        let stored = rows::write(session, batch, paths).await?;
        let outcomes = batch.outcomes_of(&stored);
        rollups::write(session, counters, batch, &stored).await?;
        rejects::write(session, batch).await?;
        rejects::close_passed(on, &known.open, batch, &outcomes).await?;
        outbox::write(session, batch, &stored).await?;
        ledger::write_and_commit(session, &ledger::of_load(batch, &outcomes)).await?;
        Ok(Committed { outcomes, stored })
    };
    let result = attempt.await;
    match &result {
        Err(Failure::Lost(_)) | Ok(_) => result,
        Err(_) => on.within(on.client.batch_execute("ROLLBACK")).await.and(result),
    }
}

/// BEGIN, then every position forward if it is where we left it and still ours. One round trip: the
/// move is sent behind BEGIN without waiting for it, and does nothing where BEGIN was cancelled and
/// did not set `duto.batch`. COMMIT is never sent before its row count is in.
async fn begin_at_position(
    session: LoadSession<'_>,
    batch: &Prepared,
    fences: &HashMap<i32, Uuid>,
) -> Result<KnownRejects, Failure> {
    let LoadSession { on, target } = session;
    let moves = Moves::new(&batch.ranges, fences)?;
    let mark = Uuid::new_v4().to_string();
    let begin = format!("{} SET LOCAL duto.batch = '{mark}'", target.begin);
    let advance = format!("{ADVANCE} AND current_setting('duto.batch', true) = $8");
    let Target { pipeline, topic, cluster_id, topic_id, .. } = target;
    let select_values: [&(dyn ToSql + Sync); 7] =
        [pipeline, cluster_id, topic, topic_id, &moves.partitions, &moves.lows, &moves.highs];
    let advance_values = [&moves.values(target)[..], &[&mark]].concat();
    let (moved, known) = on
        .within(async {
            let (advance, select_known) =
                (on.prepared(&advance).await?, on.prepared(rejects::SELECT_KNOWN).await?);
            // The first poll of each sends it, so they leave in this order.
            let (begun, moved, known) = join!(
                on.client.batch_execute(&begin),
                on.client.execute(&advance, &advance_values),
                on.client.query(&select_known, &select_values)
            );
            begun?;
            Ok((moved?, known?))
        })
        .await
        .map_err(|failure| match failure {
            // REPEATABLE READ as the database's default answers so where READ COMMITTED answers no
            // row.
            Failure::Serialization(_) => Failure::Fenced,
            other => other,
        })?;
    if moved == batch.ranges.len() as u64 {
        Ok(KnownRejects::read(&known))
    } else {
        Err(Failure::Fenced)
    }
}
