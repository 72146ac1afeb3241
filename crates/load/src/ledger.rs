//! `duto.batch`: what each transaction did, offset by offset.

use std::collections::HashMap;

use futures_util::future::join_all;
use futures_util::join;
use tokio_postgres::types::ToSql;

use super::failure::{Failure, Scope};
use super::session::LoadSession;
use super::target::Target;
use duto_stages::prepared::{OffsetRange, Outcome, Prepared};

/// The outcomes of one partition's records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    stored: i32,
    repeated: i32,
    rejected: i32,
    filtered: i32,
    not_stored: Vec<i64>,
    /// One letter for each of `not_stored`: `d` repeated, `r` rejected, `f` filtered.
    letters: String,
}

/// A row of the ledger: what a transaction did with one partition.
#[derive(Debug)]
pub struct LedgerRow {
    kind: &'static str,
    partition: i32,
    from: i64,
    to: i64,
    counts: Counts,
}

/// The ledger's rows of a load, one a partition.
pub fn of_load(batch: &Prepared, outcomes: &[Outcome]) -> Vec<LedgerRow> {
    let row = |range: &OffsetRange| LedgerRow {
        kind: "load",
        partition: range.partition,
        from: range.from,
        to: range.to,
        counts: count(batch, range.partition, outcomes),
    };
    batch.ranges.iter().map(row).collect()
}

/// The ledger's row of a replay of one partition's rejects: its range is that of their offsets.
pub fn of_replay(batch: &Prepared, outcomes: &[Outcome]) -> Vec<LedgerRow> {
    let offsets = || batch.batch.records.iter().map(|head| head.offset);
    let (Some(first), Some(from), Some(last)) =
        (batch.batch.records.first(), offsets().min(), offsets().max())
    else {
        return Vec::new();
    };
    vec![LedgerRow {
        kind: "replay",
        partition: first.partition,
        from,
        to: last + 1,
        counts: count(batch, first.partition, outcomes),
    }]
}

const INSERT: &str =
    "INSERT INTO duto.batch (pipeline, topic, partition, kind, from_offset, to_offset, records,
     stored, repeated, rejected, filtered,
     not_stored, outcomes, worker)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// Asks the constraints that a table's maker deferred to the end of the transaction.
pub(super) const CHECK_DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Writes the rows and commits, in one round trip. Deferred constraints are asked first: what they
/// refuse is a row's fault, which COMMIT would not tell from our own. SELECT fails in a transaction
/// that failed, where COMMIT alone would answer Ok and roll back.
pub async fn write_and_commit(session: LoadSession<'_>, rows: &[LedgerRow]) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let checked = on
        .within(async {
            let insert = &on.prepared(INSERT).await?;
            let inserts = rows.iter().map(|row| async move {
                let LedgerRow { kind, partition, from, to, counts } = row;
                let records = counts.stored + counts.repeated + counts.rejected + counts.filtered;
                let Counts { stored, repeated, rejected, filtered, not_stored, letters } = counts;
                let Target { pipeline, topic, worker, .. } = target;
                let values: [&(dyn ToSql + Sync); 14] = [
                    pipeline, topic, partition, kind, from, to, &records, stored, repeated,
                    rejected, filtered, not_stored, letters, worker,
                ];
                on.client.execute(insert, &values).await
            });
            // The first poll of each sends it, so they leave in this order.
            let (checked, inserted, committed) = join!(
                on.client.batch_execute(CHECK_DEFERRED),
                join_all(inserts),
                on.client.simple_query("SELECT 1; COMMIT")
            );
            if checked.is_ok() {
                inserted.into_iter().collect::<Result<Vec<u64>, _>>()?;
                committed?;
            }
            Ok(checked)
        })
        .await?;
    checked.map_err(|error| Failure::of(&error, Scope::Data))
}

/// The outcomes of a batch that turned out to be committed after its connection was lost.
pub async fn read_outcomes(
    session: LoadSession<'_>,
    batch: &Prepared,
) -> Result<Vec<Outcome>, Failure> {
    let LoadSession { on, target } = session;
    let statement = "SELECT not_stored, outcomes FROM duto.batch
         WHERE pipeline = $1 AND topic = $2 AND partition = $3 AND from_offset = $4
         AND to_offset = $5 AND kind = 'load' ORDER BY id DESC LIMIT 1";
    let mut outcomes = vec![Outcome::Stored; batch.batch.len()];
    for range in &batch.ranges {
        let row = on
            .within(on.client.query_opt(
                statement,
                &[&target.pipeline, &target.topic, &range.partition, &range.from, &range.to],
            ))
            .await?;
        let Some(row) = row else { continue };
        let (offsets, letters): (Vec<i64>, String) = (row.get(0), row.get(1));
        let known: HashMap<i64, char> = offsets.into_iter().zip(letters.chars()).collect();
        for (head, outcome) in batch
            .batch
            .records
            .iter()
            .zip(&mut outcomes)
            .filter(|(head, _)| head.partition == range.partition)
        {
            *outcome = match known.get(&head.offset) {
                None => Outcome::Stored,
                Some('r') => Outcome::Rejected,
                Some('f') => Outcome::Filtered,
                Some(_) => Outcome::Repeated,
            };
        }
    }
    Ok(outcomes)
}

fn count(batch: &Prepared, partition: i32, outcomes: &[Outcome]) -> Counts {
    let mut counts = Counts::default();
    for (head, outcome) in
        batch.batch.records.iter().zip(outcomes).filter(|(head, _)| head.partition == partition)
    {
        let (counter, letter) = match outcome {
            Outcome::Stored => {
                counts.stored += 1;
                continue;
            }
            Outcome::Repeated => (&mut counts.repeated, 'd'),
            Outcome::Rejected => (&mut counts.rejected, 'r'),
            Outcome::Filtered => (&mut counts.filtered, 'f'),
        };
        *counter += 1;
        counts.not_stored.push(head.offset);
        counts.letters.push(letter);
    }
    counts
}
