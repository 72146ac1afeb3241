//! Finds the records whose rows PostgreSQL refuses. Only they become rejects; their neighbours are
//! stored.
//!
//! The records are tried in pieces, in their order, inside a transaction that is rolled back
//! whatever comes: a piece that passes stays for those that follow, one that is refused is made
//! smaller until the record is alone. A piece is about as long as the stretch between two refused
//! records was so far, so that the number of rows that are written grows with the batch, however
//! many of them are refused.

use std::time::{Duration, Instant};

use futures_util::join;

use super::failure::{Blame, Failure, Refusal, Scope};
use super::ledger::CHECK_DEFERRED;
use super::rows::StoredRows;
use super::session::LoadSession;
use super::{rollups, rows};
use duto_ground::index::RecordIndex;
use duto_ground::quoting::quote;
use duto_ground::reject::{Reject, Stage};
use duto_stages::prepared::Prepared;
use duto_stages::rollup::Rollups;

/// So many records behind the batch are tried where none of the batch says whether a row or the
/// table is at fault.
pub const MOST_NEIGHBOURS: usize = 200;
/// Shorter stretches between refused records than this are not worth a piece of several records.
const SHORTEST_PIECE: usize = 4;
/// A search that lasts says how far it is this often.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// What becomes of a row that was refused by a code that does not tell, where its table takes no
/// other row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The load pauses.
    Waits,
    /// The load pauses if the table refuses another row too, here or behind the batch. A row that
    /// stood alone for long is a reject, or it would hold up all others until its table gets a row
    /// again.
    WaitsForOthers,
    /// It is a reject: rejects that come again stay what they are.
    Rejects,
}

/// Where a batch was refused.
pub struct Search<'a> {
    pub session: LoadSession<'a>,
    pub counters: &'a Rollups,
    /// What becomes of a row of which nobody can tell whether it or its table is at fault.
    pub doubt: Doubt,
    /// Records that come behind the batch, if there are any.
    pub neighbours: &'a (dyn Fn() -> Option<Prepared> + Send + Sync),
}

/// What a search found.
#[derive(Default)]
struct Found {
    /// The tables that refused rows behind the batch too.
    refused_behind: Vec<Option<usize>>,
    /// In the order of the records.
    refused: Vec<(RecordIndex, Refusal)>,
    /// For each table, whether it took a row.
    took: Vec<bool>,
}

impl Search<'_> {
    /// Returns the rejects, one a record, in the records' order. Without any everything passes by
    /// the way that always works: a shortcut failed, or what was in the way is gone.
    /// [`Failure::Pause`] where no record is at fault.
    pub async fn find(&self, batch: &Prepared) -> Result<Vec<Reject>, Failure> {
        let LoadSession { on, target } = self.session;
        on.within(on.client.batch_execute(&target.begin)).await?;
        let found = self.search(batch).await;
        match found {
            Err(Failure::Lost(reason)) => return Err(Failure::Lost(reason)),
            _ => on.within(on.client.batch_execute("ROLLBACK")).await?,
        }
        let refused = found?.refused;
        let alike = |one: &Refusal, other: &Refusal| {
            (&one.sqlstate, &one.table, &one.column, &one.constraint)
                == (&other.sqlstate, &other.table, &other.column, &other.constraint)
        };
        let mut asked: Vec<&Refusal> = Vec::new();
        for (_, refusal) in &refused {
            if !asked.iter().any(|other| alike(refusal, other)) {
                owned_by_data(self.session, refusal).await?;
                asked.push(refusal);
            }
        }
        Ok(refused.into_iter().map(|(record, refusal)| reject(record, refusal)).collect())
    }

    async fn search(&self, batch: &Prepared) -> Result<Found, Failure> {
        let mut probe = Probe::begin(self, None).await?;
        let mut found = probe.try_all(batch).await?;
        if found.refused.is_empty() && !self.session.target.rollups.rollups.is_empty() {
            // What the tables take the counters may refuse.
            probe = Probe::begin(self, Some(self.counters)).await?;
            found = probe.try_all(batch).await?;
        }
        if self.doubt != Doubt::Rejects
            && found.first_unjudged().is_some()
            && let Some(neighbours) = (self.neighbours)()
        {
            for record in neighbours.writing_records().into_iter().take(MOST_NEIGHBOURS) {
                if found.first_unjudged().is_none() {
                    break;
                }
                match probe.write(&neighbours, &[record]).await {
                    Ok(took) => found.add(took),
                    Err(Failure::Poison(refusal)) => found.refused_behind.push(refusal.into),
                    Err(failure) => return Err(failure),
                }
            }
        }
        let waits = |refusal: &&Refusal| match self.doubt {
            Doubt::Waits => true,
            Doubt::WaitsForOthers => !found.is_alone(refusal),
            Doubt::Rejects => false,
        };
        match found.first_unjudged().filter(waits) {
            None => Ok(found),
            Some(refusal) => Err(Failure::Pause(format!(
                "{}; no other row passes, so the record is not at fault",
                refusal.said()
            ))),
        }
    }
}

