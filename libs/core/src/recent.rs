//! The end of a log as its owner keeps it in memory: answers retries and marks near the end without
//! reading the log.

use std::collections::{HashMap, VecDeque};

use crate::{MessageId, UserId};

/// Counts at a position of the log: up to and including `seq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    pub seq: u64,
    /// Countable entries.
    pub ordinal: u64,
    /// Countable entries of one user.
    pub own: u64,
}

impl Position {
    /// Countable entries of everybody else.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.ordinal.saturating_sub(self.own)
    }
}

#[derive(Clone, Debug)]
struct Seen {
    author: UserId,
    message_id: MessageId,
    body_hash: Option<[u8; 32]>,
    ordinal: u64,
    author_ordinal: u64,
    countable: bool,
}

/// The entries beyond `floor`, densely.
#[derive(Clone, Debug)]
pub struct Recent {
    floor: u64,
    floor_ordinal: u64,
    seen: VecDeque<Seen>,
    by_id: HashMap<(UserId, MessageId), u64>,
    max: usize,
}

/// What the memory knows of (author, message id).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    No,
    /// The same message, at this seq.
    Same(u64),
    /// The id with another body, at this seq.
    Other(u64),
}

impl Recent {
    /// Nothing remembered at or below `floor`.
    #[must_use]
    pub fn new(floor: u64, floor_ordinal: u64, max: usize) -> Self {
        Self { floor, floor_ordinal, seen: VecDeque::new(), by_id: HashMap::new(), max }
    }

    /// Entries at or below it have to be looked for in the log.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// The next entry of the log.
    pub fn push(&mut self, envelope: &crate::Envelope) {
        let seq = self.floor + self.seen.len() as u64 + 1;
        self.by_id.insert((envelope.author.clone(), envelope.message_id), seq);
        self.seen.push_back(Seen {
            author: envelope.author.clone(),
            message_id: envelope.message_id,
            body_hash: envelope.body_hash,
            ordinal: envelope.ordinal,
            author_ordinal: envelope.author_ordinal,
            countable: envelope.countable(),
        });
        if self.seen.len() > self.max
            && let Some(old) = self.seen.pop_front()
        {
            self.floor += 1;
            self.floor_ordinal = old.ordinal;
            let key = (old.author, old.message_id);
            if self.by_id.get(&key) == Some(&self.floor) {
                self.by_id.remove(&key);
            }
        }
    }

    #[must_use]
    pub fn find(&self, author: &UserId, id: MessageId, body_hash: Option<[u8; 32]>) -> Found {
        match self.by_id.get(&(author.clone(), id)) {
            None => Found::No,
            Some(&seq) if self.at(seq).is_some_and(|seen| seen.body_hash == body_hash) => Found::Same(seq),
            Some(&seq) => Found::Other(seq),
        }
    }

    fn at(&self, seq: u64) -> Option<&Seen> {
        let index = seq.checked_sub(self.floor + 1)?;
        self.seen.get(usize::try_from(index).ok()?)
    }

    /// The counts at `seq` for a user who has `own` countable entries in the whole log; `None` below
    /// the floor.
    #[must_use]
    pub fn position(&self, user: &UserId, seq: u64, own: u64) -> Option<Position> {
        if seq < self.floor {
            return None;
        }
        let ordinal = if seq == self.floor { self.floor_ordinal } else { self.at(seq)?.ordinal };
        let after = usize::try_from(seq - self.floor).ok()?;
        let later = self.seen.iter().skip(after).filter(|seen| seen.countable && seen.author == *user).count() as u64;
        Some(Position { seq, ordinal, own: own.saturating_sub(later) })
    }

    /// The ordinal at `seq`, where it is remembered.
    #[must_use]
    pub fn ordinal(&self, seq: u64) -> Option<u64> {
        if seq == self.floor { Some(self.floor_ordinal) } else { self.at(seq).map(|seen| seen.ordinal) }
    }

    /// The user's countable entries that are remembered, oldest first.
    pub fn own(&self, user: &UserId) -> impl Iterator<Item = Position> + '_ {
        let user = user.clone();
        (self.floor + 1..)
            .zip(&self.seen)
            .filter(move |(_, seen)| seen.countable && seen.author == user)
            .map(|(seq, seen)| Position { seq, ordinal: seen.ordinal, own: seen.author_ordinal })
    }
}
