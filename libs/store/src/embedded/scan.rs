//! What the store holds, for an export.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use posthorn_core::{ConversationKey, TenantId, UserId, UserKey};
use tokio::sync::mpsc;

use super::{
    EmbeddedStore,
    engine::{Engine, View},
    keys::{self, Parts, Space},
    reads::feed_trimmed,
    values::{decode_feed, decode_heads, decode_u64},
};
use crate::{
    FEED_PARTITIONS, Result, StoreError,
    transfer::{Found, Source},
};

#[async_trait]
impl Source for EmbeddedStore {
    async fn scan(&self, found: mpsc::Sender<Found>) -> Result<()> {
        let engine = self.engine().await?;
        // Not one of the ranges that `store.max_running_reads` bounds: it waits for those that read what it finds.
        let ended = tokio::task::spawn_blocking(move || scan(&engine, &found)).await;
        ended.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the scan ended early: {error}"))))
    }
}

fn scan(engine: &Engine, found: &mpsc::Sender<Found>) -> Result<()> {
    let view = engine.view();
    let send = |one| found.blocking_send(one).map_err(|_| StoreError::Unavailable("nobody reads on".to_owned()));
    for entry in view.prefix(Space::Cells, &keys::all_records()) {
        let (key, value) = entry?;
        send(Found::Record(keys::record_of(&key)?, value))?;
    }
    let mut last = None;
    for entry in view.prefix(Space::Cells, &keys::all_registers()) {
        let user = user_of(&entry?.0)?;
        // A user's cells lie together.
        if last.as_ref() != Some(&user) {
            send(Found::User(user.clone()))?;
            last = Some(user);
        }
    }
    let unhandled = unhandled(&view)?;
    let conversation = |key: &[u8]| {
        let mut parts = Parts::new(key);
        parts.tag()?;
        let key = parts.conversation()?;
        let unhandled = unhandled.get(&key).copied();
        send(Found::Conversation { key, unhandled })
    };
    // The latest heads may be in slots alone.
    let mut slots: BTreeSet<Bytes> = BTreeSet::new();
    for entry in view.prefix(Space::System, &keys::head_slots()) {
        let (_, heads) = decode_heads(&entry?.1)?;
        slots.extend(heads.into_iter().map(|(key, _)| key));
    }
    for key in &slots {
        conversation(key)?;
    }
    for entry in view.prefix(Space::Cells, &keys::heads()) {
        let (key, _) = entry?;
        if !slots.contains(&key) {
            conversation(&key)?;
        }
    }
    Ok(())
}

fn user_of(key: &[u8]) -> Result<UserKey> {
    let bad = |_| StoreError::Damaged("a key of registers does not decode".to_owned());
    let mut parts = Parts::new(key);
    parts.tag()?;
    let tenant = TenantId::new(&parts.text()?).map_err(bad)?;
    Ok(UserKey { tenant, user: UserId::new(&parts.text()?).map_err(bad)? })
}

/// The first entry of each conversation that some group has not handled. Where there never was a group,
/// nobody waits for anything.
fn unhandled(view: &View<'_>) -> Result<BTreeMap<ConversationKey, u64>> {
    let mut cursors: BTreeMap<String, BTreeMap<u16, u64>> = BTreeMap::new();
    for entry in view.prefix(Space::System, &keys::feed_cursors()) {
        let (key, value) = entry?;
        let mut parts = Parts::new(&key);
        parts.tag()?;
        let group = parts.text()?;
        let partition = u16::from_be_bytes(parts.bytes()?);
        cursors.entry(group).or_default().insert(partition, decode_u64(&value)?);
    }
    let mut first: BTreeMap<ConversationKey, u64> = BTreeMap::new();
    for partition in 0..FEED_PARTITIONS {
        // A group without a cursor in a partition has handled nothing there.
        let lowest = cursors.values().map(|group| group.get(&partition).copied().unwrap_or(0)).min();
        let Some(lowest) = lowest else { break };
        let after = lowest.max(feed_trimmed(view, partition)?);
        let (from, to) = (keys::feed(partition, after.saturating_add(1)), keys::feed(partition, u64::MAX));
        for pack in view.range(Space::Feed, from, to) {
            let (at, pack) = pack?;
            let (_, row_keys) = decode_feed(&pack)?;
            let begin = (keys::feed_offset(&at)? + 1).saturating_sub(row_keys.len() as u64);
            for (_, row_key) in (begin..).zip(row_keys).filter(|(offset, _)| *offset > after) {
                let seq = keys::row_place(row_key)?.0;
                let entry = first.entry(Parts::new(row_key).conversation()?).or_insert(seq);
                *entry = seq.min(*entry);
            }
        }
    }
    Ok(first)
}
