//! The outbox in PostgreSQL, as the load and a restore change it; and another position's
//! transaction in Kafka.

use super::state::{Mark, RelayState};
use super::{MESSAGES, Relay, RelayStep, add};
use crate::mutation::RelayMutation;

/// Ids that may be drawn; the model stops loading beyond.
const LAST_ID: u8 = 5;

pub fn steps(relay: &Relay, state: &RelayState, into: &mut Vec<(RelayStep, RelayState)>) {
    load(relay, state, into);
    if relay.restores > 0 {
        match state.backup {
            None => add(RelayStep::Backup, state, into, |next| next.backup = Some(next.database)),
            Some(backup) if state.restores < relay.restores => {
                add(RelayStep::Restore, state, into, |next| {
                    (next.database, next.restores) = (backup, next.restores + 1);
                })
            }
            Some(_) => {}
        }
    }
    match state.kafka.held_back {
        None if !relay.other_transactions => {}
        None => add(RelayStep::OtherTransactionOpens, state, into, |next| {
            next.kafka.held_back = Some(next.kafka.progress)
        }),
        Some(_) => {
            add(RelayStep::OtherTransactionEnds, state, into, |next| next.kafka.held_back = None)
        }
    }
}

/// The next message's row, in the load's own transaction. Another position may have drawn the id
/// before it, so that after a restore the same message may get another id, or another message the
/// same id.
fn load(relay: &Relay, state: &RelayState, into: &mut Vec<(RelayStep, RelayState)>) {
    let database = &state.database;
    if database.drawn_id > 0 {
        let (message, id) = (database.loaded.trailing_ones() as u8 + 1, database.drawn_id);
        add(RelayStep::EarlierIdLands { message, id }, state, into, |next| {
            next.insert(message, id);
            next.database.drawn_id = 0;
        });
        return;
    }
    let message = database.loaded.trailing_ones() as u8 + 1;
    if message > MESSAGES {
        return;
    }
    for id in [database.last_id + 1, database.last_id + 2]
        .into_iter()
        .filter(|&id| id <= LAST_ID - (MESSAGES - message))
    {
        add(RelayStep::Load { message, id }, state, into, |next| next.insert(message, id));
    }
    if relay.is(RelayMutation::IdDrawnBeforeLock) && message < MESSAGES {
        let (message, id) = (message + 1, database.last_id + 2);
        add(RelayStep::LoadBeforeEarlierId { message, id }, state, into, |next| {
            next.database.drawn_id = id - 1;
            next.insert(message, id);
        });
    }
}

impl RelayState {
    fn insert(&mut self, message: u8, id: u8) {
        self.database.rows[message as usize - 1] = Mark { id, token: self.restores };
        self.database.loaded |= 1 << (message - 1);
        self.database.last_id = self.database.last_id.max(id);
    }
}
