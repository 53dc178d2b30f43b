//! Tenants and their keys. Signing keys verify people's tokens; API keys identify backends and
//! operators. Of an API key only its hash is kept.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc, time::Duration};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest, hmac,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::RwLock;
use posthorn_clock::Instant;
use posthorn_core::TenantId;
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{KeyScope, Table};
use serde::{Deserialize, Serialize};

use crate::{
    error::{bad_id, invalid, unauthenticated},
    service::SessionService,
};

/// The key with which a tenant's tokens are minted here.
pub const MINTED: &str = "minted";
/// Tenant of the operator's keys: no tenant id has this form.
const OPERATOR: &str = "~";
/// HS256 secrets: at least as long as the hash (RFC 7518 section 3.2).
const SECRET_BYTES: RangeInclusive<usize> = 32..=512;
const MAX_PEM_BYTES: usize = 8 * 1024;
const MAX_KEY_ID: usize = 64;

#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKey {
    pub algorithm: String,
    /// Base64: the secret (HS256), else a PEM public key.
    pub key: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// Base64 of SHA-256 of the secret.
    hash: String,
    operator: bool,
}

#[derive(Serialize, Deserialize)]
struct Tenant {
    created_ms: u64,
}

/// A signing key that is ready for use.
pub struct Verifier {
    pub id: String,
    pub algorithm: Algorithm,
    /// Of this very key: another one under its id has another.
    pub fingerprint: String,
    pub key: DecodingKey,
    /// Of this key's algorithm alone, and of nothing but the signature: times are checked against the
    /// service's own clock.
    pub validation: Validation,
}

/// Keys by tenant, kept for a short while: another instance may have removed one.
#[derive(Default)]
pub struct Keys {
    cached: RwLock<Cached>,
}

#[derive(Default)]
struct Cached {
    verifiers: HashMap<String, (Instant, Arc<Vec<Verifier>>)>,
    /// Changes with every change of keys: what was read before is not kept after it.
    version: u64,
}

impl Keys {
    fn changed(&self, tenant: &str) {
        let mut cached = self.cached.write();
        cached.version += 1;
        cached.verifiers.remove(tenant);
    }
}

/// A PEM (RFC 7468) public key that can verify signatures of the algorithm.
fn public_key(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, Failure> {
    let bad = || invalid("`key` is not a PEM public key of this algorithm");
    let text = std::str::from_utf8(pem).map_err(|_| bad())?;
    if text.len() > MAX_PEM_BYTES || !text.contains("PUBLIC KEY-----") {
        return Err(bad());
    }
    let key = match algorithm {
        Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
        _ => DecodingKey::from_ed_pem(pem),
    };
    let key = key.map_err(|_| bad())?;
    let bytes = key.try_get_as_bytes().map_err(|_| bad())?;
    let parsed = match algorithm {
        Algorithm::RS256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes),
        Algorithm::ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
        _ => ParsedPublicKey::new(&ED25519, bytes),
    };
    parsed.map_err(|_| bad())?;
    Ok(key)
}

fn is_key_id(id: &str) -> bool {
    let clean = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    clean && (1..=MAX_KEY_ID).contains(&id.len()) && id != MINTED
}

impl Verifier {
    /// The algorithm is bound to the key: a token's header never chooses it.
    fn new(id: &str, key: &SigningKey, fingerprint: String) -> Result<Self, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(&key.key).map_err(|_| Failure::new(Code::DataLoss, "a signing key"))?;
        let (algorithm, decoding) = match key.algorithm.as_str() {
            "HS256" if SECRET_BYTES.contains(&bytes.len()) => (Algorithm::HS256, DecodingKey::from_secret(&bytes)),
            "HS256" => return Err(invalid("`key` must have 32 to 512 bytes for HS256")),
            "RS256" => (Algorithm::RS256, public_key(Algorithm::RS256, &bytes)?),
            "ES256" => (Algorithm::ES256, public_key(Algorithm::ES256, &bytes)?),
            "EdDSA" => (Algorithm::EdDSA, public_key(Algorithm::EdDSA, &bytes)?),
            _ => return Err(invalid("`algorithm` must be HS256, RS256, ES256 or EdDSA")),
        };
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Ok(Self { id: id.to_owned(), algorithm, fingerprint, key: decoding, validation })
    }
}

