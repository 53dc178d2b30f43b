//! Engines that answer late, twice, in another order, not at all, or without saying whether they did it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posthorn_bus::{Bus, BusError, Delivery, Subscription};
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};
use posthorn_store::{
    Append, Beat, Claimed, Durability, InstanceId, Page, ReadRange, RecordKey, Result, Settlement, ShardRow, Store,
    StoreError, Table,
};

use crate::storm::{SLOW_MS, Way};

/// The latest that a write arrives whose caller was told nothing.
const LATE_MS: u64 = 2_000;

fn refused<T>() -> Result<T> {
    Err(StoreError::Unavailable("simulated".to_owned()))
}

impl Way {
    async fn read<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.reaches().await {
            return refused();
        }
        if self.hits() {
            self.slow().await;
            if self.clock.below(2) == 0 {
                self.went("read-refused");
                return refused();
            }
            self.went("read-slow");
        }
        call.await
    }

    /// `call` is made in full, late, or never; where it went wrong, the caller is told less than that.
    async fn write<T: Send + 'static>(&self, call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.make(call, 5).await
    }

    /// Of one cell whose writes have the times at which they were sent: what arrives late changes nothing.
    async fn put<T: Send + 'static>(&self, call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.make(call, 4).await
    }

    async fn make<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T>> + Send + 'static,
        fates: u64,
    ) -> Result<T> {
        if !self.reaches().await {
            return refused();
        }
        if !self.hits() {
            return call.await;
        }
        let unknown = || Err(StoreError::Ambiguous("simulated".to_owned()));
        match self.clock.below(fates) {
            0 => {
                self.went("refused");
                refused()
            }
            1 => {
                self.went("lost");
                unknown()
            }
            2 => {
                self.went("unanswered");
                call.await?;
                self.slow().await;
                unknown()
            }
            3 => {
                self.went("slow");
                let done = call.await;
                self.slow().await;
                done
            }
            _ => {
                self.went("late");
                let way = self.clone();
                let arrives = async move {
                    way.late(LATE_MS).await;
                    drop(call.await);
                };
                self.tasks.background("a late write", self.tasks.until_stopped(arrives));
                self.slow().await;
                unknown()
            }
        }
    }
}

/// A store behind a way.
pub struct FarStore {
    pub inner: Arc<dyn Store>,
    pub way: Way,
    /// Broken on purpose: appends are answered before they are done.
    pub hasty: bool,
}

#[async_trait]
impl Store for FarStore {
    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    fn writable(&self) -> bool {
        self.inner.writable()
    }

    fn settles_apart(&self) -> bool {
        self.inner.settles_apart()
    }

    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()> {
        let (inner, instance, address) = (Arc::clone(&self.inner), instance.clone(), address.to_owned());
        self.way.write(async move { inner.register(&instance, &address).await }).await
    }

    async fn check(&self, instance: &InstanceId) -> Result<bool> {
        self.way.read(self.inner.check(instance)).await
    }

