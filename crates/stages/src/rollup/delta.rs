//! What the stored rows of a batch add to one rollup, as texts that PostgreSQL reads.

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use duto_definition::{Operation, Windows};

use super::bucket;
use super::group::{Groups, texts};
use super::measures::{self, Passing};
use super::{Evaluated, RollupPlan};
use duto_ground::index::RowIndex;

/// Columns of texts, all of one length.
pub type Columns = Vec<Vec<Option<String>>>;

/// What a batch adds to one rollup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// One row a group: what it is grouped by, the number of its rows, then each measure's figures,
    /// a column for each of its counters, none for a distinct count. With windows there is one row
    /// a group and bucket of time, and the grain and the bucket's start stand in front.
    pub counters: Columns,
    /// For each distinct count, in the order of the measures: what the rows are grouped by, then
    /// the value; each once, in the order of the values, so that two writers wait for each other in
    /// one order.
    pub sets: Vec<Columns>,
}

impl RollupPlan {
    /// What these rows of its table add; None when there are none. It fails for a type that was not
    /// planned for, and for nothing else: a value that cannot be counted made its record a reject
    /// when it was evaluated.
    pub fn delta(
        &self,
        evaluated: &Evaluated,
        rows: &[RowIndex],
    ) -> Result<Option<Delta>, ArrowError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let counters = match (&self.rollup.windows, &evaluated.over) {
            (Some(windows), Some(over)) => self.bucket_counters(windows, over, evaluated, rows)?,
            _ => self.counters(&evaluated.by, evaluated, rows)?,
        };
        let distinct = evaluated.measures.iter().filter_map(|measure| match &measure.operation {
            Operation::CountDistinct(values) => Some((values, measure.passes.as_ref())),
            _ => None,
        });
        let sets = distinct
            .map(|(values, passes)| measures::distinct_values(&evaluated.by, values, passes, rows))
            .collect::<Result<_, _>>()?;
        Ok(Some(Delta { counters, sets }))
    }

    /// One row a group of these columns; distinct counts have no figure here.
    fn counters(
        &self,
        by: &[ArrayRef],
        evaluated: &Evaluated,
        rows: &[RowIndex],
    ) -> Result<Columns, ArrowError> {
        let groups = Groups::new(by, rows)?;
        let first: Vec<Option<RowIndex>> = groups.first.iter().copied().map(Some).collect();
        let mut counters: Columns =
            by.iter().map(|column| texts(column, &first)).collect::<Result<_, _>>()?;
        let all = Passing { filter: None, rows, groups: &groups };
        counters.push(all.count(|_| true));
        for measure in &evaluated.measures {
            counters.extend(measures::figures(
                &measure.operation,
                &Passing { filter: measure.passes.as_ref(), ..all },
            )?);
        }
        Ok(counters)
    }

    /// The counters of the whole history, then those of each grain. Two columns stand in front: the
    /// grain, and where its bucket starts. A row without a time counts in the whole history alone.
    fn bucket_counters(
        &self,
        windows: &Windows,
        over: &ArrayRef,
        evaluated: &Evaluated,
        rows: &[RowIndex],
    ) -> Result<Columns, ArrowError> {
        let mut counters = self.counters(&evaluated.by, evaluated, rows)?;
        let groups = counters.first().map_or(0, Vec::len);
        counters.insert(0, vec![Some(bucket::WHOLE_HISTORY_START.to_owned()); groups]);
        counters.insert(0, vec![Some(bucket::WHOLE_HISTORY.to_string()); groups]);
        let timed: Vec<RowIndex> =
            rows.iter().copied().filter(|row| over.is_valid(row.place())).collect();
        for grain in windows.grains.iter().filter(|_| !timed.is_empty()) {
            let by: Vec<ArrayRef> = std::iter::once(bucket::starts(over, grain.unit))
                .chain(evaluated.by.iter().cloned())
                .collect();
            let mut of_grain = self.counters(&by, evaluated, &timed)?;
            let groups = of_grain.first().map_or(0, Vec::len);
            of_grain.insert(0, vec![Some(grain.unit.seconds().to_string()); groups]);
            counters.iter_mut().zip(of_grain).for_each(|(column, more)| column.extend(more));
        }
        Ok(counters)
    }
}
