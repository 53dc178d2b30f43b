//! The service over gRPC: decode, call, encode.

use std::sync::Arc;

use posthorn_errors::Failure;
use posthorn_proto::internal::{
    self as wire, AppendReply, AppendResult, append_result,
    routing_server::{Routing, RoutingServer},
};
use posthorn_rpc::MAX_MESSAGE_BYTES;
use tonic::{Request, Response, Status, service::Routes};

use crate::{RoutingInstance, service::RoutingService};

/// The service as routes: for a local link or a listener.
#[must_use]
pub fn routes(service: Arc<RoutingInstance>) -> Routes {
    let server = RoutingServer::new(Grpc(service))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(server)
}

struct Grpc(Arc<RoutingInstance>);

impl Grpc {
    /// One incarnation from the beginning of a request to its end.
    fn now(&self) -> Result<Arc<RoutingService>, Status> {
        self.0.now().map_err(Status::from)
    }
}

fn reply<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl Routing for Grpc {
    async fn append(&self, request: Request<wire::AppendRequest>) -> Result<Response<AppendReply>, Status> {
        let results = self.now()?.append(request.into_inner()).await.map_err(Status::from)?;
        let results = results.into_iter().map(|result| AppendResult {
            result: Some(match result {
                Ok(sent) => append_result::Result::Sent(sent),
                Err(failure) => append_result::Result::Error((&failure).into()),
            }),
        });
        Ok(Response::new(AppendReply { results: results.collect() }))
    }

    async fn create(&self, request: Request<wire::CreateRequest>) -> Result<Response<wire::CreateReply>, Status> {
        reply(self.now()?.create(request.into_inner()).await)
    }

    async fn change_members(
        &self,
        request: Request<wire::ChangeMembersRequest>,
    ) -> Result<Response<wire::ChangeMembersReply>, Status> {
        reply(self.now()?.change_members(request.into_inner()).await)
    }

    async fn view(&self, request: Request<wire::ViewRequest>) -> Result<Response<wire::ViewReply>, Status> {
        reply(self.now()?.view(request.into_inner()).await)
    }

    async fn list_members(
        &self,
        request: Request<wire::ListMembersRequest>,
    ) -> Result<Response<wire::ListMembersReply>, Status> {
        reply(self.now()?.list_members(request.into_inner()).await)
    }

    async fn typing(&self, request: Request<wire::TypingRequest>) -> Result<Response<wire::TypingReply>, Status> {
        reply(self.now()?.typing(request.into_inner()).await.map(|()| wire::TypingReply {}))
    }

    async fn ends(&self, request: Request<wire::EndsRequest>) -> Result<Response<wire::EndsReply>, Status> {
        reply(self.now()?.ends(request.into_inner()).await)
    }

    async fn shared(&self, request: Request<wire::SharedRequest>) -> Result<Response<wire::SharedReply>, Status> {
        reply(self.now()?.shared(request.into_inner()).await.map(|users| wire::SharedReply { users }))
    }

    async fn position(&self, request: Request<wire::PositionRequest>) -> Result<Response<wire::PositionReply>, Status> {
        reply(self.now()?.position(request.into_inner()).await)
    }

    async fn receipt(&self, request: Request<wire::ReceiptRequest>) -> Result<Response<wire::ReceiptReply>, Status> {
        reply(self.now()?.receipt(request.into_inner()).await.map(|()| wire::ReceiptReply {}))
    }

    async fn mark(&self, request: Request<wire::MarkRequest>) -> Result<Response<wire::MarkReply>, Status> {
        reply(self.now()?.mark(request.into_inner()).await)
    }

    async fn set_registers(
        &self,
        request: Request<wire::SetRegistersRequest>,
    ) -> Result<Response<wire::SetRegistersReply>, Status> {
        let registers = self.now()?.set_registers(request.into_inner()).await;
        reply(registers.map(|registers| wire::SetRegistersReply { registers: Some(registers) }))
    }

    async fn sync(&self, request: Request<wire::SyncRequest>) -> Result<Response<wire::SyncReply>, Status> {
        reply(self.now()?.sync(request.into_inner()).await)
    }

    async fn tell(&self, request: Request<wire::TellRequest>) -> Result<Response<wire::TellReply>, Status> {
        reply(self.now()?.tell(request.into_inner()).await.map(|()| wire::TellReply {}))
    }

    async fn missed(&self, request: Request<wire::MissedRequest>) -> Result<Response<wire::MissedReply>, Status> {
        Ok(Response::new(self.now()?.missed(request.get_ref())))
    }

    async fn watch_allowed(
        &self,
        request: Request<wire::WatchAllowedRequest>,
    ) -> Result<Response<wire::WatchAllowedReply>, Status> {
        reply(self.now()?.watch_allowed(request.into_inner()).await.map(|users| wire::WatchAllowedReply { users }))
    }
}
