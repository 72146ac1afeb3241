//! Parameters in pieces that each fit into one message: PostgreSQL takes none of 1 GiB.

use std::borrow::Cow;
use std::ops::Range;

/// A piece ends with the element that brings it above so many bytes.
const PIECE_BYTES: usize = 16 << 20;

/// Divides elements of these sizes, in bytes. No piece is empty, and none has more than
/// [`PIECE_BYTES`] beside its last element.
pub(super) fn pieces(bytes: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let (mut pieces, mut piece, mut filled) = (Vec::new(), 0..0, 0);
    for bytes in bytes {
        piece.end += 1;
        filled += bytes;
        if filled > PIECE_BYTES {
            pieces.push(piece.clone());
            (piece, filled) = (piece.end..piece.end, 0);
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// As PostgreSQL's client takes them.
pub(super) fn slices<'a>(values: &'a [Option<Cow<'_, [u8]>>]) -> Vec<Option<&'a [u8]>> {
    values.iter().map(Option::as_deref).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_where_it_is_full() {
        let ends = |bytes: &[usize]| {
            pieces(bytes.iter().copied()).iter().map(|piece| piece.end).collect::<Vec<_>>()
        };
        assert!(ends(&[]).is_empty());
        assert_eq!(ends(&[1, 2, 3]), [3]);
        assert_eq!(ends(&[PIECE_BYTES, 1, 1]), [2, 3]);
        assert_eq!(ends(&[PIECE_BYTES + 1, PIECE_BYTES + 1]), [1, 2]);
    }
}
