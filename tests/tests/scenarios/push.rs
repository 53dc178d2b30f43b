//! Who is told outside of a connection.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthorn_client::Format;
use posthorn_clock::{sleep, timeout};
use posthorn_testkit::Cluster;

use super::in_each_topology;
use crate::raw::{Raw, ask};

in_each_topology!(only_who_did_not_get_it_is_notified);

/// A counter of `/metrics`, 0 where it is not there yet.
fn counter(cluster: &Cluster, name: &str) -> u64 {
    let metrics = cluster.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or(0)
}

async fn only_who_did_not_get_it_is_notified(cluster: &Cluster) -> Result<()> {
    let (decided, notified) = ("posthorn_push_entries_decided_total", "posthorn_push_attempts_total{result=\"ok\"}");
    let tenant = cluster.tenant("push").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut got = Raw::join(&tenant, "got", "phone", Format::Json).await?;
    let mut muted = Raw::join(&tenant, "muted", "phone", Format::Json).await?;
    tenant.user("away").await?;
    let members =
        ["got", "muted", "away"].map(|user| posthorn_client::proto::Membership { user: user.into(), role: 0 });
    let group = ask!(ann, CreateConversation { members: members.into() } => ConversationCreated).conversation;
    ask!(muted, SetRegisters { conversation: group.clone(), muted: Some(true) } => RegistersSet);
    drop(muted);
    for round in 1..=2 {
        let seq = ann.say(&group, "who is there?").await?.seq;
        ask!(got, Mark { conversation: group.clone(), delivered: seq } => Marked);
        let all = timeout(Duration::from_secs(20), async {
            while counter(cluster, decided) < round || counter(cluster, notified) < round {
                sleep(Duration::from_millis(20)).await;
            }
        });
        all.await.with_context(|| cluster.metrics())?;
        // One of the three others: who was away.
        ensure!(counter(cluster, notified) == round, "{}", cluster.metrics());
    }
    Ok(())
}