    async fn fence(&self, instance: &InstanceId) -> Result<()> {
        let (inner, instance) = (Arc::clone(&self.inner), instance.clone());
        self.way.write(async move { inner.fence(&instance).await }).await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.way.read(self.inner.shards()).await
    }

    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        let (inner, shards) = (Arc::clone(&self.inner), shards.to_vec());
        let (instance, address) = (instance.clone(), address.to_owned());
        self.way.write(async move { inner.claim(&shards, &instance, &address).await }).await
    }

    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        let (inner, instance) = (Arc::clone(&self.inner), instance.clone());
        self.way.write(async move { inner.release(shard, epoch, &instance, unsettled).await }).await
    }

    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        let (inner, shards, instance) = (Arc::clone(&self.inner), shards.to_vec(), instance.clone());
        self.way.write(async move { inner.carried_over(&shards, &instance).await }).await
    }

    async fn beat(&self, beat: &Beat) -> Result<()> {
        let (inner, beat) = (Arc::clone(&self.inner), beat.clone());
        self.way.put(async move { inner.beat(&beat).await }).await
    }

    async fn beats(&self) -> Result<Vec<Beat>> {
        self.way.read(self.inner.beats()).await
    }

    async fn forget_beat(&self, instance: &InstanceId) -> Result<()> {
        let (inner, instance) = (Arc::clone(&self.inner), instance.clone());
        self.way.put(async move { inner.forget_beat(&instance).await }).await
    }

    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        self.way.read(self.inner.journal(instance)).await
    }

    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()> {
        let (inner, instance, notes) = (Arc::clone(&self.inner), instance.clone(), notes.to_vec());
        self.way.write(async move { inner.note(&instance, &notes).await }).await
    }

    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        self.way.read(self.inner.heads(keys)).await
    }

    async fn append(&self, append: Append) -> Result<bool> {
        let inner = Arc::clone(&self.inner);
        if self.hasty {
            let done = async move { drop(inner.append(append).await) };
            self.way.tasks.background("an append", self.way.tasks.until_stopped(done));
            return Ok(!self.inner.settles_apart());
        }
        self.way.write(async move { inner.append(append).await }).await
    }

    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        let (inner, instance) = (Arc::clone(&self.inner), instance.clone());
        self.way.write(async move { inner.settle(&instance, settlements).await }).await
    }

    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        self.way.read(self.inner.read(key, range)).await
    }

    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        self.way.read(self.inner.read_tail(key, after)).await
    }

    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        self.way.read(self.inner.members(key)).await
    }

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        self.way.read(self.inner.registers(user)).await
    }

    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>> {
        self.way.read(self.inner.registers_of(key, users)).await
    }

    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()> {
        let (inner, user) = (Arc::clone(&self.inner), user.clone());
        self.way.write(async move { inner.write_registers(&user, registers).await }).await
    }

    async fn get_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        self.way.read(self.inner.get_record(key)).await
    }

    async fn put_record(&self, key: &RecordKey, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        self.way.put(async move { inner.put_record(&key, value, if_absent).await }).await
    }

    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        self.way.read(self.inner.list_records(table, tenant, after, limit)).await
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        self.way.put(async move { inner.delete_record(&key).await }).await
    }
}

/// A bus behind a way: messages are lost, come twice, or later than those after them.
pub struct FarBus {
    pub inner: Arc<dyn Bus>,
    pub way: Way,
}

#[async_trait]
impl Bus for FarBus {
    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        let unavailable = || Err(BusError::Unavailable("simulated".to_owned()));
        if !self.way.reaches().await {
            return unavailable();
        }
        if !self.way.hits() {
            return self.inner.publish(subject, message).await;
        }
        match self.way.clock.below(4) {
            0 => {
                self.way.went("refused");
                return unavailable();
            }
            1 => {
                self.way.went("lost");
                return Ok(());
            }
            2 => {
                self.way.went("twice");
                self.inner.publish(subject, message.clone()).await?;
            }
            _ => self.way.went("late"),
        }
        let (far, subject, way) = (Arc::clone(&self.inner), subject.to_owned(), self.way.clone());
        let arrives = async move {
            way.late(SLOW_MS).await;
            drop(far.publish(&subject, message).await);
        };
        self.way.tasks.background("a late message", self.way.tasks.until_stopped(arrives));
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        if !self.way.reaches().await {
            return Err(BusError::Unavailable("simulated".to_owned()));
        }
        let inner = self.inner.subscribe(subject).await?;
        Ok(Box::new(FarSubscription { inner, way: self.way.clone(), come: None }))
    }
}

struct FarSubscription {
    inner: Box<dyn Subscription>,
    way: Way,
    /// Kept while its process is paused.
    come: Option<Option<Delivery>>,
}

#[async_trait]
impl Subscription for FarSubscription {
    async fn next(&mut self) -> Option<Delivery> {
        if self.come.is_none() {
            self.come = Some(self.inner.next().await);
        }
        self.way.resumed().await;
        self.come.take().flatten()
    }
}
