//! How services call each other: one client type whether the callee is in this process or not.
//!
//! `XClient<Link>` of the generated code is the only client of a service; that of routing stands behind
//! [`RoutingClient`], which knows the owners. A [`Link`] leads to the
//! service's own routes in this process or over a channel to another one. The layers are the same
//! either way: on the caller's side a deadline, durations and the trace context; on the callee's side
//! ([`Rpc::guard`]) the deadline that came along, a bound on requests in flight, durations, the trace
//! as a span, and a panic that becomes `internal`.

mod balanced;
mod call;
mod config;
mod context;
mod deadline;
mod layers;
mod link;
mod metrics;
mod net;
mod routed;
mod server;
mod tls;
pub mod trace;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Uri;
use posthorn_clock::Clock;
use posthorn_telemetry::Metrics;
use tonic::service::Routes;

pub use balanced::Address;
pub use call::call;
pub use config::RpcConfig;
pub use context::{Context, current, within};
pub use link::{Link, LinkError};
pub use net::{Io, Listener, Network, Tcp};
pub use routed::{NUDGE_SUBJECT, OneInstance, RoutingClient, ShardMap};
pub use server::{ServeError, serve, together};
pub use tls::{Tls, TlsError, TlsFiles, TlsTimes};
pub use trace::TraceContext;

/// The clients of the services that are called, but for [`RoutingClient`], whose calls go to owners. Make them with [`Link::session`] and its like.
pub type SessionClient = posthorn_proto::internal::session_client::SessionClient<Link>;
pub type PushClient = posthorn_proto::internal::push_client::PushClient<Link>;
pub type StorageClient = posthorn_proto::internal::storage_client::StorageClient<Link>;

/// Largest message on any link, encoded. Both sides set it: clients made by [`Link`] do, and a service's
/// `grpc::routes` does with `max_decoding_message_size`.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// What the links of one node share: bounds, metrics, and where trace ids come from. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    pub(crate) config: RpcConfig,
    pub(crate) metrics: metrics::RpcMetrics,
    pub(crate) clock: Clock,
    pub(crate) network: Arc<dyn Network>,
}

impl Rpc {
    #[must_use]
    pub fn new(config: RpcConfig, metrics: &Metrics, clock: Clock) -> Self {
        Self { config, metrics: metrics::RpcMetrics::new(metrics), clock, network: Tcp::shared() }
    }

    /// Its links to other processes lead over this one.
    #[must_use]
    pub fn over(self, network: Arc<dyn Network>) -> Self {
        Self { network, ..self }
    }

    /// The address of another process, as its channel has it.
    pub(crate) fn address(&self, text: &str) -> Result<Uri, String> {
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let scheme = self.network.scheme();
        if uri.scheme_str() != Some(scheme) || uri.host().is_none() || uri.port().is_none() {
            return Err(format!("it must be {scheme}://HOST:PORT"));
        }
        // What is encrypted is the network's business: the channel would do it itself.
        let plain = text.replacen(scheme, "http", 1);
        plain.parse().map_err(|error: http::uri::InvalidUri| error.to_string())
    }

    /// The service with its layers around it, to be linked or served. `service` names it in metrics.
    #[must_use]
    pub fn guard(&self, service: &'static str, routes: Routes) -> Routes {
        layers::guard(self, service, routes)
    }
}