impl SessionService {
    /// Creates the tenant with a key to mint tokens with. True if it was there.
    pub async fn create_tenant(&self, tenant: &str) -> Result<bool, Failure> {
        let tenant = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        let secret = self.secret();
        let minted = SigningKey { algorithm: "HS256".into(), key: URL_SAFE_NO_PAD.encode(secret) };
        self.records.put_if_absent(Table::SigningKeys, tenant.as_str(), MINTED, &minted).await?;
        let record = Tenant { created_ms: self.clock.now_ms() };
        let existed = self.records.put_if_absent(Table::Tenants, tenant.as_str(), "tenant", &record).await?;
        self.keys.changed(tenant.as_str());
        Ok(existed.is_some())
    }

    async fn known_tenant(&self, tenant: &str) -> Result<TenantId, Failure> {
        let id = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        let found: Option<Tenant> = self.records.get(Table::Tenants, tenant, "tenant").await?;
        found.map(|_| id).ok_or_else(|| Failure::new(Code::NotFound, "no such tenant"))
    }

    /// Adds a key, or puts it in the place of the one that has its id, which then counts as removed.
    pub async fn add_signing_key(
        self: &Arc<Self>,
        tenant: &str,
        id: &str,
        algorithm: &str,
        key: &[u8],
    ) -> Result<(), Failure> {
        let tenant = self.known_tenant(tenant).await?;
        if !is_key_id(id) {
            return Err(invalid("`key_id` must be 1 to 64 characters of A-Z a-z 0-9 . _ -, and not `minted`"));
        }
        let record = SigningKey { algorithm: algorithm.to_owned(), key: URL_SAFE_NO_PAD.encode(key) };
        let fresh = Verifier::new(id, &record, self.fingerprint(tenant.as_str(), id, &record)?)?;
        let there = self.read_verifiers(tenant.as_str()).await?;
        let former = there.iter().find(|verifier| verifier.id == id);
        let own = there.iter().filter(|verifier| verifier.id != MINTED).count();
        if own >= self.config.max_signing_keys && former.is_none() {
            return Err(invalid("the tenant has as many signing keys as it may").limit("session.max_signing_keys"));
        }
        self.records.put(Table::SigningKeys, tenant.as_str(), id, &record).await?;
        self.keys.changed(tenant.as_str());
        if let Some(former) = former.filter(|former| former.fingerprint != fresh.fingerprint) {
            self.cut_signed_by(tenant.as_str(), &former.fingerprint).await;
        }
        Ok(())
    }

    /// From now on the key verifies nothing, and what it had verified is treated like a revoked token:
    /// live connections end with `token_revoked`. Durable before they are told.
    pub async fn remove_signing_key(self: &Arc<Self>, tenant: &str, id: &str) -> Result<(), Failure> {
        let tenant = self.known_tenant(tenant).await?;
        if !is_key_id(id) {
            return Err(invalid("`key_id` names no key that can be removed"));
        }
        let there = self.read_verifiers(tenant.as_str()).await?;
        let key = there.iter().find(|verifier| verifier.id == id);
        let key = key.ok_or_else(|| Failure::new(Code::NotFound, "no such signing key"))?;
        self.records.delete(Table::SigningKeys, tenant.as_str(), id).await?;
        self.keys.changed(tenant.as_str());
        self.cut_signed_by(tenant.as_str(), &key.fingerprint).await;
        Ok(())
    }

    /// Names this key and no other, to gateways; tells nothing of it to who does not hold the server's own key.
    fn fingerprint(&self, tenant: &str, id: &str, key: &SigningKey) -> Result<String, Failure> {
        let own = self.resume_key.get().ok_or_else(|| Failure::new(Code::Unavailable, "not loaded yet"))?;
        let text = format!("posthorn signing key 1\n{tenant}\n{id}\n{}\n{}", key.algorithm, key.key);
        Ok(URL_SAFE_NO_PAD.encode(hmac::sign(own, text.as_bytes())))
    }

