//! Each single wrong step is found: the exploration that holds without it ends in a counterexample.

use duto_model::bounds::{Bounds, Repeat};
use duto_model::explore::{Outcome, explore};
use duto_model::load::Load;
use duto_model::mutation::Mutation::{self, *};

const LEAN: Bounds = Bounds { prefetch: false, ..Bounds::one_partition() };
const SKIPS: Bounds = Bounds { skips: true, ..LEAN };
const REWINDS: Bounds = Bounds { rewinds: true, ..Bounds::one_partition() };
const DISCARDS: Bounds = Bounds { rewinds: true, fix: true, replays: 1, discards: true, ..LEAN };
const TWO_REPLAYS: Bounds = Bounds { repeat: Repeat::Append, fix: true, replays: 2, ..LEAN };
const BACKUP: Bounds = Bounds { restored_backup: true, ..LEAN };
const ANEW: Bounds = Bounds::topic_anew();
const BACKFILL: Bounds = Bounds { backfill: true, ..LEAN };
const BACKFILL_AND_BACKUP: Bounds = Bounds { restored_backup: true, ..BACKFILL };

const AT_ONCE: Bounds = Bounds { at_once: true, ..LEAN };
const AT_ONCE_APPEND: Bounds = Bounds { repeat: Repeat::Append, ..AT_ONCE };
const AT_ONCE_BACKFILL: Bounds = Bounds { at_once: true, ..BACKFILL };
const AT_ONCE_DISCARDS: Bounds = Bounds { at_once: true, ..DISCARDS };
const LANES: Bounds = Bounds { rebalances: false, hand_over: true, ..Bounds::one_partition() };

const MAX_STATES: usize = 2_000_000;

/// The wrong step, the faults beside which it does harm, and the harm.
const CASES: &[(Mutation, Bounds, &str)] = &[
    (RowCountIgnored, LEAN, "C: position and ledger differ"),
    (UpdateIgnoresFence, ANEW, "A: the position passed a record that is nowhere"),
    (UpdateIgnoresFence, BACKFILL, "E: the rollup is not what its table says"),
    (UpdateIgnoresNext, BACKUP, "C: a load's range does not begin where the one before it ended"),
    (ClaimKeepsFence, ANEW, "A: the position passed a record that is nowhere"),
    (RetryWithoutReading, LEAN, "C: a record is in two load ranges"),
    (
        RetryWithoutReading,
        Bounds { repeat: Repeat::Append, ..LEAN },
        "B: a record is in the table twice",
    ),
    (LostAnswerTakenAsStored, LEAN, "A: a worker calls a batch stored that is not"),
    (StartAtCommittedCopy, LEAN, "liveness"),
    (RejectsApart, LEAN, "A: the position passed a record that is nowhere"),
    (ReplayWithoutLocks, TWO_REPLAYS, "B: a record is in the table twice"),
    (ReplayReadsBeforeLocks, TWO_REPLAYS, "B: a record is in the table twice"),
    (
        RejectsReadWhenDecoding,
        DISCARDS,
        "B: a record is in the table and also an open or discarded reject",
    ),
    (MoveKeepsFence, SKIPS, "A: a worker calls a batch stored that is not"),
    (MoveKeepsFence, ANEW, "A: the position passed a record that is nowhere"),
    (PositionNotReread, BACKUP, "liveness"),
    (RevokedRecordsKept, REWINDS, "C: the position passed a record that no load range contains"),
    (
        RevokedRecordsKept,
        Bounds { prefetch: true, ..BACKUP },
        "A: the position passed a record that is nowhere",
    ),
    (TopicIdIgnored, ANEW, "A: the position passed a record that is nowhere"),
    (HaltWithoutClaim, ANEW, "A: the position passed a record that is nowhere"),
    (BackfillKeepsFences, BACKFILL, "E: the rollup is not what its table says"),
    (
        UpdateIgnoresNext,
        AT_ONCE_APPEND,
        "C: a load's range does not begin where the one before it ended",
    ),
    (UpdateIgnoresFence, AT_ONCE_BACKFILL, "E: the rollup is not what its table says"),
    (RetryWithoutReading, AT_ONCE_APPEND, "B: a record is in the table twice"),
    (LostAnswerTakenAsStored, AT_ONCE, "A: a worker calls a batch stored that is not"),
    (
        AtOnceBesideRejects,
        AT_ONCE_DISCARDS,
        "B: a record is in the table and also an open or discarded reject",
    ),
    (HandedOverInFlight, LANES, "A: the position passed a record that is nowhere"),
    (UnknownRollupClaimed, BACKFILL_AND_BACKUP, "E: the rollup is not what its table says"),
];

/// Where fence and offset make up for each other. While the log and the definition stay the same,
/// `next = $from` alone keeps every record from being loaded twice; the fence is there for a topic
/// made anew, a new definition, and the answer after a skip.
const MADE_UP_FOR: &[(Mutation, Bounds)] = &[
    (UpdateIgnoresFence, REWINDS),
    (ClaimKeepsFence, REWINDS),
    (UpdateIgnoresNext, REWINDS),
    (MoveKeepsFence, DISCARDS),
    (HandedOverWithoutQueue, LANES),
];

#[test]
fn every_wrong_step_is_found() {
    CASES.iter().for_each(|&(mutation, bounds, expected)| {
        fails(&format!("{mutation:?}"), bounds.with(mutation), expected)
    });
}

/// A restored backup brings back old fences, and with them zombies. Over a topic made anew that is
/// too much for the fence alone: see `topic_lease`.
#[test]
fn an_old_fence_comes_back_with_a_backup() {
    let bounds = Bounds { restored_backup: true, ..ANEW };
    fails(
        "topic made anew and restored backup, without a topic lease",
        bounds,
        "A: the position passed a record that is nowhere",
    );
}

#[test]
fn what_fence_and_offset_each_make_up_for() {
    for &(mutation, bounds) in MADE_UP_FOR {
        match explore(&Load(bounds.with(mutation)), MAX_STATES) {
            Outcome::Holds(explored) => println!("{mutation:?} does no harm here: {explored}"),
            Outcome::Fails(counterexample) => panic!("{mutation:?}: {counterexample}"),
            Outcome::TooLarge { states } => panic!("{mutation:?}: more than {states} states"),
        }
    }
}

fn fails(name: &str, bounds: Bounds, expected: &str) {
    match explore(&Load(bounds), MAX_STATES) {
        Outcome::Fails(counterexample) => {
            println!("{name}: {counterexample}");
            assert!(
                counterexample.broken.starts_with(expected),
                "{name} broke something else: {counterexample}"
            );
        }
        Outcome::Holds(explored) => panic!("{name} goes unnoticed: {explored}"),
        Outcome::TooLarge { states } => panic!("{name}: more than {states} states"),
    }
}
