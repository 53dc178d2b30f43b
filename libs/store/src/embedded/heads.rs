//! Heads on their way to their cells.
//!
//! Every append changes a head. As a cell each would cost the tree an insert, and a busy conversation's
//! would be overwritten at once. So a commit packs all heads that it changes into one record, a slot of
//! `system`, and each becomes a cell when its slot is used again, unless a younger slot has it by then.
//! The latest ones are kept in memory: the writer finds there what an append has to continue, readers
//! find what is not in its cell yet.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    engine::{Engine, Put},
    keys::{self, Space},
    values::{decode_heads, encode_heads},
};
use crate::Result;

/// Slots, and heads in all of them that are in no cell yet: what opening the store has to read.
pub(crate) const SLOTS: u64 = 256;
const MAX_PENDING: usize = 16_384;
/// Heads kept in memory: those that are in no cell yet, and others while there is room.
const MAX_CACHED: usize = 65_536;

/// Names come from outside, so the hash is keyed.
#[derive(Clone)]
pub(crate) struct KeyHash(u64);

impl Default for KeyHash {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The length of what follows.
    fn write_usize(&mut self, number: usize) {
        self.0 = self.0.wrapping_add(number as u64).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// By key, with the fast hash.
pub(crate) type ByKey<T> = HashMap<Bytes, T, KeyHash>;

/// A head, and the commit that packed it.
struct Latest {
    cell: Bytes,
    packed: u64,
}

/// The latest heads: shared with readers, changed by the writer.
#[derive(Default)]
pub(crate) struct Cache {
    heads: ByKey<Latest>,
    /// Packs from this one on are in slots.
    oldest: u64,
}

impl Cache {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.heads.get(key).map(|latest| &latest.cell)
    }

    /// What a commit made durable.
    pub(crate) fn take(&mut self, pack: Pack) {
        self.oldest = pack.oldest;
        for (key, cell) in pack.heads {
            self.heads.insert(key, Latest { cell, packed: pack.number });
        }
        if self.heads.len() > MAX_CACHED {
            let oldest = self.oldest;
            self.heads.retain(|_, latest| latest.packed >= oldest);
        }
    }
}

/// The heads of one commit.
#[derive(Default)]
pub(crate) struct Pack {
    number: u64,
    /// The oldest pack that is in a slot after this commit.
    oldest: u64,
    /// In the order of the writes: of several of one key the last counts.
    heads: Vec<(Bytes, Bytes)>,
}

/// What the writer knows of the slots.
pub(crate) struct Slots {
    next: u64,
    /// Number and keys of the packs in slots, ascending.
    packs: VecDeque<(u64, Vec<Bytes>)>,
    pending: usize,
}

impl Slots {
    /// Reads the slots, and puts their heads into the engine's cache.
    pub(crate) fn load(engine: &Engine) -> Result<Self> {
        let mut found = Vec::new();
        for entry in engine.view().prefix(Space::System, &keys::head_slots()) {
            found.push(decode_heads(&entry?.1)?);
        }
        found.sort_by_key(|(number, _)| *number);
        let oldest = found.first().map_or(1, |(number, _)| *number);
        let mut slots = Self { next: oldest, packs: VecDeque::new(), pending: 0 };
        for (number, heads) in found {
            slots.next = number + 1;
            slots.pending += heads.len();
            slots.packs.push_back((number, heads.iter().map(|(key, _)| key.clone()).collect()));
            engine.load_heads(Pack { number, oldest, heads });
        }
        Ok(slots)
    }

    /// The puts that keep `heads`, and those that make room for them in the slots.
    pub(crate) fn pack(&mut self, engine: &Engine, heads: Vec<(Bytes, Bytes)>, puts: &mut Vec<Put>) -> Pack {
        let number = self.next;
        self.next += 1;
        self.pending += heads.len();
        while self.pending > MAX_PENDING.max(heads.len())
            || self.packs.front().is_some_and(|(n, _)| n + SLOTS <= number)
        {
            let Some((old, keys)) = self.packs.pop_front() else { break };
            self.pending -= keys.len();
            engine.with_heads(|cache| {
                for key in keys {
                    let Some(latest) = cache.heads.get(&key).filter(|latest| latest.packed == old) else { continue };
                    puts.push(Put { space: Space::Cells, key, value: Some(latest.cell.clone()) });
                }
            });
            if old + SLOTS != number {
                puts.push(Put { space: Space::System, key: keys::head_slot(old % SLOTS).into(), value: None });
            }
        }
        self.packs.push_back((number, heads.iter().map(|(key, _)| key.clone()).collect()));
        let oldest = self.packs.front().map_or(number, |(oldest, _)| *oldest);
        let value = encode_heads(number, &heads);
        puts.push(Put { space: Space::System, key: keys::head_slot(number % SLOTS).into(), value: Some(value) });
        Pack { number, oldest, heads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_keys_apart_and_is_the_same_for_the_same_bytes() {
        let hash = KeyHash::default();
        let of = |key: &'static [u8]| hash.hash_one(Bytes::from_static(key));
        assert_eq!(of(b"key"), hash.hash_one(&b"key"[..]), "lookups are by slices");
        assert_ne!(of(b"key"), of(b"kez"));
        assert_ne!(of(b""), of(b"\0"));
        assert_ne!(KeyHash::default().hash_one(&b"key"[..]), of(b"key"), "keyed");
    }
}
