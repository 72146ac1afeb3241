//! A bounded number of random walks, and every walk that was found to break something.

use std::path::Path;
use std::time::Duration;

use duto_walks::failure::End;
use duto_walks::ground::Server;
use duto_walks::many::{Wanted, walk_many};
use duto_walks::play::play;
use duto_walks::walk::Walk;

const PATIENCE: Duration = Duration::from_secs(60);

/// None of what was found takes longer when it is right.
const PATIENCE_OF_FOUND: Duration = Duration::from_secs(12);

/// The seeds are always the same ones; on a slow machine there are fewer of them.
#[test]
fn random_pipelines_keep_the_promise() {
    let wanted = Wanted {
        first_seed: 1_000_000,
        walks: 150,
        walkers: 2,
        budget: Some(Duration::from_secs(120)),
        found: None,
        shrunk_of_a_kind: 0,
        patience: PATIENCE,
        progress: false,
    };
    let told = walk_many(&wanted).expect("the machine runs");
    let broken: Vec<String> =
        told.broken.iter().map(|(seed, failure)| format!("seed {seed}: {failure:?}")).collect();
    assert!(
        broken.is_empty(),
        "`make walks SEED=...` walks one again and shrinks it:\n{}",
        broken.join("\n")
    );
    assert!(told.errors.is_empty(), "{:?}", told.errors);
    assert!(told.walks >= 20, "only {} walks within the time", told.walks);
    assert!(
        told.refused * 4 <= told.walks,
        "{} of {} files are refused: the generator should make good ones",
        told.refused,
        told.walks
    );
}

/// Each folder of `found/` is a walk that broke the promise once. Those that `open.txt` names still
/// do.
#[test]
fn what_was_found_stays_mended() {
    let server = Server::start().expect("a server");
    let ground = server.ground(0, PATIENCE_OF_FOUND).expect("a ground");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let open = std::fs::read_to_string(found.join("open.txt")).unwrap_or_default();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&found).expect("the folder of what was found") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_open =
            open.lines().any(|line| line.split_whitespace().next() == Some(name.as_str()));
        let walk = Walk::load(&folder).expect("a walk");
        match runtime.block_on(play(&ground, &walk)).expect("the machine runs") {
            End::Kept | End::Refused(_) if is_open => {
                wrong.push(format!("{name} is mended: take it out of found/open.txt"))
            }
            End::Broken(_) if is_open => {}
            End::Kept | End::Refused(_) => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
