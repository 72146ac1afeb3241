//! PostgreSQL: a transaction's changes become visible at once, or never.

use crate::bounds::{Bounds, WORKERS};
use crate::load::Successors;
use crate::mutation::Mutation;
use crate::state::{Database, OPEN, Phase, REJECTED, REPLAYED, STORED, State, Transaction};
use crate::step::Step;

pub fn steps(bounds: &Bounds, state: &State, into: &mut Successors) {
    for worker in 0..WORKERS {
        if state.sessions[worker].phase == Phase::CommitSent {
            into.add(Step::Commit { worker }, state, |next| {
                let session = next.sessions[worker];
                next.database.apply(bounds, &session);
                // The answer is on its way; only a mutation still needs to know what was written.
                let outcomes = if bounds.is(Mutation::RejectsApart) {
                    session.outcomes
                } else {
                    Default::default()
                };
                next.sessions[worker] =
                    Transaction { phase: Phase::Committed, outcomes, ..Transaction::default() };
            });
        }
        if state.orphans[worker].phase == Phase::CommitSent {
            into.add(Step::CommitLandsLate { worker }, state, |next| {
                let orphan = std::mem::take(&mut next.orphans[worker]);
                next.database.apply(bounds, &orphan);
            });
            into.add(Step::CommitNeverLands { worker }, state, |next| {
                next.orphans[worker] = Transaction::default()
            });
        }
    }
}

impl Database {
    /// Commits: position, rows, rejects, rollup and ledger in one.
    pub fn apply(&mut self, bounds: &Bounds, transaction: &Transaction) {
        let is_load = transaction.ranges.iter().any(|range| range.1 > 0);
        for (partition, &(from, to)) in
            transaction.ranges.iter().enumerate().filter(|(_, range)| range.1 > 0)
        {
            let position = &mut self.positions[partition];
            self.ledger_is_torn |= position.ledger_end != from;
            position.ledger_end = to;
            if transaction.moves & 1 << partition != 0 {
                position.next = to;
            }
        }
        for (topic, partition, offset, ..) in bounds.all_records() {
            let slot = bounds.slot(topic, partition, offset);
            let outcome = transaction.outcomes.get(slot);
            if outcome == 0 {
                continue;
            }
            if is_load {
                self.ledger_loads.count(slot);
            }
            match (outcome, self.rejects.get(slot)) {
                (REJECTED, 0) if !bounds.is(Mutation::RejectsApart) => self.rejects.set(slot, OPEN),
                (REJECTED, _) => {}
                (_, OPEN) => self.rejects.set(slot, REPLAYED),
                _ => {}
            }
            if outcome == STORED {
                self.rows.count(slot);
                self.ledger_stored.count(slot);
                if transaction.counts_rollup {
                    self.rollup.count(slot);
                }
            }
        }
    }
}

impl State {
    /// Every connection ends: the server that held them is gone.
    pub fn end_connections(&mut self) {
        for worker in 0..WORKERS {
            if self.sessions[worker].phase != Phase::None {
                self.workers[worker].lane = crate::state::Lane::Unknown;
            }
        }
        (self.sessions, self.orphans, self.replays) = Default::default();
    }
}
