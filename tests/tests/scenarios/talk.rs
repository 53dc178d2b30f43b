//! Sends: to one person and to several, again, in order, on a condition, from elsewhere.

use anyhow::{Result, bail, ensure};
use posthorn_client::{
    Format, Outgoing,
    proto::{Body, Durability, Kind, Precondition, Send, Unit, client_frame::Request, server_frame::Frame},
};
use posthorn_testkit::Cluster;
use serde_json::json;

use super::in_each_topology;
use crate::raw::{Raw, ask, refused, seqs, text_of, texts};

in_each_topology!(
    either_side_opens_the_one_direct_conversation,
    json_protobuf_and_sdk_see_the_same,
    a_retry_is_the_same_entry,
    a_precondition_is_decided_with_the_number,
    what_a_send_points_at_is_there_and_of_this_generation,
    two_devices_and_a_friend_have_one_order,
    history_goes_both_ways_and_around,
    what_the_backend_sends_appears_live,
    another_tenant_finds_nothing,
);

async fn either_side_opens_the_one_direct_conversation(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("direct").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    for first_is_ann in [true, false] {
        // Two pairs: once the one side begins, once the other.
        let (from, to, name) = if first_is_ann { (&mut ann, &mut ben, "ben") } else { (&mut ben, &mut ann, "ann") };
        let hello = Send { to: name.into(), ..text_of("hello") };
        let Frame::Sent(sent) = from.ask(Request::Send(hello)).await? else { bail!("not sent") };
        ensure!(sent.conversation.starts_with("d.") && sent.durability() == Durability::Synced);
        let came = to.entries_to(&sent.conversation, sent.seq).await?;
        ensure!(came.last().map(|entry| (entry.kind(), entry.ordinal)) == Some((Kind::Message, sent.ordinal)));
        if first_is_ann {
            ensure!(came[0].kind() == Kind::Created && sent.seq == 2 && sent.ordinal == 1, "{came:?}");
        } else {
            ensure!(sent.seq == 3, "the second side found another conversation");
        }
    }
    refused!(ann, Send { to: "ann".into(), ..text_of("me") } => "invalid_argument");
    Ok(())
}

async fn json_protobuf_and_sdk_see_the_same(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("formats").await?;
    let mut json = Raw::join(&tenant, "ann", "json", Format::Json).await?;
    let mut proto = Raw::join(&tenant, "ben", "proto", Format::Proto).await?;
    let mut sdk = tenant.connect("cyd", "sdk").await?;
    let members = ["ben", "cyd"].map(|user| posthorn_client::proto::Membership { user: user.into(), role: 0 });
    let group = ask!(json, CreateConversation { title: "Tea".into(), members: members.into() } => ConversationCreated);
    let text = "h\u{e9} \"you\" \u{1f44b}\n\\ <b>";
    let first = json.say(&group.conversation, text).await?;
    let mut back = text_of("answer");
    (back.conversation, back.reply_to, back.mentions) =
        (group.conversation.clone(), first.seq, vec!["ann".into(), "cyd".into()]);
    back.body = Some(Body { style: posthorn_client::proto::Style::Action.into(), ..back.body.unwrap_or_default() });
    let Frame::Sent(second) = proto.ask(Request::Send(back)).await? else { bail!("not sent") };
    let mut third = sdk.client.send(Outgoing::text(&group.conversation, "third")).await?;
    let third = third.stored().await?;

    let in_json = json.entries_to(&group.conversation, third.seq).await?;
    let in_proto = proto.entries_to(&group.conversation, third.seq).await?;
    ensure!(in_json == in_proto, "{in_json:?}\n{in_proto:?}");
    ensure!(seqs(&in_json) == (1..=third.seq).collect::<Vec<_>>());
    ensure!(in_json[1].body.as_ref().is_some_and(|body| body.text == text) && in_json[2].reply_to == first.seq);
    let last = sdk.until(|event| match event {
        posthorn_client::Event::Entries { entries, .. } => entries.iter().find(|e| e.seq == second.seq).cloned(),
        _ => None,
    });
    ensure!(last.await? == in_json[2]);
    let page = ask!(json, History { conversation: group.conversation.clone(), after: Some(0) } => History);
    ensure!(page.entries == in_json, "the log is not what was shown");
    sdk.leave().await
}

