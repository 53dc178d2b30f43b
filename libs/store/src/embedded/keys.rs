//! Keys of the tables: order-preserving, and no part can run into the next. docs/storage.md lists
//! them. Text ends with 0x00 0x01 and holds 0x00 as 0x00 0xFF; numbers are big-endian.

use posthorn_core::{ConversationId, ConversationKey, TenantId, UserKey};

use crate::{BUCKET_ROWS, InstanceId, RecordKey, Result, StoreError, Table};

/// One of the keyspaces of the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Space {
    /// Rows.
    Log,
    /// Heads, members, registers, records: cells that are overwritten.
    Cells,
    /// The feed.
    Feed,
    /// Instances, shards, journals, cursors, and what the store says about itself.
    System,
}

impl Space {
    pub(crate) const ALL: [Self; 4] = [Self::Log, Self::Cells, Self::Feed, Self::System];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Cells => "cells",
            Self::Feed => "feed",
            Self::System => "system",
        }
    }

    /// As it stands in backups.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Cells => 2,
            Self::Feed => 3,
            Self::System => 4,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.number() == number)
    }
}

// First byte of a key in `cells`.
const HEADS: u8 = 1;
const MEMBERS: u8 = 2;
const REGISTERS: u8 = 3;
const RECORDS: u8 = 4;

// First byte of a key in `system`.
const INSTANCES: u8 = 1;
const SHARDS: u8 = 2;
const JOURNAL: u8 = 3;
const FEED_CURSORS: u8 = 4;
const FEED_TRIMMED: u8 = 5;
const ABOUT: u8 = 6;
const HEAD_SLOTS: u8 = 7;

pub(crate) type Key = Vec<u8>;

fn put_text(key: &mut Key, text: &str) {
    for &byte in text.as_bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xFF);
        }
    }
    key.extend([0, 1]);
}

fn table(tag: u8) -> Key {
    let mut key = Vec::with_capacity(64);
    key.push(tag);
    key
}

/// Everything with this prefix lies below this bound.
pub(crate) fn after_prefix(prefix: &[u8]) -> Key {
    let mut bound = prefix.to_vec();
    bound.push(0xFF);
    bound.extend([0xFF; 16]);
    bound
}

/// Takes keys apart again.
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn new(key: &'a [u8]) -> Self {
        Self(key)
    }

    fn damaged() -> StoreError {
        StoreError::Damaged("a key does not decode".to_owned())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(Self::damaged)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let mut text = Vec::new();
        loop {
            let [byte] = self.bytes()?;
            if byte != 0 {
                text.push(byte);
                continue;
            }
            match self.bytes()? {
                [1] => break,
                [0xFF] => text.push(0),
                [_] => return Err(Self::damaged()),
            }
        }
        String::from_utf8(text).map_err(|_| Self::damaged())
    }

    /// Skips the tag of the table.
    pub(crate) fn tag(&mut self) -> Result<()> {
        self.bytes::<1>().map(|_| ())
    }

    pub(crate) fn conversation(&mut self) -> Result<ConversationKey> {
        let tenant = TenantId::new(&self.text()?).map_err(|_| Self::damaged())?;
        let conversation = ConversationId::new(&self.text()?).map_err(|_| Self::damaged())?;
        Ok(ConversationKey { tenant, conversation })
    }
}

fn conversation(mut key: Key, of: &ConversationKey) -> Key {
    put_text(&mut key, of.tenant.as_str());
    put_text(&mut key, of.conversation.as_str());
    key
}

/// (tenant, conversation, bucket, seq, epoch, load)
pub(crate) fn row(of: &ConversationKey, seq: u64, epoch: u64, load: u32) -> Key {
    let mut key = conversation(Vec::with_capacity(96), of);
    let bucket = seq.saturating_sub(1) / BUCKET_ROWS;
    key.extend(bucket.to_be_bytes());
    key.extend(seq.to_be_bytes());
    key.extend(epoch.to_be_bytes());
    key.extend(load.to_be_bytes());
    key
}

