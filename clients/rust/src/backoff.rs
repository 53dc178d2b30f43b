//! How long to wait before the next try: full jitter, so that those who fell together do not come
//! back together.

use std::time::Duration;

/// Uniform in `0..=min(cap, base * 2^tries)`, but not below what the server asked for. `draw` gives a
/// number below its argument.
pub(crate) fn delay(tries: u32, base_ms: u64, cap_ms: u64, asked_ms: u64, draw: impl Fn(u64) -> u64) -> Duration {
    let bound = base_ms.saturating_mul(1 << tries.min(20)).min(cap_ms);
    let jitter = draw(bound + 1);
    // What the server asked is kept; the jitter goes on top of it.
    Duration::from_millis(asked_ms.saturating_add(if asked_ms > 0 { jitter.min(asked_ms / 2) } else { jitter }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_never_undercuts_the_server() {
        let longest = |tries, asked| delay(tries, 100, 2_000, asked, |below| below - 1).as_millis();
        assert_eq!([0, 1, 2, 4, 5, 60].map(|t| longest(t, 0)), [100, 200, 400, 1_600, 2_000, 2_000]);
        assert_eq!(delay(9, 100, 2_000, 0, |_| 0).as_millis(), 0);
        assert_eq!(delay(0, 100, 2_000, 700, |_| 0).as_millis(), 700);
        assert_eq!(longest(9, 700), 1_050);
    }
}
