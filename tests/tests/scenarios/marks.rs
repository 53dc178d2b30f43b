//! Marks, unread counts, registers, and the sync that brings them to a device that was away.

use anyhow::{Result, ensure};
use posthorn_client::{
    Format,
    proto::{Connect, MemberMarks, Registers, server_frame::Frame},
};
use posthorn_testkit::Cluster;

use super::in_each_topology;
use crate::raw::{Raw, ask, refused, seqs, text_of};

in_each_topology!(
    marks_reach_the_sender_and_the_other_devices,
    no_answer_says_less_than_a_sync_did,
    unread_counts_others_messages,
    sync_tells_what_changed
);

/// Goal: what own messages moved a mark to, and a sync showed, no later answer takes back.
async fn no_answer_says_less_than_a_sync_did(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("own").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut group = String::new();
    for _ in 0..3 {
        let sent = ask!(ann, Send { to: "ben".into(), ..text_of("tick") } => Sent);
        group = sent.conversation;
    }
    let page = ask!(ann, Sync {} => Sync);
    let shown = page.conversations[0].registers.clone().unwrap_or_default();
    ensure!((shown.delivered, shown.read, shown.unread) == (4, 4, 0), "who sends has read what they sent: {page:?}");
    for (delivered, read) in [(0, 0), (4, 0), (2, 2)] {
        let marked = ask!(ann, Mark { conversation: group.clone(), delivered: delivered, read: read } => Marked);
        ensure!((marked.delivered, marked.read) == (4, 4), "{delivered}, {read}: {marked:?}");
    }
    let set = ask!(ann, SetRegisters { conversation: group.clone(), muted: Some(true) } => RegistersSet);
    ensure!(set.registers.is_some_and(|registers| (registers.delivered, registers.read) == (4, 4)));
    Ok(())
}

/// The marks of a user, as an event of this connection.
async fn marks_of(who: &mut Raw, user: &str, read: u64) -> Result<MemberMarks> {
    who.until(|event| match event {
        Frame::Marks(marks) => marks.marks.iter().find(|m| m.user == user && m.read == read).cloned(),
        _ => None,
    })
    .await
}

async fn registers_of(who: &mut Raw, wanted: impl Fn(&Registers) -> bool) -> Result<Registers> {
    who.until(|event| match event {
        Frame::Registers(registers) if wanted(registers) => Some(registers.clone()),
        _ => None,
    })
    .await
}

async fn marks_reach_the_sender_and_the_other_devices(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("marks").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut phone = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let mut laptop = Raw::join(&tenant, "ben", "laptop", Format::Proto).await?;
    let away = Raw::join(&tenant, "ben", "tablet", Format::Json).await?;
    drop(away);
    let sent = ask!(ann, Send { to: "ben".into(), ..text_of("tick") } => Sent);
    let (group, seq) = (sent.conversation, sent.seq);

    let marked = ask!(phone, Mark { conversation: group.clone(), delivered: seq } => Marked);
    // Who joins has read up to there; the mark may be quicker than the news of the join.
    ensure!(marked.delivered == seq && marked.read <= 1 && marked.unread == 1, "{marked:?}");
    ensure!(marks_of(&mut ann, "ben", marked.read).await?.delivered == seq);
    let marked = ask!(phone, Mark { conversation: group.clone(), read: seq } => Marked);
    ensure!((marked.delivered, marked.read, marked.unread) == (seq, seq, 0), "{marked:?}");
    marks_of(&mut ann, "ben", seq).await?;
    ensure!(registers_of(&mut laptop, |registers| registers.read == seq).await?.unread == 0);
    // Marks only grow, and never past the end.
    let marked = ask!(laptop, Mark { conversation: group.clone(), read: 1 } => Marked);
    ensure!(marked.read == seq, "{marked:?}");
    let marked = ask!(laptop, Mark { conversation: group.clone(), read: 1_000 } => Marked);
    ensure!(marked.read == seq, "{marked:?}");

    let set = ask!(laptop, SetRegisters { conversation: group.clone(), muted: Some(true), draft: Some("so".into()) }
        => RegistersSet);
    ensure!(set.registers.is_some_and(|registers| registers.muted && registers.read == seq));
    ensure!(registers_of(&mut phone, |registers| registers.muted).await?.draft == "so");
    // The device that was away learns all of it.
    let mut tablet = Raw::join(&tenant, "ben", "tablet", Format::Json).await?;
    let page = ask!(tablet, Sync {} => Sync);
    let registers = page.conversations[0].registers.clone().unwrap_or_default();
    ensure!((registers.read, registers.muted, registers.draft.as_str()) == (seq, true, "so"), "{page:?}");
    // The sender that was away, too.
    let mut again = Raw::join(&tenant, "ann", "laptop", Format::Json).await?;
    let page = ask!(again, Sync {} => Sync);
    let marks = &page.conversations[0].marks;
    ensure!(marks.iter().any(|m| m.user == "ben" && m.read == seq && m.delivered == seq), "{marks:?}");
    refused!(ann, Mark { conversation: "nowhere".into(), read: 1 } => "not_found");
    Ok(())
}

