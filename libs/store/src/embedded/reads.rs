//! Reads of the tables, on a consistent view.
//!
//! Points (a head, a record, whether an instance is active) are read on the caller's thread: nearly
//! always they lie in memory, at worst they cost one block of 4 KiB. Ranges run on a blocking thread,
//! as many at once as `store.max_running_reads`: a long one would keep the runtime's thread from others.

use std::sync::Arc;

use bytes::Bytes;
use posthorn_clock::Instant;
use posthorn_core::{ConversationId, ConversationKey, UserId, UserKey};
use posthorn_proto::internal::{FeedEntry, Head, MemberRecord, RegisterRecord, Row};

use super::{
    EmbeddedStore,
    engine::{Engine, View},
    keys::{self, Parts, Space},
    values::{decode_cell, decode_feed, decode_row, decode_u64},
};
use crate::{InstanceId, Page, ReadRange, RecordKey, Result, ShardRow, StoreError, Table, rules::Pager};

/// Points of one call that are read on the caller's thread.
pub(super) const MAX_DIRECT_POINTS: usize = 8;

impl EmbeddedStore {
    /// Reads a few points, here.
    pub(super) async fn point<T>(&self, op: &'static str, f: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        let engine = self.engine().await?;
        let begun = Instant::now();
        let result = f(&engine.view());
        self.shared.metrics.timed(op, begun);
        result
    }

    /// Reads ranges, on a blocking thread.
    pub(super) async fn range<T, F>(&self, op: &'static str, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let closed = |_| StoreError::Unavailable("the store is closed".to_owned());
        let turn = Arc::clone(&self.readers).acquire_owned().await.map_err(closed)?;
        let engine = self.engine().await?;
        let read = move |engine: Arc<Engine>| {
            let _turn = turn;
            f(&engine.view())
        };
        let result = tokio::task::spawn_blocking(move || read(engine)).await;
        self.shared.metrics.timed(op, begun);
        result.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read ended early: {error}"))))
    }
}

/// Head and rows are one commit, so no row lies beyond the head. If one does, the library read its
/// journal wrong (it keeps no checksum over the order of its batches), and whoever appended at this
/// head would write over messages that were acknowledged.
pub(super) fn head(view: &View<'_>, key: &ConversationKey) -> Result<Option<Head>> {
    let Some(value) = view.head(&keys::head(key))? else { return Ok(None) };
    let mut head: Head = decode_cell(&value)?;
    // The feed's entries are in the commits of the rows.
    head.fed_seq = head.seq;
    let (from, to) = (keys::row(key, head.seq.saturating_add(1), 0, 0), keys::row(key, u64::MAX, u64::MAX, u32::MAX));
    if let Some(beyond) = view.range(Space::Log, from, to).next().transpose()? {
        let (seq, ..) = keys::row_place(&beyond.0)?;
        return Err(StoreError::Damaged(format!("{key:?} ends at {} and has row {seq}: restore a backup", head.seq)));
    }
    Ok(Some(head))
}

pub(super) fn register(
    view: &View<'_>,
    user: &UserKey,
    conversation: &ConversationId,
) -> Result<Option<RegisterRecord>> {
    let key = keys::register(user, Some(conversation.as_str()));
    view.get(Space::Cells, &key)?.map(|value| decode_cell(&value)).transpose()
}

pub(super) fn registers_of(
    view: &View<'_>,
    key: &ConversationKey,
    users: &[UserId],
) -> Result<Vec<Option<RegisterRecord>>> {
    let owner = |user: &UserId| UserKey { tenant: key.tenant.clone(), user: user.clone() };
    users.iter().map(|user| register(view, &owner(user), &key.conversation)).collect()
}

pub(super) fn active(view: &View<'_>, instance: &InstanceId) -> Result<bool> {
    let value = view.get(Space::System, &keys::instance(instance))?;
    Ok(value.is_some_and(|value| value.first() == Some(&1)))
}

pub(super) fn shards(view: &View<'_>) -> Result<Vec<ShardRow>> {
    view.prefix(Space::System, &keys::shards()).map(|entry| super::ownership::shard_row(entry?.1)).collect()
}

pub(super) fn journal(view: &View<'_>, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
    let names = view.prefix(Space::System, &keys::journal(instance, None));
    let name = |entry: Result<(Bytes, Bytes)>| {
        let (key, _) = entry?;
        let mut parts = Parts::new(&key);
        parts.tag()?;
        parts.text()?;
        parts.conversation()
    };
    names.map(name).collect()
}

