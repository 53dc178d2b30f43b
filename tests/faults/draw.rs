//! Numbers from a seed: the same seed draws the same faults.

use std::time::Duration;

/// Cards that are drawn one after the other, and mixed again when none is left: each comes as often as it is in it.
pub struct Deck {
    cards: Vec<&'static str>,
    left: Vec<&'static str>,
}

impl Deck {
    pub fn of(cards: impl IntoIterator<Item = &'static str>) -> Self {
        Self { cards: cards.into_iter().collect(), left: Vec::new() }
    }

    pub fn next(&mut self, draw: &mut Draw) -> &'static str {
        if self.left.is_empty() {
            self.left.clone_from(&self.cards);
        }
        self.left.swap_remove(draw.below(self.left.len()))
    }
}

/// SplitMix64, <https://doi.org/10.1145/2660193.2660195>.
pub struct Draw(u64);

impl From<u64> for Draw {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A time up to so many seconds: short ones are as likely as long ones, in orders of magnitude.
    pub fn seconds(&mut self, most: f64) -> Duration {
        let share = self.below(10_001) as f64 / 10_000.0;
        Duration::from_secs_f64(most * 100_f64.powf(share - 1.0))
    }
}
