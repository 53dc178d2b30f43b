//! What every transport asks of the services below, checked and free of any transport.

use bytes::Bytes;
use posthorn_core::{MessageId, UserId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{
        self, ConversationCreated, CreateConversation, ListMembers, MemberPage, MembersChanged, Membership, Role,
    },
    internal::{
        AppendItem, AppendRequest, Caller, ChangeMembersRequest, CreateRequest, ListMembersRequest, MemberChange,
        append_result, member_change::Op,
    },
};

use crate::{Gateway, error::invalid, sends::conversation_id};

/// Longest title, in bytes of UTF-8.
pub const MAX_TITLE_BYTES: usize = 512;

/// Members that one request may add.
pub const MAX_MEMBERS_AT_ONCE: usize = 1_000;

/// Changes that one request may make: they are one append, all or none.
pub const MAX_CHANGES_AT_ONCE: usize = 64;

/// The answer to each of the items of an append.
pub type Answers = Vec<Result<client::Sent, Failure>>;

impl Gateway {
    /// Appends checked items (see [`crate::sends::check`]) in their order; each is answered on its own. The outer
    /// error holds for all of them; `not_confirmed` says that any may have been stored.
    pub async fn append(
        &self,
        caller: &Caller,
        conversation: &str,
        direct_to: &str,
        items: Vec<AppendItem>,
    ) -> Result<Answers, Failure> {
        let asked = items.len();
        let request = AppendRequest {
            caller: Some(caller.clone()),
            conversation: conversation.to_owned(),
            direct_to: direct_to.to_owned(),
            items,
        };
        let reply = self.append_items(request).await?;
        let answers: Answers = reply
            .results
            .into_iter()
            .map(|result| match result.result {
                Some(append_result::Result::Sent(sent)) => Ok(sent),
                Some(append_result::Result::Error(error)) => Err(Failure::from(&error)),
                None => Err(Code::NotConfirmed.into()),
            })
            .collect();
        if answers.len() != asked {
            tracing::error!(asked, answered = answers.len(), "an append was not answered item by item");
            return Err(Code::NotConfirmed.into());
        }
        Ok(answers)
    }

    /// Creates a group. Idempotent by `message_id`; without an id of its own the conversation takes that of the
    /// `message_id`, so that a repeated request finds it again.
    pub async fn create_conversation(
        &self,
        caller: &Caller,
        request: CreateConversation,
    ) -> Result<ConversationCreated, Failure> {
        let message_id = if request.message_id.is_empty() {
            MessageId(self.clock().uuid_v7())
        } else {
            request.message_id.parse().map_err(|_| invalid("`message_id` must be a UUID"))?
        };
        let conversation = if request.conversation.is_empty() {
            message_id.to_string()
        } else {
            let id = conversation_id(&request.conversation)?;
            if id.is_direct() {
                return Err(invalid("`conversation` must not begin with `d.`: those are direct conversations"));
            }
            (&id).into()
        };
        if request.title.len() > MAX_TITLE_BYTES {
            return Err(invalid(format!("`title` is longer than {MAX_TITLE_BYTES} bytes")));
        }
        if client::Visibility::try_from(request.visibility).is_err() {
            return Err(invalid("`visibility` is none that this server knows"));
        }
        let request = CreateRequest {
            caller: Some(caller.clone()),
            conversation: conversation.clone(),
            title: request.title,
            visibility: request.visibility,
            members: checked_members(request.members)?,
            message_id: Bytes::copy_from_slice(message_id.0.as_bytes()),
        };
        let reply = self.create(request).await?;
        Ok(ConversationCreated { conversation, seq: reply.seq, duplicate: reply.duplicate })
    }

    /// Changes members; all of the changes or none.
    pub async fn change_members(
        &self,
        caller: &Caller,
        conversation: &str,
        changes: Vec<MemberChange>,
    ) -> Result<MembersChanged, Failure> {
        let conversation = conversation_id(conversation)?;
        if changes.is_empty() || changes.len() > MAX_CHANGES_AT_ONCE {
            return Err(invalid(format!("a request changes 1 to {MAX_CHANGES_AT_ONCE} members")));
        }
        for change in &changes {
            UserId::new(&change.user).map_err(|error| invalid(error.to_string()))?;
        }
        let conversation = String::from(&conversation);
        let request =
            ChangeMembersRequest { caller: Some(caller.clone()), conversation: conversation.clone(), changes };
        let reply = self.members_change(request).await?;
        Ok(MembersChanged { conversation, seq: reply.seq })
    }

    /// A page of members, in order of user id; `limit` is cut to `edge.max_page_entries`, 0 means that.
    pub async fn list_members(&self, caller: &Caller, request: ListMembers) -> Result<MemberPage, Failure> {
        let conversation = String::from(&conversation_id(&request.conversation)?);
        let limit = page_limit(request.limit, self.config().max_page_entries);
        let asked = ListMembersRequest {
            caller: Some(caller.clone()),
            conversation: conversation.clone(),
            after: request.after,
            limit,
        };
        let reply = self.members_page(asked).await?;
        Ok(MemberPage { conversation, members: reply.members, next: reply.next, total: reply.total })
    }
}

/// 0 means the most that is allowed.
pub(crate) fn page_limit(asked: u64, max: u32) -> u32 {
    match u32::try_from(asked) {
        Ok(0) | Err(_) => max,
        Ok(asked) => asked.min(max),
    }
}

/// The changes that add these members; no role means `member`.
pub fn additions(members: Vec<Membership>) -> Result<Vec<MemberChange>, Failure> {
    let members = checked_members(members)?;
    Ok(members.into_iter().map(|m| MemberChange { op: Op::Add.into(), user: m.user, role: m.role }).collect())
}

/// The change of one member.
#[must_use]
pub fn change(op: Op, user: &str, role: Role) -> MemberChange {
    MemberChange { op: op.into(), user: user.to_owned(), role: role.into() }
}

fn checked_members(mut members: Vec<Membership>) -> Result<Vec<Membership>, Failure> {
    if members.len() > MAX_MEMBERS_AT_ONCE {
        return Err(invalid(format!("`members` names more than {MAX_MEMBERS_AT_ONCE} users")));
    }
    for member in &mut members {
        UserId::new(&member.user).map_err(|error| invalid(format!("`members`: {error}")))?;
        match Role::try_from(member.role) {
            Ok(Role::Unspecified) => member.role = Role::Member.into(),
            Ok(_) => {}
            Err(_) => return Err(invalid("`role` is none that this server knows")),
        }
    }
    Ok(members)
}
