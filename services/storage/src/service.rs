//! The calls: decode, bound, ask the store, encode.

use std::sync::Arc;

use bytes::Bytes;
use posthorn_core::{ConversationId, ConversationKey, SHARDS, Shard, TenantId, UserId, UserKey};
use posthorn_errors::Failure;
use posthorn_feed::FeedSink;
use posthorn_proto::{
    client,
    internal::{self as wire, JournalRow, MemberRow, RegisterRow},
};
use posthorn_store::{Append, Beat, Durability, InstanceId, ReadRange, RecordKey, Settlement, Store, Table};

use crate::{
    config::{
        MAX_APPEND_BYTES, MAX_APPEND_ROWS, MAX_NAMES, MAX_PAGE_BYTES, MAX_PAGE_RECORDS, MAX_PAGE_ROWS, MAX_RECORD_BYTES,
    },
    error::{failure_of, invalid, too_many, unreadable},
    feeding::Feeding,
};

type Result<T> = std::result::Result<T, Failure>;

/// What the storage service is made of.
pub struct StorageDeps {
    pub store: Arc<dyn Store>,
    /// The feed, where it is apart from the store.
    pub feed: Option<Arc<dyn FeedSink>>,
}

/// The storage service of one node.
pub struct StorageService {
    store: Arc<dyn Store>,
    feed: Option<Feeding>,
}

fn conversation(tenant: &str, conversation: &str) -> Result<ConversationKey> {
    let tenant = TenantId::new(tenant).map_err(unreadable)?;
    Ok(ConversationKey { tenant, conversation: ConversationId::new(conversation).map_err(unreadable)? })
}

fn user(tenant: &str, user: &str) -> Result<UserKey> {
    let tenant = TenantId::new(tenant).map_err(unreadable)?;
    Ok(UserKey { tenant, user: UserId::new(user).map_err(unreadable)? })
}

fn instance(name: String) -> Result<InstanceId> {
    if name.is_empty() { Err(invalid("`instance` is missing")) } else { Ok(InstanceId(name)) }
}

fn shard(number: u32) -> Result<Shard> {
    let shard = u16::try_from(number).ok().filter(|number| *number < SHARDS);
    shard.map(Shard).ok_or_else(|| invalid("`shard` is out of range"))
}

fn shards(numbers: Vec<u32>) -> Result<Vec<Shard>> {
    bounded("storage.max_names", numbers.len(), MAX_NAMES)?;
    numbers.into_iter().map(shard).collect()
}

fn notes(rows: Vec<JournalRow>) -> Result<Vec<(ConversationKey, u64)>> {
    bounded("storage.max_names", rows.len(), MAX_NAMES)?;
    rows.iter().map(|row| Ok((conversation(&row.tenant, &row.conversation)?, row.note))).collect()
}

fn bounded(limit: &'static str, count: usize, max: usize) -> Result<()> {
    if count > max { Err(too_many(limit, count, max)) } else { Ok(()) }
}

fn members(rows: Vec<MemberRow>) -> Result<Vec<(String, wire::MemberRecord)>> {
    bounded("storage.max_names", rows.len(), MAX_NAMES)?;
    let member = |row: MemberRow| {
        UserId::new(&row.user).map_err(unreadable)?;
        Ok((row.user, row.record.unwrap_or_default()))
    };
    rows.into_iter().map(member).collect()
}

fn rows(rows: &[wire::Row]) -> Result<()> {
    bounded("storage.max_append_rows", rows.len(), MAX_APPEND_ROWS)?;
    let size = |row: &wire::Row| row.envelope.len() + row.body.as_ref().map_or(0, Bytes::len);
    bounded("storage.max_append_bytes", rows.iter().map(size).sum(), MAX_APPEND_BYTES)
}

fn record(table: i32, tenant: String, key: String) -> Result<RecordKey> {
    if tenant.contains('\0') || tenant.len() > TenantId::MAX {
        return Err(invalid("`tenant` is out of range"));
    }
    Ok(RecordKey { table: self::table(table)?, tenant, key })
}

