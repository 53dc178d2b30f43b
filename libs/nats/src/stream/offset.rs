//! Places in the feed.

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use xxhash_rust::xxh3::xxh3_64;

/// Bits of an offset that are the stream's sequence: a million million entries an incarnation.
const SEQUENCE_BITS: u32 = 40;

/// Compares as the number that it is told as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset {
    pub incarnation: u64,
    pub sequence: u64,
}

impl From<u64> for Offset {
    fn from(number: u64) -> Self {
        Self { incarnation: number >> SEQUENCE_BITS, sequence: number & ((1 << SEQUENCE_BITS) - 1) }
    }
}

impl From<Offset> for u64 {
    fn from(offset: Offset) -> Self {
        (offset.incarnation << SEQUENCE_BITS) | offset.sequence
    }
}

impl Offset {
    /// The sequence that is meant in another incarnation: of an earlier one everything is new.
    pub const fn sequence_in(self, incarnation: u64) -> u64 {
        if self.incarnation == incarnation { self.sequence } else { 0 }
    }
}

/// An entry, by its place and what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub offset: Offset,
    /// Hash of its id; 0 is not known.
    pub mark: u64,
}

impl Seen {
    /// The hash of a message's id.
    pub fn mark(headers: &HeaderMap) -> u64 {
        headers.get(NATS_MESSAGE_ID).map_or(0, |id| Self::mark_of(id.as_str()))
    }

    pub fn mark_of(id: &str) -> u64 {
        xxh3_64(id.as_bytes()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_a_later_incarnation_are_beyond_all_before() {
        let at = |incarnation, sequence| u64::from(Offset { incarnation, sequence });
        let ascending = [0, at(1, 1), at(1, 2), at(1, (1 << SEQUENCE_BITS) - 1), at(2, 1)];
        assert!(ascending.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ascending.iter().all(|&number| u64::from(Offset::from(number)) == number));
        assert_eq!(Offset::from(at(1, 9)).sequence_in(1), 9);
        assert_eq!(Offset::from(at(1, 9)).sequence_in(2), 0);
    }
}
