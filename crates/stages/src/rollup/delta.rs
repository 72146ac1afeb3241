//! What the stored rows of a batch add to one rollup, as texts that PostgreSQL reads.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use arrow::row::Rows;

use super::bucket;
use super::group::{Groups, comparable, texts};
use super::sum::sums;
use super::{Evaluated, EvaluatedMeasure, RollupPlan};
use duto_definition::{Operation, Windows};

/// Columns of texts, all of one length.
pub type Columns = Vec<Vec<Option<String>>>;

/// What a batch adds to one rollup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// One row a group: what it is grouped by, the number of its rows, then each measure's figures: one for count, sum, min and max, two
    /// for last (the value and its order), none for a distinct count. With windows there is one row a group and bucket of time, and the
    /// grain and the bucket's start stand in front.
    pub counters: Columns,
    /// For each distinct count, in the order of the measures: what the rows are grouped by, then the value; each once, in the order of
    /// the values, so that two writers wait for each other in one order.
    pub sets: Vec<Columns>,
}

impl RollupPlan {
    /// What these rows of its table add; None when there are none. It fails for a type that was not planned for, and for nothing else:
    /// a value that cannot be counted made its record a reject when it was evaluated.
    pub fn delta(&self, evaluated: &Evaluated, rows: &[u32]) -> Result<Option<Delta>, ArrowError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let counters = match (&self.rollup.windows, &evaluated.over) {
            (Some(windows), Some(over)) => self.bucket_counters(windows, over, evaluated, rows)?,
            _ => self.counters(&evaluated.by, evaluated, rows)?,
        };
        let distinct_measures =
            self.measures.iter().zip(&evaluated.measures).filter(|(plan, _)| matches!(plan.operation, Operation::CountDistinct(_)));
        let sets = distinct_measures.map(|(_, measure)| distinct(&evaluated.by, measure, rows)).collect::<Result<_, _>>()?;
        Ok(Some(Delta { counters, sets }))
    }

    /// One row a group of these columns; distinct counts have no figure here.
    fn counters(&self, by: &[ArrayRef], evaluated: &Evaluated, rows: &[u32]) -> Result<Columns, ArrowError> {
        let groups = Groups::new(by, rows)?;
        let first: Vec<Option<u32>> = groups.first.iter().copied().map(Some).collect();
        let mut counters: Columns = by.iter().map(|column| texts(column, &first)).collect::<Result<_, _>>()?;
        counters.push(counts(rows, &groups, None));
        for (plan, measure) in self.measures.iter().zip(&evaluated.measures) {
            match &plan.operation {
                Operation::CountDistinct(_) => {}
                operation => counters.extend(figures(operation, measure, rows, &groups)?),
            }
        }
        Ok(counters)
    }

    /// The counters of the whole history, then those of each grain. Two columns stand in front: the grain, and where its bucket starts. A
    /// row without a time counts in the whole history alone.
    fn bucket_counters(&self, windows: &Windows, over: &ArrayRef, evaluated: &Evaluated, rows: &[u32]) -> Result<Columns, ArrowError> {
        let mut counters = self.counters(&evaluated.by, evaluated, rows)?;
        let groups = counters.first().map_or(0, Vec::len);
        counters.insert(0, vec![Some(bucket::WHOLE_HISTORY_START.to_owned()); groups]);
        counters.insert(0, vec![Some(bucket::WHOLE_HISTORY.to_string()); groups]);
        let timed: Vec<u32> = rows.iter().copied().filter(|row| over.is_valid(*row as usize)).collect();
        for grain in windows.grains.iter().filter(|_| !timed.is_empty()) {
            let by: Vec<ArrayRef> = std::iter::once(bucket::starts(over, grain.unit)).chain(evaluated.by.iter().cloned()).collect();
            let mut of_grain = self.counters(&by, evaluated, &timed)?;
            let groups = of_grain.first().map_or(0, Vec::len);
            of_grain.insert(0, vec![Some(grain.unit.seconds().to_string()); groups]);
            counters.iter_mut().zip(of_grain).for_each(|(column, more)| column.extend(more));
        }
        Ok(counters)
    }
}

