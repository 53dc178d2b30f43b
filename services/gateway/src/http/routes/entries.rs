//! `/v1/conversations/{conversation}/entries`: the log, read and appended to.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::StatusCode;
use posthorn_clock::Uuid;
use posthorn_errors::{Code, Failure};
use posthorn_proto::{client, internal::AppendItem};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::conversations::ConversationPath;
use crate::http::{
    Api,
    auth::Tenant,
    extract::{Json, Path, Query},
    idempotency::Once,
    problem::Problem,
    types::{
        ConversationKind, ConversationRef, DeviceRef, Durability, Kind, Membership, MessageRef, Style, UserRef,
        Visibility,
    },
};

const DEFAULT_LIMIT: u32 = 100;

/// What to append: a user's message, or one of the application itself.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum NewEntry {
    Message(NewMessage),
    System(NewSystemEntry),
}

/// Said by a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    #[schema(inline)]
    #[allow(dead_code, reason = "its presence is what the schema checks")]
    pub kind: Option<MessageKind>,
    /// A member of the conversation.
    pub author: UserRef,
    #[schema(min_length = 1, max_length = 65_536, examples("Good morning"))]
    pub text: String,
    pub style: Option<Style>,
    /// Seq of the entry that this answers.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991u64)]
    pub reply_to: Option<u64>,
    /// Makes the request idempotent by itself; without it, the server makes one.
    pub message_id: Option<MessageRef>,
}

/// Said by the application.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSystemEntry {
    #[schema(inline)]
    #[allow(dead_code, reason = "its presence is what the schema checks")]
    pub kind: SystemKind,
    #[schema(min_length = 1, max_length = 65_536, examples("Maintenance at noon"))]
    pub text: String,
    /// Seq of the entry that this answers.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991u64)]
    pub reply_to: Option<u64>,
    /// Makes the request idempotent by itself; without it, the server makes one.
    pub message_id: Option<MessageRef>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Message,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemKind {
    System,
}

/// An entry that is stored.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentEntry {
    pub conversation: ConversationRef,
    pub seq: u64,
    /// How many messages the conversation has up to and including this one.
    pub ordinal: u64,
    pub message_id: MessageRef,
    pub time_ms: u64,
    /// An earlier request stored it.
    pub duplicate: bool,
    pub durability: Durability,
    pub generation: u64,
}

/// A page of the log, in ascending order.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryPage {
    pub entries: Vec<Entry>,
    /// Where to go on in the direction asked: give it as `after` or as `before`; null: nothing more now.
    #[schema(required)]
    pub next: Option<u64>,
}

/// One position of a conversation's log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1, 2, 3, ... without a hole.
    pub seq: u64,
    pub kind: Kind,
    /// Who did it; of what the application did, its own name in the log.
    pub author: String,
    /// Null where the kind has none, and where it is gone (redacted, expired, erased).
    #[schema(required)]
    pub text: Option<String>,
    pub message_id: String,
    /// In ms since 1970; never decreases along seq.
    pub time_ms: u64,
    /// How many messages the conversation has up to and including this entry.
    pub ordinal: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// Kinds `joined`, `left`, `removed`, `role`: about whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Membership>,
    /// Kind `title`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Kind `created`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Created>,
    /// The body is encrypted end to end; the server cannot read it.
    pub encrypted: bool,
}

/// With what a conversation began.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub kind: Option<ConversationKind>,
    pub title: String,
    pub visibility: Option<Visibility>,
    pub members: Vec<Membership>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntryQuery {
    /// Entries with a greater seq, oldest first. The default is 0: from the beginning.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991u64)]
    after: Option<u64>,
    /// The last entries with a smaller seq. Not together with `after`.
    #[param(minimum = 1, maximum = 9_007_199_254_740_991u64)]
    before: Option<u64>,
    /// Entries at most; a page may be shorter and still have a `next`.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Send
///
/// As a user who is a member (`author`), or as the application (`kind: system`). The answer comes when the
/// entry is stored.
#[utoipa::path(post, path = "/v1/conversations/{conversation}/entries", tag = "entries", params(ConversationPath),
    request_body = NewEntry,
    responses(
        (status = 200, description = "An earlier request stored it", body = SentEntry),
        (status = 201, description = "Stored", body = SentEntry),
    ),
)]
pub async fn send_entry(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Extension(once): Extension<Once>,
    Path(path): Path<ConversationPath>,
    Json(new): Json<NewEntry>,
) -> Result<Response, Problem> {
    let item = item_of(new, once, api.deps().config.max_body_bytes)?;
    let message_id = Uuid::from_slice(&item.message_id).unwrap_or(once.message_id);
    let answers = api.gateway.append(&tenant.caller(), &path.conversation.0, "", vec![item]).await?;
    let sent = answers.into_iter().next().ok_or_else(|| Problem::from(Code::NotConfirmed))??;
    let durability = Durability::of(sent.durability()).unwrap_or(Durability::Memory);
    let status = if sent.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let answer = SentEntry {
        conversation: path.conversation,
        seq: sent.seq,
        ordinal: sent.ordinal,
        message_id: MessageRef(message_id.to_string()),
        time_ms: sent.time_ms,
        duplicate: sent.duplicate,
        durability,
        generation: sent.generation,
    };
    Ok((status, axum::Json(answer)).into_response())
}

