//! Spans of seq that a member may see.

/// Both ends included; `to` `None` means that it is open: the member is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub from: u64,
    pub to: Option<u64>,
}

/// Ascending, without overlap; at most the last is open.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// As stored. Trusts that they are ascending.
    #[must_use]
    pub const fn from_vec(ranges: Vec<Range>) -> Self {
        Self(ranges)
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// Begins to see at `from`. Does nothing while the last range is open.
    pub fn open(&mut self, from: u64) {
        match self.0.last_mut() {
            Some(Range { to: None, .. }) => {}
            // A range that begins where the last one ended (or before: visibility `all`) continues it.
            Some(last) if last.to.is_some_and(|to| from <= to + 1) => last.to = None,
            _ => self.0.push(Range { from, to: None }),
        }
    }

    /// Sees nothing beyond `to`.
    pub fn close(&mut self, to: u64) {
        if let Some(last) = self.0.last_mut() {
            last.to.get_or_insert(to);
        }
    }

    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        self.0.iter().any(|r| r.from <= seq && r.to.is_none_or(|to| seq <= to))
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.last().is_some_and(|r| r.to.is_none())
    }

    /// The parts within `from..=to`, ascending, as pairs of included ends.
    pub fn within(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.0.iter().filter_map(move |r| {
            let (low, high) = (r.from.max(from), r.to.unwrap_or(u64::MAX).min(to));
            (low <= high).then_some((low, high))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_leave_and_rejoin_stays_hidden() {
        let mut ranges = Ranges::default();
        ranges.open(3);
        ranges.open(4);
        ranges.close(7);
        ranges.close(9);
        ranges.open(12);
        assert_eq!(ranges.as_slice(), [Range { from: 3, to: Some(7) }, Range { from: 12, to: None }]);
        assert!(ranges.contains(7) && !ranges.contains(8) && !ranges.contains(11) && ranges.contains(99));
        assert_eq!(ranges.within(5, 20).collect::<Vec<_>>(), [(5, 7), (12, 20)]);
        assert_eq!(ranges.within(8, 11).count(), 0);
    }
}
