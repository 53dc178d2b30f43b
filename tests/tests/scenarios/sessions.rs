//! Connections: typing, presence, tokens that end or are replaced, cuts.

use std::time::Duration;

use anyhow::{Result, ensure};
use posthorn_client::{
    Event, Format,
    proto::{Connect, Status, server_frame::Frame},
};
use posthorn_proto::internal::RevokeRequest;
use posthorn_testkit::Cluster;

use super::in_each_topology;
use crate::raw::{Raw, ask, refused, seqs, text_of, texts};

in_each_topology!(
    typing_is_shown_to_the_others,
    presence_comes_to_those_who_watch_alone,
    presence_ends_with_the_last_common_conversation,
    the_client_goes_on_watching_after_a_reconnect,
    a_token_is_replaced_or_ends_its_connection,
    a_revocation_cuts_the_live_connection,
    a_cut_connection_resumes_and_misses_nothing,
);

async fn typing_is_shown_to_the_others(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("typing").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    let mut eve = Raw::join(&tenant, "eve", "phone", Format::Json).await?;
    let group = ask!(ann, Send { to: "ben".into(), ..text_of("hello") } => Sent).conversation;
    for active in [true, false] {
        ask!(ann, Typing { conversation: group.clone(), active: active } => Done);
        let now = ben.until(|event| match event {
            Frame::Typing(now) => Some(now.clone()),
            _ => None,
        });
        let now = now.await?;
        ensure!((now.conversation == group, now.user.as_str(), now.active) == (true, "ann", active), "{now:?}");
    }
    refused!(eve, Typing { conversation: group, active: true } => "not_found");
    // Whatever was on its way to a stranger would be before this.
    let marker = ask!(ann, Send { to: "eve".into(), ..text_of("marker") } => Sent);
    eve.entries_to(&marker.conversation, marker.seq).await?;
    ensure!(!eve.events.iter().chain(&ann.events).any(|event| matches!(event, Frame::Typing(_))));
    Ok(())
}

async fn presence_comes_to_those_who_watch_alone(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("presence").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut cyd = Raw::join(&tenant, "cyd", "phone", Format::Json).await?;
    let ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    tenant.user("eve").await?;
    let members = ["ben", "cyd"].map(|user| posthorn_client::proto::Membership { user: user.into(), role: 0 });
    let group = ask!(ann, CreateConversation { members: members.into() } => ConversationCreated).conversation;
    let users = vec!["ben".into(), "eve".into()];
    let now = ask!(ann, WatchPresence { users: users } => PresenceWatched).now;
    // Nobody learns of somebody they share no conversation with.
    ensure!(now.len() == 1 && now[0].user == "ben" && now[0].status() == Status::Online, "{now:?}");
    let before_ms = cluster.clock().now_ms();
    drop(ben);
    let change = |event: &Frame| match event {
        Frame::Presence(now) if now.user == "ben" => Some(now.clone()),
        _ => None,
    };
    let now = ann.until(change).await?;
    ensure!(now.status() == Status::Offline && now.last_seen_ms >= before_ms, "{now:?} {before_ms}");
    let _ben = Raw::join(&tenant, "ben", "laptop", Format::Json).await?;
    ensure!(ann.until(change).await?.status() == Status::Online);
    let end = ann.say(&group, "marker").await?.seq;
    cyd.entries_to(&group, end).await?;
    ensure!(!cyd.events.iter().any(|event| matches!(event, Frame::Presence(_))), "cyd watches nobody");
    Ok(())
}

/// The watcher is removed, who is watched is removed, and in between those who still share something.
async fn presence_ends_with_the_last_common_conversation(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("presence-ends").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    let mut dan = Raw::join(&tenant, "dan", "phone", Format::Json).await?;
    let cyd = Raw::join(&tenant, "cyd", "phone", Format::Json).await?;
    let members = ["ben", "cyd", "dan"].map(|user| posthorn_client::proto::Membership { user: user.into(), role: 0 });
    let group = ask!(ann, CreateConversation { members: members.into() } => ConversationCreated).conversation;
    let pair = ask!(dan, Send { to: "ben".into(), ..text_of("hello") } => Sent).conversation;
    for (who, users) in [(&mut ann, ["ben", "cyd"]), (&mut ben, ["cyd", "dan"]), (&mut dan, ["ben", "cyd"])] {
        let users: Vec<String> = users.map(Into::into).into();
        ensure!(ask!(who, WatchPresence { users: users } => PresenceWatched).now.len() == 2);
    }
    let removed = ask!(ann, RemoveMember { conversation: group.clone(), user: "ben".into() } => MembersChanged).seq;
    ben.entries_to(&group, removed).await?;
    let of = |name: &'static str| {
        move |event: &Frame| match event {
            Frame::Presence(now) if now.user == name => Some(now.status()),
            _ => None,
        }
    };
    // Ben was removed: cyd is nothing to him any more.
    drop(cyd);
    ensure!(ann.until(of("cyd")).await? == Status::Offline);
    let marker = dan.say(&pair, "marker").await?.seq;
    ben.entries_to(&pair, marker).await?;
    ensure!(!ben.events.iter().any(|event| of("cyd")(event).is_some()), "{:?}", ben.events);
    // Dan and ben still have their own conversation.
    drop(ben);
    ensure!(dan.until(of("ben")).await? == Status::Offline);
    let ben = Raw::join(&tenant, "ben", "laptop", Format::Json).await?;
    ensure!(dan.until(of("ben")).await? == Status::Online);
    // Ann watched ben, who shares nothing with her any more: whatever was on its way is before this.
    let marker = ask!(dan, Send { to: "ann".into(), ..text_of("marker") } => Sent);
    ann.entries_to(&marker.conversation, marker.seq).await?;
    ensure!(!ann.events.iter().any(|event| of("ben")(event).is_some()), "{:?}", ann.events);
    drop(ben);
    Ok(())
}

