//! The trait over the tables.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};
use posthorn_store::{
    Append, Beat, Claimed, Durability, InstanceId, Page, ReadRange, RecordKey, Result, Settlement, ShardRow, Store,
    Table,
};

use crate::{
    CqlStore,
    calls::bind,
    marks::{signed, unsigned},
    ownership::REGION,
    rows::Pages,
};

/// Beats that nobody forgets go after a day.
const BEAT_TTL_S: i32 = 24 * 3_600;
/// Conversations of one settlement call that are written at once.
const SETTLED_AT_ONCE: usize = 32;

#[async_trait]
impl Store for CqlStore {
    fn driver(&self) -> &'static str {
        "cql"
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    /// Space is the database's to watch: it refuses writes itself.
    fn writable(&self) -> bool {
        true
    }

    fn settles_apart(&self) -> bool {
        true
    }

    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()> {
        self.register_instance(instance, address).await
    }

    async fn check(&self, instance: &InstanceId) -> Result<bool> {
        self.is_active(instance).await
    }

    async fn fence(&self, instance: &InstanceId) -> Result<()> {
        self.fence_instance(instance).await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.read_shards().await
    }

    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        self.claim_shards(shards, instance, address).await
    }

    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        self.release_shard(shard, epoch, instance, unsettled).await
    }

    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        self.end_inheritance(shards, instance).await
    }

    async fn beat(&self, beat: &Beat) -> Result<()> {
        let (instance, count) = (beat.instance.0.as_str(), signed(beat.count)?);
        let values = (REGION, instance, count, beat.address.as_str(), beat.leaving, count, BEAT_TTL_S);
        self.calls.write("beat", &bind(&self.statements.beat, &values)?).await
    }

    async fn beats(&self) -> Result<Vec<Beat>> {
        let bound = bind(&self.statements.beats_read, &(REGION,))?;
        let rows = Pages::new(&self.calls, "beats", bound).all::<(String, String, i64, bool)>().await?;
        let beat = |(instance, address, count, leaving)| {
            Ok(Beat { instance: InstanceId(instance), address, count: unsigned(count)?, leaving })
        };
        rows.into_iter().map(beat).collect()
    }

    /// For good: an incarnation that is fenced never beats again.
    async fn forget_beat(&self, instance: &InstanceId) -> Result<()> {
        let bound = bind(&self.statements.beat_forget, &(REGION, instance.0.as_str()))?;
        self.calls.write("forget_beat", &bound).await
    }

    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        self.journal.names(instance).await
    }

    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()> {
        try_join_all(notes.iter().map(|(key, note)| self.journal.note(instance, key, *note))).await.map(drop)
    }

    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        self.read_heads(keys).await
    }

    async fn append(&self, append: Append) -> Result<bool> {
        self.append_rows(&append).await.map(|()| false)
    }

    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        for some in settlements.chunks(SETTLED_AT_ONCE) {
            try_join_all(some.iter().map(|one| self.project(one))).await?;
        }
        // Only once all of it is there: what no journal names is exactly as its head says.
        let removals = settlements.iter().filter_map(|one| Some((&one.key, *one.remove.iter().max()?)));
        try_join_all(removals.map(|(key, note)| self.journal.remove(instance, key, note))).await.map(drop)
    }

    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        self.read_page(key, range).await
    }

    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        self.read_beyond(key, after).await
    }

    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        self.read_members(key).await
    }

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        self.read_registers(user).await
    }

    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>> {
        self.read_registers_of(key, users).await
    }

    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()> {
        self.put_registers(user, &registers).await
    }

    async fn get_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        self.read_record(key).await
    }

    async fn put_record(&self, key: &RecordKey, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        self.write_record(key, &value, if_absent).await
    }

    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        self.read_records(table, tenant, after, limit).await
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        self.remove_record(key).await
    }
}
