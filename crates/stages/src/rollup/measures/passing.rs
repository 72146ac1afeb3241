//! The rows that a measure looks at.

use arrow::array::BooleanArray;

use crate::rollup::group::Groups;
use duto_ground::index::RowIndex;

/// The rows that pass a measure's FILTER, each with its group.
pub struct Passing<'a> {
    /// None lets every row pass.
    pub filter: Option<&'a BooleanArray>,
    pub rows: &'a [RowIndex],
    pub groups: &'a Groups,
}

impl Passing<'_> {
    pub fn number_of_groups(&self) -> usize {
        self.groups.first.len()
    }

    /// The rows, each with its group.
    pub fn iter(&self) -> impl Iterator<Item = (RowIndex, usize)> + '_ {
        let rows = self.rows.iter().copied().zip(self.groups.of_row.iter().copied());
        rows.filter(|(row, _)| passes(self.filter, *row))
    }

    /// How many of each group there are for which this is so.
    pub fn count(&self, is_counted: impl Fn(RowIndex) -> bool) -> Vec<Option<String>> {
        let mut counts = vec![0u64; self.number_of_groups()];
        self.iter().filter(|(row, _)| is_counted(*row)).for_each(|(_, group)| counts[group] += 1);
        counts.into_iter().map(|count| Some(count.to_string())).collect()
    }
}

pub(super) fn passes(filter: Option<&BooleanArray>, row: RowIndex) -> bool {
    filter.is_none_or(|filter| filter.value(row.place()))
}
