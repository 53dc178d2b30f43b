//! The service over gRPC: decode, call, encode.

use std::sync::Arc;

use posthorn_errors::Failure;
use posthorn_proto::internal::{
    self as wire,
    storage_server::{Storage, StorageServer},
};
use posthorn_rpc::MAX_MESSAGE_BYTES;
use tonic::{Request, Response, Status, service::Routes};

use crate::StorageService;

/// The service as routes: for a local link or a listener.
#[must_use]
pub fn routes(service: Arc<StorageService>) -> Routes {
    let server = StorageServer::new(Grpc(service))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(server)
}

struct Grpc(Arc<StorageService>);

type Answer<T> = Result<Response<T>, Status>;

fn reply<T, R>(result: Result<T, Failure>, encode: impl FnOnce(T) -> R) -> Answer<R> {
    result.map(|value| Response::new(encode(value))).map_err(Status::from)
}

#[tonic::async_trait]
impl Storage for Grpc {
    async fn describe(&self, _: Request<wire::DescribeRequest>) -> Answer<wire::DescribeReply> {
        Ok(Response::new(self.0.describe()))
    }

    async fn register(&self, request: Request<wire::RegisterRequest>) -> Answer<wire::RegisterReply> {
        reply(self.0.register(request.into_inner()).await, |()| wire::RegisterReply {})
    }

    async fn check(&self, request: Request<wire::CheckRequest>) -> Answer<wire::CheckReply> {
        reply(self.0.check(request.into_inner()).await, |active| wire::CheckReply { active })
    }

    async fn fence(&self, request: Request<wire::FenceRequest>) -> Answer<wire::FenceReply> {
        reply(self.0.fence(request.into_inner()).await, |()| wire::FenceReply {})
    }

    async fn shards(&self, _: Request<wire::ShardsRequest>) -> Answer<wire::ShardsReply> {
        reply(self.0.shards().await, |shards| wire::ShardsReply { shards })
    }

    async fn claim(&self, request: Request<wire::ClaimRequest>) -> Answer<wire::ClaimReply> {
        reply(self.0.claim(request.into_inner()).await, |claimed| wire::ClaimReply { claimed })
    }

    async fn release(&self, request: Request<wire::ReleaseRequest>) -> Answer<wire::ReleaseReply> {
        reply(self.0.release(request.into_inner()).await, |()| wire::ReleaseReply {})
    }

    async fn carried_over(&self, request: Request<wire::CarriedOverRequest>) -> Answer<wire::CarriedOverReply> {
        reply(self.0.carried_over(request.into_inner()).await, |()| wire::CarriedOverReply {})
    }

    async fn journal(&self, request: Request<wire::JournalRequest>) -> Answer<wire::JournalReply> {
        reply(self.0.journal(request.into_inner()).await, |rows| wire::JournalReply { rows })
    }

    async fn beat(&self, request: Request<wire::BeatRequest>) -> Answer<wire::BeatReply> {
        reply(self.0.beat(request.into_inner()).await, |()| wire::BeatReply {})
    }

    async fn beats(&self, _: Request<wire::BeatsRequest>) -> Answer<wire::BeatsReply> {
        reply(self.0.beats().await, |beats| wire::BeatsReply { beats })
    }

    async fn forget_beat(&self, request: Request<wire::ForgetBeatRequest>) -> Answer<wire::ForgetBeatReply> {
        reply(self.0.forget_beat(request.into_inner()).await, |()| wire::ForgetBeatReply {})
    }

    async fn note(&self, request: Request<wire::NoteRequest>) -> Answer<wire::NoteReply> {
        reply(self.0.note(request.into_inner()).await, |()| wire::NoteReply {})
    }

    async fn heads(&self, request: Request<wire::HeadsRequest>) -> Answer<wire::HeadsReply> {
        reply(self.0.heads(request.into_inner()).await, |heads| wire::HeadsReply { heads })
    }

    async fn append(&self, request: Request<wire::AppendRowsRequest>) -> Answer<wire::AppendRowsReply> {
        reply(self.0.append(request.into_inner()).await, |settled| wire::AppendRowsReply { settled })
    }

    async fn settle(&self, request: Request<wire::SettleRequest>) -> Answer<wire::SettleReply> {
        reply(self.0.settle(request.into_inner()).await, |fed| wire::SettleReply { fed })
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Answer<wire::ReadReply> {
        reply(self.0.read(request.into_inner()).await, |page| page)
    }

    async fn read_tail(&self, request: Request<wire::ReadTailRequest>) -> Answer<wire::ReadReply> {
        reply(self.0.read_tail(request.into_inner()).await, |page| page)
    }

    async fn members(&self, request: Request<wire::MembersRequest>) -> Answer<wire::MembersReply> {
        reply(self.0.members(request.into_inner()).await, |members| wire::MembersReply { members })
    }

    async fn registers(&self, request: Request<wire::RegistersRequest>) -> Answer<wire::RegistersReply> {
        reply(self.0.registers(request.into_inner()).await, |registers| wire::RegistersReply { registers })
    }

    async fn registers_of(&self, request: Request<wire::RegistersOfRequest>) -> Answer<wire::RegistersOfReply> {
        reply(self.0.registers_of(request.into_inner()).await, |registers| wire::RegistersOfReply { registers })
    }

    async fn write_registers(
        &self,
        request: Request<wire::WriteRegistersRequest>,
    ) -> Answer<wire::WriteRegistersReply> {
        reply(self.0.write_registers(request.into_inner()).await, |()| wire::WriteRegistersReply {})
    }

    async fn get_record(&self, request: Request<wire::GetRecordRequest>) -> Answer<wire::GetRecordReply> {
        reply(self.0.get_record(request.into_inner()).await, |value| wire::GetRecordReply { value })
    }

    async fn put_record(&self, request: Request<wire::PutRecordRequest>) -> Answer<wire::PutRecordReply> {
        reply(self.0.put_record(request.into_inner()).await, |existing| wire::PutRecordReply { existing })
    }

    async fn list_records(&self, request: Request<wire::ListRecordsRequest>) -> Answer<wire::ListRecordsReply> {
        reply(self.0.list_records(request.into_inner()).await, |records| wire::ListRecordsReply { records })
    }

    async fn delete_record(&self, request: Request<wire::DeleteRecordRequest>) -> Answer<wire::DeleteRecordReply> {
        reply(self.0.delete_record(request.into_inner()).await, |()| wire::DeleteRecordReply {})
    }
}
