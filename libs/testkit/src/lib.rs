//! A whole Posthorn in a test. [`Cluster`] is a node in this process, on a port of its own and a
//! directory that goes with it, in the topology that the test is given; [`Server`] is the real binary
//! in a process of its own, for what only `kill -9` shows; [`Deployment`] is every service in processes of
//! its own, on real engines.

mod cluster;
mod deployment;
mod person;
mod processes;
mod server;
mod tenant;

pub use cluster::{Cluster, ClusterOptions, Storage};
pub use deployment::{Deployment, Running};
pub use person::Person;
pub use posthorn_node::Topology;
pub use processes::{Member, Signal};
pub use server::{Demo, DemoUser, Ready, Server};
pub use tenant::Tenant;

/// How long a test waits for what must happen, on a slow machine.
pub const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Every topology: a scenario is run in each.
pub const TOPOLOGIES: [Topology; 2] = [Topology::Local, Topology::Loopback];

#[cfg(test)]
mod tests {
    use posthorn_client::{Event, Outgoing, proto::History};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn two_people_talk_and_the_log_outlives_a_restart() -> anyhow::Result<()> {
        for topology in TOPOLOGIES {
            let mut cluster = Box::pin(Cluster::start(topology)).await?;
            let tenant = cluster.tenant("acme").await?;
            let (ann, mut ben) = (tenant.connect("ann", "phone").await?, tenant.connect("ben", "phone").await?);
            let outgoing = Outgoing { to: "ben".to_owned(), ..Outgoing::text("", "hello") };
            let sent = ann.client.send(outgoing).await?.stored().await?;
            let received = ben.until(|event| match event {
                Event::Entries { entries, .. } => entries.iter().find(|entry| entry.seq == sent.seq).cloned(),
                _ => None,
            });
            assert_eq!(received.await?.author, "ann");
            ann.leave().await?;
            ben.leave().await?;

            cluster.restart().await?;
            let tenant = cluster.tenant("acme").await?;
            let again = tenant.connect("ben", "tablet").await?;
            let page = History { conversation: sent.conversation.clone(), limit: 10, ..History::default() };
            let seqs: Vec<u64> = again.client.history(page).await?.entries.iter().map(|entry| entry.seq).collect();
            assert_eq!(seqs, (1..=sent.seq).collect::<Vec<_>>(), "{topology:?}");
            again.leave().await?;
            cluster.stop().await?;
        }
        Ok(())
    }
}
