//! "Did you mean".

/// The candidate fewest edits away from `given`, if that is close enough to be a slip of the hand: at
/// most a third of its length, and two for short words.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = (given.chars().count() / 3).max(2);
    candidates
        .map(|candidate| (distance(given, candidate), candidate))
        .filter(|(edits, _)| *edits <= close)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in
            [("", "", 0), ("abc", "", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let keys = ["max_frame_bytes", "max_body_bytes", "addr"];
        assert_eq!(nearest("max_frame_byte", keys.into_iter()), Some("max_frame_bytes"));
        assert_eq!(nearest("adr", keys.into_iter()), Some("addr"));
        assert_eq!(nearest("colour", keys.into_iter()), None);
    }
}