/// What the registers of all users begin with.
pub(crate) fn all_registers() -> Key {
    table(REGISTERS)
}

/// The seq, epoch and load at the end of a row's key.
pub(crate) fn row_place(key: &[u8]) -> Result<(u64, u64, u32)> {
    let tail = key.len().checked_sub(20).ok_or_else(Parts::damaged)?;
    let mut parts = Parts::new(&key[tail..]);
    Ok((parts.u64()?, parts.u64()?, parts.bytes().map(u32::from_be_bytes)?))
}

/// (tenant, conversation)
pub(crate) fn head(of: &ConversationKey) -> Key {
    conversation(table(HEADS), of)
}

/// What all heads begin with.
pub(crate) fn heads() -> Key {
    table(HEADS)
}

/// (tenant, conversation, user); without a user, what all of them begin with.
pub(crate) fn member(of: &ConversationKey, user: Option<&str>) -> Key {
    let mut key = conversation(table(MEMBERS), of);
    if let Some(user) = user {
        put_text(&mut key, user);
    }
    key
}

/// (tenant, user, conversation); without a conversation, what all of them begin with.
pub(crate) fn register(of: &UserKey, conversation: Option<&str>) -> Key {
    let mut key = table(REGISTERS);
    put_text(&mut key, of.tenant.as_str());
    put_text(&mut key, of.user.as_str());
    if let Some(conversation) = conversation {
        put_text(&mut key, conversation);
    }
    key
}

fn record_table(of: Table) -> Key {
    let mut key = table(RECORDS);
    key.push(of.number());
    key
}

/// The records of all tables.
pub(crate) fn all_records() -> Key {
    table(RECORDS)
}

/// The table, tenant and key of a record's key.
pub(crate) fn record_of(key: &[u8]) -> Result<RecordKey> {
    let mut parts = Parts::new(key);
    let [_, number] = parts.bytes()?;
    let known = Table::ALL.into_iter().find(|known| known.number() == number);
    Ok(RecordKey { table: known.ok_or_else(Parts::damaged)?, tenant: parts.text()?, key: parts.text()? })
}

/// (tenant, key)
pub(crate) fn record(of: &RecordKey) -> Key {
    let mut key = records_of(of.table, &of.tenant);
    put_text(&mut key, &of.key);
    key
}

/// What the records of a tenant begin with; of a table, where `tenant` is empty.
pub(crate) fn records(of: Table, tenant: &str) -> Key {
    if tenant.is_empty() { record_table(of) } else { records_of(of, tenant) }
}

fn records_of(of: Table, tenant: &str) -> Key {
    let mut key = record_table(of);
    put_text(&mut key, tenant);
    key
}

/// The tenant and key of a record's key.
pub(crate) fn record_name(key: &[u8]) -> Result<(String, String)> {
    let mut parts = Parts::new(key);
    parts.bytes::<2>()?;
    Ok((parts.text()?, parts.text()?))
}

/// (partition, offset): of the last entry that is packed there.
pub(crate) fn feed(partition: u16, offset: u64) -> Key {
    let mut key = Vec::with_capacity(10);
    key.extend(partition.to_be_bytes());
    key.extend(offset.to_be_bytes());
    key
}

/// The offset at the end of a feed key.
pub(crate) fn feed_offset(key: &[u8]) -> Result<u64> {
    let mut parts = Parts::new(key);
    parts.bytes::<2>()?;
    parts.u64()
}

pub(crate) fn instance(of: &InstanceId) -> Key {
    let mut key = table(INSTANCES);
    put_text(&mut key, &of.0);
    key
}

pub(crate) fn instances() -> Key {
    table(INSTANCES)
}

pub(crate) fn shard(number: u16) -> Key {
    let mut key = table(SHARDS);
    key.extend(number.to_be_bytes());
    key
}

