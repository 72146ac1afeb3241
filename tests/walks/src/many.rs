//! Thousands of walks, two at a time, and what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::failure::{End, Failure, Kind};
use crate::generate::walk;
use crate::ground::Server;
use crate::play::play;
use crate::shrink::shrink;

/// How many walks, and what is done with those that fail.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub first_seed: u64,
    pub walks: u64,
    /// At the same time.
    pub walkers: usize,
    /// No walk begins behind it.
    pub budget: Option<Duration>,
    /// Where failing walks go, shrunk; None leaves them as they are.
    pub found: Option<PathBuf>,
    /// Of each kind of failure, how many are shrunk.
    pub shrunk_of_a_kind: usize,
    pub patience: Duration,
    /// Prints as it goes.
    pub progress: bool,
}

/// What became of all.
#[derive(Debug, Default)]
pub struct Told {
    pub walks: u64,
    pub refused: u64,
    /// Seeds, and why.
    pub unjudged: Vec<(u64, String)>,
    pub broken: Vec<(u64, Failure)>,
    /// In which the machine itself failed.
    pub errors: Vec<(u64, String)>,
    pub took: Duration,
}

const PROGRESS_WALKS: u64 = 100;

pub fn walk_many(wanted: &Wanted) -> Result<Told> {
    let server = Server::start()?;
    let (next, told, shrunk) = (
        AtomicU64::new(0),
        Mutex::new(Told::default()),
        Mutex::new(BTreeMap::<Kind, usize>::new()),
    );
    let began = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let walkers: Vec<_> = (0..wanted.walkers)
            .map(|number| {
                let (server, next, told, shrunk) = (&server, &next, &told, &shrunk);
                scope.spawn(move || walker(number, server, wanted, next, told, shrunk, began))
            })
            .collect();
        walkers.into_iter().try_for_each(|walker| {
            walker.join().map_err(|_| anyhow::anyhow!("a walker panicked"))?
        })
    })?;
    let mut told = told.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    told.took = began.elapsed();
    Ok(told)
}

fn walker(
    number: usize,
    server: &Server,
    wanted: &Wanted,
    next: &AtomicU64,
    told: &Mutex<Told>,
    shrunk: &Mutex<BTreeMap<Kind, usize>>,
    began: Instant,
) -> Result<()> {
    let ground = server.ground(number, wanted.patience)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= wanted.walks || wanted.budget.is_some_and(|budget| began.elapsed() > budget) {
            return Ok(());
        }
        let seed = wanted.first_seed + place;
        let walk = walk(seed);
        let end = runtime.block_on(play(&ground, &walk));
        let mut report = Vec::new();
        {
            let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            told.walks += 1;
            match &end {
                Ok(End::Kept) => {}
                Ok(End::Refused(problems)) => {
                    told.refused += 1;
                    if wanted.progress && std::env::var_os("DUTO_WALKS_SHOW_REFUSED").is_some() {
                        report.push(format!("seed {seed} is refused: {problems}"));
                    }
                }
                Ok(End::Unjudged(why)) => told.unjudged.push((seed, why.clone())),
                Ok(End::Broken(failure)) => {
                    report.push(format!(
                        "seed {seed} breaks the promise, {:?} {}: {}",
                        failure.kind, failure.way, failure.detail
                    ));
                    told.broken.push((seed, failure.clone()));
                }
                Err(error) => {
                    report.push(format!("seed {seed}: the machine failed: {error:#}"));
                    told.errors.push((seed, format!("{error:#}")));
                }
            }
            if told.walks.is_multiple_of(PROGRESS_WALKS) {
                let each = began.elapsed().as_secs_f64() / told.walks as f64;
                let Told { walks, refused, unjudged, broken, errors, .. } = &*told;
                report.push(format!(
                    "{walks} walks, {:.2} s each; {refused} refused, {} unjudged, {} broken, {} \
                        errors",
                    each,
                    unjudged.len(),
                    broken.len(),
                    errors.len()
                ));
            }
        }
        if wanted.progress {
            report.iter().for_each(|line| println!("{line}"));
        }
        let (Ok(End::Broken(failure)), Some(folder)) = (&end, &wanted.found) else { continue };
        let before = {
            let mut shrunk = shrunk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let count = shrunk.entry(failure.kind).or_default();
            *count += 1;
            *count
        };
        if before <= wanted.shrunk_of_a_kind {
            let small = runtime.block_on(shrink(&ground, &walk, failure)).context("shrinking")?;
            let folder = folder.join(format!("{:?}_{seed}", failure.kind).to_lowercase());
            small.save(&folder)?;
            if wanted.progress {
                println!("seed {seed} is shrunk in {}", folder.display());
            }
        }
    }
}
