//! One gateway incarnation: the clients of the services below, and its live connections.

use std::sync::Arc;

use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_rpc::{RoutingClient, SessionClient, StorageClient};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::GatewayConfig;

/// What a gateway is made of.
pub struct GatewayDeps {
    pub config: GatewayConfig,
    pub routing: RoutingClient,
    pub session: SessionClient,
    pub storage: StorageClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

pub struct Gateway {
    pub(crate) deps: GatewayDeps,
    /// This incarnation: the subject of its publications is `gateway.<incarnation>`.
    pub(crate) incarnation: String,
}

impl Gateway {
    /// Subscribes to the bus and begins to take connections.
    pub fn new(deps: GatewayDeps) -> Arc<Self> {
        let incarnation = deps.clock.uuid_v4().simple().to_string();
        Arc::new(Self { deps, incarnation })
    }
}
