//! Revocations: durable first, then told to the gateways.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_bus::subjects::ALL_GATEWAYS;
use posthorn_clock::sleep;
use posthorn_core::{DeviceId, TenantId, UserId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{AuthenticateReply, Cut, Table, publication::What};
use serde::{Deserialize, Serialize};

use crate::{
    error::{bad_id, invalid},
    service::SessionService,
    tokens::MAX_NAME_BYTES,
};

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
    /// Every token of the user, of one device, or the one, issued up to now.
    pub async fn revoke(
        self: &Arc<Self>,
        tenant: &str,
        user: &str,
        device: &str,
        token_id: &str,
    ) -> Result<(), Failure> {
        TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        UserId::new(user).map_err(|error| bad_id(&error))?;
        if !device.is_empty() {
            DeviceId::new(device).map_err(|error| bad_id(&error))?;
        }
        if token_id.len() > MAX_NAME_BYTES {
            return Err(invalid("`token_id` is too long"));
        }
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
            // A token is revoked whatever device it is of.
            device: if token_id.is_empty() { device.to_owned() } else { String::new() },
            code: Code::TokenRevoked.as_str().to_owned(),
            issued_until_ms: until_ms,
            token_id: token_id.to_owned(),
            signed_by: String::new(),
        };
        self.cut(tenant, cut).await;
        Ok(())
    }

    /// Ends the connections whose token was verified by a key that is no more, whatever time they claim to
    /// be of: who held the key could write any.
    pub(crate) async fn cut_signed_by(self: &Arc<Self>, tenant: &str, fingerprint: &str) {
        self.metrics.revocations.inc();
        let (code, signed_by) = (Code::TokenRevoked.as_str().to_owned(), fingerprint.to_owned());
        self.cut(tenant, Cut { code, signed_by, ..Cut::default() }).await;
    }

    async fn cut(self: &Arc<Self>, tenant: &str, cut: Cut) {
        self.publish(ALL_GATEWAYS, tenant, Vec::new(), What::Cut(cut.clone())).await;
        self.cut_again(tenant.to_owned(), cut);
    }

    /// A connection that was authenticated just before the revocation and registered just after the cut
    /// was not there to be cut: by now it is.
    fn cut_again(self: &Arc<Self>, tenant: String, cut: Cut) {
        if self.waiting_cuts.fetch_add(1, Ordering::Relaxed) >= self.config.max_waiting_cuts {
            self.waiting_cuts.fetch_sub(1, Ordering::Relaxed);
            self.metrics.cuts_not_repeated.inc();
            return;
        }
        let (service, stopping) = (Arc::clone(self), self.tasks.stopping());
        self.tasks.background("cut again", async move {
            tokio::select! {
                () = sleep(Duration::from_millis(service.config.cut_again_ms)) => {
                    service.publish(ALL_GATEWAYS, &tenant, Vec::new(), What::Cut(cut)).await;
                }
                () = stopping.cancelled() => {}
            }
            service.waiting_cuts.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// A token that does not say when it was issued counts as issued long ago.
    pub(crate) async fn revoked(&self, who: &AuthenticateReply) -> Result<bool, Failure> {
        let [of_user, of_device, of_token] = keys(&who.user, &who.device, &who.token_id);
        for key in [of_user, of_device] {
            let found: Option<Revoked> = self.records.get(Table::Revocations, &who.tenant, &key).await?;
            if found.is_some_and(|revoked| who.issued_ms <= revoked.until_ms) {
                return Ok(true);
            }
        }
        if who.token_id.is_empty() {
            return Ok(false);
        }
        // Revoked by its id, whatever it says about its time.
        Ok(self.records.get::<Revoked>(Table::Revocations, &who.tenant, &of_token).await?.is_some())
    }
}
