//! The log's writes: prepared by the caller, decided by the writer.

use bytes::Bytes;
use posthorn_core::{ConversationKey, Shard, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord};

use super::{
    group::Group,
    keys::{self, Key, Space},
    values::{Watermark, decode_u64, encode_cell, encode_row, encode_u64, watermark},
};
use crate::{
    Append, InstanceId, Result, Settlement, StoreError,
    feed::{feed_partition, feed_partition_of},
    rules::{head_version, number, register_version},
};

/// A cell that only grows, encoded.
pub(crate) struct Cell {
    pub key: Bytes,
    pub mark: Watermark,
    pub value: Bytes,
}

impl Cell {
    pub(crate) fn head(key: &ConversationKey, head: &Head) -> Self {
        let mark = watermark(head_version(head));
        Self { key: keys::head(key).into(), mark, value: encode_cell(&mark, head) }
    }

    pub(crate) fn member(key: &ConversationKey, user: &str, record: &MemberRecord) -> Self {
        let mark = watermark((record.as_of_seq, 0, 0));
        Self { key: keys::member(key, Some(user)).into(), mark, value: encode_cell(&mark, record) }
    }

    pub(crate) fn register(user: &UserKey, conversation: &str, record: &RegisterRecord) -> Self {
        let (epoch, counter) = register_version(record);
        let mark = watermark((epoch, counter, 0));
        Self { key: keys::register(user, Some(conversation)).into(), mark, value: encode_cell(&mark, record) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// An append, encoded outside the writer.
pub(crate) struct Prepared {
    key: ConversationKey,
    shard: Shard,
    instance: InstanceId,
    first: u64,
    epoch: u64,
    rows: Vec<(Bytes, Bytes)>,
    head: Cell,
    members: Vec<Cell>,
    /// Only where registers have to be told: all else goes with the rows.
    note: Option<u64>,
}

impl Prepared {
    pub(crate) fn new(append: Append) -> Result<Self> {
        let Append { key, instance, rows, head, members, effects, note } = append;
        let (first, epoch) = rows.first().map_or((0, 0), |row| (row.seq, row.epoch));
        let encode = |row: &posthorn_proto::internal::Row| {
            let (epoch, load) = number(row);
            encode_row(&keys::row(&key, row.seq, epoch, load), row)
        };
        let rows = rows.iter().map(encode).collect::<Result<_>>()?;
        let members = members.iter().map(|(user, record)| Cell::member(&key, user, record)).collect();
        let (shard, head, note) = (key.shard(), Cell::head(&key, &head), note.filter(|_| effects));
        Ok(Self { key, shard, instance, first, epoch, rows, head, members, note })
    }

    pub(crate) fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(key, value)| 2 * key.len() + value.len()).sum();
        rows + self.head.bytes() + self.members.iter().map(Cell::bytes).sum::<usize>()
    }
}

/// A settlement, encoded outside the writer.
pub(crate) struct PreparedSettlement {
    key: ConversationKey,
    head: Option<Cell>,
    members: Vec<Cell>,
    feed: Vec<Bytes>,
    remove: Vec<u64>,
}

impl PreparedSettlement {
    pub(crate) fn new(settlement: &Settlement) -> Self {
        let Settlement { key, head, members, feed, fed_seq: _, remove } = settlement;
        let head = head.as_ref().map(|head| Cell::head(key, head));
        let members = members.iter().map(|(user, record)| Cell::member(key, user, record)).collect();
        let feed = feed.iter().map(|row| keys::row(key, row.seq, row.epoch, row.load).into()).collect();
        Self { key: key.clone(), head, members, feed, remove: remove.clone() }
    }

    pub(crate) fn bytes(&self) -> usize {
        let cells = self.head.iter().chain(&self.members).map(Cell::bytes).sum::<usize>();
        cells + self.feed.iter().map(Bytes::len).sum::<usize>() + 128
    }

    pub(crate) fn feeds(&self) -> bool {
        !self.feed.is_empty()
    }
}

impl Group<'_> {
    /// Rows, head, members, feed and note: all or nothing, and only for the present owner. A former
    /// owner's write would put a head there that the next owner did not see.
    pub(crate) fn append(&mut self, append: Prepared) -> Result<()> {
        let Prepared { key, shard, instance, first, epoch, rows, head, members, note } = append;
        if !self.held.active(&instance) {
            return Err(StoreError::Fenced(format!("instance {instance} is not active")));
        }
        let claimed = self.held.epochs.get(usize::from(shard.0)).copied().unwrap_or(0);
        if epoch < claimed {
            return Err(StoreError::Fenced(format!("epoch {epoch} of {key:?} is over: {claimed}")));
        }
        let old = self.head_mark(&head.key)?;
        let end = old.map_or(Ok(0), |mark| decode_u64(&mark[..8]))?;
        if first > end + 1 {
            return Err(StoreError::Misused(format!("append to {key:?} at {first} after {end}")));
        }
        for (seq, (at, value)) in (first..).zip(rows) {
            // A row that the head covers was fed with it.
            if seq > end {
                self.feed(feed_partition_of(shard), at.clone());
            }
            self.put(Space::Log, at, value);
        }
        self.grow_head(head, old);
        for member in members {
            self.grow(member)?;
        }
        if let Some(note) = note {
            self.note(&instance, &key, note)?;
        }
        Ok(())
    }

    pub(crate) fn settle(&mut self, instance: &InstanceId, settlements: Vec<PreparedSettlement>) -> Result<()> {
        for PreparedSettlement { key, head, members, feed, remove } in settlements {
            if let Some(head) = head {
                let old = self.head_mark(&head.key)?;
                self.grow_head(head, old);
            }
            for member in members {
                self.grow(member)?;
            }
            for row_key in feed {
                self.feed(feed_partition(&key), row_key);
            }
            if !remove.is_empty() {
                let name = keys::journal(instance, Some(&key));
                let noted = self.get(Space::System, &name)?.map(|value| decode_u64(&value)).transpose()?;
                if noted.is_some_and(|noted| remove.contains(&noted)) {
                    self.remove(Space::System, name);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn write_registers(&mut self, cells: Vec<Cell>) -> Result<()> {
        cells.into_iter().try_for_each(|cell| self.grow(cell))
    }

    pub(crate) fn put_record(&mut self, key: Key, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        if if_absent && let Some(there) = self.get(Space::Cells, &key)? {
            return Ok(Some(there));
        }
        self.put(Space::Cells, key, value);
        Ok(None)
    }

    pub(crate) fn commit_cursor(&mut self, group: &str, partition: u16, offset: u64) -> Result<()> {
        let key = keys::feed_cursor(group, partition);
        let old = self.get(Space::System, &key)?.map_or(Ok(0), |value| decode_u64(&value))?;
        if offset > old {
            self.put(Space::System, key, encode_u64(offset));
        }
        Ok(())
    }
}
