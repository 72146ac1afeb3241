//! `duto-walks [WALKS]`: random walks. `--seed S` walks one and shrinks it; `--replay FOLDER` walks
//! what was found before.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use duto_walks::failure::End;
use duto_walks::ground::Server;
use duto_walks::many::{Wanted, walk_many};
use duto_walks::play::play;
use duto_walks::walk::Walk;

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|at| arguments.get(at + 1))
            .cloned()
    };
    if let Some(folder) = value("--replay") {
        return replay(Path::new(&folder));
    }
    let seed =
        value("--seed").map(|seed| seed.parse()).transpose().context("--seed takes a number")?;
    if let (Some(seed), true) = (seed, arguments.iter().any(|argument| argument == "--show")) {
        println!("{}", serde_json::to_string_pretty(&duto_walks::generate::walk(seed))?);
        return Ok(true);
    }
    let walks = arguments
        .first()
        .filter(|first| !first.starts_with("--"))
        .map(|walks| walks.parse())
        .transpose()
        .context("a number of walks")?;
    let first =
        value("--from").map(|seed| seed.parse()).transpose().context("--from takes a number")?;
    let wanted = Wanted {
        first_seed: seed.or(first).unwrap_or(0),
        walks: if seed.is_some() { 1 } else { walks.unwrap_or(1_000) },
        // A walk waits for its processes half of the time.
        walkers: match value("--walkers") {
            Some(walkers) => walkers.parse().context("--walkers takes a number")?,
            None => std::thread::available_parallelism().map_or(2, |cores| cores.get() * 2),
        },
        budget: None,
        found: Some(
            value("--found").map_or_else(|| PathBuf::from("tests/walks/found-new"), PathBuf::from),
        ),
        shrunk_of_a_kind: 3,
        patience: PATIENCE,
        progress: true,
    };
    let told = walk_many(&wanted)?;
    for (seed, why) in told.unjudged.iter().take(20) {
        println!("seed {seed} is not judged: {why}");
    }
    let each = told.took.as_secs_f64() / told.walks.max(1) as f64;
    println!(
        "{} walks in {:.0} s, {each:.2} s each: {} refused by check, {} not judged, {} broken, {} \
            errors",
        told.walks,
        told.took.as_secs_f64(),
        told.refused,
        told.unjudged.len(),
        told.broken.len(),
        told.errors.len()
    );
    let seeds: Vec<String> =
        told.broken.iter().map(|(seed, failure)| format!("{seed} ({:?})", failure.kind)).collect();
    if !seeds.is_empty() {
        println!("broken: {}", seeds.join(", "));
    }
    Ok(told.broken.is_empty() && told.errors.is_empty())
}

fn replay(folder: &Path) -> Result<bool> {
    let walk = Walk::load(folder)?;
    let server = Server::start()?;
    let ground = server.ground(0, PATIENCE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(play(&ground, &walk))?;
    println!("{}: {end:#?}", folder.display());
    Ok(matches!(end, End::Kept | End::Refused(_)))
}