pub(super) fn page(view: &View<'_>, key: &ConversationKey, range: ReadRange) -> Result<Page> {
    let mut pager = Pager::new(range);
    let (from, to) = (keys::row(key, range.from, 0, 0), keys::row(key, range.to, u64::MAX, u32::MAX));
    let mut rows = view.range(Space::Log, from, to);
    while let Some(entry) = if range.reverse { rows.next_back() } else { rows.next() } {
        let (key, value) = entry?;
        if !pager.offer(decode_row(&key, &value)?) {
            break;
        }
    }
    Ok(pager.finish())
}

pub(super) fn tail(view: &View<'_>, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let (from, to) = (keys::row(key, first, 0, 0), keys::row(key, u64::MAX, u64::MAX, u32::MAX));
    let decode = |entry: Result<(Bytes, Bytes)>| {
        let (key, value) = entry?;
        decode_row(&key, &value)
    };
    view.range(Space::Log, from, to).map(decode).collect()
}

pub(super) fn members(view: &View<'_>, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
    let prefix = keys::member(key, None);
    let member = |entry: Result<(Bytes, Bytes)>| {
        let (key, value) = entry?;
        Ok((Parts::new(&key[prefix.len()..]).text()?, decode_cell(&value)?))
    };
    view.prefix(Space::Cells, &prefix).map(member).collect()
}

pub(super) fn registers(view: &View<'_>, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
    let prefix = keys::register(user, None);
    let cell = |entry: Result<(Bytes, Bytes)>| {
        let (key, value) = entry?;
        Ok((Parts::new(&key[prefix.len()..]).text()?, decode_cell(&value)?))
    };
    view.prefix(Space::Cells, &prefix).map(cell).collect()
}

pub(super) fn records(
    view: &View<'_>,
    table: Table,
    tenant: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<(RecordKey, Bytes)>> {
    let begin = keys::record(&RecordKey { table, tenant: tenant.to_owned(), key: after.to_owned() });
    let end = keys::after_prefix(&keys::records(table, tenant));
    let beyond = view.range(Space::Cells, begin.clone(), end);
    let record = |entry: Result<(Bytes, Bytes)>| {
        let (key, value) = entry?;
        let (tenant, key) = keys::record_name(&key)?;
        Ok((RecordKey { table, tenant, key }, value))
    };
    let beyond = beyond.filter(|entry| entry.as_ref().map_or(true, |(key, _)| *key != begin));
    beyond.take(limit).map(record).collect()
}

pub(super) fn feed(
    view: &View<'_>,
    generation: u64,
    partition: u16,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, FeedEntry)>> {
    let after = after.max(feed_trimmed(view, partition)?);
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for pack in view.range(Space::Feed, keys::feed(partition, first), keys::feed(partition, u64::MAX)) {
        let (at, pack) = pack?;
        let (_, row_keys) = decode_feed(&pack)?;
        let begin = (keys::feed_offset(&at)? + 1).saturating_sub(row_keys.len() as u64);
        for (offset, row_key) in (begin..).zip(row_keys) {
            if offset <= after {
                continue;
            }
            if entries.len() >= limit {
                return Ok(entries);
            }
            // A row that is gone has nothing left to tell.
            let Some(value) = view.get(Space::Log, row_key)? else { continue };
            let ConversationKey { tenant, conversation } = Parts::new(row_key).conversation()?;
            let row = Some(decode_row(row_key, &value)?);
            let (tenant, conversation) = (String::from(&tenant), String::from(&conversation));
            entries.push((offset, FeedEntry { tenant, conversation, generation, row }));
        }
    }
    Ok(entries)
}

/// The highest offset that was trimmed, 0 for none.
pub(super) fn feed_trimmed(view: &View<'_>, partition: u16) -> Result<u64> {
    let value = view.get(Space::System, &keys::feed_trimmed(partition))?;
    value.map_or(Ok(0), |value| decode_u64(&value))
}

pub(super) fn cursor(view: &View<'_>, group: &str, partition: u16) -> Result<u64> {
    let value = view.get(Space::System, &keys::feed_cursor(group, partition))?;
    value.map_or(Ok(0), |value| decode_u64(&value))
}
