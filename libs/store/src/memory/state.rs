//! The tables, typed: what every driver's answers are compared with.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use posthorn_core::{ConversationKey, Shard, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};

use crate::{
    Append, Claimed, InstanceId, RecordKey, Result, Settlement, ShardRow, StoreError, feed_partition,
    rules::{head_version, next_epoch, number, register_version},
};

/// A row's place in its log: (seq, epoch, load).
pub(super) type RowKey = (u64, u64, u32);

#[derive(Clone, Default)]
pub(super) struct State {
    pub generation: u64,
    /// Whether each is active, and its address.
    pub instances: BTreeMap<InstanceId, (bool, String)>,
    pub shards: BTreeMap<u16, ShardRow>,
    /// The highest note of each name: numbers ascend, and lower ones stand for less.
    pub journals: BTreeMap<InstanceId, BTreeMap<ConversationKey, u64>>,
    pub rows: BTreeMap<ConversationKey, BTreeMap<RowKey, Row>>,
    pub heads: BTreeMap<ConversationKey, Head>,
    /// What the feed has of each, where that is settled apart.
    pub fed: BTreeMap<ConversationKey, u64>,
    pub members: BTreeMap<ConversationKey, BTreeMap<String, MemberRecord>>,
    pub registers: BTreeMap<UserKey, BTreeMap<String, RegisterRecord>>,
    pub records: BTreeMap<RecordKey, Bytes>,
    pub feed: BTreeMap<(u16, u64), (ConversationKey, RowKey)>,
    pub feed_last: BTreeMap<u16, u64>,
    pub cursors: BTreeMap<(String, u16), u64>,
}

impl State {
    pub fn active(&self, instance: &InstanceId) -> bool {
        self.instances.get(instance).is_some_and(|(active, _)| *active)
    }

    pub fn register(&mut self, instance: &InstanceId, address: &str) -> Result<()> {
        if self.instances.contains_key(instance) {
            return Err(StoreError::Exists(format!("instance {instance}")));
        }
        self.instances.insert(instance.clone(), (true, address.to_owned()));
        Ok(())
    }

    pub fn fence(&mut self, instance: &InstanceId) {
        if let Some((active, _)) = self.instances.get_mut(instance) {
            *active = false;
        }
    }

