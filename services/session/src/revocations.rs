//! Revocations: durable first, then told to the gateways.

use bytes::Bytes;
use posthorn_core::{TenantId, UserId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{AuthenticateReply, Cut, Publication, Table, publication::What};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::{error::bad_id, service::SessionService};

/// Every token of the subject issued at or before this moment.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Revoked {
    until_ms: u64,
}

/// A user's, one device's, or one token's.
fn keys(user: &str, device: &str, token_id: &str) -> [String; 3] {
    [format!("u/{user}"), format!("d/{user}/{device}"), format!("t/{user}/{token_id}")]
}

impl SessionService {
    pub async fn revoke(&self, tenant: &str, user: &str, device: &str, token_id: &str) -> Result<(), Failure> {
        TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        UserId::new(user).map_err(|error| bad_id(&error))?;
        let [of_user, of_device, of_token] = keys(user, device, token_id);
        let key = match (device.is_empty(), token_id.is_empty()) {
            (_, false) => of_token,
            (false, true) => of_device,
            (true, true) => of_user,
        };
        let until_ms = self.clock.now_ms();
        self.records.put(Table::Revocations, tenant, &key, &Revoked { until_ms }).await?;
        self.metrics.revocations.inc();
        let cut = Cut {
            user: user.to_owned(),
            device: device.to_owned(),
            code: Code::TokenRevoked.as_str().to_owned(),
            issued_until_ms: until_ms,
            token_id: token_id.to_owned(),
        };
        self.publish("gateways", tenant, Vec::new(), What::Cut(cut)).await;
        Ok(())
    }

    /// A token that does not say when it was issued counts as issued long ago.
    pub(crate) async fn revoked(&self, who: &AuthenticateReply) -> Result<bool, Failure> {
        let [of_user, of_device, of_token] = keys(&who.user, &who.device, &who.token_id);
        let tokens = (!who.token_id.is_empty()).then_some(of_token);
        for key in [of_user, of_device].into_iter().chain(tokens) {
            let found: Option<Revoked> = self.records.get(Table::Revocations, &who.tenant, &key).await?;
            // Issue times are whole seconds: one of the same second as the revocation is revoked.
            if found.is_some_and(|revoked| who.issued_ms <= revoked.until_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Numbered per subject; what is lost shows as a hole.
    pub(crate) async fn publish(&self, subject: &str, tenant: &str, connections: Vec<u64>, what: What) {
        // Held over the publication: the order on the bus is that of the numbers.
        let mut numbers = self.numbers.lock().await;
        let number = numbers.entry(subject.to_owned()).or_insert(0);
        *number += 1;
        let publication = Publication {
            publisher: self.instance.clone(),
            number: *number,
            tenant: tenant.to_owned(),
            connections,
            traceparent: String::new(),
            what: Some(what),
        };
        if let Err(error) = self.bus.publish(subject, Bytes::from(publication.encode_to_vec())).await {
            tracing::warn!(%error, subject, "publication failed");
        }
    }
}
