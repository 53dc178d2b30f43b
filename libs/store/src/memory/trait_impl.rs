//! The traits over the model.

use async_trait::async_trait;
use bytes::Bytes;
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{FeedEntry, Head, MemberRecord, RegisterRecord, Row};
use tokio::sync::watch;

use super::MemoryStore;
use crate::{
    Append, Beat, Claimed, Durability, FeedTable, InstanceId, Page, ReadRange, RecordKey, Result, Settlement, ShardRow,
    Store, Table,
    rules::{Pager, check_append, check_record_key},
};

#[async_trait]
impl Store for MemoryStore {
    fn driver(&self) -> &'static str {
        "memory"
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn generation(&self) -> u64 {
        self.inner.lock().visible.generation
    }

    fn writable(&self) -> bool {
        true
    }

    fn settles_apart(&self) -> bool {
        self.options.settle_apart
    }

    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()> {
        let (instance, address) = (instance.clone(), address.to_owned());
        self.write(move |state| state.register(&instance, &address)).await
    }

    async fn check(&self, instance: &InstanceId) -> Result<bool> {
        self.read(|state| state.active(instance))
    }

    async fn fence(&self, instance: &InstanceId) -> Result<()> {
        let instance = instance.clone();
        self.write(move |state| {
            state.fence(&instance);
            Ok(())
        })
        .await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.read(|state| state.shards.values().cloned().collect())
    }

    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        let (shards, instance, address) = (shards.to_vec(), instance.clone(), address.to_owned());
        self.write(move |state| Ok(state.claim(&shards, &instance, &address))).await
    }

    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        let instance = instance.clone();
        self.write(move |state| {
            state.release(shard, epoch, &instance, unsettled);
            Ok(())
        })
        .await
    }

    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        let (shards, instance) = (shards.to_vec(), instance.clone());
        self.write(move |state| {
            state.carried_over(&shards, &instance);
            Ok(())
        })
        .await
    }

    async fn beat(&self, beat: &Beat) -> Result<()> {
        self.beats.put(beat);
        Ok(())
    }

    async fn beats(&self) -> Result<Vec<Beat>> {
        Ok(self.beats.all())
    }

    async fn forget_beat(&self, instance: &InstanceId) -> Result<()> {
        self.beats.forget(instance);
        Ok(())
    }

    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        self.read(|state| state.journals.get(instance).map_or_else(Vec::new, |names| names.keys().cloned().collect()))
    }

    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()> {
        let (instance, notes) = (instance.clone(), notes.to_vec());
        self.write(move |state| {
            notes.iter().for_each(|(key, note)| state.note(&instance, key, *note));
            Ok(())
        })
        .await
    }

    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        self.read(|state| keys.iter().map(|key| state.head(key)).collect())
    }

    async fn append(&self, append: Append) -> Result<bool> {
        check_append(&append)?;
        if self.options.settle_apart {
            self.write(move |state| {
                state.append_rows(&append);
                Ok(false)
            })
            .await
        } else {
            self.write(move |state| state.append_whole(&append).map(|()| true)).await
        }
    }

    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        let instance = instance.clone();
        // Offsets of the feed are never used twice: what feeds has to be durable before it is read.
        let feeds = settlements.iter().any(|settlement| !settlement.feed.is_empty());
        let run = move |state: &mut super::State| {
            state.settle(&instance, &settlements);
            Ok(())
        };
        if feeds { self.write(run).await } else { self.write_lazily(run) }
    }

    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        self.read(|state| {
            let mut pager = Pager::new(range);
            let Some(rows) = state.rows.get(key).filter(|_| range.from <= range.to) else {
                return Page::default();
            };
            let span = rows.range((range.from, 0, 0)..=(range.to, u64::MAX, u32::MAX)).map(|(_, row)| row.clone());
            if range.reverse {
                let _ = span.rev().all(|row| pager.offer(row));
            } else {
                let _ = { span }.all(|row| pager.offer(row));
            }
            pager.finish()
        })
    }

    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        self.read(|state| {
            let rows = state.rows.get(key);
            rows.map_or_else(Vec::new, |rows| rows.range((first, 0, 0)..).map(|(_, row)| row.clone()).collect())
        })
    }

    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        self.read(|state| {
            let members = state.members.get(key);
            members.map_or_else(Vec::new, |all| all.iter().map(|(user, m)| (user.clone(), m.clone())).collect())
        })
    }

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        self.read(|state| {
            let cells = state.registers.get(user);
            cells.map_or_else(Vec::new, |all| all.iter().map(|(name, cell)| (name.clone(), cell.clone())).collect())
        })
    }

    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>> {
        self.read(|state| {
            let cell = |user: &UserId| {
                let owner = UserKey { tenant: key.tenant.clone(), user: user.clone() };
                state.registers.get(&owner)?.get(key.conversation.as_str()).cloned()
            };
            users.iter().map(cell).collect()
        })
    }

    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()> {
        let user = user.clone();
        self.write(move |state| {
            state.write_registers(&user, &registers);
            Ok(())
        })
        .await
    }

    async fn get_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        self.read(|state| state.records.get(key).cloned())
    }

    async fn put_record(&self, key: &RecordKey, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        check_record_key(key)?;
        let key = key.clone();
        self.write(move |state| Ok(state.put_record(&key, &value, if_absent))).await
    }

    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        let begin = RecordKey { table, tenant: tenant.to_owned(), key: after.to_owned() };
        self.read(|state| {
            let beyond = state.records.range(&begin..).filter(|(key, _)| **key != begin);
            let ours = beyond.take_while(|(key, _)| key.table == table && (tenant.is_empty() || key.tenant == tenant));
            ours.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
        })
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        let key = key.clone();
        self.write(move |state| {
            state.records.remove(&key);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl FeedTable for MemoryStore {
    async fn feed_read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<(u64, FeedEntry)>> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        self.read(|state| {
            let pointers = state.feed.range((partition, first)..=(partition, u64::MAX));
            let entry = |(&(_, offset), (key, at)): (&(u16, u64), &(ConversationKey, super::state::RowKey))| {
                let row = state.rows.get(key)?.get(at)?.clone();
                let entry = FeedEntry {
                    tenant: (&key.tenant).into(),
                    conversation: (&key.conversation).into(),
                    generation: state.generation,
                    row: Some(row),
                };
                Some((offset, entry))
            };
            pointers.filter_map(entry).take(limit).collect()
        })
    }

    fn feed_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn feed_cursor(&self, group: &str, partition: u16) -> Result<u64> {
        self.read(|state| state.cursors.get(&(group.to_owned(), partition)).copied().unwrap_or(0))
    }

    async fn feed_commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        let group = group.to_owned();
        self.write_lazily(move |state| {
            state.commit_cursor(&group, partition, offset);
            Ok(())
        })
    }
}
