//! Resume tokens: what lets a device keep its session on another gateway. Signed (HMAC-SHA256), so
//! that they are verified without a lookup; worthless without a valid token of the same device.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthorn_errors::Failure;
use posthorn_proto::internal::{AuthenticateReply, Table};

use crate::{records::Records, service::SessionService};

/// Reads the key, or makes it at the first start.
pub async fn load_key(records: &Records, fresh: [u8; 32]) -> Result<hmac::Key, Failure> {
    let fresh = URL_SAFE_NO_PAD.encode(fresh);
    let kept = records.put_if_absent(Table::SigningKeys, "~", "resume", &fresh).await?;
    let text: String = kept.unwrap_or(fresh);
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

impl SessionService {
    /// `base64(session \n expiry \n tag)`; the tag covers tenant, user and device, too.
    pub(crate) fn resume_token(&self, tenant: &str, user: &str, device: &str, session: &str) -> String {
        let expires = self.clock.now_ms() + self.config.resume_ttl_ms;
        let tag = self.resume_tag(tenant, user, device, session, expires);
        URL_SAFE_NO_PAD.encode(format!("{session}\n{expires}\n{}", URL_SAFE_NO_PAD.encode(tag)))
    }

    /// The session that the token resumes for this user and device; empty if it is none of ours.
    pub(crate) fn resumed(&self, token: &str, who: &AuthenticateReply) -> String {
        let found = || -> Option<String> {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            let mut parts = text.splitn(3, '\n');
            let (session, expires, tag) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
            let message = message(&who.tenant, &who.user, &who.device, session, expires);
            let key = self.resume_key.get()?;
            hmac::verify(key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
            (expires > self.clock.now_ms()).then(|| session.to_owned())
        };
        if token.is_empty() || token.len() > self.config.max_token_bytes {
            String::new()
        } else {
            found().unwrap_or_default()
        }
    }

    fn resume_tag(&self, tenant: &str, user: &str, device: &str, session: &str, expires: u64) -> Vec<u8> {
        let message = message(tenant, user, device, session, expires);
        self.resume_key.get().map(|key| hmac::sign(key, message.as_bytes()).as_ref().to_vec()).unwrap_or_default()
    }
}

/// None of the parts has a line break.
fn message(tenant: &str, user: &str, device: &str, session: &str, expires: u64) -> String {
    format!("posthorn resume 1\n{tenant}\n{user}\n{device}\n{session}\n{expires}")
}
