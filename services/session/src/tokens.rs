//! People's tokens: JWTs (RFC 7519) signed by the application's backend, or minted here for it.

use jsonwebtoken::{EncodingKey, Header, dangerous::insecure_decode_claims, decode, decode_header, encode};
use posthorn_core::{DeviceId, TenantId, UserId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{AuthenticateReply, Table};
use serde::{Deserialize, Serialize};

use crate::{
    error::{bad_id, invalid, unauthenticated},
    keys::{MINTED, SigningKey, Verifier},
    service::SessionService,
};

/// Times are NumericDates (RFC 7519 section 2): seconds since 1970, fractions allowed.
#[derive(Serialize, Deserialize)]
struct Claims {
    tenant: String,
    sub: String,
    #[serde(default)]
    device: String,
    /// Required.
    exp: f64,
    #[serde(default)]
    iat: f64,
    #[serde(default)]
    nbf: f64,
    #[serde(default)]
    jti: String,
    /// Limit class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    limit: String,
}

/// Only to choose the key set: believed after the signature.
#[derive(Deserialize)]
struct Unverified {
    tenant: String,
}

/// Longest accepted limit class or token id, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

impl SessionService {
    /// Who a token is of. The tenant claim selects the key set; only a key of that tenant verifies.
    pub async fn authenticate(&self, token: &str, resume: &str) -> Result<AuthenticateReply, Failure> {
        let result = self.verify(token, resume).await;
        self.metrics.authenticated(match &result {
            Ok(_) => "ok",
            Err(failure) => failure.code.as_str(),
        });
        result
    }

    async fn verify(&self, token: &str, resume: &str) -> Result<AuthenticateReply, Failure> {
        if token.is_empty() || token.len() > self.config.max_token_bytes {
            return Err(unauthenticated("a token of at most `session.max_token_bytes` is needed"));
        }
        let bad = |_| unauthenticated("the token is not a signed JWT");
        let header = decode_header(token).map_err(bad)?;
        // RFC 7515 section 4.1.11: extensions that must be understood are not.
        if header.crit.is_some() {
            return Err(unauthenticated("the token's `crit` is not understood"));
        }
        let unverified: Unverified = insecure_decode_claims(token).map_err(bad)?;
        let tenant = TenantId::new(&unverified.tenant).map_err(|_| unauthenticated("the token names no tenant"))?;
        let verifiers = self.verifiers(tenant.as_str()).await?;
        let fits = |v: &&Verifier| v.algorithm == header.alg && header.kid.as_ref().is_none_or(|kid| *kid == v.id);
        let claims = verifiers
            .iter()
            .filter(fits)
            .find_map(|verifier| Some((verifier, decode::<Claims>(token, &verifier.key, &verifier.validation).ok()?)));
        let (verifier, claims) = claims.ok_or_else(|| unauthenticated("no key of the tenant verifies the token"))?;
        self.accept(&claims.claims, &verifier.fingerprint, resume).await
    }

    async fn accept(&self, claims: &Claims, signed_by: &str, resume: &str) -> Result<AuthenticateReply, Failure> {
        let (now, leeway) = (self.clock.now_ms(), self.config.leeway_ms);
        let (expires_ms, issued_ms) = (ms("exp", claims.exp)?, ms("iat", claims.iat)?);
        if expires_ms.saturating_add(leeway) <= now {
            return Err(Code::TokenExpired.into());
        }
        // One from the future would outlive revocations.
        if issued_ms.max(ms("nbf", claims.nbf)?) > now.saturating_add(leeway) {
            return Err(unauthenticated("the token is not valid yet"));
        }
        let bad = |what: &str| unauthenticated(&format!("the token's `{what}` is no valid id"));
        let user = UserId::new(&claims.sub).map_err(|_| bad("sub"))?;
        if user == UserId::system() {
            return Err(bad("sub"));
        }
        let device = if claims.device.is_empty() { "default" } else { &claims.device };
        let device = DeviceId::new(device).map_err(|_| bad("device"))?;
        if claims.limit.len() > MAX_NAME_BYTES || claims.jti.len() > MAX_NAME_BYTES {
            return Err(unauthenticated("a claim of the token is too long"));
        }
        let reply = AuthenticateReply {
            tenant: claims.tenant.clone(),
            user: (&user).into(),
            device: (&device).into(),
            expires_ms,
            limit_class: claims.limit.clone(),
            token_id: claims.jti.clone(),
            issued_ms,
            session: String::new(),
            signed_by: signed_by.to_owned(),
        };
        if self.revoked(&reply).await? {
            return Err(Code::TokenRevoked.into());
        }
        let session = self.resumed(resume, &reply);
        Ok(AuthenticateReply { session, ..reply })
    }

    /// A token of a user of the tenant, signed with the tenant's own key: (token, expiry in ms).
    pub async fn mint(
        &self,
        tenant: &str,
        user: &str,
        device: &str,
        ttl_s: u64,
        limit_class: &str,
    ) -> Result<(String, u64), Failure> {
        let tenant = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        let user = UserId::new(user).map_err(|error| bad_id(&error))?;
        if user == UserId::system() {
            return Err(invalid("`user`: `system` is the application itself"));
        }
        let device = if device.is_empty() { "default" } else { device };
        let device = DeviceId::new(device).map_err(|error| bad_id(&error))?;
        if !(1..=self.config.max_token_ttl_s).contains(&ttl_s) || limit_class.len() > MAX_NAME_BYTES {
            return Err(invalid("`ttl_s` must be 1 to `session.max_token_ttl_s`"));
        }
        let key: SigningKey = self
            .records
            .get(Table::SigningKeys, tenant.as_str(), MINTED)
            .await?
            .ok_or_else(|| Failure::new(Code::NotFound, "no such tenant"))?;
        let secret = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &key.key)
            .map_err(|_| Failure::new(Code::DataLoss, "a signing key"))?;
        let issued_ms = self.clock.now_ms();
        let expires_ms = issued_ms.saturating_add(ttl_s.saturating_mul(1_000));
        let claims = Claims {
            tenant: (&tenant).into(),
            sub: (&user).into(),
            device: (&device).into(),
            exp: seconds(expires_ms),
            iat: seconds(issued_ms),
            nbf: 0.0,
            jti: self.clock.uuid_v4().simple().to_string(),
            limit: limit_class.to_owned(),
        };
        let header = Header { kid: Some(MINTED.to_owned()), ..Header::default() };
        let token = encode(&header, &claims, &EncodingKey::from_secret(&secret));
        let token = token.map_err(|_| Failure::new(Code::Internal, "the token could not be signed"))?;
        Ok((token, expires_ms))
    }
}

/// Up to the year 5138, where a double still holds every millisecond.
fn ms(claim: &str, seconds: f64) -> Result<u64, Failure> {
    if !(0.0..100_000_000_000.0).contains(&seconds) {
        return Err(unauthenticated(&format!("the token's `{claim}` is no time")));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range just checked")]
    Ok((seconds * 1_000.0).round() as u64)
}

#[allow(clippy::cast_precision_loss, reason = "clocks stay below 2^53 ms")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
