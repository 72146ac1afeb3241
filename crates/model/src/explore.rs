//! Visits every state that a model can reach, breadth first, and answers either how many there are
//! or the shortest way to a wrong one.
//!
//! An explorer of our own rather than stateright: the liveness check below ("once the faults stop,
//! everything gets stored") is what finds a worker that is stuck, and stateright's `eventually`
//! does not look through cycles, of which this protocol is made (fenced, claim, again). It is also
//! this one file, without a dependency.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

/// A protocol as a graph: a first state, and the steps that lead out of a state.
pub trait Model {
    type State: Copy + Eq + Hash;
    type Step: Copy + fmt::Display;

    fn initial(&self) -> Self::State;

    /// Adds every step that is possible in `state`, with the state behind it.
    fn steps(&self, state: &Self::State, into: &mut Vec<(Self::Step, Self::State)>);

    /// Whether a step is a fault or somebody's decision. The others are progress: they need no more
    /// than time.
    fn is_fault(&self, step: &Self::Step) -> bool;

    /// What is wrong with a state, in words.
    fn violation(&self, state: &Self::State) -> Option<&'static str>;

    /// Whether everything that was accepted is where it belongs. Such a state must be within reach
    /// of progress alone, from everywhere.
    fn is_complete(&self, state: &Self::State) -> bool;
}

/// What an exploration found.
pub enum Outcome {
    Holds(Explored),
    Fails(Counterexample),
    /// More states than allowed: nothing is proved.
    TooLarge {
        states: usize,
    },
}

/// The size of what was explored.
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// Steps from the first state to the farthest.
    pub depth: usize,
    pub complete_states: usize,
    pub elapsed: Duration,
}

/// The shortest way into a wrong state.
pub struct Counterexample {
    pub broken: &'static str,
    pub steps: Vec<String>,
    pub states: usize,
}

/// Explores at most `max_states` states. Exact: a state is known again by comparison, not by its
/// hash alone.
pub fn explore<M: Model>(model: &M, max_states: usize) -> Outcome {
    let started = Instant::now();
    let mut graph = Graph::new(model.initial());
    let (mut successors, mut steps, mut layer_end, mut depth, mut next) = (Vec::new(), 0, 1, 0, 0);
    while next < graph.states.len() {
        if next == layer_end {
            (layer_end, depth) = (graph.states.len(), depth + 1);
        }
        let state = graph.states[next];
        if let Some(broken) = model.violation(&state) {
            return Outcome::Fails(graph.counterexample(model, next, broken));
        }
        model.steps(&state, &mut successors);
        steps += successors.len();
        for (step, successor) in successors.drain(..) {
            let to = graph.find_or_add(successor, next as u32);
            if !model.is_fault(&step) {
                graph.progress.push(to);
            }
        }
        graph.progress_ends.push(graph.progress.len());
        if graph.states.len() > max_states {
            return Outcome::TooLarge { states: graph.states.len() };
        }
        next += 1;
    }
    let completes = graph.completes(model);
    if let Some(stuck) = completes.iter().position(|completes| !completes) {
        return Outcome::Fails(graph.counterexample(
            model,
            stuck,
            "liveness: from here progress alone never stores everything",
        ));
    }
    let complete_states = graph.states.iter().filter(|state| model.is_complete(state)).count();
    Outcome::Holds(Explored {
        states: graph.states.len(),
        steps,
        depth,
        complete_states,
        elapsed: started.elapsed(),
    })
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, complete_states, elapsed } = self;
        write!(
            f,
            "{states} states, {steps} steps, depth {depth}, {complete_states} complete, {:.2} s",
            elapsed.as_secs_f64()
        )
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} (after {} steps, {} states seen)",
            self.broken,
            self.steps.len(),
            self.states
        )?;
        self.steps
            .iter()
            .enumerate()
            .try_for_each(|(index, step)| writeln!(f, "{:4}. {step}", index + 1))
    }
}

/// The states in the order in which they were found, and the progress steps between them.
struct Graph<S> {
    states: Vec<S>,
    parents: Vec<u32>,
    /// Open addressing: a state's hash, and its number plus one, 0 where there is none.
    table: Vec<(u32, u32)>,
    /// Where the progress steps of all states lead, one state after the other.
    progress: Vec<u32>,
    progress_ends: Vec<usize>,
}

