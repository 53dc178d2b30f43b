//! Each request is one call of a service below, or two; each reply carries the request's id.

use std::sync::Arc;

use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{
        Done, Marked, MembersChanged, PresenceWatched, RegistersSet, Role, Sync, client_frame::Request,
        server_frame::Frame,
    },
    internal::{Caller, MarkRequest, SetRegistersRequest, SyncRequest, TypingRequest, member_change::Op},
};

use crate::{
    Gateway,
    conversations::{additions, change, page_limit},
    error::invalid,
    live::Connection,
    sends::conversation_id,
};

/// The word for a request in metrics.
pub(super) const fn name(request: &Request) -> &'static str {
    match request {
        Request::Connect(_) => "connect",
        Request::Refresh(_) => "refresh",
        Request::Send(_) => "send",
        Request::History(_) => "history",
        Request::Sync(_) => "sync",
        Request::Mark(_) => "mark",
        Request::SetRegisters(_) => "set_registers",
        Request::Typing(_) => "typing",
        Request::WatchPresence(_) => "watch_presence",
        Request::CreateConversation(_) => "create_conversation",
        Request::AddMembers(_) => "add_members",
        Request::RemoveMember(_) => "remove_member",
        Request::Leave(_) => "leave",
        Request::SetRole(_) => "set_role",
        Request::ListMembers(_) => "list_members",
        Request::Ping(_) => "ping",
        Request::Pong(_) => "pong",
    }
}

/// Whether its reply may be large: few of these run at once.
pub(super) const fn is_read(request: &Request) -> bool {
    matches!(request, Request::History(_) | Request::Sync(_) | Request::ListMembers(_))
}

/// Answers what needs nothing of the connection but who it is.
pub(super) async fn answer(
    gateway: Arc<Gateway>,
    connection: Arc<Connection>,
    request: Request,
) -> Result<Frame, Failure> {
    let caller = connection.caller();
    match request {
        Request::History(history) => gateway.history(&caller, history).await.map(Frame::History),
        Request::Sync(sync) => sync_page(&gateway, &connection, sync).await,
        Request::Mark(mark) => {
            let conversation = String::from(&conversation_id(&mark.conversation)?);
            let asked = MarkRequest {
                caller: Some(caller),
                conversation: conversation.clone(),
                delivered: mark.delivered,
                read: mark.read,
            };
            let reply = gateway.mark(asked).await?;
            let (delivered, read, unread) = (reply.delivered, reply.read, reply.unread);
            Ok(Frame::Marked(Marked { conversation, delivered, read, unread }))
        }
        Request::SetRegisters(set) => {
            conversation_id(&set.conversation)?;
            if set.draft.as_ref().is_some_and(|draft| draft.len() > gateway.config().max_body_bytes) {
                return Err(Failure::plain(Code::BodyTooLarge).limit("limits.max_body_bytes"));
            }
            let asked = SetRegistersRequest { caller: Some(caller), set: Some(set) };
            let registers = gateway.set_registers(asked).await?.registers;
            Ok(Frame::RegistersSet(RegistersSet { registers }))
        }
        Request::Typing(typing) => {
            let conversation = String::from(&conversation_id(&typing.conversation)?);
            gateway.typing(TypingRequest { caller: Some(caller), conversation, active: typing.active }).await?;
            Ok(Frame::Done(Done {}))
        }
        Request::WatchPresence(watch) => {
            let now = gateway.replace_watched(&connection, watch).await?;
            Ok(Frame::PresenceWatched(PresenceWatched { now }))
        }
        Request::CreateConversation(create) => {
            gateway.create_conversation(&caller, create).await.map(Frame::ConversationCreated)
        }
        Request::ListMembers(list) => gateway.list_members(&caller, list).await.map(Frame::Members),
        request => members_changed(&gateway, &caller, request).await.map(Frame::MembersChanged),
    }
}

async fn members_changed(gateway: &Gateway, caller: &Caller, request: Request) -> Result<MembersChanged, Failure> {
    let (conversation, changes) = match request {
        Request::AddMembers(add) => (add.conversation, additions(add.members)?),
        Request::RemoveMember(r) => (r.conversation, vec![change(Op::Remove, &r.user, Role::Unspecified)]),
        Request::Leave(leave) => (leave.conversation, vec![change(Op::Leave, &caller.user, Role::Unspecified)]),
        Request::SetRole(set) => match set.role() {
            Role::Unspecified => return Err(invalid("`role` is missing, or none that this server knows")),
            role => (set.conversation, vec![change(Op::Role, &set.user, role)]),
        },
        _ => return Err(Code::UnknownRequest.into()),
    };
    gateway.change_members(caller, &conversation, changes).await
}

async fn sync_page(gateway: &Gateway, connection: &Connection, sync: Sync) -> Result<Frame, Failure> {
    let limit = page_limit(sync.limit, gateway.config().max_page_entries);
    // The first page alone names what to follow; who goes on with one of before, on a new connection, follows later.
    let first = sync.page.is_empty();
    let asked = SyncRequest { caller: Some(connection.caller()), cursor: sync.cursor, limit, page: sync.page };
    let reply = gateway.sync(asked).await?;
    if first {
        gateway.follow(connection, &reply.follow)?;
    }
    reply.page.map(Frame::Sync).ok_or_else(|| Failure::plain(Code::Internal))
}
