//! A store of three replicas that are written and read two at a time, as a database with replication 3 and levels of
//! quorum: a write may reach one of them only, or one of them much later than its caller was told; a read asks two of
//! them, page by page, and repairs what it covered. Conditional writes, and the feed, are of one mind.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, try_join},
};
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};
use posthorn_store::{
    Append, Beat, Claimed, Durability, InstanceId, Page, ReadRange, RecordKey, Result, Settlement, ShardRow, Store,
    StoreError, Table,
    memory::{MemoryOptions, MemoryStore},
    rules::{head_version, number, register_version},
};
use tokio::sync::mpsc;

use crate::storm::Way;

/// How long a replica takes, ms; in a storm one may take as long as the second.
const QUICK_MS: u64 = 6;
const LATE_MS: u64 = 3_000;
/// A coordinator waits so long for two replicas.
const PATIENCE: Duration = Duration::from_millis(500);

/// What outlives every process.
#[derive(Clone)]
pub struct Replicas {
    /// Ownership, records and the feed.
    linear: Arc<MemoryStore>,
    replicas: [Arc<MemoryStore>; 3],
}

impl Replicas {
    pub fn new(clock: &Clock) -> Self {
        let store = || {
            let options = MemoryOptions { settle_apart: true, ..MemoryOptions::default() };
            MemoryStore::with_options(clock.clone(), options)
        };
        Self { linear: store(), replicas: [store(), store(), store()] }
    }

    pub fn linear(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.linear)
    }

    /// Which shards are whose, in words: for a run that does not end.
    pub fn owners(&self) -> String {
        let Some(Ok(rows)) = self.linear.shards().now_or_never() else { return String::new() };
        let mut by_owner: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let owner = row.owner.map_or("nobody".to_owned(), |(instance, address)| {
                let active = self.linear.check(&instance).now_or_never().is_some_and(|active| active == Ok(true));
                format!("{} at {address}{}", instance.0, if active { "" } else { ", fenced" })
            });
            *by_owner.entry(format!("{owner}, inherits {}", row.inherits.len())).or_default() += 1;
        }
        format!("shards: {by_owner:?}")
    }
}

/// The replicas as one process of the storage tier reaches them.
pub struct QuorumStore {
    pub all: Replicas,
    pub way: Way,
    /// Broken on purpose: a write is done once one replica has it.
    pub hasty: bool,
}

/// What is done at one replica.
type Work = BoxFuture<'static, Result<()>>;

impl QuorumStore {
    /// To all three; true to its caller once two have it.
    async fn write(&self, at: impl Fn(Arc<MemoryStore>) -> Work) -> Result<()> {
        let (done, mut acks) = mpsc::channel(3);
        for replica in &self.all.replicas {
            let (work, done) = (at(Arc::clone(replica)), done.clone());
            let bad = self.way.hits();
            if bad && self.way.clock.below(3) == 0 {
                self.way.went("lost");
                continue;
            }
            if bad {
                self.way.went("late");
            }
            let most = if bad { LATE_MS } else { QUICK_MS };
            let delay = Duration::from_millis(self.way.clock.below(most));
            let arrives = async move {
                sleep(delay).await;
                if work.await.is_ok() {
                    let _ = done.send(()).await;
                }
            };
            self.way.tasks.background("a replica's write", self.way.tasks.until_stopped(arrives));
        }
        drop(done);
        let enough = async {
            acks.recv().await?;
            if self.hasty { Some(()) } else { acks.recv().await }
        };
        match timeout(PATIENCE, enough).await {
            Ok(Some(())) => Ok(()),
            _ => Err(StoreError::Ambiguous("not two replicas answered".to_owned())),
        }
    }

    async fn project(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        self.write(|replica| {
            let (instance, settlements) = (instance.clone(), settlements.clone());
            Box::pin(async move { replica.settle(&instance, settlements).await })
        })
        .await
    }

    /// Two of the three.
    fn two(&self) -> [&Arc<MemoryStore>; 2] {
        let left_out = usize::try_from(self.way.clock.below(3)).unwrap_or(0);
        let [a, b, c] = &self.all.replicas;
        [[b, c], [a, c], [a, b]][left_out]
    }

