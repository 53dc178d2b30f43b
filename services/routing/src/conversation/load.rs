//! Loading a conversation: its head, and for one that a journal names also the log after it, taken by
//! its chain and written again under this load's own number.

use std::collections::BTreeSet;

use posthorn_core::{
    Chain, ConversationKey, Number,
    conversation::{Conversation, Fact},
    cursor::Version,
    recent::Recent,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    convert::decode_envelope,
    internal::{AppendRowsRequest, Head, HeadsRequest, MemberRow, MembersRequest, ReadRequest, ReadTailRequest, Row},
};

use super::records::{damaged, end_of, fact_of, head_of, member_record, members_of};
use posthorn_rpc::call;

use crate::service::Core;

/// Rows read back at load: retries and marks near the end need no further read.
const RECENT_AT_LOAD: u64 = 64;

pub(super) struct Loaded {
    pub conversation: Conversation,
    pub chain: Chain,
    pub version: Version,
    pub preview: Option<Row>,
    pub number: Number,
    /// Confirmed by this load, and perhaps never shown.
    pub tail: Vec<Row>,
    /// The own note of it: a journal named it, and registers have to be told again.
    pub named: Option<u64>,
    /// What the feed has for sure.
    pub fed: u64,
}

/// `named`: read beyond the head. A load that finds less than `at_least` refuses.
pub(super) async fn load(
    core: &Core,
    key: &ConversationKey,
    named: Option<u64>,
    at_least: u64,
) -> Result<Loaded, Failure> {
    let (tenant, name) = (String::from(&key.tenant), String::from(&key.conversation));
    let number = Number { epoch: core.ownership.epoch(key.shard()), load: core.next_load() };
    let mut storage = core.storage.clone();
    let request = HeadsRequest { tenant: tenant.clone(), conversations: vec![name.clone()] };
    let head = call(storage.heads(request)).await?.heads.into_iter().next().and_then(|row| row.head);
    let (mut conversation, mut chain, mut version, mut preview) =
        (Conversation::empty(core.config.recent_entries), Chain::START, Version::default(), None);
    if let Some(head) = &head {
        let members =
            call(storage.members(MembersRequest { tenant: tenant.clone(), conversation: name.clone() })).await?;
        let recent = recent_rows(core, &tenant, &name, head).await?;
        whole(head, recent.last())?;
        conversation = restore(core, head, &members.members, &recent)?;
        chain = Chain::from_slice(&head.chain).ok_or_else(|| Failure::new(Code::DataLoss, "a head without a chain"))?;
        version = Version { epoch: head.version_epoch, counter: head.version_counter };
        preview = recent.into_iter().find(|row| row.seq == head.preview_seq);
    }
    let mut tail = Vec::new();
    if named.is_some() {
        let request = ReadTailRequest { tenant, conversation: name, after: conversation.end.seq };
        tail = chained(call(storage.read_tail(request)).await?.rows, conversation.end.seq, chain);
    }
    let fed = head.as_ref().map_or(0, |head| head.fed_seq);
    let mut loaded = Loaded { conversation, chain, version, preview, number, tail: Vec::new(), named, fed };
    if !tail.is_empty() {
        rewrite(core, key, &mut loaded, tail).await?;
    }
    if loaded.conversation.end.seq < at_least {
        let message = format!("the log ends at {}, {at_least} was confirmed", loaded.conversation.end.seq);
        return Err(Failure::new(Code::DataLoss, message));
    }
    Ok(loaded)
}

/// A head only carries what was confirmed: where the log ends below it, a replica has forgotten.
fn whole(head: &Head, last: Option<&Row>) -> Result<(), Failure> {
    let end = last.map_or(0, |row| row.seq);
    if end == head.seq {
        return Ok(());
    }
    let what = "repair the store before it serves";
    Err(Failure::new(Code::DataLoss, format!("the log ends at {end}, its head at {}: {what}", head.seq)))
}

/// Per seq the row of the highest number that continues what was taken.
fn chained(rows: Vec<Row>, after: u64, mut chain: Chain) -> Vec<Row> {
    let mut taken: Vec<Row> = Vec::new();
    let mut rows = rows.into_iter().peekable();
    let mut next = after + 1;
    while rows.peek().is_some() {
        let mut best: Option<Row> = None;
        while let Some(row) = rows.next_if(|row| row.seq <= next) {
            let continues = row.seq == next && row.chain.as_ref() == chain.link(&row.envelope).0;
            let higher = best.as_ref().is_none_or(|b| (row.epoch, row.load) >= (b.epoch, b.load));
            if continues && higher {
                best = Some(row);
            }
        }
        let Some(row) = best else { break };
        chain = chain.link(&row.envelope);
        taken.push(row);
        next += 1;
    }
    taken
}

