//! Sets of seq as spans, both ends included, ascending and apart.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// False: it was there already. Quick at the end, where nearly everything goes.
    pub fn add(&mut self, seq: u64) -> bool {
        if let Some((_, last)) = self.0.last_mut()
            && seq == *last + 1
        {
            *last = seq;
            return true;
        }
        // The first span that ends at or beyond the seq before.
        let at = self.0.partition_point(|&(_, to)| to.saturating_add(1) < seq);
        let Some(&(from, to)) = self.0.get(at) else {
            self.0.push((seq, seq));
            return true;
        };
        if from <= seq && seq <= to {
            return false;
        }
        if seq == to + 1 {
            self.0[at].1 = seq;
            if let Some(&(next, end)) = self.0.get(at + 1)
                && next == seq + 1
            {
                self.0[at].1 = end;
                self.0.remove(at + 1);
            }
        } else if seq + 1 == from {
            self.0[at].0 = seq;
        } else {
            self.0.insert(at, (seq, seq));
        }
        true
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of any spans, in any order.
    pub fn of(mut spans: Vec<(u64, u64)>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(spans.len());
        for (from, to) in spans {
            match merged.last_mut() {
                Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// 0: empty.
    pub fn first(&self) -> u64 {
        self.0.first().map_or(0, |&(from, _)| from)
    }

    /// 0: empty.
    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |&(_, to)| to)
    }

    pub fn spans(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// The lowest seq of the set within the span.
    pub fn first_in(&self, from: u64, to: u64) -> Option<u64> {
        let at = self.0.partition_point(|&(_, end)| end < from);
        self.0.get(at).map(|&(low, _)| low.max(from)).filter(|&seq| seq <= to)
    }

    /// What of the span is not in the set.
    pub fn missing(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = from;
        let at = self.0.partition_point(|&(_, end)| end < from);
        for &(low, high) in self.0[at..].iter().take_while(|&&(low, _)| low <= to) {
            if next < low {
                missing.push((next, low - 1));
            }
            next = high.saturating_add(1);
        }
        if next <= to {
            missing.push((next, to));
        }
        missing
    }
}

/// What two spans share.
pub fn common(a: (u64, u64), b: (u64, u64)) -> Option<(u64, u64)> {
    let (from, to) = (a.0.max(b.0), a.1.min(b.1));
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn spans_are_the_set_that_was_added_in_any_order() {
        let mut state = 1_u64;
        for _ in 0..200 {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let seq = 1 + (state >> 33) % 30;
                assert_eq!(spans.add(seq), set.insert(seq));
            }
            let all: Vec<u64> = spans.spans().iter().flat_map(|&(from, to)| from..=to).collect();
            assert_eq!(all, set.iter().copied().collect::<Vec<_>>());
            assert!(spans.spans().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{spans:?}");
            let missing: Vec<u64> = spans.missing(5, 25).iter().flat_map(|&(from, to)| from..=to).collect();
            assert_eq!(missing, (5..=25).filter(|seq| !set.contains(seq)).collect::<Vec<_>>());
            assert_eq!(spans.first_in(10, 20), set.range(10..=20).next().copied());
            let ends = (set.first().copied().unwrap_or(0), set.last().copied().unwrap_or(0));
            assert_eq!((spans.first(), spans.last()), ends);
            assert_eq!(Spans::of(spans.spans().iter().rev().copied().collect()), spans);
        }
    }
}
