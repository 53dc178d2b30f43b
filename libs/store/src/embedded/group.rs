//! A commit in the making: what several writes put, and what they read of each other.

use std::collections::HashMap;

use bytes::Bytes;
use posthorn_core::SHARDS;
use posthorn_proto::internal;

use super::{
    appends::Cell,
    engine::{Engine, Put},
    heads::{ByKey, Pack, Slots},
    keys::{self, Key, Space},
    values::{Watermark, cell_watermark, decode, encode_feed},
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
    pub slots: Slots,
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
            let trimmed = super::reads::feed_trimmed(&view, partition)?;
            let (from, to) = (keys::feed(partition, 0), keys::feed(partition, u64::MAX));
            let last = match view.range(Space::Feed, from, to).next_back() {
                Some(entry) => keys::feed_offset(&entry?.0)?,
                None => 0,
            };
            offsets.push(trimmed.max(last));
        }
        let slots = Slots::load(engine)?;
        Ok(Self { instances, epochs, offsets, slots })
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
    /// Keys and cells of heads, in the order of the writes.
    heads: Vec<(Bytes, Bytes)>,
    /// Partitions and row keys of what is added to the feed, in the order of the writes.
    fed: Vec<(u16, Bytes)>,
    /// What was put into the tables that writers read.
    cells: ByKey<Option<Bytes>>,
    system: ByKey<Option<Bytes>>,
    /// Where what the present write put begins, and what it covered: to take it back.
    begin: Begin,
    covered: Vec<(Space, Bytes, Option<Option<Bytes>>)>,
}

#[derive(Clone, Copy, Default)]
struct Begin {
    puts: usize,
    heads: usize,
    fed: usize,
}

/// A group, ready to be committed.
pub(crate) struct Staged {
    pub puts: Vec<Put>,
    pub heads: Option<Pack>,
    /// Entries added to the feed.
    pub fed: u64,
}

impl<'a> Group<'a> {
    /// For about so many `writes`.
    pub(crate) fn new(engine: &'a Engine, held: &'a mut Held, generation: u64, now_ms: u64, writes: usize) -> Self {
        let (cells, system) = (ByKey::default(), ByKey::default());
        let (puts, covered) = (Vec::with_capacity(writes), Vec::new());
        let (heads, fed) = (Vec::with_capacity(writes), Vec::with_capacity(writes));
        let begin = Begin::default();
        Self { engine, held, generation, now_ms, puts, heads, fed, cells, system, begin, covered }
    }

    /// Rows and feed entries are never read by a writer.
    fn overlay(&mut self, space: Space) -> Option<&mut ByKey<Option<Bytes>>> {
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

    /// What makes the present head newer than another.
    pub(crate) fn head_mark(&self, key: &[u8]) -> Result<Option<Watermark>> {
        match self.cells.get(key) {
            Some(cell) => cell.as_deref().map(cell_watermark).transpose(),
            None => self.engine.latest_head(key)?.map(|cell| cell_watermark(&cell)).transpose(),
        }
    }

    fn cover(&mut self, space: Space, key: &Bytes, value: Option<Bytes>) {
        if let Some(overlay) = self.overlay(space) {
            let covered = overlay.insert(key.clone(), value);
            self.covered.push((space, key.clone(), covered));
        }
    }

    fn change(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.cover(space, &key, value.clone());
        self.puts.push(Put { space, key, value });
    }

    pub(crate) fn put(&mut self, space: Space, key: impl Into<Bytes>, value: Bytes) {
        self.change(space, key.into(), Some(value));
    }

    pub(crate) fn remove(&mut self, space: Space, key: impl Into<Bytes>) {
        self.change(space, key.into(), None);
    }

    /// Puts a cell that only grows, if it does. Reads what is there.
    pub(crate) fn grow(&mut self, cell: Cell) -> Result<()> {
        let Cell { key, mark, value } = cell;
        let old = self.get(Space::Cells, &key)?.map(|old| cell_watermark(&old)).transpose()?;
        if old.is_none_or(|old| old < mark) {
            self.put(Space::Cells, key, value);
        }
        Ok(())
    }

    /// Packs a head, if it is newer than `old`.
    pub(crate) fn grow_head(&mut self, head: Cell, old: Option<Watermark>) {
        let Cell { key, mark, value } = head;
        if old.is_none_or(|old| old < mark) {
            self.cover(Space::Cells, &key, Some(value.clone()));
            self.heads.push((key, value));
        }
    }

    pub(crate) fn feed(&mut self, partition: u16, row_key: Bytes) {
        self.fed.push((partition, row_key));
    }

    /// Keeps what a write put, or takes it back if it failed: a failed write changes nothing.
    pub(crate) fn end_write(&mut self, keep: bool) {
        if keep {
            self.covered.clear();
        } else {
            self.puts.truncate(self.begin.puts);
            self.heads.truncate(self.begin.heads);
            self.fed.truncate(self.begin.fed);
            for (space, key, before) in std::mem::take(&mut self.covered).into_iter().rev() {
                let Some(overlay) = self.overlay(space) else { continue };
                match before {
                    Some(value) => overlay.insert(key, value),
                    None => overlay.remove(&key),
                };
            }
        }
        self.begin = Begin { puts: self.puts.len(), heads: self.heads.len(), fed: self.fed.len() };
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
        all.extend(ours.map(|(key, value)| (key.to_vec(), value.clone())));
        Ok(all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// Everything that was put, what is added to the feed and the heads in packs.
    pub(crate) fn stage(mut self) -> Staged {
        let fed = self.fed.len() as u64;
        self.pack_feed();
        let heads = (!self.heads.is_empty()).then(|| self.held.slots.pack(self.engine, self.heads, &mut self.puts));
        // Neighbours share most of their way down the tree, and so the cache. Stable: the last of one key counts.
        self.puts.sort_by(|one, other| (one.space, &one.key).cmp(&(other.space, &other.key)));
        Staged { puts: self.puts, heads, fed }
    }

    /// A stable sort: within a partition the order of the writes is the order of the feed.
    fn pack_feed(&mut self) {
        self.fed.sort_by_key(|(partition, _)| *partition);
        for entries in self.fed.chunk_by(|(one, _), (next, _)| one == next) {
            let partition = entries[0].0;
            let offset = &mut self.held.offsets[usize::from(partition)];
            *offset += entries.len() as u64;
            let value = Some(encode_feed(self.now_ms, entries.iter().map(|(_, row_key)| row_key)));
            self.puts.push(Put { space: Space::Feed, key: keys::feed(partition, *offset).into(), value });
        }
    }
}
