//! A commit in the making: what several writes put, and what they read of each other.

use std::collections::HashMap;

use bytes::Bytes;
use posthorn_core::SHARDS;
use posthorn_proto::internal;

use super::{
    engine::{Engine, Put},
    keys::{self, Key, Space},
    values::{Watermark, cell_watermark, decode, decode_u64},
};
use crate::{FEED_PARTITIONS, InstanceId, Result};

/// What the writer keeps in memory of the tables that every append asks. Read again whenever the
/// engine is opened, since a failed commit leaves it ahead of the disk.
pub(crate) struct Held {
    /// Whether each instance is active.
    pub instances: HashMap<InstanceId, bool>,
    /// The epoch under which each shard was claimed last.
    pub epochs: Vec<u64>,
    /// The last offset given out in each partition of the feed.
    pub offsets: Vec<u64>,
}

impl Held {
    pub(crate) fn load(engine: &Engine) -> Result<Self> {
        let view = engine.view();
        let mut instances = HashMap::new();
        for entry in view.prefix(Space::System, &keys::instances()) {
            let (key, value) = entry?;
            let mut parts = keys::Parts::new(&key);
            parts.tag()?;
            instances.insert(InstanceId(parts.text()?), value.first() == Some(&1));
        }
        let mut epochs = vec![0; usize::from(SHARDS)];
        for entry in view.prefix(Space::System, &keys::shards()) {
            let row: internal::ShardRow = decode(entry?.1)?;
            if let Some(epoch) = epochs.get_mut(row.shard as usize) {
                *epoch = row.epoch;
            }
        }
        let mut offsets = Vec::new();
        for partition in 0..FEED_PARTITIONS {
            let trimmed = view.get(Space::System, &keys::feed_trimmed(partition))?;
            let trimmed = trimmed.map_or(Ok(0), |value| decode_u64(&value))?;
            let (from, to) = (keys::feed(partition, 0), keys::feed(partition, u64::MAX));
            let last = match view.range(Space::Feed, from, to).next_back() {
                Some(entry) => keys::feed_offset(&entry?.0)?,
                None => 0,
            };
            offsets.push(trimmed.max(last));
        }
        Ok(Self { instances, epochs, offsets })
    }

    pub(crate) fn active(&self, instance: &InstanceId) -> bool {
        self.instances.get(instance).copied().unwrap_or(false)
    }
}

/// The writes of one commit.
pub(crate) struct Group<'a> {
    engine: &'a Engine,
    pub held: &'a mut Held,
    pub generation: u64,
    pub now_ms: u64,
    puts: Vec<Put>,
    /// What was put into tables that later writes of the group read.
    overlay: HashMap<(Space, Key), Option<Bytes>>,
    /// Where the puts of the present write begin.
    begin: usize,
    /// Entries added to the feed.
    pub fed: u64,
}

impl<'a> Group<'a> {
    pub(crate) fn new(engine: &'a Engine, held: &'a mut Held, generation: u64, now_ms: u64) -> Self {
        let (puts, overlay) = (Vec::new(), HashMap::new());
        Self { engine, held, generation, now_ms, puts, overlay, begin: 0, fed: 0 }
    }

    /// The value as the writes before this one leave it.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let own = self.puts[self.begin..].iter().rev().find(|put| put.space == space && put.key == key);
        if let Some(put) = own {
            return Ok(put.value.clone());
        }
        // Almost always empty of this key: asked without making an owned key only when it cannot be.
        if !self.overlay.is_empty()
            && let Some(value) = self.overlay.get(&(space, key.to_vec()))
        {
            return Ok(value.clone());
        }
        self.engine.latest(space, key)
    }

    pub(crate) fn put(&mut self, space: Space, key: Key, value: Bytes) {
        self.puts.push(Put { space, key, value: Some(value) });
    }

    pub(crate) fn remove(&mut self, space: Space, key: Key) {
        self.puts.push(Put { space, key, value: None });
    }

    /// Puts a cell that only grows, if it does. Reads what is there.
    pub(crate) fn grow(&mut self, key: Key, mark: &Watermark, value: Bytes) -> Result<bool> {
        let old = self.get(Space::Cells, &key)?.map(|old| cell_watermark(&old)).transpose()?;
        let newer = old.is_none_or(|old| old < *mark);
        if newer {
            self.put(Space::Cells, key, value);
        }
        Ok(newer)
    }

    /// Keeps what a write put, or takes it back if it failed: a failed write changes nothing.
    pub(crate) fn end_write(&mut self, keep: bool) {
        if keep {
            for put in &self.puts[self.begin..] {
                // Rows and feed entries are never read by a writer.
                if matches!(put.space, Space::Cells | Space::System) {
                    self.overlay.insert((put.space, put.key.clone()), put.value.clone());
                }
            }
        } else {
            self.puts.truncate(self.begin);
        }
        self.begin = self.puts.len();
    }

    /// Everything in key order with this prefix, as the writes before this one leave it. For small
    /// tables only.
    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> Result<Vec<(Key, Bytes)>> {
        let mut all = std::collections::BTreeMap::new();
        for entry in self.engine.view().prefix(space, prefix) {
            let (key, value) = entry?;
            all.insert(key.to_vec(), Some(value));
        }
        let ours = |at: Space, key: &Key| at == space && key.starts_with(prefix);
        for ((at, key), value) in &self.overlay {
            if ours(*at, key) {
                all.insert(key.clone(), value.clone());
            }
        }
        for put in &self.puts[self.begin..] {
            if ours(put.space, &put.key) {
                all.insert(put.key.clone(), put.value.clone());
            }
        }
        Ok(all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    pub(crate) fn into_puts(self) -> Vec<Put> {
        self.puts
    }
}
