//! The sign of life of this incarnation: a lease for all its connections together, renewed every third of
//! its life. What the presence engine lost meanwhile is registered again, and since events may have been
//! missed, the connections read from the log.

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Instant, sleep};
use posthorn_core::Held;
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{LeaseRequest, LeaseState, PruneRequest, RegisterAgainRequest, Registration};

use crate::{Gateway, live::Connection};

/// Between two renewals, however short a lease lives, ms.
const MIN_WAIT_MS: u64 = 50;
/// After a renewal that failed, ms.
const RETRY_MS: u64 = 500;
/// Connections in one request.
const PER_REQUEST: usize = 1_000;
/// Renewals in a row that find a difference while connections come and go, before it is taken for a loss.
const MAX_DOUBTS: u32 = 10;

#[derive(Default)]
struct Renewals {
    doubts: u32,
    /// Registering again was begun and not finished.
    owed: bool,
    /// The newest number at the last renewal: those up to it are in the registry by now, or ended.
    upto: u64,
}

/// For as long as the node runs.
pub(crate) async fn hold(gateway: Arc<Gateway>) {
    let stopping = gateway.deps.tasks.stopping();
    let mut renewals = Renewals::default();
    loop {
        let renewed = tokio::select! {
            biased;
            renewed = renewals.renew(&gateway) => renewed,
            () = stopping.cancelled() => return,
        };
        gateway.leased(renewed.is_ok());
        let wait = match renewed {
            // A third, and up to a tenth less, so that gateways that began together do not go on so.
            Ok(ttl_ms) => (ttl_ms / 3 - gateway.clock().below(ttl_ms / 30 + 1)).max(MIN_WAIT_MS),
            Err(failure) => {
                tracing::debug!(%failure, "the lease was not renewed");
                RETRY_MS
            }
        };
        tokio::select! {
            biased;
            () = sleep(Duration::from_millis(wait)) => {}
            () = stopping.cancelled() => return,
        }
    }
}

impl Renewals {
    /// How long the lease lives, ms.
    async fn renew(&mut self, gateway: &Arc<Gateway>) -> Result<u64, Failure> {
        let upto = std::mem::replace(&mut self.upto, gateway.registry.newest_id());
        let quiet = gateway.registry.quiet();
        let held = gateway.registry.held();
        let asked = Instant::now();
        let lease = gateway.lease_session(lease_of(gateway, held, true)).await?;
        // Connections that came or went meanwhile are a difference that is none.
        let certain = quiet.is_some() && gateway.registry.quiet() == quiet;
        let lost = match lease.state() {
            LeaseState::Lost => true,
            LeaseState::Differs if certain => true,
            LeaseState::Differs => {
                self.doubts += 1;
                self.doubts > MAX_DOUBTS
            }
            LeaseState::Kept | LeaseState::Unspecified => {
                self.doubts = 0;
                false
            }
        };
        if lost || self.owed {
            (self.owed, self.doubts) = (true, 0);
            gateway.leased_until(None);
            let ends = register_again(gateway, upto).await?;
            gateway.leased_until(Some(ends));
            self.owed = false;
        } else if lease.state() == LeaseState::Kept {
            gateway.leased_until(Some(asked + Duration::from_millis(lease.ttl_ms)));
            if certain {
                gateway.registry.unregistered().iter().for_each(|connection| gateway.found(connection));
            }
        }
        Ok(lease.ttl_ms)
    }
}

fn lease_of(gateway: &Gateway, held: Held, renew_only: bool) -> LeaseRequest {
    LeaseRequest { gateway: gateway.incarnation.clone(), count: held.count, hash: held.hash, renew_only }
}

/// Events of before do not come, and once some do nobody shall wonder about the others: until all is told, none
/// goes out. Returns when the lease ends at the earliest.
async fn register_again(gateway: &Gateway, upto: u64) -> Result<Instant, Failure> {
    let all = gateway.registry.doubt();
    if !all.is_empty() {
        gateway.metrics.registered_again.inc_by(all.len() as u64);
        gateway.metrics.resync("presence");
        tracing::warn!(connections = all.len(), "the presence engine lost connections, they are registered again");
    }
    let registered = tell_all(gateway, &all, upto).await;
    if registered.is_err() {
        // Whom the engine has by now is not known.
        all.iter().for_each(|connection| connection.unregistered());
    }
    // From here on events find them; what came before is in the log.
    gateway.dropped(gateway.registry.lose_doubted(Code::Overloaded));
    let ends = registered?;
    // What they watched was lost with them.
    gateway.watch_again();
    Ok(ends)
}

async fn tell_all(gateway: &Gateway, all: &[Arc<Connection>], upto: u64) -> Result<Instant, Failure> {
    let asked = Instant::now();
    // With the lease events come again of all that the engine still has, also before this is answered.
    let lease = gateway.lease_session(lease_of(gateway, gateway.registry.held(), false)).await?;
    let ends = asked + Duration::from_millis(lease.ttl_ms);
    if all.is_empty() {
        return Ok(ends);
    }
    for chunk in all.chunks(PER_REQUEST) {
        let connections = chunk.iter().map(|connection| Registration {
            tenant: (&connection.identity.tenant).into(),
            user: (&connection.identity.user).into(),
            device: (&connection.identity.device).into(),
            connection: connection.id,
        });
        let request = RegisterAgainRequest { gateway: gateway.incarnation.clone(), connections: connections.collect() };
        gateway.register_session(request).await?;
        for connection in chunk {
            // It is told of what it missed with all others.
            connection.registered();
        }
    }
    let kept = gateway.registry.all().iter().map(|connection| connection.id).collect();
    gateway.prune_session(PruneRequest { gateway: gateway.incarnation.clone(), upto, kept }).await?;
    Ok(ends)
}
