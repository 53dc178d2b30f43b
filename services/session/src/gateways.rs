//! Gateways as a whole: their leases, what they register again, and the sweep of those that are gone.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use posthorn_clock::sleep;
use posthorn_core::Held;
use posthorn_errors::Failure;
use posthorn_presence::{ConnectionRef, Gone};
use posthorn_proto::internal::{
    LeaseReply, LeaseRequest, LeaseState, PruneRequest, RegisterAgainRequest, Registration,
};

use crate::{
    connections::presence,
    error::invalid,
    service::{SessionService, key_of},
};

/// Connections in one request, and those of it that are registered at the same time.
const MAX_REGISTER: usize = 1_000;
const REGISTER_IN_FLIGHT: usize = 32;

impl SessionService {
    pub async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply, Failure> {
        let held = Held { count: request.count, hash: request.hash };
        let lease = if request.renew_only {
            self.presence.renew(&request.gateway, held).await
        } else {
            self.presence.lease(&request.gateway, held).await
        };
        let lease = lease.map_err(presence)?;
        let state = match lease.state {
            posthorn_presence::LeaseState::Kept => LeaseState::Kept,
            posthorn_presence::LeaseState::Differs => LeaseState::Differs,
            posthorn_presence::LeaseState::Lost => LeaseState::Lost,
        };
        if state != LeaseState::Kept {
            self.metrics.lease(state);
        }
        Ok(LeaseReply { state: state.into(), ttl_ms: lease.ttl_ms })
    }

    /// Those that are registered stay as they are.
    pub async fn register_again(self: &Arc<Self>, request: RegisterAgainRequest) -> Result<(), Failure> {
        if request.connections.len() > MAX_REGISTER {
            return Err(invalid(format!("`connections` names more than {MAX_REGISTER}")));
        }
        let gateway = &request.gateway;
        let all = stream::iter(request.connections).map(|one| self.register_one(gateway, one));
        all.buffer_unordered(REGISTER_IN_FLIGHT).try_collect().await
    }

    async fn register_one(self: &Arc<Self>, gateway: &str, one: Registration) -> Result<(), Failure> {
        let user = key_of(&one.tenant, &one.user)?;
        let at = ConnectionRef { gateway: gateway.to_owned(), connection: one.connection };
        let first = self.presence.register(&user, &one.device, &at).await.map_err(presence)?;
        self.arrived(user, first);
        Ok(())
    }

    pub async fn prune(self: &Arc<Self>, request: PruneRequest) -> Result<(), Failure> {
        let gone = self.presence.prune(&request.gateway, &request.kept, request.upto).await.map_err(presence)?;
        for Gone { user, noted } in gone {
            self.leave(user, noted);
        }
        Ok(())
    }

    /// A gateway that is gone: its users leave.
    async fn drop_gateway(self: &Arc<Self>, gateway: &str) -> Result<(), Failure> {
        let gone = self.presence.drop_gateway(gateway).await.map_err(presence)?;
        tracing::info!(gateway, users = gone.len(), "a gateway is gone");
        self.metrics.gateways_dropped.inc();
        for Gone { user, noted } in gone {
            self.leave(user, noted);
        }
        Ok(())
    }

    /// Those whose lease had ended in two rounds in a row: when the engine was away all leases end, and the
    /// living renew theirs first. Lookups leave a gateway without a lease out in any case.
    async fn sweep_once(self: &Arc<Self>, suspects: BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
        let mut lapsed: BTreeSet<String> = self.presence.lapsed().await.map_err(presence)?.into_iter().collect();
        let gone: Vec<String> = lapsed.intersection(&suspects).cloned().collect();
        for gateway in gone {
            self.drop_gateway(&gateway).await?;
            lapsed.remove(&gateway);
        }
        Ok(lapsed)
    }
}

/// For as long as the node runs. Instances sweep at different moments; of several one gets each user.
pub(crate) async fn sweep(service: Arc<SessionService>) {
    let stopping = service.tasks.stopping();
    let mut suspects = BTreeSet::new();
    loop {
        // Half more or less.
        let mean = service.config.sweep_ms;
        let wait = mean / 2 + service.clock.below(mean + 1);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            () = sleep(Duration::from_millis(wait)) => {}
        }
        suspects = match service.sweep_once(std::mem::take(&mut suspects)).await {
            Ok(suspects) => suspects,
            Err(failure) => {
                // Told by the engine's own metrics already.
                tracing::debug!(%failure, "gateways that are gone are not known");
                BTreeSet::new()
            }
        };
    }
}
