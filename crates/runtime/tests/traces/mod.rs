//! Ways through the model of the load, walked by the real one: two workers, replays and operators
//! on a real PostgreSQL, each connection through a proxy that holds it where the model stands
//! between two steps. After every step the database must say what the model says.
//!
//! The model is explored exhaustively by itself. What is shown here is that it is a model of this
//! program: that the load does at each step what the model takes for granted, also of a COMMIT that
//! lands after its worker is gone, and of a statement that comes too late.

mod choose; // which step comes next
mod enact; // a step of the model, done by the program
mod ground; // the database, the pipeline, and what must stand there
mod session; // a connection that can be held

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use duto_model::bounds::{Bounds, Repeat};
use duto_model::explore::Model;
use duto_model::load::Load;
use duto_model::state::State;
use duto_model::step::Step;

use choose::Chooser;
use enact::Actors;
use ground::Ground;

/// How many ways of each kind are walked. `DUTO_TRACES` says otherwise.
const TRACES: u64 = 15;
/// So many steps with faults among them, then without until everything is loaded.
const STEPS: usize = 60;
const MOST_STEPS_TO_THE_END: usize = 2_000;

/// Everything that may happen to one partition, which may be read again.
const ONE: Bounds = Bounds {
    rewinds: true,
    skips: true,
    fix: true,
    replays: 2,
    at_once: true,
    ..Bounds::one_partition()
};
/// Rows without keys, where anything that is done twice is there twice.
const APPENDED: Bounds = Bounds {
    repeat: Repeat::Append,
    fix: true,
    replays: 2,
    at_once: true,
    ..Bounds::one_partition()
};
/// Positions that move together.
const TWO: Bounds = Bounds {
    rewinds: true,
    fix: true,
    replays: 1,
    at_once: true,
    prefetch: true,
    ..Bounds::two_partitions()
};
/// Lanes of one process, which keep its fences.
const LANES: Bounds = Bounds {
    rebalances: false,
    hand_over: true,
    at_once: true,
    rewinds: true,
    ..Bounds::two_partitions()
};

/// Faults are frequent, so each of these comes up many times; one that does not says that the ways
/// no longer lead there.
const OWED: &[&str] = &[
    "Claim",
    "ClaimLandsUnheard",
    "SeeMovedPosition",
    "MovePosition",
    "Fenced",
    "Write",
    "Commit",
    "HearCommitted",
    "SendAtOnce",
    "AtOnceRefused",
    "HandOver",
    "LoseConnection",
    "Crash",
    "FindStored",
    "FindNotStored",
    "FindFenced",
    "CommitLandsLate",
    "CommitNeverLands",
    "Rewind",
    "Skip",
    "ReplayCommits",
    "ReplayDies",
];

#[test]
fn the_load_does_what_its_model_does() {
    let kinds = [("one", ONE), ("appended", APPENDED), ("two", TWO), ("lanes", LANES)];
    let traces =
        std::env::var("DUTO_TRACES").ok().and_then(|traces| traces.parse().ok()).unwrap_or(TRACES);
    let walkers: Vec<_> = kinds
        .into_iter()
        .map(|(name, bounds)| std::thread::spawn(move || walk_many(name, bounds, traces)))
        .collect();
    let mut seen = BTreeMap::<String, usize>::new();
    for walker in walkers {
        let of_one =
            walker.join().expect("a walker").unwrap_or_else(|problem| panic!("{problem:#}"));
        of_one.into_iter().for_each(|(step, times)| *seen.entry(step).or_default() += times);
    }
    println!("{seen:?}");
    let missing: Vec<&&str> = OWED.iter().filter(|step| !seen.contains_key(**step)).collect();
    assert!(missing.is_empty(), "no way led to {missing:?}");
}

/// Answers how often each step was done.
fn walk_many(name: &str, bounds: Bounds, traces: u64) -> Result<BTreeMap<String, usize>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut seen = BTreeMap::new();
    let ground = runtime.block_on(Ground::make(name, &bounds))?;
    for seed in 0..traces {
        let mut way = Vec::new();
        let walked = runtime.block_on(walk(&ground, bounds, seed, &mut way));
        let told = || {
            way.iter()
                .enumerate()
                .map(|(number, step)| format!("{:4}. {step}\n", number + 1))
                .collect::<String>()
        };
        walked.with_context(|| {
            format!("way {seed} of {name}, the last step is the wrong one:\n{}", told())
        })?;
        way.iter().for_each(|step| *seen.entry(name_of(step)).or_default() += 1);
    }
    Ok(seen)
}

async fn walk(ground: &Ground, bounds: Bounds, seed: u64, way: &mut Vec<Step>) -> Result<()> {
    let (model, mut chooser) = (Load(bounds), Chooser::new(bounds, seed));
    let (mut state, mut successors) = (State::initial(), Vec::new());
    ground.begin(&bounds).await?;
    let mut actors = Actors::new(ground, bounds);
    while !(way.len() > STEPS && model.is_complete(&state)) {
        ensure!(way.len() < MOST_STEPS_TO_THE_END, "it comes to no end");
        successors.clear();
        model.steps(&state, &mut successors);
        let Some((step, next)) = chooser.choose(&state, &successors, way.len() < STEPS) else {
            break;
        };
        way.push(step);
        actors.enact(step, &state, &next, &successors, chooser.coin()).await?;
        ground.compare(&bounds, &next, &actors.fences).await?;
        state = next;
    }
    ensure!(model.is_complete(&state), "it ends before everything is loaded");
    actors.leave().await
}

fn name_of(step: &Step) -> String {
    format!("{step:?}").chars().take_while(char::is_ascii_alphabetic).collect()
}
