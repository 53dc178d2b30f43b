//! Who is told outside of a connection.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthorn_client::Format;
use posthorn_clock::{sleep, timeout};
use posthorn_testkit::Cluster;

use super::{PUSH_DELAY, in_each_topology};
use crate::raw::{Raw, ask};

in_each_topology!(only_who_did_not_get_it_is_notified);

async fn only_who_did_not_get_it_is_notified(cluster: &Cluster) -> Result<()> {
    let (decided, notified) = ("posthorn_feed_consumer_entries_total", "posthorn_push_attempts_total");
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
    let counted = async || anyhow::Ok((cluster.sum(decided).await?, cluster.sum(notified).await?));
    // What other scenarios left for it is done once nothing is for longer than the delay.
    let mut at = counted().await?;
    loop {
        sleep(PUSH_DELAY + Duration::from_millis(500)).await;
        let now = counted().await?;
        if now == at {
            break;
        }
        at = now;
    }
    for round in 1..=2 {
        let seq = ann.say(&group, "who is there?").await?.seq;
        ask!(got, Mark { conversation: group.clone(), delivered: seq } => Marked);
        let all = timeout(Duration::from_secs(20), async {
            loop {
                let (decided, notified) = counted().await?;
                if decided >= at.0 + f64::from(round) && notified >= at.1 + f64::from(round) {
                    return anyhow::Ok(());
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        all.await.context("nobody is notified")??;
        // One of the three others: who was away.
        let told = counted().await?.1 - at.1;
        ensure!(told == f64::from(round), "{told} were notified after {round} messages");
    }
    Ok(())
}
