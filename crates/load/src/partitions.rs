//! Pieces of a partitioned table, made ahead of the data: the stretch of now and the next ones, and
//! every stretch that a batch has rows in, within a window around now. What lies beyond the window
//! stays in the default partition, so that a wrong date makes no piece.
//!
//! Each piece is made in a transaction of its own, before the batch's, under a short lock timeout:
//! a piece that cannot be made now (a backup reads the table) keeps no row waiting. Its rows go to
//! the default partition meanwhile, and move when it is made.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use chrono::Utc;
use tokio_postgres::error::SqlState;

use super::connect::Connection;
use super::ensure::ADVISORY_LOCK;
use super::failure::{Failure, Scope};
use duto_definition::{ColumnType, Pipeline, TimePartition};
use duto_ground::quoting::{literal, own_name, quote};
use duto_stages::prepared::{Prepared, PreparedTable};

/// Pieces that are there before anything falls into them, beside that of now.
const AHEAD: i64 = 2;
/// The window around now in which a piece is made for a row, in pieces back and ahead.
const WINDOW: (i64, i64) = (120, 12);
/// More rows of a piece than this in the default partition stay there: to move them would keep the
/// loads waiting.
const MOST_MOVED: i64 = 100_000;
const LOCK_TIMEOUT: &str = "2s";
/// After a lock timeout a piece is tried again so much later.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const MICROS_A_DAY: i64 = 86_400_000_000;

/// The tables of a pipeline that are kept in pieces of time, and what is known of these.
#[derive(Debug)]
pub struct Partitions {
    tables: Vec<PartitionedTable>,
}

#[derive(Debug)]
struct PartitionedTable {
    /// Among the pipeline's tables.
    place: usize,
    name: String,
    time: TimePartition,
    /// Where among the columns that the rows hold the time stands; None where the database fills
    /// it.
    column: Option<(usize, ColumnType)>,
    /// Tables that it references: a piece takes a lock on them.
    references: Vec<String>,
    /// The default partition, quoted. None until the catalogue was asked; Some(None) where there
    /// are no native partitions.
    default: Option<Option<String>>,
    /// Stretches of which nothing more is to be done.
    settled: HashSet<i64>,
    again_at: Option<Instant>,
}

/// What became of one piece.
enum Made {
    /// It is there, with so many rows that were in the default partition.
    There(i64),
    /// Its rows go to the default partition for now, and why.
    Later(String),
    /// They stay there.
    Never,
}

impl Partitions {
    /// `written` names, for each table, the columns that its rows hold.
    pub fn new(pipeline: &Pipeline, written: &[Vec<usize>]) -> Self {
        let mut tables = Vec::new();
        for (place, (table, written)) in pipeline.tables.iter().zip(written).enumerate() {
            let Some(time) = table.time_partition.clone() else { continue };
            let found = written.iter().position(|index| table.columns[*index].name == time.column);
            let column = found.map(|at| (at, table.columns[written[at]].column_type));
            let references = table
                .columns
                .iter()
                .filter_map(|column| column.references.as_ref())
                .map(|(name, _)| name.clone());
            let references = references.filter(|name| *name != table.name).collect();
            let name = table.name.clone();
            tables.push(PartitionedTable {
                place,
                name,
                time,
                column,
                references,
                default: None,
                settled: HashSet::new(),
                again_at: None,
            });
        }
        Self { tables }
    }

    /// Makes what the batch needs and is not there. Only a lost connection is an error.
    pub async fn make_for(&mut self, on: &Connection, batch: &Prepared) -> Result<(), Failure> {
        for table in &mut self.tables {
            table.make_for(on, &batch.tables[table.place]).await?;
        }
        Ok(())
    }
}

