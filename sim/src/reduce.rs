//! What is left of the faults of a seed that fails.

use std::collections::BTreeSet;

/// Numbers, as `--only` takes them.
pub fn list(faults: &BTreeSet<usize>) -> String {
    // A number that no fault has: none of them.
    if faults.is_empty() {
        return usize::MAX.to_string();
    }
    faults.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The faults without any of which it no longer fails.
pub fn reduce(faults: usize, mut fails: impl FnMut(&BTreeSet<usize>) -> bool) -> BTreeSet<usize> {
    let mut left: BTreeSet<usize> = (0..faults).collect();
    for fault in 0..faults {
        let mut fewer = left.clone();
        fewer.remove(&fault);
        if fails(&fewer) {
            left = fewer;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_fails_and_every_one_of_it_is_needed() {
        let needs = |needed: &'static [usize]| move |left: &BTreeSet<usize>| needed.iter().all(|n| left.contains(n));
        for (faults, needed, expect) in [(5, &[1, 3][..], "1,3"), (2, &[0], "0"), (3, &[], "18446744073709551615")] {
            assert_eq!(list(&reduce(faults, needs(needed))), expect);
        }
    }
}
