//! Retry schedules with full jitter: each wait is uniform in `0..=ceiling`, and the ceiling doubles up
//! to a cap. Clients that lost a server at the same moment so come back spread out.

/// Waits between tries, in ms. The caller brings the randomness and does the waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base_ms: u64,
    cap_ms: u64,
    ceiling_ms: u64,
}

impl Backoff {
    /// The first wait is at most `base_ms`, none is longer than `cap_ms`. A `base_ms` of 0 counts as 1.
    #[must_use]
    pub const fn new(base_ms: u64, cap_ms: u64) -> Self {
        let base_ms = if base_ms == 0 { 1 } else { base_ms };
        let ceiling_ms = if base_ms < cap_ms { base_ms } else { cap_ms };
        Self { base_ms, cap_ms, ceiling_ms }
    }

    /// The next wait. `random` is uniform over all of `u64`.
    pub const fn next_ms(&mut self, random: u64) -> u64 {
        let wait = scaled(random, self.ceiling_ms);
        let doubled = self.ceiling_ms.saturating_mul(2);
        self.ceiling_ms = if doubled < self.cap_ms { doubled } else { self.cap_ms };
        wait
    }

    /// As `next_ms`, but no sooner than the server asked for: its delay, and of the jitter at most half as
    /// much again, so that a short delay stays a short one. 0: nothing was asked for.
    pub const fn next_after_ms(&mut self, asked_ms: u64, random: u64) -> u64 {
        let wait = self.next_ms(random);
        let on_top = if asked_ms == 0 || wait < asked_ms / 2 { wait } else { asked_ms / 2 };
        asked_ms.saturating_add(on_top)
    }

    /// It worked: the next wait is a first one again.
    pub const fn reset(&mut self) {
        *self = Self::new(self.base_ms, self.cap_ms);
    }
}

/// Uniform in `0..=most`, without the bias of a remainder.
#[allow(clippy::cast_possible_truncation, reason = "the product's upper half is at most `most`")]
const fn scaled(random: u64, most: u64) -> u64 {
    ((random as u128 * (most as u128 + 1)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap_and_begin_again() {
        let mut backoff = Backoff::new(100, 1_000);
        let waits = |backoff: &mut Backoff| [(); 6].map(|()| backoff.next_ms(u64::MAX));
        assert_eq!(waits(&mut backoff), [100, 200, 400, 800, 1_000, 1_000]);
        backoff.reset();
        assert_eq!(waits(&mut backoff), [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.next_ms(0), 0);
    }

    #[test]
    fn what_the_server_asks_for_is_never_undercut_nor_stretched_by_more_than_half() {
        let after = |asked, random| Backoff::new(1_000, 1_000).next_after_ms(asked, random);
        assert_eq!([after(30_000, 0), after(30_000, u64::MAX)], [30_000, 31_000]);
        assert_eq!([after(700, 0), after(700, u64::MAX)], [700, 1_050]);
        assert_eq!([after(0, 0), after(0, u64::MAX)], [0, 1_000]);
    }

    #[test]
    fn a_wait_is_spread_over_the_whole_range() {
        let at = |part: u64| Backoff::new(999, 999).next_ms(u64::MAX / 4 * part);
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [0, 249, 499, 749, 999]);
    }

    #[test]
    fn no_bounds_are_too_odd() {
        assert_eq!(Backoff::new(0, 0).next_ms(u64::MAX), 0);
        assert_eq!(Backoff::new(0, 10).next_ms(u64::MAX), 1);
        assert_eq!(Backoff::new(500, 10).next_ms(u64::MAX), 10);
        let mut endless = Backoff::new(u64::MAX, u64::MAX);
        assert_eq!([endless.next_ms(u64::MAX), endless.next_ms(u64::MAX)], [u64::MAX; 2]);
        assert_eq!(endless.next_after_ms(u64::MAX, u64::MAX), u64::MAX);
    }
}