fn table(number: i32) -> Result<Table> {
    match wire::Table::try_from(number) {
        Ok(wire::Table::Tenants) => Ok(Table::Tenants),
        Ok(wire::Table::SigningKeys) => Ok(Table::SigningKeys),
        Ok(wire::Table::ApiKeys) => Ok(Table::ApiKeys),
        Ok(wire::Table::Users) => Ok(Table::Users),
        Ok(wire::Table::Devices) => Ok(Table::Devices),
        Ok(wire::Table::Revocations) => Ok(Table::Revocations),
        Ok(wire::Table::Idempotency) => Ok(Table::Idempotency),
        Ok(wire::Table::LastSeen) => Ok(Table::LastSeen),
        Ok(wire::Table::Unspecified) | Err(_) => Err(invalid("`table` is none that this server knows")),
    }
}

fn ids(instances: Vec<InstanceId>) -> Vec<String> {
    instances.into_iter().map(|id| id.0).collect()
}

/// What the caller asked, within the bound; 0 asks for the bound.
fn up_to(asked: usize, max: usize) -> usize {
    if asked == 0 { max } else { asked.min(max) }
}

impl StorageService {
    #[must_use]
    pub fn new(deps: StorageDeps) -> Arc<Self> {
        let feed = deps.feed.map(|sink| Feeding::new(sink, Arc::clone(&deps.store)));
        Arc::new(Self { store: deps.store, feed })
    }

