//! `/v1/tokens` and `/v1/revocations`: what clients connect with.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use posthorn_proto::internal::{MintTokenRequest, RevokeRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{
    Api,
    auth::Tenant,
    extract::Json,
    idempotency::Secret,
    problem::Problem,
    types::{DeviceRef, KeyRef, UserRef},
};

const DEFAULT_TTL_S: u64 = 3_600;

/// For whom, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub user: UserRef,
    pub device: DeviceRef,
    /// Until the token expires, in seconds.
    #[schema(minimum = 1, maximum = 2_592_000, default = 3_600)]
    pub ttl_s: Option<u64>,
    /// Which rate limits hold for its connections; without it, those of `default`.
    pub limit_class: Option<KeyRef>,
}

/// A client's token.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// A JWT, for `connect`.
    pub token: String,
    /// When it ends, in ms since 1970.
    pub expires_ms: u64,
}

/// Which tokens end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    pub user: UserRef,
    /// Only those of this device.
    pub device: Option<DeviceRef>,
    /// Only this one: its `jti`.
    pub token_id: Option<KeyRef>,
}

/// Mint a client's token
///
/// Signed with the tenant's own key that the server holds for this. A repeated `Idempotency-Key` mints
/// another one: tokens are not kept.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewToken, responses(
    (status = 200, description = "The token", body = Token),
))]
pub async fn mint_token(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    let request = MintTokenRequest {
        tenant: tenant.name(),
        user: String::from(&new.user.checked()?),
        device: new.device.0,
        ttl_s: new.ttl_s.unwrap_or(DEFAULT_TTL_S),
        limit_class: new.limit_class.map_or_else(String::new, |class| class.0),
    };
    let minted = api.deps().session.clone().mint_token(request).await?.into_inner();
    let token = Token { token: minted.token, expires_ms: minted.expires_ms };
    Ok((Extension(Secret), axum::Json(token)).into_response())
}

/// Revoke tokens
///
/// Every token of the user (or of one device, or the one) that was issued up to now, here or by the
/// application itself. Live connections with such a token end.
#[utoipa::path(post, path = "/v1/revocations", tag = "tokens", request_body = Revocation, responses(
    (status = 204, description = "Revoked"),
))]
pub async fn revoke(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Json(which): Json<Revocation>,
) -> Result<StatusCode, Problem> {
    let request = RevokeRequest {
        tenant: tenant.name(),
        user: String::from(&which.user.checked()?),
        device: which.device.map_or_else(String::new, |device| device.0),
        token_id: which.token_id.map_or_else(String::new, |token| token.0),
    };
    api.deps().session.clone().revoke(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