/// The rows that a measure looks at, each with its group.
fn passing<'a>(measure: &'a EvaluatedMeasure, rows: &'a [u32], groups: &'a Groups) -> impl Iterator<Item = (u32, usize)> + 'a {
    let rows = rows.iter().copied().zip(groups.of_row.iter().copied());
    rows.filter(|(row, _)| measure.passes.as_ref().is_none_or(|passes| passes.value(*row as usize)))
}

fn counts(rows: &[u32], groups: &Groups, measure: Option<&EvaluatedMeasure>) -> Vec<Option<String>> {
    let mut counts = vec![0u64; groups.first.len()];
    match measure {
        Some(measure) => passing(measure, rows, groups).for_each(|(_, group)| counts[group] += 1),
        None => groups.of_row.iter().for_each(|group| counts[*group] += 1),
    }
    counts.into_iter().map(|count| Some(count.to_string())).collect()
}

fn figures(operation: &Operation, measure: &EvaluatedMeasure, rows: &[u32], groups: &Groups) -> Result<Columns, ArrowError> {
    let count = groups.first.len();
    let argument = |place: usize| &measure.arguments[place];
    Ok(match operation {
        Operation::Count | Operation::CountDistinct(_) => vec![counts(rows, groups, Some(measure))],
        Operation::Sum(_) => vec![sums(argument(0), passing(measure, rows, groups), count)?],
        Operation::Min(_) => vec![extreme(argument(0), passing(measure, rows, groups), count, |new, best| new < best)?],
        Operation::Max(_) => vec![extreme(argument(0), passing(measure, rows, groups), count, |new, best| new > best)?],
        Operation::Last { .. } => last(argument(0), argument(1), passing(measure, rows, groups), count)?,
    })
}

/// Each group's value that is before all others, by comparison of their bytes; NULL is not looked at.
fn extreme(
    values: &ArrayRef,
    rows: impl Iterator<Item = (u32, usize)>,
    groups: usize,
    is_better: fn(&[u8], &[u8]) -> bool,
) -> Result<Vec<Option<String>>, ArrowError> {
    let keys = comparable(std::slice::from_ref(values))?;
    let best = best_rows(&keys, rows.filter(|(row, _)| values.is_valid(*row as usize)), groups, is_better);
    texts(values, &best)
}

/// Each group's last value and its order.
fn last(values: &ArrayRef, order: &ArrayRef, rows: impl Iterator<Item = (u32, usize)>, groups: usize) -> Result<Columns, ArrowError> {
    let keys = comparable(&[order.clone(), values.clone()])?;
    let best = best_rows(&keys, rows.filter(|(row, _)| order.is_valid(*row as usize)), groups, |new, best| new > best);
    Ok(vec![texts(values, &best)?, texts(order, &best)?])
}

fn best_rows(
    keys: &Rows,
    rows: impl Iterator<Item = (u32, usize)>,
    groups: usize,
    is_better: fn(&[u8], &[u8]) -> bool,
) -> Vec<Option<u32>> {
    let mut best: Vec<Option<u32>> = vec![None; groups];
    for (row, group) in rows {
        let new = keys.row(row as usize);
        if best[group].is_none_or(|known| is_better(new.data(), keys.row(known as usize).data())) {
            best[group] = Some(row);
        }
    }
    best
}

/// Every different value of every group, in one order for all writers.
fn distinct(by: &[ArrayRef], measure: &EvaluatedMeasure, rows: &[u32]) -> Result<Columns, ArrowError> {
    let values = &measure.arguments[0];
    let columns: Vec<ArrayRef> = by.iter().chain([values]).cloned().collect();
    let keys = comparable(&columns)?;
    let passes = |row: usize| measure.passes.as_ref().is_none_or(|passes| passes.value(row));
    let mut seen = HashSet::new();
    let keyed: Vec<_> = rows.iter().map(|row| (keys.row(*row as usize), *row)).collect();
    let mut chosen: Vec<(&[u8], u32)> = keyed
        .iter()
        .map(|(key, row)| (key.data(), *row))
        .filter(|(key, row)| values.is_valid(*row as usize) && passes(*row as usize) && seen.insert(*key))
        .collect();
    chosen.sort_unstable();
    let chosen: Vec<Option<u32>> = chosen.into_iter().map(|(_, row)| Some(row)).collect();
    columns.iter().map(|column| texts(column, &chosen)).collect()
}
