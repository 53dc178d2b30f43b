//! Unread: others' countable entries after my read mark that I may see. With the counts kept in the
//! mark it is a subtraction.

use crate::recent::Position;

/// `end`: the counts at the end of what the user may see. `mark`: those at their read mark.
#[must_use]
pub const fn unread(end: Position, mark: Position) -> u64 {
    end.others().saturating_sub(mark.others())
}

/// A send by someone who had read all before it moves their mark to it: of the user's own entries
/// (ascending), the last that has no entry of others between the mark and itself. The unread count is
/// the same either way.
#[must_use]
pub fn moved_by_own(mark: Position, own: impl IntoIterator<Item = Position>) -> Position {
    own.into_iter()
        .filter(|sent| sent.seq > mark.seq)
        .take_while(|sent| sent.others() == mark.others())
        .last()
        .unwrap_or(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seq: u64, ordinal: u64, own: u64) -> Position {
        Position { seq, ordinal, own }
    }

    #[test]
    fn own_entries_never_count_and_move_a_mark_only_across_own_entries() {
        // seq: 1 other, 2 mine, 3 mine, 4 other, 5 mine
        let mine = [at(2, 2, 1), at(3, 3, 2), at(5, 5, 3)];
        let end = at(5, 5, 3);
        let start = at(0, 0, 0);
        assert_eq!(unread(end, start), 2);
        assert_eq!(moved_by_own(start, mine), start);
        let read_first = at(1, 1, 0);
        assert_eq!(moved_by_own(read_first, mine), at(3, 3, 2));
        assert_eq!(unread(end, read_first), 1);
        assert_eq!(unread(end, at(4, 4, 2)), 0);
        assert_eq!(moved_by_own(at(4, 4, 2), mine), at(5, 5, 3));
    }
}