impl Found {
    fn add(&mut self, took: Vec<bool>) {
        self.took.resize(took.len(), false);
        self.took.iter_mut().zip(took).for_each(|(known, new)| *known |= new);
    }

    /// A refusal of which nobody knows whether the row is at fault: its table took no other row.
    fn first_unjudged(&self) -> Option<&Refusal> {
        let judged = |refusal: &Refusal| match (refusal.blame, refusal.into) {
            (Blame::Row, _) => true,
            (Blame::ByNeighbours, Some(table)) => self.took.get(table).copied().unwrap_or(false),
            (Blame::ByNeighbours, None) => self.took.contains(&true),
        };
        self.refused.iter().map(|(_, refusal)| refusal).find(|refusal| !judged(refusal))
    }

    /// Whether no other row of its table was refused.
    fn is_alone(&self, refusal: &Refusal) -> bool {
        let others = self
            .refused
            .iter()
            .map(|(_, other)| other.into)
            .chain(self.refused_behind.iter().copied());
        others.filter(|into| *into == refusal.into).count() == 1
    }

    /// The length of a piece that is likely to pass: the records looked at by those refused.
    fn piece(&self, looked_at: usize) -> usize {
        match looked_at.checked_div(self.refused.len()) {
            None => usize::MAX,
            Some(stretch) if stretch < SHORTEST_PIECE => 1,
            Some(stretch) => stretch,
        }
    }
}

/// A transaction in which rows are tried.
struct Probe<'a> {
    search: &'a Search<'a>,
    counters: Option<&'a Rollups>,
    /// Puts the constraints back as the tables' makers want them at the beginning of a transaction;
    /// None where none can be deferred.
    defer_again: Option<String>,
    /// Sent before the next piece: the end of the one before.
    ending: String,
}

impl<'a> Probe<'a> {
    async fn begin(search: &'a Search<'a>, counters: Option<&'a Rollups>) -> Result<Self, Failure> {
        let statement = "SELECT format('%I.%I', n.nspname, c.conname), c.condeferred
             FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
             WHERE c.condeferrable AND has_schema_privilege(n.oid, 'USAGE')";
        let on = search.session.on;
        let deferrable = on.within(on.client.query(statement, &[])).await?;
        let immediate: Vec<String> =
            deferrable.iter().filter(|row| !row.get::<_, bool>(1)).map(|row| row.get(0)).collect();
        let defer_again = match (deferrable.is_empty(), immediate.is_empty()) {
            (true, _) => None,
            (false, true) => Some("; SET CONSTRAINTS ALL DEFERRED".to_owned()),
            (false, false) => Some(format!(
                "; SET CONSTRAINTS ALL DEFERRED; SET CONSTRAINTS {} IMMEDIATE",
                immediate.join(", ")
            )),
        };
        Ok(Self { search, counters, defer_again, ending: String::new() })
    }

    /// Tries all records of a batch.
    async fn try_all(&mut self, batch: &Prepared) -> Result<Found, Failure> {
        let records = batch.writing_records();
        let mut found = Found::default();
        let (mut at, mut length) = (0, records.len());
        let (mut told_at, pipeline) = (Instant::now(), &self.search.session.target.pipeline);
        while at < records.len() {
            let piece = &records[at..records.len().min(at + length)];
            match self.write(batch, piece).await {
                Ok(took) => {
                    found.add(took);
                    at += piece.len();
                    length = piece.len().saturating_mul(2).min(found.piece(at));
                }
                Err(Failure::Poison(refusal)) if piece.len() == 1 => {
                    found.refused.push((piece[0], *refusal));
                    at += 1;
                    length = found.piece(at);
                }
                Err(Failure::Poison(_)) => length = (piece.len() / 2).min(found.piece(at)).max(1),
                Err(failure) => return Err(failure),
            }
            if told_at.elapsed() > TOLD_EVERY {
                told_at = Instant::now();
                let (records, refused) = (records.len(), found.refused.len());
                tracing::info!(
                    pipeline,
                    records,
                    looked_at = at,
                    refused,
                    "looking for the records that PostgreSQL refuses"
                );
            }
        }
        Ok(found)
    }

    /// Writes what these records, which stand together, write. Their rows stay for the pieces that
    /// follow, if all of them pass; then for each table whether it took one is returned.
    async fn write(
        &mut self,
        batch: &Prepared,
        records: &[RecordIndex],
    ) -> Result<Vec<bool>, Failure> {
        let on = self.search.session.on;
        let begin = format!("{}SAVEPOINT duto_probe", std::mem::take(&mut self.ending));
        // The first poll of each sends it, so they leave in this order.
        let (begun, written) =
            join!(on.within(on.client.batch_execute(&begin)), self.write_rows(batch, records));
        begun?;
        match written {
            Ok(took) => {
                self.ending = "RELEASE SAVEPOINT duto_probe; ".to_owned();
                Ok(took)
            }
            Err(Failure::Lost(reason)) => Err(Failure::Lost(reason)),
            Err(failure) => {
                self.ending =
                    "ROLLBACK TO SAVEPOINT duto_probe; RELEASE SAVEPOINT duto_probe; ".to_owned();
                Err(failure)
            }
        }
    }