    async fn read_verifiers(&self, tenant: &str) -> Result<Vec<Verifier>, Failure> {
        let records: Vec<(String, SigningKey)> = self.records.of_tenant(Table::SigningKeys, tenant).await?;
        let verifier = |(id, key): &(String, SigningKey)| Verifier::new(id, key, self.fingerprint(tenant, id, key)?);
        records.iter().map(verifier).collect()
    }

    /// The tenant's keys; none for a tenant that does not exist.
    pub(crate) async fn verifiers(&self, tenant: &str) -> Result<Arc<Vec<Verifier>>, Failure> {
        let version = {
            let cached = self.keys.cached.read();
            let fresh = Duration::from_millis(self.config.signing_keys_fresh_ms);
            if let Some((read_at, known)) = cached.verifiers.get(tenant)
                && read_at.elapsed() < fresh
            {
                return Ok(Arc::clone(known));
            }
            cached.version
        };
        let read_at = Instant::now();
        let verifiers = Arc::new(self.read_verifiers(tenant).await?);
        // Names of tenants that do not exist come from outside: nothing is kept for them.
        let mut cached = self.keys.cached.write();
        if !verifiers.is_empty() && cached.version == version {
            cached.verifiers.insert(tenant.to_owned(), (read_at, Arc::clone(&verifiers)));
        }
        Ok(verifiers)
    }

    /// `ph_{tenant}.{id}.{secret}`, told once; an operator key has `~` for its tenant.
    pub async fn create_api_key(&self, tenant: &str, scope: KeyScope) -> Result<(String, String), Failure> {
        let operator = match scope {
            KeyScope::Operator => true,
            KeyScope::Tenant => false,
            KeyScope::Unspecified => return Err(invalid("`scope` is missing")),
        };
        let owner = if operator { OPERATOR.to_owned() } else { (&self.known_tenant(tenant).await?).into() };
        if self.records.of_tenant::<ApiKey>(Table::ApiKeys, &owner).await?.len() >= self.config.max_api_keys {
            return Err(invalid("there are as many API keys as there may be").limit("session.max_api_keys"));
        }
        let id = self.clock.uuid_v4().simple().to_string();
        let secret = URL_SAFE_NO_PAD.encode(self.secret());
        let record = ApiKey { hash: hash_of(&secret), operator };
        self.records.put(Table::ApiKeys, &owner, &id, &record).await?;
        Ok((format!("ph_{owner}.{id}.{secret}"), id))
    }

    pub async fn revoke_api_key(&self, tenant: &str, id: &str) -> Result<(), Failure> {
        let owner = if tenant.is_empty() { OPERATOR } else { tenant };
        self.records.delete(Table::ApiKeys, owner, id).await
    }

    /// (scope, tenant, key id)
    pub async fn authenticate_key(&self, key: &str) -> Result<(KeyScope, String, String), Failure> {
        let bad = || unauthenticated("the key is not valid");
        if key.len() > self.config.max_token_bytes {
            return Err(bad());
        }
        // From the right: a tenant's slug may have dots, id and secret have none.
        let mut parts = key.strip_prefix("ph_").ok_or_else(bad)?.rsplitn(3, '.');
        let (Some(secret), Some(id), Some(owner)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let found: Option<ApiKey> = self.records.get(Table::ApiKeys, owner, id).await?;
        let record = found.ok_or_else(bad)?;
        verify_slices_are_equal(record.hash.as_bytes(), hash_of(secret).as_bytes()).map_err(|_| bad())?;
        let scope = if record.operator { KeyScope::Operator } else { KeyScope::Tenant };
        Ok((scope, if record.operator { String::new() } else { owner.to_owned() }, id.to_owned()))
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.clock.fill(&mut secret);
        secret
    }
}

fn hash_of(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.as_bytes()))
}