async fn recent_rows(core: &Core, tenant: &str, name: &str, head: &Head) -> Result<Vec<Row>, Failure> {
    let request = ReadRequest {
        tenant: tenant.to_owned(),
        conversation: name.to_owned(),
        from: head.seq.saturating_sub(RECENT_AT_LOAD - 1).max(1),
        to: head.seq,
        limit: u32::try_from(RECENT_AT_LOAD).unwrap_or(u32::MAX),
        reverse: true,
        max_bytes: core.config.max_batch_bytes as u64,
    };
    let mut rows = call(core.storage.clone().read(request)).await?.rows;
    rows.reverse();
    Ok(rows)
}

fn restore(core: &Core, head: &Head, members: &[MemberRow], rows: &[Row]) -> Result<Conversation, Failure> {
    let bad = |error| damaged("a stored conversation", &error);
    let mut envelopes = Vec::with_capacity(rows.len());
    for row in rows {
        envelopes.push(decode_envelope(&row.envelope).map_err(bad)?);
    }
    let floor = rows.first().map_or(head.seq, |row| row.seq - 1);
    let floor_ordinal = envelopes.first().map_or(head.ordinal, |first| first.ordinal - u64::from(first.countable()));
    let mut recent = Recent::new(floor, floor_ordinal, core.config.recent_entries);
    for envelope in &envelopes {
        recent.push(envelope);
    }
    let members = members_of(members).map_err(bad)?;
    let kind = head.kind().try_into().map_err(bad)?;
    let visibility = head.visibility().try_into().map_err(bad)?;
    Ok(Conversation::restored(kind, head.title.clone(), visibility, end_of(head), members, recent))
}

/// The tail under a number of its own, checked: confirmed from here on.
async fn rewrite(core: &Core, key: &ConversationKey, loaded: &mut Loaded, tail: Vec<Row>) -> Result<(), Failure> {
    let mut touched = BTreeSet::new();
    let mut rows = tail;
    for row in &mut rows {
        let bad = |error| damaged("an entry", &error);
        let envelope = decode_envelope(&row.envelope).map_err(bad)?;
        let fact = fact_of(envelope.kind, row.body.as_ref()).map_err(bad)?;
        touched.extend(touched_by(&envelope.author, &fact));
        loaded.conversation.apply(&envelope, &fact);
        loaded.chain = loaded.chain.link(&row.envelope);
        (row.epoch, row.load) = (loaded.number.epoch, loaded.number.load);
        if envelope.countable() {
            loaded.preview = Some(row.clone());
        }
    }
    let taken = core.ownership.take_version(key.shard());
    let version = taken.version;
    let request = AppendRowsRequest {
        tenant: (&key.tenant).into(),
        conversation: (&key.conversation).into(),
        instance: core.ownership.instance.clone(),
        rows: rows.clone(),
        head: Some(head_of(&loaded.conversation, loaded.chain, version)),
        members: member_rows(&loaded.conversation, &touched),
        effects: true,
        // One stands.
        note: None,
    };
    call(core.storage.clone().append(request)).await?;
    core.checker.active().await?;
    loaded.version = version;
    loaded.tail = rows;
    Ok(())
}

/// Whose member records an entry changes.
pub(super) fn touched_by(author: &posthorn_core::UserId, fact: &Fact) -> Vec<posthorn_core::UserId> {
    let mut users = vec![author.clone()];
    match fact {
        Fact::Created { members, .. } => users.extend(members.iter().map(|(user, _)| user.clone())),
        Fact::Joined(user, _) | Fact::Left(user) | Fact::Role(user, _) => users.push(user.clone()),
        Fact::None | Fact::Title(_) => {}
    }
    users
}

pub(super) fn member_rows(conversation: &Conversation, touched: &BTreeSet<posthorn_core::UserId>) -> Vec<MemberRow> {
    let member = |user: &posthorn_core::UserId| {
        let record = conversation.members.get(user).map(member_record)?;
        Some(MemberRow { user: user.into(), record: Some(record) })
    };
    touched.iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn row(seq: u64, epoch: u64, before: Chain, text: &str) -> Row {
        let envelope = Bytes::copy_from_slice(text.as_bytes());
        let chain = Bytes::copy_from_slice(&before.link(&envelope).0);
        Row { seq, epoch, load: 0, chain, envelope, body: None }
    }

    #[test]
    fn a_loader_takes_the_highest_number_that_continues_the_chain_and_stops_at_a_hole() {
        let start = Chain::START;
        let a = row(1, 1, start, "a");
        let after_a = start.link(b"a");
        let zombie = row(2, 9, start.link(b"elsewhere"), "z");
        let (b, b_again) = (row(2, 1, after_a, "b"), row(2, 2, after_a, "b"));
        let beyond_hole = row(4, 2, after_a.link(b"b"), "d");
        let rows = vec![a.clone(), b, b_again.clone(), zombie, beyond_hole];
        assert_eq!(chained(rows, 0, start), [a, b_again]);
    }
}