async fn the_client_goes_on_watching_after_a_reconnect(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("watch-again").await?;
    let mut ann = tenant.connect("ann", "phone").await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    ask!(ben, Send { to: "ann".into(), ..text_of("hello") } => Sent);
    // That they share a conversation is told before its entries are.
    ann.until(|event| matches!(event, Event::Entries { .. } | Event::Conversation(_)).then_some(())).await?;
    let users = vec!["ben".into()];
    let watched = ann.client.watch_presence(posthorn_client::proto::WatchPresence { users }).await?;
    ensure!(watched.now.len() == 1 && watched.now[0].status() == Status::Online, "{watched:?}");
    let of_ben = |event: &Event| match event {
        Event::Presence(now) if now.user == "ben" => Some(now.status()),
        _ => None,
    };
    ann.client.cut().await;
    // It asks again by itself, and hears what is the case.
    ensure!(ann.until(of_ben).await? == Status::Online);
    drop(ben);
    ensure!(ann.until(of_ben).await? == Status::Offline);
    ann.leave().await
}

async fn a_token_is_replaced_or_ends_its_connection(cluster: &Cluster) -> Result<()> {
    const TTL_S: u64 = 3;
    let tenant = cluster.tenant("tokens").await?;
    for user in ["ann", "ben"] {
        tenant.user(user).await?;
    }
    let connect = |token| Raw::connect(&tenant.ws, Format::Json, Connect { token, ..Connect::default() });
    let mut kept = connect(tenant.token_of("ann", "phone", "unlimited", TTL_S).await?).await?;
    let mut ended = connect(tenant.token_of("ann", "laptop", "unlimited", TTL_S).await?).await?;
    let expires_ms = kept.connected.token_expires_ms;
    let told = kept.until(|event| match event {
        Frame::TokenExpiring(expiring) => Some(expiring.token_expires_ms),
        _ => None,
    });
    ensure!(told.await? == expires_ms);
    let foreign = tenant.token_of("ben", "phone", "unlimited", 600).await?;
    refused!(kept, Refresh { token: foreign } => "forbidden");
    refused!(kept, Refresh { token: "nonsense".into() } => "unauthenticated");
    let token = tenant.token_of("ann", "phone", "unlimited", 600).await?;
    let refreshed = ask!(kept, Refresh { token: token } => Refreshed);
    ensure!(refreshed.token_expires_ms > expires_ms + 500_000);
    ensure!(ended.closed().await? == (4410, "token_expired".to_owned()));
    // Past the end of its first token, the other goes on.
    posthorn_clock::sleep(Duration::from_millis(expires_ms.saturating_sub(cluster.clock().now_ms()))).await;
    ask!(kept, Ping {} => Pong);
    Ok(())
}

async fn a_revocation_cuts_the_live_connection(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("revoked").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut other = Raw::join(&tenant, "ann", "laptop", Format::Proto).await?;
    let token = tenant.token_of("ann", "phone", "unlimited", 600).await?;
    let revoke = RevokeRequest {
        tenant: tenant.name.clone(),
        user: "ann".into(),
        device: "phone".into(),
        ..RevokeRequest::default()
    };
    tenant.clients().session.clone().revoke(revoke).await?;
    ensure!(ann.closed().await? == (4511, "token_revoked".to_owned()));
    ask!(other, Ping {} => Pong);
    let mut again = Raw::open(&tenant.ws, Format::Json).await?;
    refused!(again, Connect { token: token } => "token_revoked");
    ensure!(again.closed().await?.0 == 4511);
    Ok(())
}

async fn a_cut_connection_resumes_and_misses_nothing(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("resume").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let mut cyd = tenant.connect("cyd", "phone").await?;
    let members = ["ben", "cyd"].map(|user| posthorn_client::proto::Membership { user: user.into(), role: 0 });
    let group = ask!(ann, CreateConversation { members: members.into() } => ConversationCreated).conversation;
    let seen = ann.say(&group, "1").await?.seq;
    ben.entries_to(&group, seen).await?;
    let cursor = ask!(ben, Sync {} => Sync).cursor;
    let before = ben.connected.clone();
    drop(ben);
    cyd.client.cut().await;
    ann.say(&group, "2").await?;
    let end = ann.say(&group, "3").await?.seq;

    let token = tenant.token_of("ben", "phone", "unlimited", 600).await?;
    let connect = Connect { token, resume_token: before.resume_token, cursor: cursor.clone(), ..Connect::default() };
    let mut ben = Raw::connect(&tenant.ws, Format::Json, connect).await?;
    ensure!(ben.connected.resumed && !ben.connected.reset && ben.connected.session == before.session);
    let page = ask!(ben, Sync { cursor: cursor } => Sync);
    ensure!(page.conversations.len() == 1 && page.conversations[0].end_seq == end, "{page:?}");
    let missed = ask!(ben, History { conversation: group.clone(), after: Some(seen) } => History);
    ensure!(texts(&missed.entries) == ["2", "3"]);
    let live = ann.say(&group, "4").await?.seq;
    ensure!(seqs(&ben.entries_to(&group, live).await?).last() == Some(&live));

    // The SDK does the same by itself: all of it, once, in order.
    let mut all = Vec::new();
    while all.last() != Some(&live) {
        let next = cyd.until(|event| match event {
            Event::Entries { conversation, entries } if **conversation == *group => Some(seqs(entries)),
            _ => None,
        });
        all.extend(next.await?);
    }
    ensure!(all == (1..=live).collect::<Vec<_>>(), "{all:?}");
    cyd.leave().await
}
