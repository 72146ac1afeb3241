//! The names of the load's steps, as a counterexample prints them.

use std::fmt;

/// One step. `worker`, `partition` and `replay` are numbers, `to` an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    // Group
    Move { partition: usize, to_worker: usize },
    // Worker
    LearnAssigned { worker: usize, partition: usize },
    LearnLost { worker: usize, partition: usize },
    Claim { worker: usize, partition: usize },
    ClaimLandsUnheard { worker: usize, partition: usize },
    SeeMovedPosition { worker: usize, partition: usize },
    SeeOtherTopicId { worker: usize, partition: usize },
    Fetch { worker: usize, partition: usize, to: u8 },
    Prepare { worker: usize },
    MovePosition { worker: usize, partition: usize },
    Fenced { worker: usize, partition: usize },
    Write { worker: usize },
    SendCommit { worker: usize },
    SendAtOnce { worker: usize },
    HandOver { partition: usize, to_worker: usize },
    HearCommitted { worker: usize },
    // Reconnect
    LoseConnection { worker: usize },
    Crash { worker: usize },
    FindStored { worker: usize },
    FindNotStored { worker: usize },
    FindFenced { worker: usize },
    Upgrade { worker: usize },
    // Database
    Commit { worker: usize },
    AtOnceRefused { worker: usize },
    CommitLandsLate { worker: usize },
    CommitNeverLands { worker: usize },
    // Operator
    Rewind { partition: usize, to: u8 },
    Skip { partition: usize, to: u8 },
    ResetToNewTopic { partition: usize },
    FixDefinition,
    Discard { partition: usize, offset: u8 },
    ReplayBegins { replay: usize, partition: usize },
    ReplayWrites { replay: usize },
    ReplayCommits { replay: usize },
    ReplayDies { replay: usize },
    Backfill,
    // Surroundings
    Backup,
    Restore,
    TopicMadeAnew,
    TopicRefilled,
}

impl Step {
    /// Faults and decisions; everything else happens by itself, given time.
    pub fn is_fault(&self) -> bool {
        use Step::*;
        match self {
            Move { .. }
            | HandOver { .. }
            | ClaimLandsUnheard { .. }
            | LoseConnection { .. }
            | Crash { .. }
            | ReplayDies { .. } => true,
            Rewind { .. } | Skip { .. } | FixDefinition | Discard { .. } | ReplayBegins { .. } => {
                true
            }
            Backup | Restore | TopicMadeAnew => true,
            // A halted partition waits for its operator, so that a reset counts as progress; so
            // does a new definition's back-fill.
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Step::*;
        match self {
            Move { partition, to_worker } => {
                write!(f, "group      gives partition {partition} to worker {to_worker}")
            }
            LearnAssigned { worker, partition } => {
                write!(f, "worker {worker}   learns that partition {partition} is its own")
            }
            LearnLost { worker, partition } => {
                write!(
                    f,
                    "worker {worker}   learns that partition {partition} is not its own, and \
                        throws it away"
                )
            }
            Claim { worker, partition } => {
                write!(f, "worker {worker}   claims partition {partition}")
            }
            ClaimLandsUnheard { worker, partition } => {
                write!(f, "worker {worker}   claims partition {partition}, the answer is lost")
            }
            SeeMovedPosition { worker, partition } => {
                write!(f, "worker {worker}   sees that the position of partition {partition} moved")
            }
            SeeOtherTopicId { worker, partition } => write!(
                f,
                "worker {worker}   sees another topic id, and halts partition {partition}"
            ),
            Fetch { worker, partition, to } => {
                write!(f, "worker {worker}   fetches partition {partition} up to {to}")
            }
            Prepare { worker } => write!(f, "worker {worker}   prepares a batch"),
            MovePosition { worker, partition } => write!(
                f,
                "worker {worker}   moves the position of partition {partition}, not committed"
            ),
            Fenced { worker, partition } => {
                write!(f, "worker {worker}   finds itself fenced on partition {partition}")
            }
            Write { worker } => {
                write!(f, "worker {worker}   writes rows, rejects and ledger, not committed")
            }
            SendCommit { worker } => write!(f, "worker {worker}   sends COMMIT"),
            SendAtOnce { worker } => {
                write!(f, "worker {worker}   sends the batch as one statement")
            }
            HandOver { partition, to_worker } => {
                write!(f, "lane       gives partition {partition} to lane {to_worker}")
            }
            HearCommitted { worker } => {
                write!(f, "worker {worker}   hears that the batch is committed")
            }
            LoseConnection { worker } => write!(f, "worker {worker}   loses its connection"),
            Crash { worker } => write!(f, "worker {worker}   is killed and started again"),
            FindStored { worker } => write!(f, "worker {worker}   concludes: stored"),
            FindNotStored { worker } => write!(f, "worker {worker}   concludes: not stored, again"),
            FindFenced { worker } => write!(f, "worker {worker}   concludes: fenced"),
            Upgrade { worker } => {
                write!(f, "worker {worker}   is started with the definition that has the rollup")
            }
            Commit { worker } => write!(f, "database   commits worker {worker}'s transaction"),
            AtOnceRefused { worker } => {
                write!(f, "database   refuses worker {worker}'s one statement")
            }
            CommitLandsLate { worker } => write!(
                f,
                "database   commits what worker {worker} sent before it lost its connection"
            ),
            CommitNeverLands { worker } => {
                write!(f, "database   aborts what worker {worker} left behind")
            }
            Rewind { partition, to } => {
                write!(f, "operator   rewinds partition {partition} to {to}")
            }
            Skip { partition, to } => {
                write!(f, "operator   skips to {to} in partition {partition}")
            }
            ResetToNewTopic { partition } => {
                write!(f, "operator   resets partition {partition} to the new topic's start")
            }
            FixDefinition => write!(f, "operator   fixes the definition: poison passes"),
            Discard { partition, offset } => {
                write!(f, "operator   discards the reject {partition}:{offset}")
            }
            ReplayBegins { replay, partition } => {
                write!(f, "replay {replay}   begins on partition {partition}")
            }
            ReplayWrites { replay } => {
                write!(f, "replay {replay}   writes its rows, not committed")
            }
            ReplayCommits { replay } => write!(f, "replay {replay}   commits"),
            ReplayDies { replay } => write!(f, "replay {replay}   is killed"),
            Backfill => write!(f, "operator   defines a rollup and fills it"),
            Backup => write!(f, "database   is backed up"),
            Restore => write!(f, "database   is restored from the backup"),
            TopicMadeAnew => write!(f, "log        the topic is deleted and made anew"),
            TopicRefilled => write!(f, "log        the new topic is filled"),
        }
    }
}
