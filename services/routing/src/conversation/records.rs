//! Between the core's conversation and what is stored of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use posthorn_core::{
    Chain, Kind, UserId,
    chain::body_hash,
    conversation::{Conversation, End, Fact, KINDS, Member},
    cursor::Version,
    recent::Position,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    convert::{ConvertError, ranges_from_wire, ranges_to_wire},
    internal::{Head, MarkAt, MemberRecord},
};
use prost::Message;

/// Stored bytes that contradict themselves.
pub fn damaged(what: &str, error: &ConvertError) -> Failure {
    Failure::new(Code::DataLoss, format!("{what} does not decode: {error}"))
}

pub fn mark_of(position: Position) -> MarkAt {
    MarkAt { seq: position.seq, ordinal: position.ordinal, own: position.own }
}

pub fn position_of(mark: Option<&MarkAt>) -> Position {
    mark.map_or_else(Position::default, |m| Position { seq: m.seq, ordinal: m.ordinal, own: m.own })
}

pub fn head_of(conversation: &Conversation, chain: Chain, version: Version) -> Head {
    let end = &conversation.end;
    let direct = conversation.kind == posthorn_core::ConversationKind::Direct;
    Head {
        seq: end.seq,
        ordinal: end.ordinal,
        time_ms: end.time_ms,
        chain: Bytes::copy_from_slice(&chain.0),
        version_epoch: version.epoch,
        version_counter: version.counter,
        kind: client::ConversationKind::from(conversation.kind).into(),
        title: conversation.title.clone(),
        visibility: client::Visibility::from(conversation.visibility).into(),
        member_count: conversation.present() as u64,
        direct: if direct { conversation.members.keys().map(Into::into).collect() } else { Vec::new() },
        preview_seq: end.preview_seq,
        floor_seq: 0,
        last_of_kind: end.last_of_kind.to_vec(),
        // The store keeps it apart.
        fed_seq: 0,
    }
}

pub fn end_of(head: &Head) -> End {
    let mut last_of_kind = [0; KINDS];
    for (slot, seq) in last_of_kind.iter_mut().zip(&head.last_of_kind) {
        *slot = *seq;
    }
    End { seq: head.seq, ordinal: head.ordinal, time_ms: head.time_ms, preview_seq: head.preview_seq, last_of_kind }
}

pub fn member_record(member: &Member) -> MemberRecord {
    MemberRecord {
        role: client::Role::from(member.role).into(),
        present: member.present,
        visible: ranges_to_wire(&member.visible),
        sent: member.sent,
        as_of_seq: member.as_of_seq,
        joined_seq: member.joined_seq,
        joined_ordinal: member.joined_ordinal,
        left_ordinal: member.left.ordinal,
        left_sent: member.left.own,
    }
}

pub fn members_of(rows: &[posthorn_proto::internal::MemberRow]) -> Result<BTreeMap<UserId, Member>, ConvertError> {
    let mut members = BTreeMap::new();
    for row in rows {
        let record = row.record.as_ref().ok_or(ConvertError::Field("record"))?;
        let visible = ranges_from_wire(&record.visible);
        let left_seq = visible.as_slice().last().and_then(|range| range.to).unwrap_or(0);
        members.insert(
            UserId::new(&row.user)?,
            Member {
                role: record.role().try_into()?,
                present: record.present,
                visible,
                joined_seq: record.joined_seq,
                joined_ordinal: record.joined_ordinal,
                sent: record.sent,
                as_of_seq: record.as_of_seq,
                left: Position { seq: left_seq, ordinal: record.left_ordinal, own: record.left_sent },
            },
        );
    }
    Ok(members)
}

/// The body of an entry that the server itself makes, and its hash.
pub fn fact_body(fact: &Fact) -> Option<(Bytes, [u8; 32])> {
    let membership = |user: &UserId, role: Option<posthorn_core::Role>| client::Membership {
        user: user.into(),
        role: role.map_or(client::Role::Unspecified, Into::into).into(),
    };
    let body = match fact {
        Fact::None => return None,
        Fact::Created { kind, title, visibility, members } => client::Body {
            created: Some(client::Created {
                kind: client::ConversationKind::from(*kind).into(),
                title: title.clone(),
                visibility: client::Visibility::from(*visibility).into(),
                members: members.iter().map(|(user, role)| membership(user, Some(*role))).collect(),
            }),
            ..client::Body::default()
        },
        Fact::Joined(user, role) | Fact::Role(user, role) => {
            client::Body { member: Some(membership(user, Some(*role))), ..client::Body::default() }
        }
        Fact::Left(user) => client::Body { member: Some(membership(user, None)), ..client::Body::default() },
        Fact::Title(title) => client::Body { title: title.clone(), ..client::Body::default() },
    };
    let bytes = Bytes::from(body.encode_to_vec());
    let hash = body_hash(&bytes);
    Some((bytes, hash))
}

/// The fact in a stored entry. Of a redacted one nothing is known: facts are never redacted.
pub fn fact_of(kind: Kind, body: Option<&Bytes>) -> Result<Fact, ConvertError> {
    if !matches!(kind, Kind::Created | Kind::Joined | Kind::Left | Kind::Removed | Kind::Role | Kind::Title) {
        return Ok(Fact::None);
    }
    let body = client::Body::decode(body.cloned().ok_or(ConvertError::Field("body"))?)?;
    if kind == Kind::Title {
        return Ok(Fact::Title(body.title));
    }
    if let Some(created) = body.created {
        let mut members = Vec::with_capacity(created.members.len());
        for member in &created.members {
            members.push((UserId::new(&member.user)?, member.role().try_into()?));
        }
        return Ok(Fact::Created {
            kind: created.kind().try_into()?,
            visibility: created.visibility().try_into()?,
            title: created.title,
            members,
        });
    }
    let member = body.member.ok_or(ConvertError::Field("member"))?;
    let user = UserId::new(&member.user)?;
    Ok(match kind {
        Kind::Joined => Fact::Joined(user, member.role().try_into()?),
        Kind::Role => Fact::Role(user, member.role().try_into()?),
        _ => Fact::Left(user),
    })
}