impl<S: Copy + Eq + Hash> Graph<S> {
    fn new(initial: S) -> Self {
        let mut graph = Self {
            states: Vec::new(),
            parents: Vec::new(),
            table: vec![(0, 0); 1 << 16],
            progress: Vec::new(),
            progress_ends: Vec::new(),
        };
        graph.find_or_add(initial, 0);
        graph
    }

    fn find_or_add(&mut self, state: S, parent: u32) -> u32 {
        if self.states.len() * 2 > self.table.len() {
            self.grow();
        }
        let hash = hash_of(&state);
        let mut slot = self.slot_of(hash);
        loop {
            match self.table[slot] {
                (_, 0) => break,
                (same, number) if same == hash && self.states[number as usize - 1] == state => {
                    return number - 1;
                }
                _ => slot = self.slot_of(slot as u32 + 1),
            }
        }
        self.states.push(state);
        self.parents.push(parent);
        self.table[slot] = (hash, self.states.len() as u32);
        self.states.len() as u32 - 1
    }

    fn grow(&mut self) {
        let doubled = vec![(0, 0); self.table.len() * 2];
        for (hash, number) in std::mem::replace(&mut self.table, doubled)
            .into_iter()
            .filter(|(_, number)| *number > 0)
        {
            let mut slot = self.slot_of(hash);
            while self.table[slot].1 != 0 {
                slot = self.slot_of(slot as u32 + 1);
            }
            self.table[slot] = (hash, number);
        }
    }

    fn slot_of(&self, hash: u32) -> usize {
        hash as usize & (self.table.len() - 1)
    }

    /// For each state, whether progress alone can lead to a complete one: backwards from those
    /// along the steps.
    fn completes<M: Model<State = S>>(&self, model: &M) -> Vec<bool> {
        let mut starts = vec![0u32; self.states.len() + 1];
        self.progress.iter().for_each(|&to| starts[to as usize + 1] += 1);
        (1..starts.len()).for_each(|index| starts[index] += starts[index - 1]);
        let (mut fill, mut sources, mut begin) =
            (starts.clone(), vec![0u32; self.progress.len()], 0);
        for (from, &end) in self.progress_ends.iter().enumerate() {
            for &to in &self.progress[begin..end] {
                sources[fill[to as usize] as usize] = from as u32;
                fill[to as usize] += 1;
            }
            begin = end;
        }
        let mut completes: Vec<bool> =
            self.states.iter().map(|state| model.is_complete(state)).collect();
        let mut waiting: Vec<usize> =
            (0..completes.len()).filter(|&index| completes[index]).collect();
        while let Some(to) = waiting.pop() {
            for &from in &sources[starts[to] as usize..starts[to + 1] as usize] {
                if !std::mem::replace(&mut completes[from as usize], true) {
                    waiting.push(from as usize);
                }
            }
        }
        completes
    }

    fn counterexample<M: Model<State = S>>(
        &self,
        model: &M,
        wrong: usize,
        broken: &'static str,
    ) -> Counterexample {
        let (mut steps, mut to) = (Vec::new(), wrong);
        while to != 0 {
            let from = self.parents[to] as usize;
            let mut successors = Vec::new();
            model.steps(&self.states[from], &mut successors);
            steps.extend(
                successors
                    .iter()
                    .find(|(_, state)| *state == self.states[to])
                    .map(|(step, _)| step.to_string()),
            );
            to = from;
        }
        steps.reverse();
        Counterexample { broken, steps, states: self.states.len() }
    }
}

fn hash_of(state: &impl Hash) -> u32 {
    let mut mixer = Mixer::default();
    state.hash(&mut mixer);
    (mixer.finish() >> 32) as u32
}

/// Mixes a state's bytes, quickly; the table compares whole states, so that quality only costs
/// time.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    #[inline(always)]
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline(always)]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline(always)]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    #[inline(always)]
    fn write_usize(&mut self, _length: usize) {
        // Only the lengths of arrays, which never differ.
    }

    #[inline(always)]
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }

    #[inline(always)]
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