    async fn write_rows(
        &self,
        batch: &Prepared,
        records: &[RecordIndex],
    ) -> Result<Vec<bool>, Failure> {
        let session = self.search.session;
        let LoadSession { on, target } = session;
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(Vec::new());
        };
        let mut stored: StoredRows = Vec::with_capacity(batch.tables.len());
        for (index, (table, rows)) in target.tables.iter().zip(&batch.tables).enumerate() {
            let chosen = match stored.first() {
                Some(in_first) if target.has_once => {
                    rows.rows_of_range(*first..=*last, batch.admitted_by(in_first))
                }
                _ => rows.rows_of_range(*first..=*last, |_| true),
            };
            if chosen.is_empty() {
                stored.push(chosen);
                continue;
            }
            let sent = chosen.len();
            stored.push(
                rows::store(on, table, rows, chosen)
                    .await
                    .map_err(|failure| rows::into_table(failure, index))?,
            );
            rows::clear_stage(on, table, rows, sent).await?;
        }
        if let Some(defer_again) = &self.defer_again {
            on.within_scope(
                Scope::Data,
                on.client.batch_execute(&format!("{CHECK_DEFERRED}{defer_again}")),
            )
            .await?;
        }
        if let Some(counters) = self.counters {
            rollups::write(session, counters, batch, &stored).await?;
        }
        Ok(stored.iter().map(|rows| !rows.is_empty()).collect())
    }
}

/// 23502 and 23505 are the data's only if every column of the constraint is declared, and none that
/// the rows leave to the database is fed by a sequence: a sequence behind its table, or what a
/// trigger does to the operator's own columns or tables, would otherwise reject every record.
async fn owned_by_data(session: LoadSession<'_>, refusal: &Refusal) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let Some(table) = &refusal.table else { return Ok(()) };
    let relation = match &refusal.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(table)),
        None => quote(table),
    };
    let columns: Vec<String> =
        match (refusal.sqlstate.as_deref(), &refusal.constraint, &refusal.column) {
            (Some("23505"), Some(constraint), _) => {
                let statement =
                    "SELECT a.attname::text FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
                 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY(x.indkey)
                 WHERE i.relname = $1 AND x.indrelid = to_regclass($2)";
                on.within(on.client.query(statement, &[constraint, &relation]))
                    .await?
                    .iter()
                    .map(|row| row.get(0))
                    .collect()
            }
            (Some("23502"), _, Some(column)) => vec![column.clone()],
            _ => return Ok(()),
        };
    // Of a partitioned table the error names the partition, the pipeline the whole.
    let statement = "SELECT coalesce((SELECT relname::text FROM pg_class
         WHERE oid = pg_partition_root(to_regclass($1))), $2),
         ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1)
         AND attname = ANY($3)
            AND (attidentity <> '' OR pg_get_serial_sequence($1, attname) IS NOT NULL))";
    let row = on.within(on.client.query_one(statement, &[&relation, table, &columns])).await?;
    let (table, fed_by_sequence): (String, Vec<String>) = (row.get(0), row.get(1));
    let table = whole_of_chunk(session, table).await?;
    let known = target.tables.iter().find(|known| known.name == table);
    let (declared, written) =
        known.map_or((&[][..], &[][..]), |known| (&known.declared, &known.written));
    if fed_by_sequence.iter().any(|column| !written.contains(column)) {
        return Err(Failure::Pause(format!(
            "{}: the column is fed by a sequence, which is behind its table: set it forward with \
                setval",
            refusal.reason
        )));
    }
    match columns.iter().find(|column| !declared.contains(column)) {
        None => Ok(()),
        Some(column) => Err(Failure::Pause(format!(
            "{}: column {column} of table {table} is not declared in the pipeline file, so the \
                record is not at fault",
            refusal.reason
        ))),
    }
}

/// Of a hypertable the error names a chunk.
async fn whole_of_chunk(session: LoadSession<'_>, table: String) -> Result<String, Failure> {
    let LoadSession { on, target } = session;
    let has_chunks = "SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL";
    if target.tables.iter().any(|known| known.name == table)
        || !on.within(on.client.query_one(has_chunks, &[])).await?.get::<_, bool>(0)
    {
        return Ok(table);
    }
    let statement = "SELECT hypertable_name::text FROM timescaledb_information.chunks
        WHERE chunk_name = $1::text::name";
    Ok(on.within(on.client.query_opt(statement, &[&table])).await?.map_or(table, |row| row.get(0)))
}

fn reject(record: RecordIndex, refusal: Refusal) -> Reject {
    let rule = refusal.constraint.or_else(|| refusal.sqlstate.clone());
    Reject {
        record,
        stage: Stage::Load,
        path: refusal.column.unwrap_or_default(),
        rule: rule.unwrap_or_else(|| "swallowed".to_owned()),
        reason: refusal.reason,
        sqlstate: refusal.sqlstate,
    }
}
