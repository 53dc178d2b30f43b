//! Up to where each conversation was told here. An owner that takes over from a dead one does not know what
//! that one had published, and publishes the end of the log once more: who is connected here has it already.
//! A store is restored only while no gateway runs, so that a seq never begins again under one.

use posthorn_core::{ConversationKey, remembered::Remembered};
use posthorn_proto::internal::NewEntries;

/// The last seq of so many (tenant, conversation) at most; of the others a second copy may reach clients, who
/// know it by its seq.
pub(crate) struct Told(Remembered<(String, String), u64>);

impl Told {
    pub fn new(max: usize) -> Self {
        Self(Remembered::new(max))
    }

    /// Takes out what was told before: how many entries that were.
    pub fn first(&mut self, tenant: &str, new: &mut NewEntries) -> usize {
        let Some(end) = new.rows.last().map(|row| row.seq) else { return 0 };
        let key = (tenant.to_owned(), new.conversation.clone());
        let last = self.0.last(&key).unwrap_or(0);
        self.0.set(&key, end.max(last));
        let before = new.rows.len();
        new.rows.retain(|row| row.seq > last);
        before - new.rows.len()
    }
}

impl Told {
    /// The last that was told of it; 0 where that is not known.
    pub fn last(&self, key: &ConversationKey) -> u64 {
        self.0.last(&of(key)).unwrap_or(0)
    }

    /// It was told up to there, if not further.
    pub fn upto(&mut self, key: &ConversationKey, seq: u64) {
        let last = self.last(key);
        if seq > last {
            self.0.set(&of(key), seq);
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
        told.first("t", &mut new);
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
        assert_eq!((here.first("u", &mut other), other.rows.len()), (0, 1), "another tenant's");
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