impl PartitionedTable {
    async fn make_for(&mut self, on: &Connection, rows: &PreparedTable) -> Result<(), Failure> {
        if self.default == Some(None) || self.again_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let wanted: Vec<i64> =
            self.wanted(rows).into_iter().filter(|number| !self.settled.contains(number)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        if self.default.is_none() {
            // A hypertable makes its own.
            let statement = "SELECT partdefid::regclass::text FROM pg_partitioned_table
                WHERE partrelid = to_regclass($1) AND partdefid <> 0";
            let row = on.within(on.client.query_opt(statement, &[&quote(&self.name)])).await?;
            self.default = Some(row.map(|row| row.get(0)));
        }
        let Some(Some(default)) = self.default.clone() else { return Ok(()) };
        for number in wanted {
            match self.make(on, &default, number).await? {
                Made::There(moved) => {
                    if moved > 0 {
                        tracing::info!(
                            table = self.name,
                            rows = moved,
                            "rows moved from the default partition to the one of their time"
                        );
                    }
                    self.settled.insert(number);
                }
                Made::Never => {
                    let day = self.time.interval.start(number).map(|day| day.to_string());
                    tracing::warn!(
                        table = self.name,
                        from = day,
                        "the default partition holds more than {MOST_MOVED} rows of this time: no \
                            partition is made of them, move them by hand or leave them"
                    );
                    self.settled.insert(number);
                }
                Made::Later(reason) => {
                    tracing::warn!(
                        table = self.name,
                        reason,
                        "a partition cannot be made now; its rows go to the default partition, and \
                            move when it is made"
                    );
                    self.again_at = Some(Instant::now() + AGAIN_AFTER);
                    return Ok(());
                }
            }
        }
        self.again_at = None;
        Ok(())
    }

    /// The stretches that must be there, in order.
    fn wanted(&self, rows: &PreparedTable) -> BTreeSet<i64> {
        let interval = self.time.interval;
        let Some(now) = interval.number_of(Utc::now().timestamp().div_euclid(86_400)) else {
            return BTreeSet::new();
        };
        let mut wanted: BTreeSet<i64> = (now..=now + AHEAD).collect();
        let window = now - WINDOW.0..=now + WINDOW.1;
        wanted.extend(
            self.days(rows)
                .into_iter()
                .filter_map(|day| interval.number_of(day))
                .filter(|number| window.contains(number)),
        );
        wanted
    }

    /// The days of the rows to write, since 1970.
    fn days(&self, rows: &PreparedTable) -> BTreeSet<i64> {
        let Some((column, column_type)) = self.column else { return BTreeSet::new() };
        let array = &rows.columns[column].1;
        let mut days = BTreeSet::new();
        let mut last = None;
        for &row in &rows.rows {
            let day = match column_type {
                ColumnType::Date => {
                    i64::from(array.as_primitive::<Date32Type>().value(row.place()))
                }
                _ => array
                    .as_primitive::<TimestampMicrosecondType>()
                    .value(row.place())
                    .div_euclid(MICROS_A_DAY),
            };
            if last != Some(day) {
                days.insert(day);
                last = Some(day);
            }
        }
        days
    }

    async fn make(&self, on: &Connection, default: &str, number: i64) -> Result<Made, Failure> {
        let Some(piece) = Piece::new(self, default, number) else { return Ok(Made::There(0)) };
        let attempt = tokio::time::timeout(on.wait_timeout, piece.make(on)).await;
        let error = match attempt {
            Err(_) => return Err(Failure::Lost(format!("no answer within {:?}", on.wait_timeout))),
            Ok(Ok(made)) => return Ok(made),
            Ok(Err(error)) => error,
        };
        if let Failure::Lost(reason) = Failure::of(&error, Scope::Own) {
            return Err(Failure::Lost(reason));
        }
        on.within(on.client.batch_execute("ROLLBACK")).await?;
        // Somebody made partitions of their own, which hold its rows.
        if error.code() == Some(&SqlState::INVALID_OBJECT_DEFINITION) {
            return Ok(Made::There(0));
        }
        Ok(Made::Later(
            error
                .as_db_error()
                .map_or_else(|| error.to_string(), |refused| refused.message().to_owned()),
        ))
    }
}

/// One piece and its statements.
struct Piece {
    name: String,
    begin: String,
    /// A table like the whole; its indexes and foreign keys come when it is attached.
    create: String,
    /// What is in the default partition instead of it.
    count: String,
    /// Its answer goes into `move_rows`: the columns that a row is made of. The others are computed
    /// from them.
    columns: String,
    within: String,
    piece: String,
    attach: String,
}

impl Piece {
    /// None beyond the calendar.
    fn new(table: &PartitionedTable, default: &str, number: i64) -> Option<Self> {
        let interval = table.time.interval;
        let (from, to) = (interval.start(number)?, interval.start(number + 1)?);
        let (from, to) = (format!("'{from} 00:00:00+00'"), format!("'{to} 00:00:00+00'"));
        let name = own_name(&[&table.name, &interval.suffix(interval.start(number)?)]);
        let (parent, piece, column) = (quote(&table.name), quote(&name), quote(&table.time.column));
        // Those that it references first: so the loads take their locks, too.
        let locks: String = table
            .references
            .iter()
            .map(|name| format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE; ", quote(name)))
            .collect();
        let begin = format!(
            "BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SELECT \
                pg_advisory_xact_lock({ADVISORY_LOCK}); {locks}LOCK TABLE ONLY {default} IN ACCESS \
                EXCLUSIVE MODE"
        );
        let within = format!("FROM ONLY {default} WHERE {column} >= {from} AND {column} < {to}");
        Some(Self {
            name,
            begin,
            create: format!(
                "CREATE TABLE {piece} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS
                    INCLUDING GENERATED INCLUDING STORAGE)"
            ),
            count: format!(
                "SELECT count(*) FROM (SELECT 1 {within}
                LIMIT {}) rows",
                MOST_MOVED + 1
            ),
            columns: format!(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped
                 AND attgenerated = ''",
                literal(default)
            ),
            attach: format!(
                "ALTER TABLE {parent} ATTACH PARTITION {piece} FOR VALUES
                FROM ({from}) TO ({to}); COMMIT"
            ),
            within,
            piece,
        })
    }

    /// By name, for the columns of the two may stand in another order; a value that the database
    /// gave stays.
    fn move_rows(&self, columns: &str) -> String {
        let Self { within, piece, .. } = self;
        format!(
            "WITH moved AS (DELETE {within} RETURNING {columns}) INSERT INTO {piece} ({columns})
                OVERRIDING SYSTEM VALUE SELECT {columns} FROM moved"
        )
    }

    /// After an error the transaction is still open.
    async fn make(&self, on: &Connection) -> Result<Made, tokio_postgres::Error> {
        let is_there = "SELECT to_regclass($1) IS NOT NULL";
        if on.client.query_one(is_there, &[&quote(&self.name)]).await?.get(0) {
            return Ok(Made::There(0));
        }
        on.client.batch_execute(&self.begin).await?;
        // Another process may have been quicker.
        if on.client.query_one(is_there, &[&quote(&self.name)]).await?.get(0) {
            on.client.batch_execute("ROLLBACK").await?;
            return Ok(Made::There(0));
        }
        let rows: i64 = on.client.query_one(&self.count, &[]).await?.get(0);
        if rows > MOST_MOVED {
            on.client.batch_execute("ROLLBACK").await?;
            return Ok(Made::Never);
        }
        on.client.batch_execute(&self.create).await?;
        if rows > 0 {
            let columns: String = on.client.query_one(&self.columns, &[]).await?.get(0);
            on.client.batch_execute(&self.move_rows(&columns)).await?;
        }
        on.client.batch_execute(&self.attach).await?;
        Ok(Made::There(rows))
    }
}
