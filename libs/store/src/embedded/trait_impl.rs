//! The traits over the tables.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{FeedEntry, Head, MemberRecord, RegisterRecord, Row};
use tokio::sync::watch;

use super::{
    EmbeddedStore,
    appends::{Cell, Prepared, PreparedSettlement},
    keys::{self, Space},
    queue::Kind,
    reads::{self, MAX_DIRECT_POINTS},
};
use crate::{
    Append, Beat, Claimed, Durability, FeedTable, InstanceId, Page, ReadRange, RecordKey, Result, Settlement, ShardRow,
    Store, Table,
    rules::{check_append, check_record_key},
};

#[async_trait]
impl Store for EmbeddedStore {
    fn driver(&self) -> &'static str {
        "embedded"
    }

    fn durability(&self) -> Durability {
        Durability::Synced
    }

    fn generation(&self) -> u64 {
        self.shared.generation
    }

    fn writable(&self) -> bool {
        self.shared.writable.load(Ordering::Relaxed)
    }

    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()> {
        let (instance, address) = (instance.clone(), address.to_owned());
        self.write("register", Kind::Durable, 0, move |group| group.register(&instance, &address)).await
    }

    async fn check(&self, instance: &InstanceId) -> Result<bool> {
        self.point("check", |view| reads::active(view, instance)).await
    }

    async fn fence(&self, instance: &InstanceId) -> Result<()> {
        let instance = instance.clone();
        let fence = move |group: &mut super::Group<'_>| {
            group.fence(&instance);
            Ok(())
        };
        self.write("fence", Kind::Durable, 0, fence).await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.range("shards", reads::shards).await
    }

    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        let (shards, instance, address) = (shards.to_vec(), instance.clone(), address.to_owned());
        let bytes = shards.len() * 256;
        self.write("claim", Kind::Durable, bytes, move |group| group.claim(&shards, &instance, &address)).await
    }

    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        let instance = instance.clone();
        let release = move |group: &mut super::Group<'_>| group.release(shard, epoch, &instance, unsettled);
        self.write("release", Kind::Durable, 0, release).await
    }

    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        let (shards, instance) = (shards.to_vec(), instance.clone());
        let bytes = shards.len() * 256;
        self.write("carried_over", Kind::Durable, bytes, move |group| group.carried_over(&shards, &instance)).await
    }

    async fn beat(&self, beat: &Beat) -> Result<()> {
        self.shared.beats.put(beat);
        Ok(())
    }

    async fn beats(&self) -> Result<Vec<Beat>> {
        Ok(self.shared.beats.all())
    }

    async fn forget_beat(&self, instance: &InstanceId) -> Result<()> {
        self.shared.beats.forget(instance);
        Ok(())
    }

    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        let instance = instance.clone();
        self.range("journal", move |view| reads::journal(view, &instance)).await
    }

    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()> {
        let (instance, notes) = (instance.clone(), notes.to_vec());
        let bytes = notes.len() * 192;
        let note = move |group: &mut super::Group<'_>| {
            notes.iter().try_for_each(|(key, note)| group.note(&instance, key, *note))
        };
        self.write("note", Kind::Durable, bytes, note).await
    }

    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        if keys.len() <= MAX_DIRECT_POINTS {
            return self.point("heads", |view| keys.iter().map(|key| reads::head(view, key)).collect()).await;
        }
        let keys = keys.to_vec();
        self.range("heads", move |view| keys.iter().map(|key| reads::head(view, key)).collect()).await
    }

    async fn append(&self, append: Append) -> Result<bool> {
        check_append(&append)?;
        let append = Prepared::new(append)?;
        let bytes = append.bytes();
        self.write("append", Kind::Grows, bytes, move |group| group.append(append).map(|()| true)).await
    }

    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        let instance = instance.clone();
        let settlements: Vec<_> = settlements.iter().map(PreparedSettlement::new).collect();
        let bytes = settlements.iter().map(PreparedSettlement::bytes).sum();
        // Offsets of the feed are never used twice: what feeds has to be on disk before it is read.
        let feeds = settlements.iter().any(PreparedSettlement::feeds);
        let kind = if feeds { Kind::Durable } else { Kind::Lazy };
        self.write("settle", kind, bytes, move |group| group.settle(&instance, settlements)).await
    }

    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        let key = key.clone();
        self.range("read", move |view| reads::page(view, &key, range)).await
    }

    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        let key = key.clone();
        self.range("read_tail", move |view| reads::tail(view, &key, after)).await
    }

    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        let key = key.clone();
        self.range("members", move |view| reads::members(view, &key)).await
    }

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        let user = user.clone();
        self.range("registers", move |view| reads::registers(view, &user)).await
    }

    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>> {
        if users.len() <= MAX_DIRECT_POINTS {
            return self.point("registers_of", |view| reads::registers_of(view, key, users)).await;
        }
        let (key, users) = (key.clone(), users.to_vec());
        self.range("registers_of", move |view| reads::registers_of(view, &key, &users)).await
    }

    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()> {
        let cells: Vec<_> = registers.iter().map(|(name, record)| Cell::register(user, name, record)).collect();
        let bytes = cells.iter().map(Cell::bytes).sum();
        self.write("write_registers", Kind::Grows, bytes, move |group| group.write_registers(cells)).await
    }

    async fn get_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        self.point("get_record", |view| view.get(Space::Cells, &keys::record(key))).await
    }

    async fn put_record(&self, key: &RecordKey, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        check_record_key(key)?;
        let key = keys::record(key);
        let bytes = key.len() + value.len();
        self.write("put_record", Kind::Grows, bytes, move |group| group.put_record(key, value, if_absent)).await
    }

    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        let (tenant, after) = (tenant.to_owned(), after.to_owned());
        self.range("list_records", move |view| reads::records(view, table, &tenant, &after, limit)).await
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        let key = keys::record(key);
        let delete = move |group: &mut super::Group<'_>| {
            group.remove(Space::Cells, key);
            Ok(())
        };
        self.write("delete_record", Kind::Durable, 0, delete).await
    }
}

#[async_trait]
impl FeedTable for EmbeddedStore {
    async fn feed_read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<(u64, FeedEntry)>> {
        let generation = self.shared.generation;
        self.range("feed_read", move |view| reads::feed(view, generation, partition, after, limit)).await
    }

    fn feed_changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    async fn feed_cursor(&self, group: &str, partition: u16) -> Result<u64> {
        self.point("feed_cursor", |view| reads::cursor(view, group, partition)).await
    }

    async fn feed_commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        let name = group.to_owned();
        let commit = move |group: &mut super::Group<'_>| group.commit_cursor(&name, partition, offset);
        self.write("feed_commit", Kind::Lazy, group.len(), commit).await
    }
}
