//! `/v1/conversations/{conversation}/members`.

use axum::{Extension, extract::State};
use posthorn_proto::{
    client,
    internal::{MemberChange, member_change::Op},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::conversations::ConversationPath;
use crate::{
    conversations::change,
    http::{
        Api,
        auth::Tenant,
        extract::{Json, Path, Query},
        problem::Problem,
        types::{ConversationRef, Membership, Role, UserRef},
    },
};

const DEFAULT_LIMIT: u32 = 100;
/// Changes that the owner makes in one step, all or none.
const CHANGES_AT_ONCE: usize = 64;

/// Who is to be a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMembers {
    /// Who is a member already stays as they are. A user who is named twice has the higher role.
    #[schema(min_items = 1, max_items = 1000)]
    pub members: Vec<Membership>,
}

/// What a member may do from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    pub role: Role,
}

/// What a change of members came to.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembersChanged {
    pub conversation: ConversationRef,
    /// Of the last entry that the change made; 0 where all was so already.
    pub seq: u64,
}

/// A page of members, in order of their ids.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPage {
    pub members: Vec<Member>,
    /// Give it as `after` to go on; null at the end.
    #[schema(required)]
    pub next: Option<UserRef>,
    /// How many members there are.
    pub total: u64,
}

/// A member.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub user: UserRef,
    pub role: Role,
    /// Of the entry with which they joined.
    pub joined_seq: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MemberPath {
    /// The conversation's id.
    conversation: ConversationRef,
    /// The user's id.
    user: UserRef,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberQuery {
    /// The user to go on after.
    after: Option<UserRef>,
    /// Members at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Add members
///
/// In order of their ids, in steps of 64: a step is made whole or not at all, and a repetition goes on where
/// an interrupted one ended.
#[utoipa::path(post, path = "/v1/conversations/{conversation}/members", tag = "members", params(ConversationPath),
    request_body = NewMembers,
    responses((status = 200, description = "They are members now", body = MembersChanged)),
)]
pub async fn add_members(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<ConversationPath>,
    Json(new): Json<NewMembers>,
) -> Result<axum::Json<MembersChanged>, Problem> {
    let members = Membership::distinct(&new.members);
    let additions = members.iter().map(|member| change(Op::Add, &member.user, member.role())).collect();
    changed(&api, &tenant, path.conversation, additions).await
}

/// List members
#[utoipa::path(get, path = "/v1/conversations/{conversation}/members", tag = "members",
    params(ConversationPath, MemberQuery),
    responses((status = 200, description = "A page of members", body = MemberPage)),
)]
pub async fn list_members(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<ConversationPath>,
    Query(query): Query<MemberQuery>,
) -> Result<axum::Json<MemberPage>, Problem> {
    let request = client::ListMembers {
        conversation: path.conversation.0,
        after: query.after.map_or_else(String::new, |user| user.0),
        limit: query.limit.unwrap_or(DEFAULT_LIMIT).into(),
    };
    let page = api.gateway.list_members(&tenant.caller(), request).await?;
    let member = |member: client::Member| Member {
        role: Role::of(member.role()).unwrap_or(Role::Member),
        user: UserRef(member.user),
        joined_seq: member.joined_seq,
    };
    Ok(axum::Json(MemberPage {
        members: page.members.into_iter().map(member).collect(),
        next: (!page.next.is_empty()).then_some(UserRef(page.next)),
        total: page.total,
    }))
}

/// Change a member's role
#[utoipa::path(patch, path = "/v1/conversations/{conversation}/members/{user}", tag = "members", params(MemberPath),
    request_body = NewRole,
    responses((status = 200, description = "They have the role now", body = MembersChanged)),
)]
pub async fn set_role(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<MemberPath>,
    Json(new): Json<NewRole>,
) -> Result<axum::Json<MembersChanged>, Problem> {
    let role = change(Op::Role, &path.user.0, new.role.into());
    changed(&api, &tenant, path.conversation, vec![role]).await
}

/// Remove a member
#[utoipa::path(delete, path = "/v1/conversations/{conversation}/members/{user}", tag = "members", params(MemberPath),
    responses((status = 200, description = "They are no member now", body = MembersChanged)),
)]
pub async fn remove_member(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<MemberPath>,
) -> Result<axum::Json<MembersChanged>, Problem> {
    let removal = change(Op::Remove, &path.user.0, client::Role::Unspecified);
    changed(&api, &tenant, path.conversation, vec![removal]).await
}

/// Makes the changes, and answers.
async fn changed(
    api: &Api,
    tenant: &Tenant,
    conversation: ConversationRef,
    changes: Vec<MemberChange>,
) -> Result<axum::Json<MembersChanged>, Problem> {
    let mut seq = 0;
    for some in changes.chunks(CHANGES_AT_ONCE) {
        let changed = api.gateway.change_members(&tenant.caller(), &conversation.0, some.to_vec()).await?;
        seq = seq.max(changed.seq);
    }
    Ok(axum::Json(MembersChanged { conversation, seq }))
}