async fn a_retry_is_the_same_entry(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("retry").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let first = Send { to: "ben".into(), ..text_of("once") };
    let Frame::Sent(sent) = ann.ask(Request::Send(first.clone())).await? else { bail!("not sent") };
    for between in 0..3 {
        let again = Send { retry: true, ..first.clone() };
        let Frame::Sent(copy) = ann.ask(Request::Send(again)).await? else { bail!("not sent") };
        ensure!((copy.seq, copy.ordinal, copy.duplicate) == (sent.seq, sent.ordinal, true), "{copy:?}");
        ben.say(&sent.conversation, &format!("between {between}")).await?;
    }
    // Within one burst, too.
    let twice = Send { conversation: sent.conversation.clone(), after_seq: 5, ..text_of("twice") };
    let ids = [ann.post(Request::Send(twice.clone())).await?, ann.post(Request::Send(twice.clone())).await?];
    let (one, two) = (ann.reply(ids[0]).await?, ann.reply(ids[1]).await?);
    let (Frame::Sent(one), Frame::Sent(two)) = (one, two) else { bail!("not sent") };
    ensure!(one.seq == two.seq && !one.duplicate && two.duplicate, "{one:?} {two:?}");
    let other = Send { body: Some(Body { text: "other".into(), ..Body::default() }), ..twice };
    let Frame::Error(error) = ann.ask(Request::Send(other)).await? else { bail!("taken twice") };
    ensure!(error.code == "message_id_reused" && error.side_effect_free && !error.retryable);
    let seen = ben.entries_to(&sent.conversation, one.seq).await?;
    ensure!(texts(&seen) == ["", "once", "between 0", "between 1", "between 2", "twice"], "{seen:?}");
    Ok(())
}

async fn a_precondition_is_decided_with_the_number(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("condition").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Proto).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation { members: vec![member("ben")] } => ConversationCreated).conversation;
    let end = ann.say(&group, "start").await?.seq;
    // Both want to be the one who comes next.
    let precondition = Some(Precondition { expected_seq: end, kinds: Vec::new() });
    let claim = || Send { conversation: group.clone(), precondition: precondition.clone(), ..text_of("mine") };
    let (a, b) = (ann.post(Request::Send(claim())).await?, ben.post(Request::Send(claim())).await?);
    let (a, b) = (ann.reply(a).await?, ben.reply(b).await?);
    let refused = match (&a, &b) {
        (Frame::Sent(won), Frame::Error(lost)) | (Frame::Error(lost), Frame::Sent(won)) if won.seq == end + 1 => lost,
        _ => bail!("{a:?} {b:?}"),
    };
    ensure!((refused.code.as_str(), refused.end_seq) == ("precondition_failed", end + 1), "{refused:?}");
    // Other kinds than those named are no obstacle.
    let kinds = vec![Kind::Title.into()];
    let precondition = Some(Precondition { expected_seq: end, kinds });
    ask!(ann, Send { conversation: group, precondition: precondition, ..text_of("still") } => Sent);
    Ok(())
}

