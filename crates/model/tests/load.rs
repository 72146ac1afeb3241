//! The load, explored exhaustively: each test says which faults may happen in it, at any moment and
//! any number of times.

use duto_model::bounds::{Bounds, Repeat};
use duto_model::explore::{Outcome, explore};
use duto_model::load::Load;

/// Crashes, lost connections, COMMITs that land late or never, zombies and rebalances; the client
/// reads ahead.
const ONE: Bounds = Bounds::one_partition();

/// The same without reading ahead, for company with other faults.
const LEAN: Bounds = Bounds { prefetch: false, ..ONE };

#[test]
fn one_partition() {
    holds("one partition", ONE);
    holds("one partition, a table without keys", Bounds { repeat: Repeat::Append, ..ONE });
}

#[test]
fn two_partitions_in_one_transaction() {
    holds("two partitions", Bounds::two_partitions());
}

#[test]
fn rewinds_and_skips() {
    holds("rewinds, the client reads ahead", Bounds { rewinds: true, ..ONE });
    holds("rewinds and skips", Bounds { rewinds: true, skips: true, ..LEAN });
}

#[test]
fn replays_of_rejects() {
    holds(
        "two replays at once, a table without keys",
        Bounds { repeat: Repeat::Append, fix: true, replays: 2, discards: true, ..ONE },
    );
    holds(
        "replay, discard and rewind",
        Bounds { rewinds: true, fix: true, replays: 1, discards: true, ..LEAN },
    );
}

#[test]
fn restored_backup() {
    holds("restored backup", Bounds { restored_backup: true, ..LEAN });
    holds("restored backup and skips", Bounds { restored_backup: true, skips: true, ..LEAN });
    holds(
        "restored backup, a table without keys, and replays",
        Bounds { repeat: Repeat::Append, restored_backup: true, fix: true, replays: 1, ..LEAN },
    );
}

#[test]
fn topic_made_anew() {
    holds("topic made anew", Bounds::topic_anew());
    holds(
        "topic made anew, and restored backup",
        Bounds {
            restored_backup: true,
            topic_lease: true,
            prefetch: false,
            ..Bounds::topic_anew()
        },
    );
}

#[test]
fn backfill_of_a_rollup() {
    holds("back-fill", Bounds { backfill: true, ..ONE });
    holds(
        "back-fill and restored backup",
        Bounds { backfill: true, restored_backup: true, ..LEAN },
    );
}

/// A statement holds no lock until it lands, so a worker that lost its connection cannot wait for
/// it.
#[test]
fn one_statement() {
    holds("one statement, one partition", Bounds { at_once: true, ..ONE });
    holds(
        "one statement, a table without keys",
        Bounds { at_once: true, repeat: Repeat::Append, ..ONE },
    );
    holds(
        "one statement, two partitions",
        Bounds { at_once: true, rebalances: false, hand_over: true, ..Bounds::two_partitions() },
    );
    holds("one statement and rewinds", Bounds { at_once: true, rewinds: true, ..LEAN });
    holds(
        "one statement, replay, discard and rewind",
        Bounds {
            at_once: true,
            rewinds: true,
            fix: true,
            replays: 1,
            discards: true,
            crashes: false,
            rebalances: false,
            ..LEAN
        },
    );
    holds(
        "one statement and restored backup",
        Bounds { at_once: true, restored_backup: true, ..LEAN },
    );
    holds(
        "one statement and topic made anew",
        Bounds { at_once: true, prefetch: false, rebalances: false, ..Bounds::topic_anew() },
    );
}

#[test]
fn partitions_that_go_from_lane_to_lane() {
    const LANES: Bounds = Bounds { rebalances: false, hand_over: true, ..ONE };
    holds("lanes", LANES);
    holds("lanes and one statement", Bounds { at_once: true, ..LANES });
    holds("lanes, a table without keys", Bounds { repeat: Repeat::Append, ..LANES });
    holds(
        "lanes of two partitions",
        Bounds { rebalances: false, hand_over: true, ..Bounds::two_partitions() },
    );
    holds("lanes and rewinds", Bounds { rewinds: true, prefetch: false, ..LANES });
}

fn holds(name: &str, bounds: Bounds) {
    match explore(&Load(bounds), 4_000_000) {
        Outcome::Holds(explored) => println!("{name}: {explored}"),
        Outcome::Fails(counterexample) => panic!("{name}: {counterexample}"),
        Outcome::TooLarge { states } => panic!("{name}: more than {states} states"),
    }
}