fn item_of(new: NewEntry, once: Once, max_body_bytes: usize) -> Result<AppendItem, Problem> {
    let (kind, author, text, style, reply_to, message_id) = match new {
        NewEntry::Message(m) => {
            (client::Kind::Message, String::from(&m.author.checked()?), m.text, m.style, m.reply_to, m.message_id)
        }
        NewEntry::System(s) => (client::Kind::System, String::new(), s.text, None, s.reply_to, s.message_id),
    };
    let style = style.map_or(client::Style::Unspecified, client::Style::from).into();
    let body = client::Body { text, style, ..client::Body::default() }.encode_to_vec();
    if body.len() > max_body_bytes {
        return Err(Failure::plain(Code::BodyTooLarge).limit("limits.max_body_bytes").into());
    }
    let own_id = message_id.map(|id| Uuid::try_parse(&id.0)).transpose();
    let own_id = own_id.map_err(|_| Problem::invalid("`message_id` is not a UUID"))?;
    Ok(AppendItem {
        kind: kind.into(),
        author,
        message_id: Bytes::copy_from_slice(own_id.unwrap_or(once.message_id).as_bytes()),
        retry: once.again || own_id.is_some(),
        reply_to: reply_to.unwrap_or(0),
        body: body.into(),
        // What its author had seen is not known here.
        blind: true,
        ..AppendItem::default()
    })
}

/// Read the log
///
/// All of it, whoever may see it: this is the application's own view.
#[utoipa::path(get, path = "/v1/conversations/{conversation}/entries", tag = "entries",
    params(ConversationPath, EntryQuery),
    responses((status = 200, description = "A page of entries", body = EntryPage)),
)]
pub async fn list_entries(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<ConversationPath>,
    Query(query): Query<EntryQuery>,
) -> Result<axum::Json<EntryPage>, Problem> {
    if query.after.is_some() && query.before.is_some() {
        return Err(Problem::invalid("`after` and `before` do not go together"));
    }
    let request = client::History {
        conversation: path.conversation.0,
        after: query.after.or(if query.before.is_none() { Some(0) } else { None }),
        before: query.before,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT).into(),
        ..client::History::default()
    };
    let page = api.gateway.history(&tenant.caller(), request).await?;
    let entries = page.entries.into_iter().map(Entry::of).collect();
    Ok(axum::Json(EntryPage { entries, next: (page.next > 0).then_some(page.next) }))
}

impl Entry {
    fn of(entry: client::Entry) -> Self {
        let kind = Kind::of(entry.kind);
        let body = entry.body;
        let created = body.as_ref().and_then(|body| body.created.as_ref()).map(|created| Created {
            kind: ConversationKind::of(created.kind()),
            title: created.title.clone(),
            visibility: Visibility::of(created.visibility()),
            members: created.members.iter().map(Membership::of).collect(),
        });
        let speaks = matches!(kind, Kind::Message | Kind::System | Kind::Edit | Kind::Unknown);
        Self {
            seq: entry.seq,
            kind,
            author: entry.author,
            text: body.as_ref().filter(|_| speaks).map(|body| body.text.clone()),
            message_id: entry.message_id,
            time_ms: entry.time_ms,
            ordinal: entry.ordinal,
            device: (!entry.device.is_empty()).then_some(DeviceRef(entry.device)),
            style: body.as_ref().and_then(|body| Style::of(body.style())),
            reply_to: (entry.reply_to > 0).then_some(entry.reply_to),
            member: body.as_ref().and_then(|body| body.member.as_ref()).map(Membership::of),
            title: body.as_ref().map(|body| body.title.clone()).filter(|_| kind == Kind::Title),
            created,
            encrypted: entry.encrypted,
        }
    }
}
