//! `/v1/tenants`: what the operator does. No content passes here.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::StatusCode;
use posthorn_errors::Code;
use posthorn_proto::internal::{
    AddSigningKeyRequest, CreateApiKeyRequest, CreateTenantRequest, KeyScope, RemoveSigningKeyRequest,
    RevokeApiKeyRequest,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    Api,
    extract::{Json, Path},
    idempotency::{Once, Secret},
    problem::Problem,
    types::{KeyRef, TenantRef},
};

/// A tenant.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    pub id: TenantRef,
}

/// An API key of a tenant.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    pub id: KeyRef,
    /// The secret, for `Authorization: Bearer`: shown this once, the server keeps a hash of it.
    pub key: String,
}

/// With which the application's backend signs its tokens.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum NewSigningKey {
    Shared(SharedSigningKey),
    Public(PublicSigningKey),
}

/// A secret that both sides know.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedSigningKey {
    /// The `kid` of its tokens.
    pub id: KeyRef,
    #[schema(inline)]
    pub algorithm: SharedAlgorithm,
    /// Base64 (RFC 4648 section 4) of 32 to 512 bytes.
    #[schema(
        pattern = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        min_length = 44,
        max_length = 684
    )]
    pub secret: String,
}

/// The public half of a key pair.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicSigningKey {
    /// The `kid` of its tokens.
    pub id: KeyRef,
    #[schema(inline)]
    pub algorithm: PublicAlgorithm,
    /// PEM (RFC 7468) of a SubjectPublicKeyInfo.
    #[schema(min_length = 64, max_length = 4096)]
    pub public_key: String,
}

/// HMAC (RFC 7518 section 3.2).
#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum SharedAlgorithm {
    HS256,
}

/// RSA, ECDSA P-256 (RFC 7518) and Ed25519 (RFC 8037).
#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum PublicAlgorithm {
    RS256,
    ES256,
    EdDSA,
}

/// A signing key that was added.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    pub id: KeyRef,
    pub algorithm: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TenantPath {
    /// The tenant's id.
    tenant: TenantRef,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct KeyPath {
    /// The tenant's id.
    tenant: TenantRef,
    /// The key's id.
    key: KeyRef,
}

/// Create a tenant
#[utoipa::path(post, path = "/v1/tenants", tag = "operator", request_body = Tenant, responses(
    (status = 200, description = "The tenant was there", body = Tenant),
    (status = 201, description = "Created", body = Tenant),
))]
pub async fn create_tenant(
    State(api): State<Api>,
    Json(new): Json<Tenant>,
) -> Result<(StatusCode, axum::Json<Tenant>), Problem> {
    let request = CreateTenantRequest { tenant: new.id.0.clone() };
    let existed = api.deps().session.clone().create_tenant(request).await?.into_inner().existed;
    Ok((if existed { StatusCode::OK } else { StatusCode::CREATED }, axum::Json(new)))
}

/// Make an API key for a tenant's backend
///
/// With a repeated `Idempotency-Key` the answer is 409: the secret was shown and is not kept. Revoke that
/// key and make another if the first answer was lost.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/keys", tag = "operator", params(TenantPath), responses(
    (status = 201, description = "The key, with its secret", body = ApiKey),
))]
pub async fn create_api_key(
    State(api): State<Api>,
    Path(path): Path<TenantPath>,
    Extension(once): Extension<Once>,
) -> Result<Response, Problem> {
    if once.done {
        return Err(Problem::new(Code::AlreadyExists, "this request made a key, whose secret is shown once"));
    }
    let request = CreateApiKeyRequest { tenant: path.tenant.0, scope: KeyScope::Tenant.into() };
    let made = api.deps().session.clone().create_api_key(request).await?.into_inner();
    let key = ApiKey { id: KeyRef(made.key_id), key: made.key };
    Ok((StatusCode::CREATED, Extension(Secret), axum::Json(key)).into_response())
}

/// Revoke an API key
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/keys/{key}", tag = "operator", params(KeyPath), responses(
    (status = 204, description = "Revoked"),
))]
pub async fn revoke_api_key(State(api): State<Api>, Path(path): Path<KeyPath>) -> Result<StatusCode, Problem> {
    let request = RevokeApiKeyRequest { tenant: path.tenant.0, key_id: path.key.0 };
    api.deps().session.clone().revoke_api_key(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a signing key
///
/// Tokens of this tenant verify with any of its keys, chosen by `kid`. Two can be live at once, so that one
/// can follow the other; one of the same id takes the place of the former, which then counts as removed.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/signing-keys", tag = "operator", params(TenantPath),
    request_body = NewSigningKey,
    responses((status = 201, description = "Added", body = SigningKey)),
)]
pub async fn add_signing_key(
    State(api): State<Api>,
    Path(path): Path<TenantPath>,
    Json(new): Json<NewSigningKey>,
) -> Result<(StatusCode, axum::Json<SigningKey>), Problem> {
    let (id, algorithm, key) = match new {
        NewSigningKey::Shared(SharedSigningKey { id, algorithm: SharedAlgorithm::HS256, secret }) => {
            let secret = STANDARD.decode(secret).map_err(|_| Problem::invalid("`secret` is not canonical base64"))?;
            (id, "HS256", Bytes::from(secret))
        }
        NewSigningKey::Public(PublicSigningKey { id, algorithm, public_key }) => {
            let name = match algorithm {
                PublicAlgorithm::RS256 => "RS256",
                PublicAlgorithm::ES256 => "ES256",
                PublicAlgorithm::EdDSA => "EdDSA",
            };
            (id, name, Bytes::from(public_key))
        }
    };
    let algorithm = algorithm.to_owned();
    let request =
        AddSigningKeyRequest { tenant: path.tenant.0, key_id: id.0.clone(), algorithm: algorithm.clone(), key };
    api.deps().session.clone().add_signing_key(request).await?;
    Ok((StatusCode::CREATED, axum::Json(SigningKey { id, algorithm })))
}

/// Remove a signing key
///
/// Tokens that it signed are good no longer, as if each of them had been revoked: live connections with such
/// a token end with `token_revoked`.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/signing-keys/{key}", tag = "operator", params(KeyPath), responses(
    (status = 204, description = "Removed"),
))]
pub async fn remove_signing_key(State(api): State<Api>, Path(path): Path<KeyPath>) -> Result<StatusCode, Problem> {
    let request = RemoveSigningKeyRequest { tenant: path.tenant.0, key_id: path.key.0 };
    api.deps().session.clone().remove_signing_key(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
