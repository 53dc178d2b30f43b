//! Conversations of more members than are served one by one.

use anyhow::{Result, ensure};
use posthorn_client::{
    Format,
    proto::{Membership, server_frame::Frame},
};
use posthorn_testkit::{Cluster, Tenant};

use super::{DIRECT_MEMBERS, in_each_topology};
use crate::raw::{Raw, ask, seqs};

in_each_topology!(many_are_shown_everything_once_and_who_left_nothing);

async fn come(tenant: &Tenant, user: &str, device: &str) -> Result<Raw> {
    let mut raw = Raw::join(tenant, user, device, Format::Proto).await?;
    ask!(raw, Sync {} => Sync);
    Ok(raw)
}

async fn many_are_shown_everything_once_and_who_left_nothing(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("large").await?;
    let before = cluster.sum("posthorn_broker_large_publications_total").await?;
    let mut ann = come(&tenant, "ann", "phone").await?;
    let names: Vec<String> = (0..=DIRECT_MEMBERS).map(|n| format!("guest{n}")).collect();
    let mut guests = Vec::new();
    for name in &names {
        guests.push(come(&tenant, name, "phone").await?);
    }
    let member = |name: &String| Membership { user: name.clone(), role: 0 };
    let members: Vec<Membership> = names.iter().skip(1).map(member).collect();
    let hall =
        ask!(ann, CreateConversation { title: "Hall".into(), members: members } => ConversationCreated).conversation;
    let first = ann.say(&hall, "welcome").await?.seq;
    for guest in &mut guests[1..] {
        ensure!(seqs(&guest.entries_to(&hall, first).await?) == [1, first]);
    }
    // One comes, and one goes.
    let coming = vec![member(&names[0])];
    let joined = ask!(ann, AddMembers { conversation: hall.clone(), members: coming } => MembersChanged).seq;
    let left = ask!(guests[1], Leave { conversation: hall.clone() } => MembersChanged).seq;
    // Another device of one who is there, and one who was away and missed nothing but what the log has.
    let mut second = come(&tenant, &names[2], "laptop").await?;
    guests.truncate(3);
    let mut back = come(&tenant, names.last().map_or("", String::as_str), "phone").await?;
    let last = ann.say(&hall, "without one").await?.seq;
    ensure!(seqs(&guests[0].entries_to(&hall, last).await?) == [joined, left, last]);
    ensure!(seqs(&guests[2].entries_to(&hall, last).await?) == [joined, left, last]);
    for come in [&mut second, &mut back] {
        ensure!(seqs(&come.entries_to(&hall, last).await?) == [last]);
    }
    ensure!(seqs(&guests[1].entries_to(&hall, left).await?) == [joined, left]);
    let page = ask!(guests[1], History { conversation: hall.clone(), after: Some(left) } => History);
    ensure!(page.entries.is_empty() && !guests[1].events.iter().any(|event| matches!(event, Frame::Entries(_))));
    // The first entry, which made it, and one for each other.
    let published = cluster.sum("posthorn_broker_large_publications_total").await? - before;
    #[allow(clippy::cast_precision_loss, reason = "a few")]
    let expected = last as f64;
    ensure!(published >= expected, "{published} publications of {expected} entries");
    Ok(())
}
