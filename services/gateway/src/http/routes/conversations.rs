//! `/v1/conversations`: groups are created here; any conversation of the tenant can be looked at.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use posthorn_errors::Code;
use posthorn_proto::{client, internal::ViewRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    Api,
    auth::Tenant,
    extract::{Json, Path},
    idempotency::Once,
    problem::Problem,
    types::{ConversationKind, ConversationRef, GroupRef, Membership, UserRef, Visibility},
};

/// A group as the application gives it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConversation {
    /// Without it the server makes one (UUIDv7).
    pub id: Option<GroupRef>,
    #[serde(default)]
    #[schema(max_length = 128, examples("Lobby"))]
    pub title: String,
    /// What a member may see; without it, `since_join`.
    pub visibility: Option<Visibility>,
    /// Who is in it from the start. A user who is named twice has the higher role.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub members: Vec<Membership>,
}

/// A conversation that was created.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatedConversation {
    pub id: ConversationRef,
    /// Of its first entry.
    pub seq: u64,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationInfo {
    pub id: ConversationRef,
    pub kind: ConversationKind,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    pub member_count: u64,
    /// The two users of a direct conversation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserRef>,
    /// Seq of the last entry.
    pub end_seq: u64,
    /// How many messages it has.
    pub end_ordinal: u64,
    /// Time of the last entry, in ms since 1970.
    pub last_activity_ms: u64,
    /// Changes when the store was restored from a backup.
    pub generation: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ConversationPath {
    /// The conversation's id.
    pub conversation: ConversationRef,
}

/// Create a group
///
/// With an `id` that is taken the answer is 409, unless this is a repetition (`Idempotency-Key`).
#[utoipa::path(post, path = "/v1/conversations", tag = "conversations", request_body = NewConversation, responses(
    (status = 200, description = "It was created by an earlier try of this request", body = CreatedConversation),
    (status = 201, description = "Created", body = CreatedConversation),
))]
pub async fn create_conversation(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Extension(once): Extension<Once>,
    Json(new): Json<NewConversation>,
) -> Result<Response, Problem> {
    let request = client::CreateConversation {
        conversation: new.id.map_or_else(String::new, |id| id.0),
        title: new.title,
        visibility: client::Visibility::from(new.visibility.unwrap_or(Visibility::SinceJoin)).into(),
        members: Membership::distinct(&new.members),
        message_id: once.message_id.to_string(),
    };
    let made = api.gateway.create_conversation(&tenant.caller(), request).await?;
    let status = if made.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("/v1/conversations/{}", made.conversation);
    let answer = CreatedConversation { id: ConversationRef(made.conversation), seq: made.seq };
    Ok((status, [(header::LOCATION, location)], axum::Json(answer)).into_response())
}

/// A conversation
#[utoipa::path(get, path = "/v1/conversations/{conversation}", tag = "conversations", params(ConversationPath), responses(
    (status = 200, description = "The conversation", body = ConversationInfo),
))]
pub async fn get_conversation(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<ConversationPath>,
) -> Result<axum::Json<ConversationInfo>, Problem> {
    let request = ViewRequest { caller: Some(tenant.caller()), conversation: path.conversation.0.clone() };
    let view = api.gateway.view(request).await?;
    let head = view.head.ok_or_else(|| Problem::from(Code::NotFound))?;
    let info = ConversationInfo {
        id: path.conversation,
        kind: ConversationKind::of(head.kind()).unwrap_or(ConversationKind::Group),
        visibility: Visibility::of(head.visibility()),
        title: head.title,
        member_count: head.member_count,
        users: head.direct.into_iter().map(UserRef).collect(),
        end_seq: view.end_seq,
        end_ordinal: view.end_ordinal,
        last_activity_ms: head.time_ms,
        generation: view.generation,
    };
    Ok(axum::Json(info))
}