async fn unread_counts_others_messages(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("unread").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let one = ask!(ann, Send { to: "ben".into(), ..text_of("1") } => Sent);
    let (one, first) = (one.conversation, one.seq);
    ann.say(&one, "2").await?;
    let last = ann.say(&one, "3").await?.seq;
    let members = vec![posthorn_client::proto::Membership { user: "ben".into(), role: 0 }];
    let two = ask!(ann, CreateConversation { members: members } => ConversationCreated).conversation;
    ann.say(&two, "4").await?;
    let page = ask!(ben, Sync {} => Sync);
    let counts: Vec<_> = page.conversations.iter().map(|c| (c.conversation.as_str(), c.unread)).collect();
    // By latest activity.
    ensure!((counts.as_slice(), page.total_unread) == ([(two.as_str(), 1), (one.as_str(), 3)].as_slice(), 4));
    ensure!(ask!(ben, Mark { conversation: one.clone(), read: first } => Marked).unread == 2);
    // An answer by somebody who has not read all is not counted for its author, and reads nothing for them.
    ben.say(&one, "mine").await?;
    ensure!(ask!(ben, Sync {} => Sync).total_unread == 3);
    ensure!(ask!(ben, Mark { conversation: one.clone(), read: last } => Marked).unread == 0);
    // Who has read all and answers has read the answer as well.
    let own = ben.say(&one, "read all").await?.seq;
    let page = ask!(ben, Sync {} => Sync);
    let registers = page.conversations.iter().find(|c| c.conversation == one).and_then(|c| c.registers.clone());
    ensure!(registers.as_ref().is_some_and(|r| r.read == own && r.unread == 0), "{registers:?}");
    ask!(ben, SetRegisters { conversation: two, muted: Some(true) } => RegistersSet);
    ensure!(ask!(ben, Sync {} => Sync).total_unread == 0, "muted conversations are not in the total");
    ensure!(ask!(ann, Sync {} => Sync).total_unread == 2);
    Ok(())
}

async fn sync_tells_what_changed(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("sync").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut phone = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let mut tablet = Raw::join(&tenant, "ben", "tablet", Format::Proto).await?;
    let members = || vec![posthorn_client::proto::Membership { user: "ben".into(), role: 0 }];
    let mut groups = Vec::new();
    for n in 0..5 {
        let made = ask!(ann, CreateConversation { title: format!("group {n}"), members: members() }
            => ConversationCreated);
        ann.say(&made.conversation, "hello").await?;
        groups.push(made.conversation);
    }
    // In pages, the latest first.
    let (mut listed, mut page) = (Vec::new(), ask!(tablet, Sync { limit: 2 } => Sync));
    loop {
        listed.extend(page.conversations.iter().map(|c| c.conversation.clone()));
        if !page.more {
            break;
        }
        page = ask!(tablet, Sync { limit: 2, page: page.page.clone() } => Sync);
    }
    ensure!(listed.iter().eq(groups.iter().rev()), "{listed:?} of {groups:?}");
    let cursor = page.cursor;
    ensure!(ask!(tablet, Sync { cursor: cursor.clone() } => Sync).conversations.is_empty());
    drop(tablet);

    let end = ann.say(&groups[1], "news").await?.seq;
    phone.entries_to(&groups[1], end).await?;
    ask!(phone, Mark { conversation: groups[3].clone(), read: 2 } => Marked);
    let left = ask!(phone, Leave { conversation: groups[4].clone() } => MembersChanged).seq;
    let token = tenant.token_of("ben", "tablet", "unlimited", 600).await?;
    let connect = Connect { token, cursor: cursor.clone(), ..Connect::default() };
    let mut tablet = Raw::connect(&tenant.ws, Format::Proto, connect).await?;
    ensure!(!tablet.connected.reset);
    let page = ask!(tablet, Sync { cursor: cursor.clone() } => Sync);
    let mut changed: Vec<_> = page.conversations.iter().collect();
    changed.sort_by_key(|c| groups.iter().position(|group| *group == c.conversation));
    ensure!(changed.len() == 3 && !page.more && !page.reset, "{changed:?}");
    ensure!(changed[0].end_seq == end && changed[0].unread == 2, "{:?}", changed[0]);
    ensure!(changed[1].registers.as_ref().is_some_and(|registers| registers.read == 2));
    ensure!(changed[2].registers.as_ref().is_some_and(|registers| registers.removed) && changed[2].end_seq == left);
    // What is missing is asked for by seq.
    let missed = ask!(tablet, History { conversation: groups[1].clone(), after: Some(2) } => History);
    ensure!(seqs(&missed.entries) == [3]);
    refused!(tablet, Sync { cursor: "no cursor".into() } => "invalid_argument");
    Ok(())
}
