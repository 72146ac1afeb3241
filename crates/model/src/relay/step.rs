//! The names of the relay's steps.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayStep {
    Load { message: u8, id: u8 },
    LoadBeforeEarlierId { message: u8, id: u8 },
    EarlierIdLands { message: u8, id: u8 },
    Backup,
    Restore,
    OtherTransactionOpens,
    OtherTransactionEnds,
    Crash { process: usize },
    Initialize { process: usize },
    ReadProgress { process: usize },
    ReadRows { process: usize },
    Send { process: usize },
    SendProgress { process: usize },
    SendCommit { process: usize },
    Fenced { process: usize },
    KafkaCommits { process: usize },
    HearCommitted { process: usize },
    Prune { process: usize },
}

impl RelayStep {
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Backup | Self::Restore | Self::OtherTransactionOpens | Self::Crash { .. }
        )
    }
}

impl fmt::Display for RelayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load { message, id } => {
                write!(f, "load       commits message {message} as outbox row {id}")
            }
            Self::LoadBeforeEarlierId { message, id } => {
                write!(
                    f,
                    "load       commits message {message} as row {id}; the id below is drawn by a \
                        transaction still open"
                )
            }
            Self::EarlierIdLands { message, id } => {
                write!(f, "load       commits message {message} as row {id}")
            }
            Self::Backup => write!(f, "database   is backed up"),
            Self::Restore => write!(f, "database   is restored from the backup"),
            Self::OtherTransactionOpens => write!(
                f,
                "kafka      another position's transaction writes to the progress partition"
            ),
            Self::OtherTransactionEnds => write!(f, "kafka      the other transaction ends"),
            Self::Crash { process } => write!(f, "relay {process}    is killed"),
            Self::Initialize { process } => write!(f, "relay {process}    calls init_transactions"),
            Self::ReadProgress { process } => write!(f, "relay {process}    reads the progress"),
            Self::ReadRows { process } => write!(f, "relay {process}    reads rows"),
            Self::Send { process } => write!(f, "relay {process}    sends them, not committed"),
            Self::SendProgress { process } => {
                write!(f, "relay {process}    sends the progress, not committed")
            }
            Self::SendCommit { process } => write!(f, "relay {process}    asks Kafka to commit"),
            Self::Fenced { process } => {
                write!(f, "relay {process}    finds itself fenced, and stops")
            }
            Self::KafkaCommits { process } => {
                write!(f, "kafka      commits relay {process}'s transaction")
            }
            Self::HearCommitted { process } => {
                write!(f, "relay {process}    hears that it is committed")
            }
            Self::Prune { process } => {
                write!(f, "relay {process}    prunes rows below the last one sent")
            }
        }
    }
}
