//! Every message path, in each topology: the same scenarios, told to a node whose services talk over
//! local links, to one where they talk over loopback gRPC, and to two processes of each service on real engines.

use std::time::Duration;

use anyhow::Result;
use posthorn_testkit::{Cluster, ClusterOptions, Topology};

mod groups;
mod large;
mod marks;
mod push;
mod sessions;
mod talk;

/// Scenarios that share a node, each in tenants of its own; one test for each topology.
macro_rules! in_each_topology {
    ($($scenario:ident),+ $(,)?) => {
        pub(super) async fn told(cluster: &posthorn_testkit::Cluster) -> anyhow::Result<()> {
            use anyhow::Context;
            $(Box::pin($scenario(cluster)).await.context(stringify!($scenario))?;)+
            Ok(())
        }

        async fn all(topology: posthorn_testkit::Topology) -> anyhow::Result<()> {
            let cluster = super::start(topology).await?;
            told(&cluster).await?;
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

/// Members of the largest conversation that is served one by one; [`large`] has more.
const DIRECT_MEMBERS: usize = 3;
/// Within it people say that they have a message, also on a busy machine.
const PUSH_DELAY: Duration = Duration::from_secs(2);

/// The defaults, but for the times that a test would have to sit out, and the members of a large conversation.
pub(crate) async fn start(topology: Topology) -> Result<Cluster> {
    let options = ClusterOptions::new(topology).with(|config| {
        config.session.presence_grace_ms = 300;
        config.push.delay_ms = u64::try_from(PUSH_DELAY.as_millis()).unwrap_or(u64::MAX);
        config.routing.direct_members = DIRECT_MEMBERS;
    });
    Cluster::start_with(options).await
}

/// One cluster for all of them: an engine takes its time to start.
#[tokio::test(flavor = "multi_thread")]
async fn over_real_engines_on_a_cluster() -> Result<()> {
    if posthorn_engines::mode() == posthorn_engines::Mode::Off {
        println!("not run: POSTHORN_TEST_ENGINES=off");
        return Ok(());
    }
    let members = format!("routing.direct_members={DIRECT_MEMBERS}");
    let delay = format!("push.delay_ms={}", PUSH_DELAY.as_millis());
    let set = ["session.presence_grace_ms=300", &delay, &members];
    let arguments: Vec<&str> = set.into_iter().flat_map(|value| ["--set", value]).collect();
    let cluster = Cluster::apart(&arguments).await?;
    talk::told(&cluster).await?;
    groups::told(&cluster).await?;
    large::told(&cluster).await?;
    marks::told(&cluster).await?;
    sessions::told(&cluster).await?;
    push::told(&cluster).await?;
    cluster.stop().await
}
