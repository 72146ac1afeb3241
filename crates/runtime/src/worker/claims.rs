//! Claims partitions before they are read, and compares their positions with what the log really
//! holds.

use std::time::Duration;

use super::shared::Shared;
use duto_definition::Repeat;
use duto_load::connect::Connection;
use duto_load::failure::Failure;
use duto_load::position::{self, Position};
use duto_load::session::LoadSession;
use duto_log::LogError;

/// How long the log may take to answer about its topic.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);

/// What a claim came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The partition is ours from its position on.
    Ours(Position),
    /// It must not be read until an operator decides, and why.
    Halt(String),
}

/// Why a claim could not be made yet.
#[derive(Debug, thiserror::Error)]
pub enum NotClaimed {
    #[error("{0}")]
    Database(#[from] Failure),
    #[error("{0}")]
    Log(#[from] LogError),
}

/// Claims one partition. The order matters: first the fence, then the log's ends, then the
/// comparison; an earlier owner can write nothing any more. `had_before` says that this worker saw
/// a position of the partition a moment ago.
pub async fn claim(
    shared: &Shared,
    connection: &Connection,
    partition: i32,
    had_before: bool,
) -> Result<Claim, NotClaimed> {
    let Shared { target, log, .. } = shared;
    let session = LoadSession::new(connection, target);
    loop {
        let claimed = position::claim(session, partition).await?;
        let marks = tokio::task::block_in_place(|| {
            // A partition that was halted is claimed again and again: meanwhile the topic may be
            // another, whose ends say nothing.
            if !shared.topic_is_confirmed() {
                shared.ask_about_topic()?;
            }
            log.watermarks(&target.topic, partition, LOG_TIMEOUT)
        })?;
        let Some(position) = claimed else {
            if had_before {
                return Ok(Claim::Halt(format!(
                    "partition {partition} has no position any more, though it had one a moment \
                        ago: the database was changed or restored; `duto position` sets one"
                )));
            }
            if let Some(table) = filled_append_table(shared, connection).await? {
                return Ok(Claim::Halt(format!(
                    "the pipeline has no position at all, but table {table}, where every row is \
                        kept, holds rows: reading from the start would store them twice; `duto \
                        position` sets one"
                )));
            }
            match position::begin(session, partition, marks.low).await? {
                Some(position) => return Ok(Claim::Ours(position)),
                None => continue,
            }
        };
        return Ok(match conflict(shared, &position, marks.low, marks.high) {
            Some(reason) => Claim::Halt(reason),
            None => Claim::Ours(position),
        });
    }
}

/// Why a position does not fit the log. Never reset silently: what is missing is counted and an
/// operator decides.
fn conflict(shared: &Shared, position: &Position, low: i64, high: i64) -> Option<String> {
    let target = &shared.target;
    let Position { partition, next, .. } = position;
    if position.cluster_id != target.cluster_id {
        return Some(format!(
            "partition {partition}: the position counts offsets of the cluster {}, this is {}",
            position.cluster_id, target.cluster_id
        ));
    }
    if position.topic_id != target.topic_id {
        return Some(format!(
            "partition {partition}: topic {} was made anew since (it was {}, it is {}), so the \
                position {next} means nothing in it",
            target.topic, position.topic_id, target.topic_id
        ));
    }
    if *next < low {
        return Some(format!(
            "partition {partition}: {} records were deleted by the log before they were read: the \
                position is {next}, the log begins at {low}",
            low - next
        ));
    }
    if *next > high {
        return Some(format!(
            "partition {partition}: the position {next} is {} beyond the end of the log at {high}: \
                the log was cut or restored",
            next - high
        ));
    }
    None
}

/// A table with `repeat: append` that holds rows, when the pipeline has no position of any
/// partition.
async fn filled_append_table(
    shared: &Shared,
    connection: &Connection,
) -> Result<Option<String>, Failure> {
    if !position::read_all(LoadSession::new(connection, &shared.target)).await?.is_empty() {
        return Ok(None);
    }
    for table in shared.pipeline.tables.iter().filter(|table| table.repeat == Repeat::Append) {
        let statement =
            format!("SELECT EXISTS (SELECT 1 FROM {})", duto_ground::quoting::quote(&table.name));
        if connection.within(connection.client.query_one(&statement, &[])).await?.get(0) {
            return Ok(Some(table.name.clone()));
        }
    }
    Ok(None)
}
