//! Three replicas, read and written at a quorum of two, as far as any reader can tell.
//!
//! Each read chooses its two replicas afresh, and no read spans two rows or two cells. So which
//! replica holds what is kept per seq of the log, up to the replicas' names, and of a cell that
//! only grows only the two highest of the three values: no pair of replicas misses the second.
//! Whatever was sent may arrive at any time, in any order, or never, also when its sender is long
//! gone; to repair what a read covered is the same as such an arrival.

use super::chain;

/// What a read can ask.
const PAIRS: [u8; 3] = [0b011, 0b101, 0b110];
/// Two replicas hold it: every read finds it, so that the third makes no difference.
pub const EVERYWHERE: u8 = 0b111;

/// A cell of three replicas that only grows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cell<T> {
    /// What every read finds at least.
    pub sure: T,
    /// What a read may find.
    pub best: T,
}

impl<T: Copy + Ord> Cell<T> {
    pub const fn new(value: T) -> Self {
        Self { sure: value, best: value }
    }

    /// What becomes of it when a write arrives at one more replica: at one of the lower two, or at the one
    /// that holds the best.
    pub fn arrivals(self, value: T) -> Vec<Self> {
        let (low, high) = (self.best.min(value), self.best.max(value));
        let mut after = Vec::new();
        if low > self.sure {
            after.push(Self { sure: low, best: high });
        }
        if high > self.best {
            after.push(Self { best: high, ..self });
        }
        after
    }

    /// What reads find.
    pub fn reads(self) -> Vec<T> {
        if self.sure == self.best { vec![self.best] } else { vec![self.sure, self.best] }
    }
}

/// A row of the log: its entry is the last one of its chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Row {
    pub seq: u8,
    pub number: u8,
    pub chain: u16,
    /// Which replicas hold it.
    pub held: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rows(Vec<Row>);

impl Rows {
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.0.iter()
    }

    /// The rows of an append, or of a tail that is written again, on their way: each for itself.
    pub fn send(&mut self, number: u8, after: u16, end: u16) {
        for seq in chain::len(after) + 1..=chain::len(end) {
            let row = Row { seq, number, chain: chain::up_to(end, seq), held: 0 };
            let known = self.0.iter().any(|other| Row { held: 0, ..*other } == row);
            if !known {
                self.0.push(row);
            }
        }
        self.0.sort_unstable();
    }

    /// Rows of one key overwrite each other, last come last served.
    pub fn arrive(&mut self, at: usize, replica: u8) {
        let Row { seq, number, chain, .. } = self.0[at];
        let bit = 1 << replica;
        let (mut collides, mut held) = (false, 0);
        for row in self.0.iter_mut().filter(|row| (row.seq, row.number) == (seq, number)) {
            if row.chain == chain {
                row.held |= bit;
                held = row.held;
            } else {
                row.held &= !bit;
                collides = true;
            }
        }
        if held.count_ones() >= 2 && !collides {
            self.0[at].held = EVERYWHERE;
        }
        self.rename(seq);
    }

    /// What one replica holds at `seq`: a bit a row.
    pub fn column(&self, seq: u8, replica: u8) -> u16 {
        let rows = self.0.iter().filter(|row| row.seq == seq);
        rows.fold(0, |column, row| column << 1 | u16::from(row.held >> replica & 1))
    }

    /// Replicas have no names: they stand in the order of what they hold.
    fn rename(&mut self, seq: u8) {
        let mut columns = [0, 1, 2].map(|replica| self.column(seq, replica));
        columns.sort_unstable();
        for row in self.0.iter_mut().rev().filter(|row| row.seq == seq) {
            row.held = 0;
            for (replica, column) in columns.iter_mut().enumerate() {
                row.held |= u8::from(*column & 1 == 1) << replica;
                *column >>= 1;
            }
        }
    }

    /// Whether so many replicas have the rows of this write.
    pub fn stand(&self, replicas: u32, number: u8, after: u16, end: u16) -> bool {
        (chain::len(after) + 1..=chain::len(end)).all(|seq| {
            let own = |row: &&Row| (row.seq, row.number, row.chain) == (seq, number, chain::up_to(end, seq));
            self.0.iter().find(own).is_some_and(|row| row.held.count_ones() >= replicas)
        })
    }

    /// What each pair of replicas has at `seq`.
    pub fn pages(&self, seq: u8) -> impl Iterator<Item = impl Iterator<Item = &Row>> {
        PAIRS.iter().map(move |pair| self.0.iter().filter(move |row| row.seq == seq && row.held & pair != 0))
    }

    /// What readers are shown at `seq`: the entry of the highest number, or nothing.
    pub fn shown(&self, seq: u8) -> impl Iterator<Item = Option<u8>> {
        self.pages(seq).map(|page| page.max_by_key(|row| row.number).map(|row| chain::last(row.chain)))
    }
}
