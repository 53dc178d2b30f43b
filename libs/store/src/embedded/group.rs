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
    /// What was put into the tables that writers read.
    cells: HashMap<Key, Option<Bytes>>,
    system: HashMap<Key, Option<Bytes>>,
    /// Where the puts of the present write begin, and what they covered: to take them back.
    begin: usize,
    covered: Vec<(Space, Key, Option<Option<Bytes>>)>,
    /// Entries added to the feed.
    pub fed: u64,
}

impl<'a> Group<'a> {
    pub(crate) fn new(engine: &'a Engine, held: &'a mut Held, generation: u64, now_ms: u64) -> Self {
        let (cells, system) = (HashMap::new(), HashMap::new());
        let (puts, covered) = (Vec::new(), Vec::new());
        Self { engine, held, generation, now_ms, puts, cells, system, begin: 0, covered, fed: 0 }
    }

    /// Rows and feed entries are never read by a writer.
    fn overlay(&mut self, space: Space) -> Option<&mut HashMap<Key, Option<Bytes>>> {
        match space {
            Space::Cells => Some(&mut self.cells),
            Space::System => Some(&mut self.system),
            Space::Log | Space::Feed => None,
        }
    }

    /// The value as the writes before this one, and what this one did so far, leave it.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let put = match space {
            Space::Cells => self.cells.get(key),
            Space::System => self.system.get(key),
            Space::Log | Space::Feed => None,
        };
        match put {
            Some(value) => Ok(value.clone()),
            None => self.engine.latest(space, key),
        }
    }

    fn change(&mut self, space: Space, key: Key, value: Option<Bytes>) {
        if let Some(overlay) = self.overlay(space) {
            let covered = overlay.insert(key.clone(), value.clone());
            self.covered.push((space, key.clone(), covered));
        }
        self.puts.push(Put { space, key, value });
    }

    pub(crate) fn put(&mut self, space: Space, key: Key, value: Bytes) {
        self.change(space, key, Some(value));
    }

    pub(crate) fn remove(&mut self, space: Space, key: Key) {
        self.change(space, key, None);
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
        let covered = std::mem::take(&mut self.covered);
        if !keep {
            self.puts.truncate(self.begin);
            for (space, key, before) in covered.into_iter().rev() {
                let Some(overlay) = self.overlay(space) else { continue };
                match before {
                    Some(value) => overlay.insert(key, value),
                    None => overlay.remove(&key),
                };
            }
        }
        self.begin = self.puts.len();
    }

    /// Everything in key order with this prefix, of `cells` or `system`, as [`Group::get`]
    /// answers. For small tables only.
    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> Result<Vec<(Key, Bytes)>> {
        let mut all = std::collections::BTreeMap::new();
        for entry in self.engine.view().prefix(space, prefix) {
            let (key, value) = entry?;
            all.insert(key.to_vec(), Some(value));
        }
        let overlay = if space == Space::System { &self.system } else { &self.cells };
        let ours = overlay.iter().filter(|(key, _)| key.starts_with(prefix));
        all.extend(ours.map(|(key, value)| (key.clone(), value.clone())));
        Ok(all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    pub(crate) fn into_puts(self) -> Vec<Put> {
        self.puts
    }
}
