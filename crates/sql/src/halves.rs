//! Evaluating in halves. A batch either works as a whole or holds rows that fail; those are found
//! by trying again in halves, so that each costs a number of evaluations that grows with the
//! logarithm of the batch.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a row could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was being made, for example a column's name; empty when nothing has a name.
    pub name: String,
    pub message: String,
}

/// The results for the ranges of rows that work, in order, and the rows that do not. A panic is a
/// failure like any other.
pub fn run_in_halves<T>(
    rows: usize,
    run: impl Fn(Range<usize>) -> Result<T, Failure>,
) -> (Vec<T>, Vec<(u32, Failure)>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    if rows == 0 {
        // An empty batch still has types to answer.
        done.extend(guarded(0..0, &run));
        return (done, failed);
    }
    let mut open: Vec<_> = std::iter::once(0..rows).collect();
    while let Some(range) = open.pop() {
        match guarded(range.clone(), &run) {
            Ok(result) => done.push(result),
            Err(failure) if range.len() == 1 => failed.push((range.start as u32, failure)),
            Err(_) => {
                let middle = range.start + range.len() / 2;
                open.push(middle..range.end);
                open.push(range.start..middle);
            }
        }
    }
    (done, failed)
}

fn guarded<T>(
    range: Range<usize>,
    run: &impl Fn(Range<usize>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(|| run(range))).unwrap_or_else(|panic| {
        let told = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure {
            name: String::new(),
            message: format!("the expression broke off: {}", told.unwrap_or("a panic")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn failing_at<'a>(
        bad: &'a [usize],
        calls: &'a Cell<u32>,
    ) -> impl Fn(Range<usize>) -> Result<usize, Failure> + 'a {
        move |range| {
            calls.set(calls.get() + 1);
            match bad.iter().find(|row| range.contains(row)) {
                Some(7) => panic!("row seven"),
                Some(row) => Err(Failure { name: "x".into(), message: row.to_string() }),
                None => Ok(range.len()),
            }
        }
    }

    #[test]
    fn only_the_failing_rows_are_lost() {
        let calls = Cell::new(0);
        let (done, failed) = run_in_halves(10_000, failing_at(&[3, 9_999], &calls));
        assert_eq!(done.iter().sum::<usize>(), 9_998);
        assert_eq!(failed.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [3, 9_999]);
        assert!(calls.get() < 60, "{} evaluations", calls.get());
    }

    #[test]
    fn a_batch_that_works_is_evaluated_once() {
        let calls = Cell::new(0);
        assert_eq!(run_in_halves(10, failing_at(&[], &calls)).0, [10]);
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn a_panic_is_a_failed_row() {
        let calls = Cell::new(0);
        let (_, failed) = run_in_halves(16, failing_at(&[7], &calls));
        assert_eq!(
            failed,
            [(
                7,
                Failure {
                    name: String::new(),
                    message: "the expression broke off: row seven".into()
                }
            )]
        );
    }
}
