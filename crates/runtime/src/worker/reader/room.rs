//! Which partitions of a lane are to be paused or resumed.

use std::collections::BTreeSet;

/// Those to pause and those to resume of a lane's own: while it is full none of them is read, also
/// one that came to it later.
pub(super) fn changes(own: &[i32], paused: &BTreeSet<i32>, is_full: bool) -> (Vec<i32>, Vec<i32>) {
    let those = |wanted: bool| {
        own.iter().copied().filter(|partition| paused.contains(partition) == wanted).collect()
    };
    match is_full {
        true => (those(false), Vec::new()),
        false => (Vec::new(), those(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_full_lane_nothing_is_read_whenever_it_came() {
        let paused = |partitions: &[i32]| partitions.iter().copied().collect::<BTreeSet<i32>>();
        for (own, before, is_full, expected) in [
            (&[1, 2][..], &[][..], false, (&[][..], &[][..])),
            (&[1, 2], &[], true, (&[1, 2], &[])),
            // The third one was claimed, or moved here, while the lane was full.
            (&[1, 2, 3], &[1, 2], true, (&[3], &[])),
            (&[1, 2], &[1, 2], true, (&[], &[])),
            (&[1, 2, 3], &[1, 2, 9], false, (&[], &[1, 2])),
        ] {
            assert_eq!(
                changes(own, &paused(before), is_full),
                (expected.0.to_vec(), expected.1.to_vec()),
                "{own:?} {before:?} {is_full}"
            );
        }
    }
}