async fn what_a_send_points_at_is_there_and_of_this_generation(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("references").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
    let generation = ann.connected.generation;
    let group = ask!(ann, CreateConversation {} => ConversationCreated).conversation;
    let early = ann.say(&group, "before your time").await?.seq;
    let joined = ask!(ann, AddMembers { conversation: group.clone(), members: vec![member("ben")] } => MembersChanged);
    let at = |change: &dyn Fn(&mut Send, u64), seq: u64| {
        let mut send = Send { conversation: group.clone(), ..text_of("about that") };
        change(&mut send, seq);
        send
    };
    for change in [|send: &mut Send, seq| send.reply_to = seq, |send: &mut Send, seq| send.thread = seq] {
        // Beyond the end, and before he came: there is no difference to be seen.
        let Frame::Error(beyond) = ben.ask(Request::Send(at(&change, 1_000))).await? else { bail!("taken") };
        let Frame::Error(hidden) = ben.ask(Request::Send(at(&change, early))).await? else { bail!("taken") };
        ensure!(beyond == hidden && beyond.code == "invalid_argument" && beyond.side_effect_free, "{beyond:?}");
        ensure!(matches!(ben.ask(Request::Send(at(&change, joined.seq))).await?, Frame::Sent(_)));
        ensure!(matches!(ann.ask(Request::Send(at(&change, early))).await?, Frame::Sent(_)));
    }
    // A conversation that begins with this message has nothing to point at, and does not begin.
    refused!(ben, Send { to: "eve".into(), reply_to: 1, ..text_of("hm") } => "invalid_argument");
    ensure!(ask!(ben, Sync {} => Sync).conversations.len() == 1);

    for retry in [false, true] {
        let stale = |send: &mut Send, generation| (send.after_seq, send.generation) = (early, generation);
        let send = Send { retry, ..at(&stale, generation + 1) };
        let Frame::Error(refused) = ann.ask(Request::Send(send)).await? else { bail!("taken, retry {retry}") };
        ensure!(refused.code == "stale_generation" && refused.side_effect_free && !refused.retryable, "{refused:?}");
        let send = Send { retry, ..at(&|send: &mut Send, seq| send.after_seq = seq, 1_000) };
        let Frame::Error(refused) = ann.ask(Request::Send(send)).await? else { bail!("taken, retry {retry}") };
        ensure!(refused.code == "stale_generation", "{refused:?}");
        let send = Send { retry, ..at(&stale, generation) };
        ensure!(matches!(ann.ask(Request::Send(send)).await?, Frame::Sent(_)), "of this generation, retry {retry}");
    }
    let page = ask!(ann, History { conversation: group, after: Some(joined.seq) } => History);
    ensure!(page.entries.len() == 6, "what was refused was not stored: {page:?}");
    Ok(())
}

async fn two_devices_and_a_friend_have_one_order(cluster: &Cluster) -> Result<()> {
    const EACH: usize = 25;
    let tenant = cluster.tenant("order").await?;
    let mut phone = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let mut laptop = Raw::join(&tenant, "ann", "laptop", Format::Proto).await?;
    let mut ben = Raw::join(&tenant, "ben", "phone", Format::Json).await?;
    let first = Send { to: "ben".into(), ..text_of("first") };
    let Frame::Sent(first) = phone.ask(Request::Send(first)).await? else { bail!("not sent") };
    let mut ids = Vec::new();
    for n in 0..EACH {
        for (device, name) in [(&mut phone, "phone"), (&mut laptop, "laptop")] {
            let send = Send { conversation: first.conversation.clone(), ..text_of(&format!("{name} {n}")) };
            ids.push(device.post(Request::Send(send)).await?);
        }
    }
    let end = first.seq + 2 * EACH as u64;
    let seen = ben.entries_to(&first.conversation, end).await?;
    ensure!(seqs(&seen) == (1..=end).collect::<Vec<_>>(), "{:?}", seqs(&seen));
    ensure!(seen.windows(2).all(|pair| pair[0].time_ms <= pair[1].time_ms));
    for name in ["phone", "laptop"] {
        let said: Vec<&str> = texts(&seen).into_iter().filter(|text| text.starts_with(name)).collect();
        ensure!(said == (0..EACH).map(|n| format!("{name} {n}")).collect::<Vec<_>>(), "{said:?}");
    }
    for (at, id) in ids.into_iter().enumerate() {
        let device = if at % 2 == 0 { &mut phone } else { &mut laptop };
        ensure!(matches!(device.reply(id).await?, Frame::Sent(_)));
    }
    for device in [&mut phone, &mut laptop] {
        ensure!(device.entries_to(&first.conversation, end).await? == seen, "two devices, two orders");
    }
    Ok(())
}

