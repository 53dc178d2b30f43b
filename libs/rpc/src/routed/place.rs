//! Which shard a request is about. One with ids that are none goes anywhere: every owner refuses it.

use posthorn_core::{ConversationId, ConversationKey, Shard, TenantId, UserId, UserKey};
use posthorn_proto::internal::{
    AppendRequest, Caller, ChangeMembersRequest, CreateRequest, ListMembersRequest, MarkRequest, PositionRequest,
    ReceiptRequest, SetRegistersRequest, SyncRequest, TypingRequest, ViewRequest, WatchAllowedRequest,
};

const ANYWHERE: Shard = Shard(0);

pub(super) fn of_conversation(tenant: &str, conversation: &str) -> Shard {
    match (TenantId::new(tenant), ConversationId::new(conversation)) {
        (Ok(tenant), Ok(conversation)) => ConversationKey { tenant, conversation }.shard(),
        _ => ANYWHERE,
    }
}

pub(super) fn of_user(tenant: &str, user: &str) -> Shard {
    match (TenantId::new(tenant), UserId::new(user)) {
        (Ok(tenant), Ok(user)) => UserKey { tenant, user }.shard(),
        _ => ANYWHERE,
    }
}

/// A request about one thing.
pub(super) trait Placed {
    fn shard(&self) -> Shard;
}

fn tenant(caller: Option<&Caller>) -> &str {
    caller.map_or("", |caller| caller.tenant.as_str())
}

macro_rules! about_a_conversation {
    ($($request:ty),*) => {
        $(impl Placed for $request {
            fn shard(&self) -> Shard {
                of_conversation(tenant(self.caller.as_ref()), &self.conversation)
            }
        })*
    };
}

macro_rules! about_the_caller {
    ($($request:ty),*) => {
        $(impl Placed for $request {
            fn shard(&self) -> Shard {
                of_user(tenant(self.caller.as_ref()), self.caller.as_ref().map_or("", |caller| caller.user.as_str()))
            }
        })*
    };
}

about_a_conversation! {
    AppendRequest, CreateRequest, ChangeMembersRequest, ViewRequest, ListMembersRequest, TypingRequest, PositionRequest
}
about_the_caller! { MarkRequest, SetRegistersRequest, SyncRequest, WatchAllowedRequest }

impl Placed for ReceiptRequest {
    fn shard(&self) -> Shard {
        of_conversation(&self.tenant, &self.conversation)
    }
}
