//! The relay, explored exhaustively.

use duto_model::explore::{Outcome, explore};
use duto_model::mutation::RelayMutation::{self, *};
use duto_model::relay::Relay;

const MAX_STATES: usize = 4_000_000;

#[test]
fn every_message_is_published_once_and_in_order() {
    holds("relay", Relay { other_transactions: true, ..Relay::default() });
}

#[test]
fn after_a_restored_backup_messages_come_again_with_their_ids() {
    holds("relay, restored backup", Relay { restores: 1, ..Relay::default() });
}

#[test]
fn a_wrong_step_is_found() {
    let cases: &[(RelayMutation, u8, &str)] = &[
        (ProgressInDatabase, 0, "D: a message is published twice"),
        (OwnTransactionalId, 0, "D: a message is published twice"),
        (ProgressReadBeforeFencing, 0, "D: a message is published twice"),
        (ProgressReadToLastStable, 0, "D: a message is published twice"),
        (IdDrawnBeforeLock, 0, "D: a message is published before"),
        (TokenIgnored, 1, "D: a message is published before"),
        (PruneWithoutToken, 1, "D: messages are published again"),
    ];
    for &(mutation, restores, expected) in cases {
        match explore(
            &Relay { restores, other_transactions: restores == 0, mutation: Some(mutation) },
            MAX_STATES,
        ) {
            Outcome::Fails(counterexample) => {
                println!("{mutation:?}: {counterexample}");
                assert!(
                    counterexample.broken.starts_with(expected),
                    "{mutation:?} broke something else: {counterexample}"
                );
            }
            Outcome::Holds(explored) => panic!("{mutation:?} goes unnoticed: {explored}"),
            Outcome::TooLarge { states } => panic!("{mutation:?}: more than {states} states"),
        }
    }
}

fn holds(name: &str, relay: Relay) {
    match explore(&relay, MAX_STATES) {
        Outcome::Holds(explored) => println!("{name}: {explored}"),
        Outcome::Fails(counterexample) => panic!("{name}: {counterexample}"),
        Outcome::TooLarge { states } => panic!("{name}: more than {states} states"),
    }
}