    pub fn claim(&mut self, shards: &[Shard], instance: &InstanceId, address: &str) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        if !self.active(instance) {
            return claimed;
        }
        for &shard in shards {
            let free = ShardRow { shard, epoch: 0, owner: None, inherits: Vec::new() };
            let mut row = self.shards.get(&shard.0).cloned().unwrap_or(free);
            if let Some((owner, _)) = row.owner.take()
                && owner != *instance
            {
                if self.active(&owner) {
                    continue;
                }
                if !row.inherits.contains(&owner) {
                    row.inherits.push(owner);
                }
            }
            row.epoch = next_epoch(row.epoch, self.generation);
            row.owner = Some((instance.clone(), address.to_owned()));
            claimed.push(Claimed { shard, epoch: row.epoch, inherits: row.inherits.clone() });
            self.shards.insert(shard.0, row);
        }
        claimed
    }

    pub fn release(&mut self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) {
        let Some(row) = self.shards.get_mut(&shard.0) else { return };
        if row.epoch != epoch || row.owner.as_ref().is_none_or(|(owner, _)| owner != instance) {
            return;
        }
        row.owner = None;
        if unsettled && !row.inherits.contains(instance) {
            row.inherits.push(instance.clone());
        }
    }

    /// Empties `inherits` of the instance's own shards, and with it the journals that nobody needs.
    pub fn carried_over(&mut self, shards: &[Shard], instance: &InstanceId) {
        let mut freed = BTreeSet::new();
        for shard in shards {
            if let Some(row) = self.shards.get_mut(&shard.0)
                && row.owner.as_ref().is_some_and(|(owner, _)| owner == instance)
            {
                freed.extend(std::mem::take(&mut row.inherits));
            }
        }
        for gone in freed {
            let needed = self
                .shards
                .values()
                .any(|row| row.inherits.contains(&gone) || row.owner.as_ref().is_some_and(|(owner, _)| *owner == gone));
            if !needed && !self.active(&gone) {
                self.journals.remove(&gone);
            }
        }
    }

    pub fn note(&mut self, instance: &InstanceId, key: &ConversationKey, note: u64) {
        let noted = self.journals.entry(instance.clone()).or_default().entry(key.clone()).or_default();
        *noted = note.max(*noted);
    }

    pub fn put_row(&mut self, key: &ConversationKey, row: &Row) {
        let (epoch, load) = number(row);
        self.rows.entry(key.clone()).or_default().insert((row.seq, epoch, load), row.clone());
    }

    pub fn feed(&mut self, key: &ConversationKey, row: &Row) {
        let partition = feed_partition(key);
        let last = self.feed_last.entry(partition).or_default();
        *last += 1;
        let (epoch, load) = number(row);
        self.feed.insert((partition, *last), (key.clone(), (row.seq, epoch, load)));
    }

    pub fn project(&mut self, key: &ConversationKey, head: Option<&Head>, members: &[(String, MemberRecord)]) {
        if let Some(head) = head
            && self.heads.get(key).is_none_or(|old| head_version(old) < head_version(head))
        {
            self.heads.insert(key.clone(), head.clone());
        }
        let table = self.members.entry(key.clone()).or_default();
        for (user, record) in members {
            if table.get(user).is_none_or(|old| old.as_of_seq < record.as_of_seq) {
                table.insert(user.clone(), record.clone());
            }
        }
    }

    /// Rows, head, members, feed and note in one commit.
    pub fn append_whole(&mut self, append: &Append) -> Result<()> {
        let key = &append.key;
        let first = &append.rows[0];
        if !self.active(&append.instance) {
            return Err(StoreError::Fenced(format!("instance {} is not active", append.instance)));
        }
        let claimed = self.shards.get(&key.shard().0).map_or(0, |row| row.epoch);
        if first.epoch < claimed {
            return Err(StoreError::Fenced(format!("epoch {} of {key:?} is over: {claimed}", first.epoch)));
        }
        let end = self.heads.get(key).map_or(0, |head| head.seq);
        if first.seq > end + 1 {
            return Err(StoreError::Misused(format!("append to {key:?} at {} after {end}", first.seq)));
        }
        for row in &append.rows {
            self.put_row(key, row);
            if row.seq > end {
                self.feed(key, row);
            }
        }
        self.project(key, Some(&append.head), &append.members);
        self.fed(key, append.head.seq);
        if append.effects
            && let Some(note) = append.note
        {
            self.note(&append.instance, key, note);
        }
        Ok(())
    }

    /// Rows and note only: the rest is settled later.
    pub fn append_rows(&mut self, append: &Append) {
        for row in &append.rows {
            self.put_row(&append.key, row);
        }
        if let Some(note) = append.note {
            self.note(&append.instance, &append.key, note);
        }
    }

    pub fn fed(&mut self, key: &ConversationKey, seq: u64) {
        let fed = self.fed.entry(key.clone()).or_default();
        *fed = seq.max(*fed);
    }

    pub fn head(&self, key: &ConversationKey) -> Option<Head> {
        let fed_seq = self.fed.get(key).copied().unwrap_or(0);
        self.heads.get(key).map(|head| Head { fed_seq, ..head.clone() })
    }

    pub fn settle(&mut self, instance: &InstanceId, settlements: &[Settlement]) {
        for settlement in settlements {
            let key = &settlement.key;
            self.project(key, settlement.head.as_ref(), &settlement.members);
            for row in &settlement.feed {
                self.feed(key, row);
            }
            self.fed(key, settlement.fed_seq);
            if let Some(names) = self.journals.get_mut(instance)
                && names.get(key).is_some_and(|noted| settlement.remove.contains(noted))
            {
                names.remove(key);
            }
        }
    }

    pub fn write_registers(&mut self, user: &UserKey, registers: &[(String, RegisterRecord)]) {
        let table = self.registers.entry(user.clone()).or_default();
        for (conversation, record) in registers {
            if table.get(conversation).is_none_or(|old| register_version(old) < register_version(record)) {
                table.insert(conversation.clone(), record.clone());
            }
        }
    }

    pub fn put_record(&mut self, key: &RecordKey, value: &Bytes, if_absent: bool) -> Option<Bytes> {
        if if_absent && let Some(there) = self.records.get(key) {
            return Some(there.clone());
        }
        self.records.insert(key.clone(), value.clone());
        None
    }

    pub fn commit_cursor(&mut self, group: &str, partition: u16, offset: u64) {
        let cursor = self.cursors.entry((group.to_owned(), partition)).or_default();
        *cursor = offset.max(*cursor);
    }
}
