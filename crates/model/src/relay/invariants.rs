//! D: what a read-committed consumer sees is the outbox, once and in order; after a restored backup
//! it may begin again, with the same ids.

use super::state::RelayState;
use super::{MESSAGES, Relay};
use crate::mutation::RelayMutation;

pub fn violation(state: &RelayState) -> Option<&'static str> {
    let (mut expected, mut highest, mut begins_again) = (1, 0, 0);
    for &message in state.kafka.published.iter().take_while(|&&message| message > 0) {
        if message > highest + 1 {
            return Some("D: a message is published before the one in front of it");
        }
        begins_again += u8::from(message != expected);
        expected = message + 1;
        highest = highest.max(message);
    }
    match () {
        () if begins_again > 0 && state.restores == 0 => Some("D: a message is published twice"),
        () if begins_again > state.restores => {
            Some("D: messages are published again more often than a backup was restored")
        }
        () if state.kafka.overflows => Some("D: messages are published without end"),
        () => None,
    }
}

/// Every message was published, and the progress stands at the last row.
pub fn is_complete(relay: &Relay, state: &RelayState) -> bool {
    let progress = if relay.is(RelayMutation::ProgressInDatabase) {
        state.database.progress
    } else {
        state.kafka.progress
    };
    state.database.loaded == (1 << MESSAGES) - 1
        && state.kafka.published.contains(&MESSAGES)
        && state.database.rows[MESSAGES as usize - 1] == progress
}
