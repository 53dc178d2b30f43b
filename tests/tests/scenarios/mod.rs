//! Every message path, in each topology: the same scenarios, told to a node whose services talk over
//! local links and to one where they talk over loopback gRPC.

use anyhow::Result;
use posthorn_testkit::{Cluster, ClusterOptions, Topology};

mod groups;
mod marks;
mod push;
mod sessions;
mod talk;

/// Scenarios that share a node, each in tenants of its own; one test for each topology.
macro_rules! in_each_topology {
    ($($scenario:ident),+ $(,)?) => {
        async fn all(topology: posthorn_testkit::Topology) -> anyhow::Result<()> {
            use anyhow::Context;
            let cluster = super::start(topology).await?;
            $(Box::pin($scenario(&cluster)).await.context(stringify!($scenario))?;)+
            cluster.stop().await
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn over_local_links() -> anyhow::Result<()> {
            all(posthorn_testkit::Topology::Local).await
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn over_loopback_grpc() -> anyhow::Result<()> {
            all(posthorn_testkit::Topology::Loopback).await
        }
    };
}

use in_each_topology;

/// The defaults, but for the times that a test would have to sit out.
pub(crate) async fn start(topology: Topology) -> Result<Cluster> {
    let options = ClusterOptions::new(topology).with(|config| {
        config.session.presence_grace_ms = 300;
        config.push.delay_ms = 300;
    });
    Cluster::start_with(options).await
}