pub(crate) fn shards() -> Key {
    table(SHARDS)
}

/// (instance, tenant, conversation); without a conversation, what all of them begin with.
pub(crate) fn journal(of: &InstanceId, name: Option<&ConversationKey>) -> Key {
    let mut key = table(JOURNAL);
    put_text(&mut key, &of.0);
    match name {
        Some(name) => conversation(key, name),
        None => key,
    }
}

/// (group, partition)
pub(crate) fn feed_cursor(group: &str, partition: u16) -> Key {
    let mut key = table(FEED_CURSORS);
    put_text(&mut key, group);
    key.extend(partition.to_be_bytes());
    key
}

pub(crate) fn feed_cursors() -> Key {
    table(FEED_CURSORS)
}

/// The highest offset that was trimmed from a partition.
pub(crate) fn feed_trimmed(partition: u16) -> Key {
    let mut key = table(FEED_TRIMMED);
    key.extend(partition.to_be_bytes());
    key
}

/// (slot)
pub(crate) fn head_slot(slot: u64) -> Key {
    let mut key = table(HEAD_SLOTS);
    key.extend(slot.to_be_bytes());
    key
}

pub(crate) fn head_slots() -> Key {
    table(HEAD_SLOTS)
}

/// What the store says about itself.
pub(crate) fn about(name: &str) -> Key {
    let mut key = table(ABOUT);
    key.extend(name.as_bytes());
    key
}

/// The number of the commit that wrote it.
pub(crate) fn commits() -> Key {
    about("commits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenant: &str, conversation: &str) -> ConversationKey {
        ConversationKey {
            tenant: TenantId::new(tenant).expect("valid"),
            conversation: ConversationId::new(conversation).expect("valid"),
        }
    }

    #[test]
    fn rows_sort_by_conversation_then_seq_then_number() {
        let keys = [
            row(&of("a", "b"), 1, 9, 9),
            row(&of("a", "b"), 2, 1, 1),
            row(&of("a", "b"), 2, 1, 2),
            row(&of("a", "b"), 2, 2, 0),
            row(&of("a", "b"), BUCKET_ROWS, 0, 0),
            row(&of("a", "b"), BUCKET_ROWS + 1, 0, 0),
            row(&of("a", "b"), u64::MAX, u64::MAX, u32::MAX),
            row(&of("a", "b."), 1, 0, 0),
            row(&of("a.", "b"), 1, 0, 0),
            row(&of("ab", "b"), 1, 0, 0),
        ];
        assert!(keys.is_sorted());
        assert_eq!(row_place(&keys[3]), Ok((2, 2, 0)));
        assert_eq!(Parts::new(&keys[8]).conversation(), Ok(of("a.", "b")));
    }

    #[test]
    fn text_with_zeros_keeps_its_order_and_comes_back() {
        let names = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "ab", "b", "\u{10FFFF}"];
        let keys: Vec<Key> = names
            .iter()
            .map(|name| record(&RecordKey { table: Table::Users, tenant: "t".to_owned(), key: (*name).to_owned() }))
            .collect();
        assert!(keys.is_sorted());
        for (key, name) in keys.iter().zip(names) {
            assert_eq!(record_name(key), Ok(("t".to_owned(), name.to_owned())));
            assert!(key.starts_with(&records(Table::Users, "t")));
            assert!(*key < after_prefix(&records(Table::Users, "t")));
        }
    }

    #[test]
    fn no_key_of_one_user_lies_among_those_of_another() {
        let user = |name: &str| UserKey {
            tenant: TenantId::new("t").expect("valid"),
            user: posthorn_core::UserId::new(name).expect("valid"),
        };
        let (short, long) = (register(&user("ann"), None), register(&user("anna"), Some("c")));
        assert!(!long.starts_with(&short));
        assert!(long > after_prefix(&short) || long < short);
    }
}
