//! A relay: fences the one before, reads how far it came, then sends rows and progress in one Kafka
//! transaction after the other.

use super::state::{Mark, Phase, Process, RelayState};
use super::{Relay, RelayStep, add};
use crate::mutation::RelayMutation;

/// Rows that one transaction may send.
const BATCH_ROWS: usize = 2;

pub fn steps(
    relay: &Relay,
    state: &RelayState,
    process: usize,
    into: &mut Vec<(RelayStep, RelayState)>,
) {
    let me = &state.processes[process];
    if me.phase != Phase::Down {
        add(RelayStep::Crash { process }, state, into, |next| {
            next.processes[process] = Process::default()
        });
    }
    if !me.is_current
        && matches!(
            me.phase,
            Phase::HasRows | Phase::Sent | Phase::ProgressSent | Phase::CommitSent
        )
    {
        return add(RelayStep::Fenced { process }, state, into, |next| {
            next.processes[process] = Process::default()
        });
    }
    match me.phase {
        Phase::Down if relay.is(RelayMutation::ProgressReadBeforeFencing) => {
            read_progress(relay, state, process, Phase::ReadTooEarly, into)
        }
        Phase::ReadTooEarly => initialize(relay, state, process, Phase::Ready, into),
        Phase::Down => initialize(relay, state, process, Phase::Initialized, into),
        Phase::Initialized => read_progress(relay, state, process, Phase::Ready, into),
        Phase::Ready => {
            read_rows(relay, state, process, into);
            prune(relay, state, process, into);
        }
        Phase::HasRows => add(RelayStep::Send { process }, state, into, |next| {
            next.processes[process].phase = Phase::Sent
        }),
        Phase::Sent => add(RelayStep::SendProgress { process }, state, into, |next| {
            next.processes[process].phase = Phase::ProgressSent
        }),
        Phase::ProgressSent => add(RelayStep::SendCommit { process }, state, into, |next| {
            next.processes[process].phase = Phase::CommitSent
        }),
        Phase::CommitSent => add(RelayStep::KafkaCommits { process }, state, into, |next| {
            commit(relay, next, process)
        }),
        Phase::Committed => add(RelayStep::HearCommitted { process }, state, into, |next| {
            let end = next.processes[process].batch_end;
            next.processes[process] = Process {
                phase: Phase::Ready,
                progress: end,
                is_current: me.is_current,
                ..Process::default()
            };
            if relay.is(RelayMutation::ProgressInDatabase) {
                next.database.progress = end;
            }
        }),
    }
}

/// `init_transactions`: the other's open transaction is aborted, and its producer fenced. A COMMIT
/// of its that Kafka took before is done by then.
fn initialize(
    relay: &Relay,
    state: &RelayState,
    process: usize,
    phase: Phase,
    into: &mut Vec<(RelayStep, RelayState)>,
) {
    add(RelayStep::Initialize { process }, state, into, |next| {
        if !relay.is(RelayMutation::OwnTransactionalId) {
            next.processes.iter_mut().for_each(|other| other.is_current = false);
        }
        next.processes[process].is_current = true;
        next.processes[process].phase = phase;
    });
}

/// Up to the partition's end, which waits until another position's open transaction lets the last
/// stable offset pass.
fn read_progress(
    relay: &Relay,
    state: &RelayState,
    process: usize,
    phase: Phase,
    into: &mut Vec<(RelayStep, RelayState)>,
) {
    let kafka = match state.kafka.held_back {
        Some(_) if !relay.is(RelayMutation::ProgressReadToLastStable) => return,
        Some(held_back) => held_back,
        None => state.kafka.progress,
    };
    let progress =
        if relay.is(RelayMutation::ProgressInDatabase) { state.database.progress } else { kafka };
    add(RelayStep::ReadProgress { process }, state, into, |next| {
        (next.processes[process].progress, next.processes[process].phase) = (progress, phase);
    });
}

/// From the last row sent on; if that one is gone or has another token, everything that is kept.
fn read_rows(
    relay: &Relay,
    state: &RelayState,
    process: usize,
    into: &mut Vec<(RelayStep, RelayState)>,
) {
    let (last, rows) = (state.processes[process].progress, state.database.by_id());
    let is_there = match relay.is(RelayMutation::TokenIgnored) {
        true => rows.iter().any(|(row, _)| row.id == last.id),
        false => state.database.has(last),
    };
    let unsent: Vec<(Mark, u8)> = rows
        .into_iter()
        .filter(|(row, _)| !is_there || row.id > last.id)
        .take(BATCH_ROWS)
        .collect();
    for rows in 1..=unsent.len() {
        add(RelayStep::ReadRows { process }, state, into, |next| {
            let me = &mut next.processes[process];
            me.phase = Phase::HasRows;
            me.batch = unsent[..rows].iter().fold(0, |batch, (_, message)| batch | 1 << message);
            me.batch_end = unsent[rows - 1].0;
        });
    }
}

/// Only while the last row sent is still there, in one statement: after a restore, smaller ids may
/// be rows that were never sent.
fn prune(
    relay: &Relay,
    state: &RelayState,
    process: usize,
    into: &mut Vec<(RelayStep, RelayState)>,
) {
    let last = state.processes[process].progress;
    let may_prune = state.database.has(last) || relay.is(RelayMutation::PruneWithoutToken);
    if may_prune && state.database.rows.iter().any(|row| row.id > 0 && row.id < last.id) {
        add(RelayStep::Prune { process }, state, into, |next| {
            next.database
                .rows
                .iter_mut()
                .filter(|row| row.id < last.id)
                .for_each(|row| *row = Mark::default());
        });
    }
}

fn commit(relay: &Relay, next: &mut RelayState, process: usize) {
    let me = &mut next.processes[process];
    me.phase = Phase::Committed;
    if !relay.is(RelayMutation::ProgressInDatabase) {
        next.kafka.progress = me.batch_end;
    }
    (1..8)
        .filter(|message| me.batch & 1 << message != 0)
        .for_each(|message| next.kafka.publish(message));
}
