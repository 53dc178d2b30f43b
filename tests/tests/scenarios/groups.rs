//! Members: who may change them, and what each may see.

use anyhow::{Result, ensure};
use posthorn_client::{
    Format,
    proto::{Kind, Membership, Range, Role, server_frame::Frame},
};
use posthorn_testkit::Cluster;

use super::in_each_topology;
use crate::raw::{Raw, ask, refused, seqs, text_of};

in_each_topology!(roles_decide_who_changes_members, who_left_sees_nothing_after_and_no_hole_when_back);

fn member(user: &str) -> Membership {
    Membership { user: user.into(), role: 0 }
}

async fn roles_decide_who_changes_members(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("roles").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    let mut cyd = Raw::join(&tenant, "cyd", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation { title: "Tea".into(), members: vec![member("ben")] }
        => ConversationCreated);
    let group = group.conversation;
    let cyd_joins = || vec![member("cyd")];
    refused!(ben, AddMembers { conversation: group.clone(), members: cyd_joins() } => "forbidden");
    refused!(cyd, AddMembers { conversation: group.clone(), members: cyd_joins() } => "not_found");
    refused!(ben, SetRole { conversation: group.clone(), user: "ben".into(), role: Role::Owner.into() }
        => "forbidden");
    let admin = i32::from(Role::Admin);
    ask!(ann, SetRole { conversation: group.clone(), user: "ben".into(), role: admin } => MembersChanged);
    let joined = ask!(ben, AddMembers { conversation: group.clone(), members: cyd_joins() } => MembersChanged);
    // It is so already: no entry.
    let again = ask!(ben, AddMembers { conversation: group.clone(), members: cyd_joins() } => MembersChanged);
    ensure!(joined.seq > 0 && again.seq == 0, "{joined:?} {again:?}");
    refused!(ben, RemoveMember { conversation: group.clone(), user: "ann".into() } => "forbidden");
    refused!(ann, Leave { conversation: group.clone() } => "last_owner");
    let page = ask!(cyd, ListMembers { conversation: group.clone(), limit: 2 } => Members);
    ensure!((page.total, page.next.as_str()) == (3, "ben"), "{page:?}");
    let rest = ask!(cyd, ListMembers { conversation: group.clone(), after: page.next } => Members);
    let all: Vec<_> = page.members.iter().chain(&rest.members).map(|m| (m.user.as_str(), m.role())).collect();
    ensure!(all == [("ann", Role::Owner), ("ben", Role::Admin), ("cyd", Role::Member)], "{all:?}");
    ensure!(rest.members[0].joined_seq == joined.seq);

    let owner = i32::from(Role::Owner);
    ask!(ann, SetRole { conversation: group.clone(), user: "ben".into(), role: owner } => MembersChanged);
    let left = ask!(ann, Leave { conversation: group.clone() } => MembersChanged);
    refused!(ann, Send { conversation: group.clone(), ..text_of("wait") } => "forbidden");
    let seen = ben.entries_to(&group, left.seq).await?;
    let kinds: Vec<Kind> = seen.iter().map(posthorn_client::proto::Entry::kind).collect();
    ensure!(kinds == [Kind::Created, Kind::Role, Kind::Joined, Kind::Role, Kind::Left], "{kinds:?}");
    let about = seen[2].body.as_ref().and_then(|body| body.member.clone());
    ensure!(about.is_some_and(|m| m.user == "cyd" && m.role() == Role::Member) && seen[2].author == "ben");
    // The same group under the same id, asked for again.
    refused!(cyd, CreateConversation { conversation: group } => "already_exists");
    Ok(())
}

async fn who_left_sees_nothing_after_and_no_hole_when_back(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("holes").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut cyd = Raw::join(&tenant, "cyd", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation {} => ConversationCreated).conversation;
    ann.say(&group, "before").await?;
    let add = || vec![member("cyd")];
    let joined = ask!(ann, AddMembers { conversation: group.clone(), members: add() } => MembersChanged).seq;
    ann.say(&group, "with you").await?;
    let left = ask!(ann, RemoveMember { conversation: group.clone(), user: "cyd".into() } => MembersChanged).seq;
    let hidden = ann.say(&group, "without you").await?.seq;
    ann.say(&group, "still without").await?;

    // While away: what was seen stays readable, nothing else is.
    let page = ask!(cyd, History { conversation: group.clone(), after: Some(0) } => History);
    ensure!(seqs(&page.entries) == (joined..=left).collect::<Vec<_>>() && page.end_seq == left, "{page:?}");
    refused!(cyd, Send { conversation: group.clone(), ..text_of("me") } => "forbidden");
    let listed = ask!(cyd, Sync {} => Sync).conversations;
    ensure!(listed.len() == 1 && listed[0].end_seq == left, "{listed:?}");
    ensure!(listed[0].registers.as_ref().is_some_and(|registers| registers.removed));

    let back = ask!(ann, AddMembers { conversation: group.clone(), members: add() } => MembersChanged).seq;
    let end = ann.say(&group, "again").await?.seq;
    let live = cyd.entries_to(&group, end).await?;
    let expected: Vec<u64> = (joined..=left).chain(back..=end).collect();
    ensure!(seqs(&live) == expected, "{:?}", seqs(&live));
    let page = ask!(cyd, History { conversation: group.clone(), after: Some(0) } => History);
    ensure!(
        seqs(&page.entries) == expected
            && page.visible == [Range { from: joined, to: left }, Range { from: back, to: 0 },],
        "{page:?}"
    );
    for (after, before) in [(Some(hidden - 1), None), (None, Some(hidden + 1))] {
        let page =
            ask!(cyd, History { conversation: group.clone(), after: after, before: before, limit: 1 } => History);
        ensure!(page.entries.iter().all(|entry| entry.seq <= left || entry.seq >= back), "{page:?}");
    }
    // Unread counts only what may be seen: what was said before the return is not.
    let listed = ask!(cyd, Sync {} => Sync).conversations;
    ensure!(listed[0].unread == 1 && listed[0].visible == page.visible, "{listed:?}");
    ensure!(!cyd.events.iter().any(|event| matches!(event, Frame::Entries(_))));
    Ok(())
}
