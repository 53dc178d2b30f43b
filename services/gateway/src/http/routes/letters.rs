//! `/v1/operator/letters`: entries that a consumer group of the feed gave up. Which, and why: no content passes
//! here.

use axum::extract::State;
use http::StatusCode;
use posthorn_proto::internal::{LetterRequest, ListLettersRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    Api,
    extract::{Path, Query},
    problem::Problem,
    types::{ConsumerRef, ConversationRef, TenantRef},
};

const DEFAULT_LIMIT: u32 = 100;

/// A page of a group's dead letters, in no order.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterPage {
    pub letters: Vec<Letter>,
    /// Give it as `after` to go on; null at the end.
    #[schema(required)]
    pub next: Option<String>,
}

/// An entry that a group gave up.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    pub tenant: TenantRef,
    pub conversation: ConversationRef,
    /// Of the store, in which the seq counts.
    pub generation: u64,
    pub seq: u64,
    /// Why it was given up.
    pub why: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, in ms since 1970.
    pub parked_ms: u64,
}

/// What became of a letter that was tried again.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetriedLetter {
    /// The letter is gone.
    pub done: bool,
    /// Why it is not; null where it is.
    #[schema(required)]
    pub why: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ConsumerPath {
    /// The group.
    group: ConsumerRef,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LetterPath {
    /// The group.
    group: ConsumerRef,
    /// The entry's tenant.
    tenant: TenantRef,
    /// Its conversation.
    conversation: ConversationRef,
    /// Its generation.
    generation: u64,
    /// Its seq.
    seq: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LetterQuery {
    /// `next` of the page before.
    #[param(min_length = 1, max_length = 512)]
    after: Option<String>,
    /// Letters at most.
    #[param(minimum = 1, maximum = 200, default = 100)]
    limit: Option<u32>,
}

impl LetterPath {
    fn request(self) -> LetterRequest {
        LetterRequest {
            group: self.group.0,
            tenant: self.tenant.0,
            conversation: self.conversation.0,
            generation: self.generation,
            seq: self.seq,
        }
    }
}

/// List the dead letters of a consumer group
///
/// Entries that the group could not handle, after its attempts: of the group `push`, notifications that the
/// provider did not take.
#[utoipa::path(get, path = "/v1/operator/letters/{group}", tag = "operator", params(ConsumerPath, LetterQuery),
    responses((status = 200, description = "A page of letters", body = LetterPage)),
)]
pub async fn list_letters(
    State(api): State<Api>,
    Path(path): Path<ConsumerPath>,
    Query(query): Query<LetterQuery>,
) -> Result<axum::Json<LetterPage>, Problem> {
    let (group, after) = (path.group.0, query.after.unwrap_or_default());
    let request = ListLettersRequest { group, after, limit: query.limit.unwrap_or(DEFAULT_LIMIT) };
    let page = api.deps().push.clone().list_letters(request).await?.into_inner();
    let letters = page.letters.into_iter().map(|letter| Letter {
        tenant: TenantRef(letter.tenant),
        conversation: ConversationRef(letter.conversation),
        generation: letter.generation,
        seq: letter.seq,
        why: letter.why,
        attempts: letter.attempts,
        parked_ms: letter.parked_ms,
    });
    let next = (!page.next.is_empty()).then_some(page.next);
    Ok(axum::Json(LetterPage { letters: letters.collect(), next }))
}

/// Try a dead letter again
///
/// Now, once, for whom it was not done. The letter is gone if that goes well, and stays with the new reason if not.
#[utoipa::path(post, path = "/v1/operator/letters/{group}/{tenant}/{conversation}/{generation}/{seq}/retry",
    tag = "operator", params(LetterPath),
    responses((status = 200, description = "What became of it", body = RetriedLetter)),
)]
pub async fn retry_letter(
    State(api): State<Api>,
    Path(path): Path<LetterPath>,
) -> Result<axum::Json<RetriedLetter>, Problem> {
    let tried = api.deps().push.clone().retry_letter(path.request()).await?.into_inner();
    Ok(axum::Json(RetriedLetter { done: tried.done, why: (!tried.done).then_some(tried.why) }))
}

/// Discard a dead letter
#[utoipa::path(delete, path = "/v1/operator/letters/{group}/{tenant}/{conversation}/{generation}/{seq}",
    tag = "operator", params(LetterPath), responses((status = 204, description = "Gone")),
)]
pub async fn discard_letter(State(api): State<Api>, Path(path): Path<LetterPath>) -> Result<StatusCode, Problem> {
    api.deps().push.clone().discard_letter(path.request()).await?;
    Ok(StatusCode::NO_CONTENT)
}