async fn history_goes_both_ways_and_around(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("history").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation {} => ConversationCreated).conversation;
    tenant.user("ben").await?;
    let mut end = 1;
    for n in 1..=6 {
        ann.say(&group, &format!("message {n}")).await?;
        // Every message is followed by an entry that does not count.
        let user = if n % 2 == 1 { "ben" } else { "ann" };
        end = if n % 2 == 1 {
            ask!(ann, AddMembers { conversation: group.clone(), members: vec![member(user)] } => MembersChanged).seq
        } else {
            ask!(ann, RemoveMember { conversation: group.clone(), user: "ben".into() } => MembersChanged).seq
        };
    }
    ensure!(end == 13);
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = ask!(ann, History { conversation: group.clone(), after: Some(after), limit: 4 } => History);
        ensure!(page.end_seq == end && page.entries.len() <= 4);
        all.extend(seqs(&page.entries));
        match page.next {
            0 => break,
            next => after = next,
        }
    }
    ensure!(all == (1..=end).collect::<Vec<_>>(), "{all:?}");
    let (mut all, mut before) = (Vec::new(), u64::MAX >> 11);
    loop {
        let page = ask!(ann, History { conversation: group.clone(), before: Some(before), limit: 5 } => History);
        all.splice(0..0, seqs(&page.entries));
        match page.next {
            0 => break,
            next => before = next,
        }
    }
    ensure!(all == (1..=end).collect::<Vec<_>>(), "{all:?}");
    let page = ask!(ann, History { conversation: group.clone(), around: Some(7), limit: 6 } => History);
    ensure!(seqs(&page.entries) == [4, 5, 6, 7, 8, 9], "{:?}", seqs(&page.entries));
    let unit = i32::from(Unit::Messages);
    let page = ask!(ann, History { conversation: group.clone(), limit: 2, unit: unit } => History);
    let said: Vec<&str> = texts(&page.entries).into_iter().filter(|text| !text.is_empty()).collect();
    ensure!(said == ["message 5", "message 6"] && page.next > 0, "{page:?}");
    refused!(ann, History { conversation: group, after: Some(1), before: Some(9) } => "invalid_argument");
    Ok(())
}

async fn what_the_backend_sends_appears_live(cluster: &Cluster) -> Result<()> {
    let tenant = cluster.tenant("backend").await?;
    let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation { conversation: "desk".into() } => ConversationCreated).conversation;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/v1/conversations/{group}/entries", tenant.http);
    let mut last = 0;
    for body in [json!({"kind": "system", "text": "noon"}), json!({"author": "ann", "text": "from my backend"})] {
        let reply = http.post(&url).bearer_auth(&tenant.admin_key).json(&body).send().await?.error_for_status()?;
        last = reply.json::<serde_json::Value>().await?["seq"].as_u64().unwrap_or(0);
    }
    let seen = ann.entries_to(&group, last).await?;
    ensure!(texts(&seen) == ["", "noon", "from my backend"], "{seen:?}");
    ensure!(seen[1].kind() == Kind::System && seen[2].author == "ann" && seen[2].kind() == Kind::Message);
    let read = http.get(format!("{url}?after=1&limit=9")).bearer_auth(&tenant.admin_key).send().await?;
    let read: serde_json::Value = read.error_for_status()?.json().await?;
    let said: Vec<_> = read["entries"].as_array().into_iter().flatten().map(|entry| &entry["text"]).collect();
    ensure!(said == ["noon", "from my backend"], "{read}");
    Ok(())
}

async fn another_tenant_finds_nothing(cluster: &Cluster) -> Result<()> {
    let (here, there) = (cluster.tenant("here").await?, cluster.tenant("there").await?);
    let mut ann = Raw::join(&here, "ann", "phone", Format::Json).await?;
    // The same name, another tenant: another person.
    let mut eve = Raw::join(&there, "ann", "phone", Format::Json).await?;
    let group = ask!(ann, CreateConversation { conversation: "room".into() } => ConversationCreated).conversation;
    ann.say(&group, "private").await?;
    refused!(eve, History { conversation: group.clone() } => "not_found");
    refused!(eve, Send { conversation: group.clone(), ..text_of("hi") } => "not_found");
    refused!(eve, ListMembers { conversation: group.clone() } => "not_found");
    refused!(eve, Mark { conversation: group.clone(), read: 1 } => "not_found");
    refused!(eve, Typing { conversation: group.clone(), active: true } => "not_found");
    refused!(eve, Leave { conversation: group.clone() } => "not_found");
    ensure!(ask!(eve, Sync {} => Sync).conversations.is_empty());
    let own = ask!(eve, CreateConversation { conversation: group.clone() } => ConversationCreated);
    eve.say(&own.conversation, "mine").await?;
    let page = ask!(ann, History { conversation: group } => History);
    ensure!(texts(&page.entries) == ["", "private"]);
    // Neither key opens the other's house.
    let url = format!("{}/v1/conversations/room/entries", there.http);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let read = http.get(&url).bearer_auth(&there.admin_key).send().await?.text().await?;
    ensure!(read.contains("mine") && !read.contains("private"));
    Ok(())
}

fn member(user: &str) -> posthorn_client::proto::Membership {
    posthorn_client::proto::Membership { user: user.into(), role: 0 }
}