    /// Gives the feed what it lost, whenever it does. Runs until it is dropped; where the feed is no part of
    /// its own there is nothing to do.
    pub async fn follow_losses(self: Arc<Self>) {
        match &self.feed {
            Some(feed) => feed.follow_losses().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn describe(&self) -> wire::DescribeReply {
        let durability = match self.store.durability() {
            Durability::Memory => client::Durability::Memory,
            Durability::Quorum => client::Durability::Quorum,
            Durability::Synced => client::Durability::Synced,
        };
        wire::DescribeReply {
            generation: self.store.generation(),
            durability: durability.into(),
            driver: self.store.driver().to_owned(),
            writable: self.store.writable(),
            settles_apart: self.store.settles_apart(),
        }
    }

    pub(crate) async fn register(&self, request: wire::RegisterRequest) -> Result<()> {
        self.store.register(&instance(request.instance)?, &request.address).await.map_err(failure_of)
    }

    pub(crate) async fn check(&self, request: wire::CheckRequest) -> Result<bool> {
        self.store.check(&instance(request.instance)?).await.map_err(failure_of)
    }

    pub(crate) async fn fence(&self, request: wire::FenceRequest) -> Result<()> {
        self.store.fence(&instance(request.instance)?).await.map_err(failure_of)
    }

    pub(crate) async fn shards(&self) -> Result<Vec<wire::ShardRow>> {
        let rows = self.store.shards().await.map_err(failure_of)?;
        let encode = |row: posthorn_store::ShardRow| {
            let (instance, address) = row.owner.map_or_else(Default::default, |(id, address)| (id.0, address));
            let (shard, inherits) = (u32::from(row.shard.0), ids(row.inherits));
            wire::ShardRow { shard, epoch: row.epoch, instance, address, inherits }
        };
        Ok(rows.into_iter().map(encode).collect())
    }

    pub(crate) async fn claim(&self, request: wire::ClaimRequest) -> Result<Vec<wire::ShardRow>> {
        let wire::ClaimRequest { shards: asked, instance: name, address } = request;
        let (asked, claimer) = (shards(asked)?, instance(name)?);
        let claimed = self.store.claim(&asked, &claimer, &address).await.map_err(failure_of)?;
        let encode = |claim: posthorn_store::Claimed| wire::ShardRow {
            shard: u32::from(claim.shard.0),
            epoch: claim.epoch,
            instance: claimer.0.clone(),
            address: address.clone(),
            inherits: ids(claim.inherits),
        };
        Ok(claimed.into_iter().map(encode).collect())
    }

    pub(crate) async fn release(&self, request: wire::ReleaseRequest) -> Result<()> {
        let (shard, owner) = (shard(request.shard)?, instance(request.instance)?);
        self.store.release(shard, request.epoch, &owner, request.unsettled).await.map_err(failure_of)
    }

    pub(crate) async fn carried_over(&self, request: wire::CarriedOverRequest) -> Result<()> {
        let (shards, owner) = (shards(request.shards)?, instance(request.instance)?);
        self.store.carried_over(&shards, &owner).await.map_err(failure_of)
    }

    pub(crate) async fn journal(&self, request: wire::JournalRequest) -> Result<Vec<JournalRow>> {
        let names = self.store.journal(&instance(request.instance)?).await.map_err(failure_of)?;
        let encode = |key: &ConversationKey| {
            let (tenant, conversation) = ((&key.tenant).into(), (&key.conversation).into());
            JournalRow { tenant, conversation, note: 0 }
        };
        Ok(names.iter().map(encode).collect())
    }

    pub(crate) async fn note(&self, request: wire::NoteRequest) -> Result<()> {
        let (owner, notes) = (instance(request.instance)?, notes(request.rows)?);
        self.store.note(&owner, &notes).await.map_err(failure_of)
    }

    /// In the order asked; without a head where there is no conversation.
    pub(crate) async fn heads(&self, request: wire::HeadsRequest) -> Result<Vec<wire::HeadRow>> {
        let wire::HeadsRequest { tenant, conversations } = request;
        bounded("storage.max_names", conversations.len(), MAX_NAMES)?;
        let keys = conversations.iter().map(|name| conversation(&tenant, name)).collect::<Result<Vec<_>>>()?;
        let heads = self.store.heads(&keys).await.map_err(failure_of)?;
        let encode = |(conversation, head)| wire::HeadRow { conversation, head };
        Ok(conversations.into_iter().zip(heads).map(encode).collect())
    }

    pub(crate) async fn append(&self, request: wire::AppendRowsRequest) -> Result<bool> {
        let key = conversation(&request.tenant, &request.conversation)?;
        rows(&request.rows)?;
        let append = Append {
            key,
            instance: instance(request.instance)?,
            rows: request.rows,
            head: request.head.ok_or_else(|| invalid("`head` is missing"))?,
            members: members(request.members)?,
            effects: request.effects,
            note: request.note,
        };
        self.store.append(append).await.map_err(failure_of)
    }

    /// True if the feed took its part, or has none.
    pub(crate) async fn settle(&self, request: wire::SettleRequest) -> Result<bool> {
        let owner = instance(request.instance)?;
        bounded("storage.max_names", request.settlements.len(), MAX_NAMES)?;
        let decode = |settlement: wire::Settlement| {
            rows(&settlement.feed)?;
            Ok(Settlement {
                key: conversation(&settlement.tenant, &settlement.conversation)?,
                head: settlement.head,
                members: members(settlement.members)?,
                feed: settlement.feed,
                fed_seq: settlement.fed_seq,
                remove: settlement.remove,
            })
        };
        let mut settlements = request.settlements.into_iter().map(decode).collect::<Result<Vec<_>>>()?;
        let fed = self.feed(&mut settlements).await;
        self.store.settle(&owner, settlements).await.map_err(failure_of)?;
        Ok(fed)
    }

    /// Hands over what is owed to a feed of its own. While it is away the rest is settled: heads must not
    /// fall behind the log, and the journals keep what the feed is owed.
    async fn feed(&self, settlements: &mut [Settlement]) -> bool {
        let Some(feed) = &self.feed else { return true };
        let mut owed = Vec::new();
        for settlement in settlements.iter_mut() {
            let rows = std::mem::take(&mut settlement.feed);
            owed.extend(rows.into_iter().map(|row| (settlement.key.clone(), row)));
        }
        let Err(error) = feed.publish(owed).await else { return true };
        tracing::warn!(%error, "the feed takes nothing, the journals keep what it is owed");
        for settlement in settlements {
            settlement.fed_seq = 0;
            settlement.remove.clear();
        }
        false
    }

    pub(crate) async fn beat(&self, request: wire::BeatRequest) -> Result<()> {
        let wire::Beat { instance: name, address, count, leaving } =
            request.beat.ok_or_else(|| invalid("`beat` is missing"))?;
        self.store.beat(&Beat { instance: instance(name)?, address, count, leaving }).await.map_err(failure_of)
    }

    pub(crate) async fn beats(&self) -> Result<Vec<wire::Beat>> {
        let beats = self.store.beats().await.map_err(failure_of)?;
        let encode =
            |Beat { instance, address, count, leaving }| wire::Beat { instance: instance.0, address, count, leaving };
        Ok(beats.into_iter().map(encode).collect())
    }

    pub(crate) async fn forget_beat(&self, request: wire::ForgetBeatRequest) -> Result<()> {
        self.store.forget_beat(&instance(request.instance)?).await.map_err(failure_of)
    }

    pub(crate) async fn read(&self, request: wire::ReadRequest) -> Result<wire::ReadReply> {
        let key = conversation(&request.tenant, &request.conversation)?;
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
        let range = ReadRange {
            from: request.from.max(1),
            to: request.to,
            limit: up_to(request.limit as usize, MAX_PAGE_ROWS),
            max_bytes: up_to(max_bytes, MAX_PAGE_BYTES),
            reverse: request.reverse,
        };
        let page = self.store.read(&key, range).await.map_err(failure_of)?;
        Ok(wire::ReadReply { rows: page.rows, more: page.more })
    }

    pub(crate) async fn read_tail(&self, request: wire::ReadTailRequest) -> Result<wire::ReadReply> {
        let key = conversation(&request.tenant, &request.conversation)?;
        let rows = self.store.read_tail(&key, request.after).await.map_err(failure_of)?;
        Ok(wire::ReadReply { rows, more: false })
    }

    pub(crate) async fn members(&self, request: wire::MembersRequest) -> Result<Vec<MemberRow>> {
        let key = conversation(&request.tenant, &request.conversation)?;
        let members = self.store.members(&key).await.map_err(failure_of)?;
        Ok(members.into_iter().map(|(user, record)| MemberRow { user, record: Some(record) }).collect())
    }

    pub(crate) async fn registers(&self, request: wire::RegistersRequest) -> Result<Vec<RegisterRow>> {
        let user = user(&request.tenant, &request.user)?;
        let cells = self.store.registers(&user).await.map_err(failure_of)?;
        let encode = |(conversation, record)| RegisterRow { conversation, record: Some(record) };
        Ok(cells.into_iter().map(encode).collect())
    }

    /// In the order asked.
    pub(crate) async fn registers_of(&self, request: wire::RegistersOfRequest) -> Result<Vec<wire::UserRegister>> {
        let key = conversation(&request.tenant, &request.conversation)?;
        bounded("storage.max_names", request.users.len(), MAX_NAMES)?;
        let users =
            request.users.iter().map(|user| UserId::new(user).map_err(unreadable)).collect::<Result<Vec<_>>>()?;
        let cells = self.store.registers_of(&key, &users).await.map_err(failure_of)?;
        let encode = |(user, record)| wire::UserRegister { user, record };
        Ok(request.users.into_iter().zip(cells).map(encode).collect())
    }

    pub(crate) async fn write_registers(&self, request: wire::WriteRegistersRequest) -> Result<()> {
        let user = user(&request.tenant, &request.user)?;
        bounded("storage.max_names", request.registers.len(), MAX_NAMES)?;
        let decode = |row: RegisterRow| {
            ConversationId::new(&row.conversation).map_err(unreadable)?;
            Ok((row.conversation, row.record.ok_or_else(|| invalid("`record` is missing"))?))
        };
        let cells = request.registers.into_iter().map(decode).collect::<Result<_>>()?;
        self.store.write_registers(&user, cells).await.map_err(failure_of)
    }

    pub(crate) async fn get_record(&self, request: wire::GetRecordRequest) -> Result<Option<Bytes>> {
        let key = record(request.table, request.tenant, request.key)?;
        self.store.get_record(&key).await.map_err(failure_of)
    }

    pub(crate) async fn put_record(&self, request: wire::PutRecordRequest) -> Result<Option<Bytes>> {
        let key = record(request.table, request.tenant, request.key)?;
        bounded("storage.max_record_bytes", request.value.len(), MAX_RECORD_BYTES)?;
        self.store.put_record(&key, request.value, request.if_absent).await.map_err(failure_of)
    }

    pub(crate) async fn list_records(&self, request: wire::ListRecordsRequest) -> Result<Vec<wire::Record>> {
        let wire::ListRecordsRequest { table: number, tenant, after, limit } = request;
        let limit = up_to(limit as usize, MAX_PAGE_RECORDS);
        let records = self.store.list_records(table(number)?, &tenant, &after, limit).await.map_err(failure_of)?;
        let encode = |(key, value): (RecordKey, Bytes)| wire::Record { tenant: key.tenant, key: key.key, value };
        Ok(records.into_iter().map(encode).collect())
    }

    pub(crate) async fn delete_record(&self, request: wire::DeleteRecordRequest) -> Result<()> {
        let key = record(request.table, request.tenant, request.key)?;
        self.store.delete_record(&key).await.map_err(failure_of)
    }
}
