//! Up to where each conversation was told here. An owner that takes over from a dead one does not know what
//! that one had published, and publishes the end of the log once more: who is connected here has it already.
//! A store is restored only while no gateway runs, so that a seq never begins again under one.

use std::hash::{DefaultHasher, Hash, Hasher};

use posthorn_core::{ConversationKey, remembered::Remembered};
use posthorn_proto::internal::NewEntries;

/// Of so many (tenant, conversation) at most; of the others a second copy may reach clients, who know it by its
/// seq.
pub(crate) struct Told(Remembered<(String, String), Upto>);

#[derive(Clone, Copy, Default)]
struct Upto {
    seq: u64,
    /// Up to `seq` from there on; those before may not have been told.
    from: u64,
    /// A hash of who published that; 0 where it came another way.
    publisher: u64,
}

/// What is to be told of entries that came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct First {
    /// So many were told before, and were taken out.
    pub repeated: usize,
    /// Another publisher told the last one here, and may have more that did not come. Or these come behind those of
    /// another, with which they are not told any more.
    pub hole: bool,
}

impl Told {
    pub fn new(max: usize) -> Self {
        Self(Remembered::new(max))
    }

    /// Takes out what was told before.
    pub fn first(&mut self, tenant: &str, publisher: &str, new: &mut NewEntries) -> First {
        let (Some(begin), Some(end)) = (new.rows.first(), new.rows.last()) else { return First::default() };
        let (begin, end) = (begin.seq, end.seq);
        let key = (tenant.to_owned(), new.conversation.clone());
        let Upto { seq: upto, from, publisher: last } = self.0.last(&key).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        publisher.hash(&mut hasher);
        let publisher = hasher.finish();
        if end > upto {
            let from = if upto != 0 && begin <= upto + 1 { from } else { begin };
            self.0.set(&key, Upto { seq: end, from, publisher });
        }
        let before = new.rows.len();
        new.rows.retain(|row| row.seq > upto);
        First {
            repeated: before - new.rows.len(),
            hole: begin < from || last != 0 && last != publisher && begin > upto + 1,
        }
    }
}

impl Told {
    /// The last that was told of it; 0 where that is not known.
    pub fn last(&self, key: &ConversationKey) -> u64 {
        self.0.last(&of(key)).unwrap_or_default().seq
    }

    /// It was told up to there, if not further.
    pub fn upto(&mut self, key: &ConversationKey, seq: u64) {
        if seq > self.last(key) {
            self.0.set(&of(key), Upto { seq, ..Upto::default() });
        }
    }
}

fn of(key: &ConversationKey) -> (String, String) {
    ((&key.tenant).into(), (&key.conversation).into())
}

#[cfg(test)]
mod tests {
    use posthorn_proto::internal::Row;

    use super::*;

    fn entries(conversation: &str, seqs: std::ops::RangeInclusive<u64>) -> NewEntries {
        let rows = seqs.map(|seq| Row { seq, ..Row::default() }).collect();
        NewEntries { conversation: conversation.to_owned(), rows, ..NewEntries::default() }
    }

    fn told(told: &mut Told, conversation: &str, seqs: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let mut new = entries(conversation, seqs);
        told.first("t", "one", &mut new);
        new.rows.iter().map(|row| row.seq).collect()
    }

    #[test]
    fn what_a_new_owner_repeats_is_told_once_and_what_was_missing_is_told() {
        let mut here = Told::new(8);
        assert_eq!(told(&mut here, "c", 4..=6), [4, 5, 6]);
        assert_eq!(told(&mut here, "c", 5..=8), [7, 8]);
        assert!(told(&mut here, "c", 8..=8).is_empty());
        assert_eq!(told(&mut here, "c", 10..=10), [10]);
        assert_eq!(told(&mut here, "d", 1..=1), [1]);
        let mut other = entries("c", 1..=1);
        assert_eq!((here.first("u", "one", &mut other), other.rows.len()), (First::default(), 1), "another tenant's");
    }

    #[test]
    fn what_another_publisher_tells_beyond_the_last_that_was_told_has_a_hole_before_it() {
        let mut here = Told::new(8);
        let mut first = |publisher, seqs| here.first("t", publisher, &mut entries("c", seqs));
        let new = |hole| First { repeated: 0, hole };
        assert_eq!(first("one", 4..=6), new(false), "it is not known what was told before");
        assert_eq!(first("one", 9..=9), new(false), "nobody was here for those between, or they are told as lost");
        assert_eq!(first("two", 10..=10), new(false));
        assert_eq!(first("one", 13..=14), new(true));
        assert_eq!(first("one", 15..=15), new(false));
        assert_eq!(first("two", 14..=16), First { repeated: 2, hole: false });
        assert_eq!(first("one", 17..=17), new(false));
        assert_eq!(first("two", 12..=12), First { repeated: 1, hole: true }, "late, and never told");
        let mut unknown = Told::new(8);
        assert_eq!(unknown.first("t", "two", &mut entries("c", 7..=7)), new(false));
        assert!(unknown.first("t", "one", &mut entries("c", 6..=6)).hole);
    }

    #[test]
    fn the_oldest_are_forgotten_at_the_bound() {
        let mut here = Told::new(2);
        for conversation in ["a", "b", "c"] {
            told(&mut here, conversation, 1..=1);
        }
        assert!(told(&mut here, "c", 1..=1).is_empty());
        assert_eq!(told(&mut here, "a", 1..=1), [1]);
    }
}
