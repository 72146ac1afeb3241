//! Threads that work for as long as the process runs: one that panics is told and begins again,
//! instead of leaving whoever waits for it alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs until it returns by itself. After each panic `panicked` gets the pause until the next run,
/// tells whoever should know, and waits.
pub fn run(what: &str, work: impl Fn(), panicked: impl Fn(&str, Duration)) {
    let mut panics = 0;
    while catch_unwind(AssertUnwindSafe(&work)).is_err() {
        let pause = backoff::pause(FIRST_PAUSE, LONGEST_PAUSE, panics);
        panics = panics.saturating_add(1);
        let reason = format!(
            "{what} panicked, see the message above; this is a fault of duto, please report it"
        );
        tracing::error!(retry_in = ?pause, "{reason}; it begins again");
        panicked(&reason, pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_panics_begins_again_and_is_told() {
        let (runs, told) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let work = || assert!(runs.fetch_add(1, Ordering::Relaxed) >= 2, "on purpose");
        run("the relay of partition 3", work, |reason, pause| {
            told.lock().unwrap().push((reason.to_owned(), pause))
        });
        let told = told.into_inner().unwrap();
        assert!(runs.into_inner() == 3 && told.len() == 2, "{told:?}");
        assert!(
            told.iter()
                .all(|(reason, pause)| reason.contains("the relay of partition 3")
                    && !pause.is_zero()),
            "{told:?}"
        );
    }
}
