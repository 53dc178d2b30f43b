//! The service over gRPC: decode, call, encode.

use std::sync::Arc;

use posthorn_errors::Failure;
use posthorn_presence::ConnectionRef;
use posthorn_proto::internal::{
    self as wire,
    session_server::{Session, SessionServer},
};
use posthorn_rpc::MAX_MESSAGE_BYTES;
use tonic::{Request, Response, Status, service::Routes};

use crate::SessionService;

/// The service as routes: for a local link or a listener.
#[must_use]
pub fn routes(service: Arc<SessionService>) -> Routes {
    let server = SessionServer::new(Grpc(service))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(server)
}

struct Grpc(Arc<SessionService>);

type Reply<T> = Result<Response<T>, Status>;

fn reply<T>(result: Result<T, Failure>) -> Reply<T> {
    result.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl Session for Grpc {
    async fn authenticate(&self, request: Request<wire::AuthenticateRequest>) -> Reply<wire::AuthenticateReply> {
        let request = request.into_inner();
        reply(self.0.authenticate(&request.token, &request.resume_token).await)
    }

    async fn authenticate_key(
        &self,
        request: Request<wire::AuthenticateKeyRequest>,
    ) -> Reply<wire::AuthenticateKeyReply> {
        let request = request.into_inner();
        let found = self.0.authenticate_key(&request.key).await;
        reply(found.map(|(scope, tenant, key_id)| wire::AuthenticateKeyReply { scope: scope.into(), tenant, key_id }))
    }

    async fn create_tenant(&self, request: Request<wire::CreateTenantRequest>) -> Reply<wire::CreateTenantReply> {
        let request = request.into_inner();
        reply(self.0.create_tenant(&request.tenant).await.map(|existed| wire::CreateTenantReply { existed }))
    }

    async fn create_api_key(&self, request: Request<wire::CreateApiKeyRequest>) -> Reply<wire::CreateApiKeyReply> {
        let request = request.into_inner();
        let made = self.0.create_api_key(&request.tenant, request.scope()).await;
        reply(made.map(|(key, key_id)| wire::CreateApiKeyReply { key, key_id }))
    }

    async fn revoke_api_key(&self, request: Request<wire::RevokeApiKeyRequest>) -> Reply<wire::RevokeApiKeyReply> {
        let request = request.into_inner();
        let revoked = self.0.revoke_api_key(&request.tenant, &request.key_id).await;
        reply(revoked.map(|()| wire::RevokeApiKeyReply {}))
    }

    async fn add_signing_key(&self, request: Request<wire::AddSigningKeyRequest>) -> Reply<wire::AddSigningKeyReply> {
        let request = request.into_inner();
        let wire::AddSigningKeyRequest { tenant, key_id, algorithm, key } = request;
        let added = self.0.add_signing_key(&tenant, &key_id, &algorithm, &key).await;
        reply(added.map(|()| wire::AddSigningKeyReply {}))
    }

    async fn remove_signing_key(
        &self,
        request: Request<wire::RemoveSigningKeyRequest>,
    ) -> Reply<wire::RemoveSigningKeyReply> {
        let request = request.into_inner();
        let removed = self.0.remove_signing_key(&request.tenant, &request.key_id).await;
        reply(removed.map(|()| wire::RemoveSigningKeyReply {}))
    }

    async fn mint_token(&self, request: Request<wire::MintTokenRequest>) -> Reply<wire::MintTokenReply> {
        let request = request.into_inner();
        let wire::MintTokenRequest { tenant, user, device, ttl_s, limit_class } = request;
        let minted = self.0.mint(&tenant, &user, &device, ttl_s, &limit_class).await;
        reply(minted.map(|(token, expires_ms)| wire::MintTokenReply { token, expires_ms }))
    }

    async fn revoke(&self, request: Request<wire::RevokeRequest>) -> Reply<wire::RevokeReply> {
        let request = request.into_inner();
        let wire::RevokeRequest { tenant, user, device, token_id } = request;
        reply(self.0.revoke(&tenant, &user, &device, &token_id).await.map(|()| wire::RevokeReply {}))
    }

    async fn put_user(&self, request: Request<wire::PutUserRequest>) -> Reply<wire::PutUserReply> {
        let request = request.into_inner();
        let wire::PutUserRequest { tenant, user, name, if_absent } = request;
        let existed = self.0.put_user(&tenant, &user, &name, if_absent).await;
        reply(existed.map(|existed| wire::PutUserReply { existed }))
    }

    async fn get_users(&self, request: Request<wire::GetUsersRequest>) -> Reply<wire::GetUsersReply> {
        let request = request.into_inner();
        let found = self.0.get_users(&request.tenant, &request.users).await;
        reply(found.map(|users| wire::GetUsersReply { users }))
    }

    async fn list_devices(&self, request: Request<wire::ListDevicesRequest>) -> Reply<wire::ListDevicesReply> {
        reply(self.0.list_devices(request.into_inner()).await)
    }

    async fn connect(&self, request: Request<wire::ConnectRequest>) -> Reply<wire::ConnectReply> {
        let request = request.into_inner();
        reply(self.0.connect(request).await)
    }

    async fn disconnect(&self, request: Request<wire::DisconnectRequest>) -> Reply<wire::DisconnectReply> {
        let request = request.into_inner();
        let at = ConnectionRef { gateway: request.gateway, connection: request.connection };
        let gone = self.0.disconnect(&request.tenant, &request.user, at).await;
        reply(gone.map(|()| wire::DisconnectReply {}))
    }

    async fn lookup(&self, request: Request<wire::LookupRequest>) -> Reply<wire::LookupReply> {
        let request = request.into_inner();
        let found = self.0.lookup(&request.tenant, &request.users).await;
        reply(found.map(|found| wire::LookupReply { unknown: found.is_none(), gateways: found.unwrap_or_default() }))
    }

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Reply<wire::WatchReply> {
        let request = request.into_inner();
        reply(self.0.watch(request).await.map(|(now, versions)| wire::WatchReply { now, versions }))
    }

    async fn presence(&self, request: Request<wire::PresenceRequest>) -> Reply<wire::PresenceReply> {
        let request = request.into_inner();
        let now = self.0.presence_of(&request.tenant, &request.users).await;
        reply(now.map(|now| wire::PresenceReply { now }))
    }

    async fn lease(&self, request: Request<wire::LeaseRequest>) -> Reply<wire::LeaseReply> {
        reply(self.0.lease(request.into_inner()).await)
    }

    async fn register_again(&self, request: Request<wire::RegisterAgainRequest>) -> Reply<wire::RegisterAgainReply> {
        reply(self.0.register_again(request.into_inner()).await.map(|()| wire::RegisterAgainReply {}))
    }

    async fn prune(&self, request: Request<wire::PruneRequest>) -> Reply<wire::PruneReply> {
        reply(self.0.prune(request.into_inner()).await.map(|()| wire::PruneReply {}))
    }
}
