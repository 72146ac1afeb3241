//! The load as a whole: the steps of all its actors, whichever of them comes next.

use crate::bounds::Bounds;
use crate::explore::Model;
use crate::state::State;
use crate::step::Step;
use crate::{
    at_once, database, group, hand_over, invariants, operator, reconnect, surroundings, worker,
};

/// The load within bounds.
pub struct Load(pub Bounds);

impl Model for Load {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State::initial()
    }

    fn steps(&self, state: &State, into: &mut Vec<(Step, State)>) {
        let mut successors = Successors(std::mem::take(into));
        group::steps(&self.0, state, &mut successors);
        worker::steps(&self.0, state, &mut successors);
        hand_over::steps(&self.0, state, &mut successors);
        reconnect::steps(&self.0, state, &mut successors);
        database::steps(&self.0, state, &mut successors);
        at_once::land(&self.0, state, &mut successors);
        operator::steps(&self.0, state, &mut successors);
        surroundings::steps(&self.0, state, &mut successors);
        *into = successors.0;
    }

    fn is_fault(&self, step: &Step) -> bool {
        step.is_fault()
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        invariants::violation(&self.0, state)
    }

    fn is_complete(&self, state: &State) -> bool {
        invariants::is_complete(&self.0, state)
    }
}

/// The steps that lead out of one state.
pub struct Successors(Vec<(Step, State)>);

impl Successors {
    pub fn add(&mut self, step: Step, state: &State, change: impl FnOnce(&mut State)) {
        let mut next = *state;
        change(&mut next);
        next.forget_fences();
        self.0.push((step, next));
    }
}