    /// What a read found is written where it was missing.
    async fn repair(&self, key: &ConversationKey, rows: &[Row], two: [&Arc<MemoryStore>; 2]) -> Result<()> {
        if self.way.clock.below(3) == 0 {
            return Ok(());
        }
        for row in rows {
            for replica in two {
                put_row(replica, key, row).await?;
            }
        }
        Ok(())
    }
}

/// One row, as a cell of its own.
async fn put_row(store: &MemoryStore, key: &ConversationKey, row: &Row) -> Result<()> {
    let append = Append {
        key: key.clone(),
        instance: InstanceId("repair".to_owned()),
        rows: vec![row.clone()],
        head: Head { seq: row.seq, ..Head::default() },
        members: Vec::new(),
        effects: false,
        note: None,
    };
    store.append(append).await.map(drop)
}

/// By seq and number; two replicas with one key have one row.
fn union(pages: [Vec<Row>; 2]) -> Vec<Row> {
    let rows = pages.into_iter().flatten().map(|row| ((row.seq, number(&row)), row));
    rows.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// A page of both, up to where the shorter one ends.
fn merged([a, b]: [Page; 2], range: ReadRange) -> Page {
    let end = |page: &Page| page.more.then(|| page.rows.last().map_or(0, |row| row.seq));
    let cut = match (end(&a), end(&b)) {
        (Some(one), Some(other)) if range.reverse => Some(one.max(other)),
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    // Of one seq the highest number, which is the last.
    let highest: BTreeMap<u64, Row> = union([a.rows, b.rows]).into_iter().map(|row| (row.seq, row)).collect();
    let within = |seq: u64| cut.is_none_or(|cut| if range.reverse { seq >= cut } else { seq <= cut });
    let mut rows: Vec<Row> = highest.into_values().filter(|row| within(row.seq)).collect();
    if range.reverse {
        rows.reverse();
    }
    let more = cut.is_some() || rows.len() > range.limit;
    rows.truncate(range.limit);
    Page { rows, more }
}

fn newest<T>(one: Option<T>, other: Option<T>, version: impl Fn(&T) -> (u64, u64, u64)) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if version(&one) < version(&other) { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn register_order(record: &RegisterRecord) -> (u64, u64, u64) {
    let (epoch, counter) = register_version(record);
    (epoch, counter, 0)
}

#[async_trait]
impl Store for QuorumStore {
    fn driver(&self) -> &'static str {
        "quorum"
    }

    fn durability(&self) -> Durability {
        Durability::Quorum
    }

    fn generation(&self) -> u64 {
        self.all.linear.generation()
    }

    fn writable(&self) -> bool {
        true
    }

    fn settles_apart(&self) -> bool {
        true
    }

    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()> {
        self.all.linear.register(instance, address).await
    }

    async fn check(&self, instance: &InstanceId) -> Result<bool> {
        self.all.linear.check(instance).await
    }

    async fn fence(&self, instance: &InstanceId) -> Result<()> {
        self.all.linear.fence(instance).await
    }

    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.all.linear.shards().await
    }

    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        self.all.linear.claim(shards, instance, address).await
    }

    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        self.all.linear.release(shard, epoch, instance, unsettled).await
    }

    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        self.all.linear.carried_over(shards, instance).await
    }

    async fn beat(&self, beat: &Beat) -> Result<()> {
        self.all.linear.beat(beat).await
    }

    async fn beats(&self) -> Result<Vec<Beat>> {
        self.all.linear.beats().await
    }

    async fn forget_beat(&self, instance: &InstanceId) -> Result<()> {
        self.all.linear.forget_beat(instance).await
    }

    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        let [one, other] = self.two();
        let (one, other) = try_join(one.journal(instance), other.journal(instance)).await?;
        Ok(one.into_iter().chain(other).collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()> {
        self.write(|replica| {
            let (instance, notes) = (instance.clone(), notes.to_vec());
            Box::pin(async move { replica.note(&instance, &notes).await })
        })
        .await
    }

    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        let [one, other] = self.two();
        let (one, other) = try_join(one.heads(keys), other.heads(keys)).await?;
        let both = one.into_iter().zip(other).map(|(one, other)| {
            let fed = |head: &Option<Head>| head.as_ref().map_or(0, |head| head.fed_seq);
            let fed_seq = fed(&one).max(fed(&other));
            newest(one, other, head_version).map(|head| Head { fed_seq, ..head })
        });
        Ok(both.collect())
    }

    async fn append(&self, append: Append) -> Result<bool> {
        self.write(|replica| {
            let append = append.clone();
            Box::pin(async move { replica.append(append).await.map(drop) })
        })
        .await?;
        Ok(false)
    }

    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()> {
        for settlement in settlements.iter().filter(|settlement| !settlement.feed.is_empty()) {
            for row in &settlement.feed {
                put_row(&self.all.linear, &settlement.key, row).await?;
            }
            let (key, feed) = (settlement.key.clone(), settlement.feed.clone());
            let fed = Settlement { key, head: None, members: Vec::new(), feed, fed_seq: 0, remove: Vec::new() };
            self.all.linear.settle(instance, vec![fed]).await?;
        }
        // As a database without transactions over partitions: members, then the head, then the journal.
        let members = |settlement: &Settlement| {
            let (key, members) = (settlement.key.clone(), settlement.members.clone());
            Settlement { key, head: None, members, feed: Vec::new(), fed_seq: 0, remove: Vec::new() }
        };
        self.project(instance, settlements.iter().map(members).collect()).await?;
        let head = |settlement: &Settlement| {
            let (key, head, fed_seq) = (settlement.key.clone(), settlement.head.clone(), settlement.fed_seq);
            Settlement { key, head, members: Vec::new(), feed: Vec::new(), fed_seq, remove: Vec::new() }
        };
        self.project(instance, settlements.iter().map(head).collect()).await?;
        let removal = |settlement: Settlement| {
            let Settlement { key, remove, .. } = settlement;
            Settlement { key, head: None, members: Vec::new(), feed: Vec::new(), fed_seq: 0, remove }
        };
        self.project(instance, settlements.into_iter().map(removal).collect()).await
    }

    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        let two = self.two();
        let (one, other) = try_join(two[0].read(key, range), two[1].read(key, range)).await?;
        let page = merged([one, other], range);
        self.repair(key, &page.rows, two).await?;
        Ok(page)
    }

    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        let two = self.two();
        let (one, other) = try_join(two[0].read_tail(key, after), two[1].read_tail(key, after)).await?;
        let rows = union([one, other]);
        self.repair(key, &rows, two).await?;
        Ok(rows)
    }

    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        let [one, other] = self.two();
        let (one, other) = try_join(one.members(key), other.members(key)).await?;
        let mut members: BTreeMap<String, MemberRecord> = one.into_iter().collect();
        for (user, record) in other {
            let kept = members.entry(user).or_insert_with(|| record.clone());
            if kept.as_of_seq < record.as_of_seq {
                *kept = record;
            }
        }
        Ok(members.into_iter().collect())
    }

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        let [one, other] = self.two();
        let (one, other) = try_join(one.registers(user), other.registers(user)).await?;
        let mut registers: BTreeMap<String, RegisterRecord> = one.into_iter().collect();
        for (conversation, record) in other {
            let kept = registers.entry(conversation).or_insert_with(|| record.clone());
            if register_version(kept) < register_version(&record) {
                *kept = record;
            }
        }
        Ok(registers.into_iter().collect())
    }

    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>> {
        let [one, other] = self.two();
        let (one, other) = try_join(one.registers_of(key, users), other.registers_of(key, users)).await?;
        Ok(one.into_iter().zip(other).map(|(one, other)| newest(one, other, register_order)).collect())
    }

    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()> {
        self.write(|replica| {
            let (user, registers) = (user.clone(), registers.clone());
            Box::pin(async move { replica.write_registers(&user, registers).await })
        })
        .await
    }

    async fn get_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        self.all.linear.get_record(key).await
    }

    async fn put_record(&self, key: &RecordKey, value: Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        self.all.linear.put_record(key, value, if_absent).await
    }

    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        self.all.linear.list_records(table, tenant, after, limit).await
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        self.all.linear.delete_record(key).await
    }
}
