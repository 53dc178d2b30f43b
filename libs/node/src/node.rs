//! A node: started in one order, stopped in the other.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use posthorn_clock::{Clock, Instant, timeout};
use posthorn_gateway::Gateway;
use posthorn_rpc::{Listener, Network, Rpc};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::{
    NodeConfig, StartError,
    admin::{Admin, routes as admin_routes},
    http::HttpServer,
    ops::{self, Ops},
    roles::Roles,
    wiring::{Clients, Engines, Local, Part, Topology, wire},
};

/// What a node is made of besides its configuration. Tests and simulations bring their own.
pub struct NodeParts {
    /// Bound already: a port that is taken is found out before anything else begins.
    pub listener: Box<dyn Listener>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub topology: Topology,
    pub roles: Roles,
    /// Bound already, where the services of this process are called by others.
    pub grpc: Option<Box<dyn Listener>>,
    /// How the services of other processes are reached.
    pub network: Arc<dyn Network>,
    pub engines: Engines,
    /// More routes for the listener (a page). No fallback, and no path of the API.
    pub pages: Router,
}

/// A running node. Dropping it stops nothing: [`Node::shutdown`] does.
pub struct Node {
    addr: SocketAddr,
    clients: Clients,
    local: Local,
    http: HttpServer,
    pub(crate) parts: Vec<Part>,
    engines: Engines,
    budget: Duration,
}

/// How stopping went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// The steps that were not done when the budget was.
    pub unfinished: Vec<&'static str>,
    /// The critical task that had died, if one had.
    pub failed: Option<String>,
}

impl Stopped {
    #[must_use]
    pub fn clean(&self) -> bool {
        self.unfinished.is_empty() && self.failed.is_none()
    }
}

impl Node {
    /// Starts storage, session, routing, push and the gateway, in this order, then answers on the
    /// listener. On an error what had been started is stopped again.
    pub async fn start(config: NodeConfig, mut parts: NodeParts) -> Result<Self, StartError> {
        let addr = parts.listener.local_addr().map_err(StartError::Listener)?;
        let rpc = Rpc::new(config.rpc.clone(), &parts.metrics, parts.clock.clone());
        let rpc = rpc.over(Arc::clone(&parts.network));
        let grpc = parts.grpc.take();
        let wired = Box::pin(wire(&config, &parts, &rpc, grpc)).await?;
        let router = match &wired.local.gateway {
            Some(gateway) => {
                let (session, embedded) = (wired.clients.session.clone(), parts.engines.embedded.clone());
                let admin = Admin::new(session, embedded, config.node.max_backups);
                posthorn_gateway::http::router(Arc::clone(gateway)).merge(admin_routes(admin))
            }
            None => {
                let (clients, local) = (wired.clients.clone(), wired.local.clone());
                ops::router(Ops { roles: parts.roles, clients, local, metrics: parts.metrics.clone() })
            }
        };
        let router = router.merge(parts.pages);
        let tasks = Tasks::new();
        let http = HttpServer::new(config.listen, router, tasks.clone(), &parts.metrics);
        tasks.critical("listener", accept(http.clone(), parts.listener));
        tracing::info!(%addr, roles = %parts.roles, topology = ?parts.topology, "node started");
        Ok(Self {
            addr,
            clients: wired.clients,
            local: wired.local,
            http,
            parts: wired.parts,
            engines: parts.engines,
            budget: Duration::from_millis(config.node.stop_budget_ms),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The services, as the gateway calls them.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    #[must_use]
    pub const fn gateway(&self) -> Option<&Arc<Gateway>> {
        self.local.gateway.as_ref()
    }

    /// Ends when a critical task has died: the node must be shut down then.
    pub async fn died(&self) {
        let stopping = self.tasks().map(|tasks| Box::pin(tasks.stopping().cancelled_owned()));
        futures_util::future::select_all(stopping).await;
    }

    /// Stops within `node.stop_budget_ms`, all steps together: unready and drained, shards handed over, the
    /// listener closed, gateway, push, routing (after what is in flight), session, storage, and last the store.
    pub async fn shutdown(self) -> Stopped {
        let until = Instant::now() + self.budget;
        let left = || until.saturating_duration_since(Instant::now());
        let failed = self.tasks().find_map(Tasks::failed);
        let mut steps = Vec::new();

        if let Some(gateway) = &self.local.gateway {
            let drained = timeout(left(), gateway.drain()).await;
            // Whoever had not left at the cap was closed with a code that says to come back: that is no failure.
            steps.push(("drain", drained.is_ok()));
        }
        if let Some(routing) = &self.local.routing {
            steps.push(("hand over", routing.leave(left()).await));
        }
        self.http.closing.cancel();
        // Sockets that were upgraded end with the gateway's tasks.
        steps.push(("listener", stop(&self.http.tasks, left()).await));
        for part in self.parts.iter().rev() {
            steps.push((part.name, stop(&part.tasks, left()).await));
        }
        steps.push(("store", timeout(left(), self.engines.close()).await.is_ok()));

        let unfinished: Vec<_> = steps.into_iter().filter(|(_, done)| !done).map(|(step, _)| step).collect();
        tracing::info!(?unfinished, failed, "node stopped");
        Stopped { unfinished, failed }
    }

    fn tasks(&self) -> impl Iterator<Item = &Tasks> {
        let parts = self.parts.iter().map(|part| &part.tasks);
        parts.chain([&self.http.tasks]).chain(&self.engines.tasks)
    }
}

/// The listener's task ends when it is told to close: that is no death.
async fn accept(http: HttpServer, listener: Box<dyn Listener>) {
    let (closing, tasks): (CancellationToken, Tasks) = (http.closing.clone(), http.tasks.clone());
    http.run(listener).await;
    if closing.is_cancelled() {
        tasks.stop();
    }
}

async fn stop(tasks: &Tasks, left: Duration) -> bool {
    tasks.stop();
    tasks.ended(left).await
}
