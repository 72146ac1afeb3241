//! Which of the possible steps comes next: any that the program can be brought to take by itself.

use duto_model::bounds::{Bounds, Repeat};
use duto_model::state::{Lane, Slots, State};
use duto_model::step::Step;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub struct Chooser {
    bounds: Bounds,
    random: StdRng,
}

impl Chooser {
    /// The same seed always chooses the same way.
    pub fn new(bounds: Bounds, seed: u64) -> Self {
        Self { bounds, random: StdRng::seed_from_u64(seed) }
    }

    pub fn coin(&mut self) -> bool {
        self.random.random_bool(0.5)
    }

    /// One of the steps, faults among them or not; None where none is possible.
    pub fn choose(
        &mut self,
        state: &State,
        steps: &[(Step, State)],
        with_faults: bool,
    ) -> Option<(Step, State)> {
        let possible: Vec<(u32, &(Step, State))> = steps
            .iter()
            .filter(|(step, _)| (with_faults || !step.is_fault()) && self.is_possible(state, step))
            .map(|chosen| (weight(state, &chosen.0), chosen))
            .collect();
        let whole: u32 = possible.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.random_range(0..whole.max(1));
        for (weight, chosen) in possible {
            if drawn < weight {
                return Some(*chosen);
            }
            drawn -= weight;
        }
        None
    }

    fn is_possible(&self, state: &State, step: &Step) -> bool {
        // All positions of a batch move by one statement, which nothing comes between.
        if let Some(moving) = state.workers.iter().position(|worker| worker.lane == Lane::Moving)
            && state.workers[moving].batch & !state.sessions[moving].locks != 0
        {
            return matches!(step, Step::MovePosition { worker, .. } | Step::Fenced { worker, .. } if *worker == moving);
        }
        match *step {
            Step::MovePosition { worker, .. } | Step::Fenced { worker, .. } => {
                partitions_of(state.workers[worker].batch)
                    .all(|partition| !state.is_locked(partition))
            }
            Step::SendAtOnce { worker } => self.goes_at_once(state, worker),
            // A batch is decided when its positions move.
            Step::FixDefinition => state.workers.iter().all(|worker| worker.lane != Lane::Moving),
            _ => true,
        }
    }

    /// The program asks for the last reject of a partition, the model for each; and a key that
    /// comes twice in a batch is known before.
    fn goes_at_once(&self, state: &State, worker: usize) -> bool {
        let bounds = &self.bounds;
        let mut keys: Vec<u8> =
            records_of(bounds, state, worker).map(|(_, _, key, _)| key).collect();
        let records = keys.len();
        keys.sort_unstable();
        keys.dedup();
        !has_rejects(bounds, state, worker)
            && (bounds.repeat == Repeat::Append || keys.len() == records)
    }
}

/// Whether a partition of the batch has a reject on record, open or resolved, behind its position.
pub fn has_rejects(bounds: &Bounds, state: &State, worker: usize) -> bool {
    let me = &state.workers[worker];
    partitions_of(me.batch).any(|partition| {
        let behind = bounds
            .records(0, partition)
            .map(|(offset, ..)| offset)
            .filter(|offset| *offset >= me.held[partition].expected);
        behind
            .into_iter()
            .any(|offset| state.database.rejects.get(bounds.slot(0, partition, offset)) != 0)
    })
}

/// Whether a record of the batch is in the table already.
pub fn has_repeats(bounds: &Bounds, state: &State, worker: usize) -> bool {
    records_of(bounds, state, worker)
        .any(|(_, _, key, _)| state.has_key(bounds, key, Slots::default()))
}

/// The records of a worker's batch: partition, offset, key, poison.
pub fn records_of(
    bounds: &Bounds,
    state: &State,
    worker: usize,
) -> impl Iterator<Item = (usize, u8, u8, bool)> {
    let me = state.workers[worker];
    partitions_of(me.batch).flat_map(move |partition| {
        let (first, to) = me.held[partition].batch;
        let records = bounds
            .records(0, partition)
            .filter(move |(offset, ..)| first <= *offset && *offset < to);
        records
            .map(move |(offset, key, poison)| (partition, offset, key, poison))
            .collect::<Vec<_>>()
    })
}

pub fn partitions_of(bits: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |partition| bits & 1 << partition != 0)
}

/// Where most can go wrong, and what would otherwise be rare.
fn weight(state: &State, step: &Step) -> u32 {
    match *step {
        Step::LoseConnection { worker } | Step::Crash { worker }
            if state.sessions[worker].may_land() =>
        {
            6
        }
        Step::LoseConnection { .. } => 3,
        Step::Move { .. } | Step::HandOver { .. } | Step::Rewind { .. } | Step::FixDefinition => 3,
        Step::Crash { .. } | Step::Skip { .. } | Step::ClaimLandsUnheard { .. } => 1,
        Step::SendAtOnce { .. } => 20,
        _ => 10,
    }
}
