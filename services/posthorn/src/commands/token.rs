//! `posthorn token`: signs a client's token as an application's backend would.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use posthorn_clock::Clock;
use posthorn_core::{DeviceId, TenantId, UserId};
use serde_json::json;

use crate::dev::keys::{Keys, SigningKey};

#[derive(Args)]
pub struct TokenArgs {
    /// Whose token it is
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// The user's tenant
    #[arg(long, value_name = "ID", default_value = "demo")]
    tenant: TenantId,
    /// Bind the token to one device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// For how many seconds it is good
    #[arg(long, value_name = "S", default_value_t = 86_400)]
    ttl_s: u64,
    /// Limit class (`edge.classes`)
    #[arg(long, value_name = "NAME")]
    limit_class: Option<String>,
    /// Where the tenant's signing key is kept, in keys/TENANT.signing.json
    #[arg(long, value_name = "DIR", default_value = "posthorn-data")]
    data_dir: PathBuf,
}

pub fn run(args: &TokenArgs) -> Result<()> {
    let file = Keys::of(&args.data_dir).signing_file(args.tenant.as_str());
    let Some(text) = Keys::read(&file)? else {
        bail!(
            "no signing key of tenant `{}` in {}: `posthorn dev` makes one for tenant `demo`",
            args.tenant,
            file.display()
        );
    };
    let key: SigningKey =
        serde_json::from_str(&text).with_context(|| format!("{} is no signing key", file.display()))?;
    let token = sign(&key, args, Clock::system().now_ms() / 1_000, &Clock::system().uuid_v7().to_string())?;
    super::print(&format!("{token}\n"))
}

fn sign(key: &SigningKey, args: &TokenArgs, now_s: u64, id: &str) -> Result<String> {
    let (algorithm, secret) = match key.algorithm.as_str() {
        "HS256" => {
            let secret = URL_SAFE_NO_PAD.decode(&key.secret).context("the signing key is no base64url")?;
            (Algorithm::HS256, EncodingKey::from_secret(&secret))
        }
        "RS256" => (Algorithm::RS256, EncodingKey::from_rsa_pem(key.secret.as_bytes())?),
        "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(key.secret.as_bytes())?),
        "EdDSA" => (Algorithm::EdDSA, EncodingKey::from_ed_pem(key.secret.as_bytes())?),
        other => bail!("the signing key's algorithm `{other}` is none of HS256, RS256, ES256, EdDSA"),
    };
    let mut claims = json!({
        "tenant": key.tenant,
        "sub": args.user.as_str(),
        "iat": now_s,
        "exp": now_s.saturating_add(args.ttl_s),
        "jti": id,
    });
    if let Some(device) = &args.device {
        claims["device"] = device.as_str().into();
    }
    if let Some(class) = &args.limit_class {
        claims["limit"] = class.as_str().into();
    }
    let header = Header { kid: Some(key.key_id.clone()), ..Header::new(algorithm) };
    encode(&header, &claims, &secret).context("the signing key does not sign")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_asked_and_verifies() {
        let secret = [7; 32];
        let key = SigningKey {
            tenant: "demo".into(),
            key_id: "dev".into(),
            algorithm: "HS256".into(),
            secret: URL_SAFE_NO_PAD.encode(secret),
        };
        let args = TokenArgs {
            user: UserId::new("alice").unwrap(),
            tenant: TenantId::new("demo").unwrap(),
            device: Some(DeviceId::new("phone").unwrap()),
            ttl_s: 60,
            limit_class: None,
            data_dir: PathBuf::new(),
        };
        let token = sign(&key, &args, 4_000_000_000, "id").unwrap();
        let decoding = jsonwebtoken::DecodingKey::from_secret(&secret);
        let validation = jsonwebtoken::Validation::new(Algorithm::HS256);
        let data = jsonwebtoken::decode::<serde_json::Value>(&token, &decoding, &validation).unwrap();
        let wanted = json!({
            "tenant": "demo", "sub": "alice", "device": "phone", "iat": 4_000_000_000_u64, "exp": 4_000_000_060_u64, "jti": "id",
        });
        assert_eq!(data.claims, wanted);
        assert_eq!(data.header.kid.as_deref(), Some("dev"));
    }
}
