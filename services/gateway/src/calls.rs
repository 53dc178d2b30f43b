//! The calls of the services below: one line each, answered with the reply or a failure.

use posthorn_errors::Failure;
use posthorn_proto::internal::*;

use crate::{
    Gateway,
    error::{append_failure, failure},
};

macro_rules! calls {
    ($($client:ident { $($name:ident = $rpc:ident($request:ty) -> $reply:ty, $failure:ident;)* })*) => {
        impl Gateway {
            $($(
                pub(crate) async fn $name(&self, request: $request) -> Result<$reply, Failure> {
                    let mut client = self.deps.$client.clone();
                    client.$rpc(request).await.map(tonic::Response::into_inner).map_err(|status| $failure(&status))
                }
            )*)*
        }
    };
}

calls! {
    routing {
        append_items = append(AppendRequest) -> AppendReply, append_failure;
        create = create(CreateRequest) -> CreateReply, append_failure;
        members_change = change_members(ChangeMembersRequest) -> ChangeMembersReply, append_failure;
        view = view(ViewRequest) -> ViewReply, failure;
        members_page = list_members(ListMembersRequest) -> ListMembersReply, failure;
        typing = typing(TypingRequest) -> TypingReply, failure;
        mark = mark(MarkRequest) -> MarkReply, failure;
        set_registers = set_registers(SetRegistersRequest) -> SetRegistersReply, failure;
        sync = sync(SyncRequest) -> SyncReply, failure;
        watch_allowed = watch_allowed(WatchAllowedRequest) -> WatchAllowedReply, failure;
    }
    session {
        authenticate = authenticate(AuthenticateRequest) -> AuthenticateReply, failure;
        connect_session = connect(ConnectRequest) -> ConnectReply, failure;
        disconnect_session = disconnect(DisconnectRequest) -> DisconnectReply, failure;
        lease_session = lease(LeaseRequest) -> LeaseReply, failure;
        register_session = register_again(RegisterAgainRequest) -> RegisterAgainReply, failure;
        prune_session = prune(PruneRequest) -> PruneReply, failure;
        watch_presence = watch(WatchRequest) -> WatchReply, failure;
    }
    storage {
        describe = describe(DescribeRequest) -> DescribeReply, failure;
        read = read(ReadRequest) -> ReadReply, failure;
    }
}
