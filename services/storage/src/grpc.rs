//! The service over gRPC: decode, call, encode.

use std::sync::Arc;

use posthorn_core::ConversationKey;
use posthorn_errors::Failure;
use posthorn_proto::{
    client,
    internal::{
        self as wire,
        storage_server::{Storage, StorageServer},
    },
};
use posthorn_store::{Append, Durability, InstanceId, ReadRange, RecordKey, Settlement, Table};
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    StorageService,
    error::{failure, invalid},
    service::{MAX_PAGE_RECORDS, bounded, conversation_key, shards, user_key, users},
};

/// Largest message on a link.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The service as routes: for a local link or a listener.
#[must_use]
pub fn routes(service: Arc<StorageService>) -> Routes {
    let server = StorageServer::new(Grpc(service))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(server)
}

struct Grpc(Arc<StorageService>);

type Reply<T> = Result<Response<T>, Status>;

fn ok<T>(reply: T) -> Reply<T> {
    Ok(Response::new(reply))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn store_error(error: posthorn_store::StoreError) -> Status {
    failure(&error).into()
}

fn members_of(rows: Vec<wire::MemberRow>) -> Vec<(String, wire::MemberRecord)> {
    rows.into_iter().map(|row| (row.user, row.record.unwrap_or_default())).collect()
}

fn journal_keys(rows: &[wire::JournalRow]) -> Result<Vec<ConversationKey>, Failure> {
    bounded(rows.len())?;
    rows.iter().map(|row| conversation_key(&row.tenant, &row.conversation)).collect()
}

fn table(number: i32) -> Result<Table, Failure> {
    Ok(match wire::Table::try_from(number).map_err(|_| invalid("table"))? {
        wire::Table::Unspecified => return Err(invalid("table")),
        wire::Table::Tenants => Table::Tenants,
        wire::Table::SigningKeys => Table::SigningKeys,
        wire::Table::ApiKeys => Table::ApiKeys,
        wire::Table::Users => Table::Users,
        wire::Table::Devices => Table::Devices,
        wire::Table::Revocations => Table::Revocations,
        wire::Table::Idempotency => Table::Idempotency,
        wire::Table::LastSeen => Table::LastSeen,
    })
}

fn settlement(settlement: wire::Settlement) -> Result<Settlement, Failure> {
    Ok(Settlement {
        key: conversation_key(&settlement.tenant, &settlement.conversation)?,
        head: settlement.head,
        members: members_of(settlement.members),
        feed: settlement.feed,
        remove: settlement.remove,
    })
}

fn shard_row(row: posthorn_store::ShardRow) -> wire::ShardRow {
    let (instance, address) = row.owner.map(|(instance, address)| (instance.0, address)).unwrap_or_default();
    wire::ShardRow {
        shard: u32::from(row.shard.0),
        epoch: row.epoch,
        instance,
        address,
        inherits: row.inherits.into_iter().map(|instance| instance.0).collect(),
    }
}

#[tonic::async_trait]
impl Storage for Grpc {
    async fn describe(&self, _: Request<wire::DescribeRequest>) -> Reply<wire::DescribeReply> {
        let store = &self.0.store;
        let durability = match store.durability() {
            Durability::Memory => client::Durability::Memory,
            Durability::Quorum => client::Durability::Quorum,
            Durability::Synced => client::Durability::Synced,
        };
        ok(wire::DescribeReply {
            generation: store.generation(),
            durability: durability.into(),
            driver: store.driver().to_owned(),
            writable: store.writable(),
        })
    }

    async fn register(&self, request: Request<wire::RegisterRequest>) -> Reply<wire::RegisterReply> {
        let request = request.into_inner();
        self.0.store.register(&InstanceId(request.instance), &request.address).await.map_err(store_error)?;
        ok(wire::RegisterReply {})
    }

    async fn check(&self, request: Request<wire::CheckRequest>) -> Reply<wire::CheckReply> {
        let instance = InstanceId(request.into_inner().instance);
        let active = self.0.store.check(&instance).await.map_err(store_error)?;
        ok(wire::CheckReply { active })
    }

    async fn fence(&self, request: Request<wire::FenceRequest>) -> Reply<wire::FenceReply> {
        self.0.store.fence(&InstanceId(request.into_inner().instance)).await.map_err(store_error)?;
        ok(wire::FenceReply {})
    }

    async fn shards(&self, _: Request<wire::ShardsRequest>) -> Reply<wire::ShardsReply> {
        let rows = self.0.store.shards().await.map_err(store_error)?;
        ok(wire::ShardsReply { shards: rows.into_iter().map(shard_row).collect() })
    }

    async fn claim(&self, request: Request<wire::ClaimRequest>) -> Reply<wire::ClaimReply> {
        let request = request.into_inner();
        let instance = InstanceId(request.instance);
        let asked = shards(&request.shards)?;
        let claimed = self.0.store.claim(&asked, &instance, &request.address).await.map_err(store_error)?;
        let row = |claim: posthorn_store::Claimed| wire::ShardRow {
            shard: u32::from(claim.shard.0),
            epoch: claim.epoch,
            instance: instance.0.clone(),
            address: request.address.clone(),
            inherits: claim.inherits.into_iter().map(|instance| instance.0).collect(),
        };
        ok(wire::ClaimReply { claimed: claimed.into_iter().map(row).collect() })
    }

    async fn release(&self, request: Request<wire::ReleaseRequest>) -> Reply<wire::ReleaseReply> {
        let request = request.into_inner();
        let shard = *shards(&[request.shard])?.first().ok_or_else(|| invalid("shard"))?;
        let instance = InstanceId(request.instance);
        self.0.store.release(shard, request.epoch, &instance, request.unsettled).await.map_err(store_error)?;
        ok(wire::ReleaseReply {})
    }

    async fn carried_over(&self, request: Request<wire::CarriedOverRequest>) -> Reply<wire::CarriedOverReply> {
        let request = request.into_inner();
        let asked = shards(&request.shards)?;
        self.0.store.carried_over(&asked, &InstanceId(request.instance)).await.map_err(store_error)?;
        ok(wire::CarriedOverReply {})
    }

    async fn journal(&self, request: Request<wire::JournalRequest>) -> Reply<wire::JournalReply> {
        let keys = self.0.store.journal(&InstanceId(request.into_inner().instance)).await.map_err(store_error)?;
        let row = |key: ConversationKey| wire::JournalRow {
            tenant: (&key.tenant).into(),
            conversation: (&key.conversation).into(),
        };
        ok(wire::JournalReply { rows: keys.into_iter().map(row).collect() })
    }

    async fn note(&self, request: Request<wire::NoteRequest>) -> Reply<wire::NoteReply> {
        let request = request.into_inner();
        let keys = journal_keys(&request.rows)?;
        self.0.store.note(&InstanceId(request.instance), &keys).await.map_err(store_error)?;
        ok(wire::NoteReply {})
    }

    async fn heads(&self, request: Request<wire::HeadsRequest>) -> Reply<wire::HeadsReply> {
        let request = request.into_inner();
        bounded(request.conversations.len())?;
        let key = |name: &String| conversation_key(&request.tenant, name);
        let keys = request.conversations.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let heads = self.0.store.heads(&keys).await.map_err(store_error)?;
        let rows = request.conversations.into_iter().zip(heads);
        let heads = rows.map(|(conversation, head)| wire::HeadRow { conversation, head }).collect();
        ok(wire::HeadsReply { heads })
    }

    async fn append(&self, request: Request<wire::AppendRowsRequest>) -> Reply<wire::AppendRowsReply> {
        let request = request.into_inner();
        let append = Append {
            key: conversation_key(&request.tenant, &request.conversation)?,
            instance: InstanceId(request.instance),
            rows: request.rows,
            head: request.head.ok_or_else(|| invalid("head"))?,
            members: members_of(request.members),
            effects: request.effects,
        };
        let settled = self.0.store.append(append).await.map_err(store_error)?;
        ok(wire::AppendRowsReply { settled })
    }

    async fn settle(&self, request: Request<wire::SettleRequest>) -> Reply<wire::SettleReply> {
        let request = request.into_inner();
        let settlements = request.settlements.into_iter().map(settlement).collect::<Result<Vec<_>, _>>()?;
        self.0.store.settle(&InstanceId(request.instance), settlements).await.map_err(store_error)?;
        ok(wire::SettleReply {})
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Reply<wire::ReadReply> {
        let request = request.into_inner();
        let key = conversation_key(&request.tenant, &request.conversation)?;
        let range = ReadRange {
            from: request.from.max(1),
            to: request.to,
            limit: request.limit as usize,
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(usize::MAX),
            reverse: request.reverse,
        };
        let page = self.0.read(&key, range).await?;
        ok(wire::ReadReply { rows: page.rows, more: page.more })
    }

    async fn read_tail(&self, request: Request<wire::ReadTailRequest>) -> Reply<wire::ReadReply> {
        let request = request.into_inner();
        let key = conversation_key(&request.tenant, &request.conversation)?;
        let rows = self.0.store.read_tail(&key, request.after).await.map_err(store_error)?;
        ok(wire::ReadReply { rows, more: false })
    }

    async fn members(&self, request: Request<wire::MembersRequest>) -> Reply<wire::MembersReply> {
        let request = request.into_inner();
        let key = conversation_key(&request.tenant, &request.conversation)?;
        let members = self.0.store.members(&key).await.map_err(store_error)?;
        let row = |(user, record)| wire::MemberRow { user, record: Some(record) };
        ok(wire::MembersReply { members: members.into_iter().map(row).collect() })
    }

    async fn registers(&self, request: Request<wire::RegistersRequest>) -> Reply<wire::RegistersReply> {
        let request = request.into_inner();
        let rows = self.0.store.registers(&user_key(&request.tenant, &request.user)?).await.map_err(store_error)?;
        let row = |(conversation, record)| wire::RegisterRow { conversation, record: Some(record) };
        ok(wire::RegistersReply { registers: rows.into_iter().map(row).collect() })
    }

    async fn registers_of(&self, request: Request<wire::RegistersOfRequest>) -> Reply<wire::RegistersOfReply> {
        let request = request.into_inner();
        let key = conversation_key(&request.tenant, &request.conversation)?;
        let asked = users(&request.users)?;
        let records = self.0.store.registers_of(&key, &asked).await.map_err(store_error)?;
        let rows = request.users.into_iter().zip(records);
        let registers = rows.map(|(user, record)| wire::UserRegister { user, record }).collect();
        ok(wire::RegistersOfReply { registers })
    }

    async fn write_registers(&self, request: Request<wire::WriteRegistersRequest>) -> Reply<wire::WriteRegistersReply> {
        let request = request.into_inner();
        let user = user_key(&request.tenant, &request.user)?;
        let rows = request.registers.into_iter();
        let rows = rows.map(|row| (row.conversation, row.record.unwrap_or_default())).collect();
        self.0.store.write_registers(&user, rows).await.map_err(store_error)?;
        ok(wire::WriteRegistersReply {})
    }

    async fn get_record(&self, request: Request<wire::GetRecordRequest>) -> Reply<wire::GetRecordReply> {
        let request = request.into_inner();
        let key = RecordKey { table: table(request.table)?, tenant: request.tenant, key: request.key };
        ok(wire::GetRecordReply { value: self.0.store.get_record(&key).await.map_err(store_error)? })
    }

    async fn put_record(&self, request: Request<wire::PutRecordRequest>) -> Reply<wire::PutRecordReply> {
        let request = request.into_inner();
        let key = RecordKey { table: table(request.table)?, tenant: request.tenant, key: request.key };
        let existing = self.0.store.put_record(&key, request.value, request.if_absent).await.map_err(store_error)?;
        ok(wire::PutRecordReply { existing })
    }

    async fn list_records(&self, request: Request<wire::ListRecordsRequest>) -> Reply<wire::ListRecordsReply> {
        let request = request.into_inner();
        let limit = (request.limit as usize).clamp(1, MAX_PAGE_RECORDS);
        let listed = self.0.store.list_records(table(request.table)?, &request.tenant, &request.after, limit).await;
        let record = |(key, value): (RecordKey, bytes::Bytes)| wire::Record { tenant: key.tenant, key: key.key, value };
        ok(wire::ListRecordsReply { records: listed.map_err(store_error)?.into_iter().map(record).collect() })
    }

    async fn delete_record(&self, request: Request<wire::DeleteRecordRequest>) -> Reply<wire::DeleteRecordReply> {
        let request = request.into_inner();
        let key = RecordKey { table: table(request.table)?, tenant: request.tenant, key: request.key };
        self.0.store.delete_record(&key).await.map_err(store_error)?;
        ok(wire::DeleteRecordReply {})
    }
}
