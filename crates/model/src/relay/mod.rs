//! From the outbox to Kafka: one position, two relays that both believe they are the one, and a
//! database that may be restored.
//!
//! Covers the progress in the Kafka transaction, the fence of `init_transactions`, a COMMIT whose
//! answer is lost, another producer that holds back the progress partition's last stable offset,
//! pruning, and a restored backup, after which rows come again with other ids or the same.

mod invariants; // what a consumer may see
mod outbox; // rows that come, go, and come back
mod process; // a relay, from its start to its next commit
mod state;
mod step;

use crate::explore::Model;
use crate::mutation::RelayMutation;
pub use state::RelayState;
pub use step::RelayStep;

/// Messages of the position; their numbers are their `message_id`.
pub const MESSAGES: u8 = 3;

/// The relay within bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relay {
    /// Backups that may be restored. 0 or 1.
    pub restores: u8,
    /// Whether another position's transaction may hold back the progress partition's last stable
    /// offset.
    pub other_transactions: bool,
    pub mutation: Option<RelayMutation>,
}

impl Relay {
    pub fn is(&self, mutation: RelayMutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for Relay {
    type State = RelayState;
    type Step = RelayStep;

    fn initial(&self) -> RelayState {
        RelayState::default()
    }

    fn steps(&self, state: &RelayState, into: &mut Vec<(RelayStep, RelayState)>) {
        outbox::steps(self, state, into);
        (0..state.processes.len()).for_each(|process| process::steps(self, state, process, into));
    }

    fn is_fault(&self, step: &RelayStep) -> bool {
        step.is_fault()
    }

    fn violation(&self, state: &RelayState) -> Option<&'static str> {
        invariants::violation(state)
    }

    fn is_complete(&self, state: &RelayState) -> bool {
        invariants::is_complete(self, state)
    }
}

/// Adds one step with the state behind it.
fn add(
    step: RelayStep,
    state: &RelayState,
    into: &mut Vec<(RelayStep, RelayState)>,
    change: impl FnOnce(&mut RelayState),
) {
    let mut next = *state;
    change(&mut next);
    into.push((step, next));
}
