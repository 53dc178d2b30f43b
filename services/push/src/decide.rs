//! Who is notified of what: pure, from what storage says.

use std::collections::BTreeMap;

use posthorn_core::Envelope;
use posthorn_proto::{
    convert::ranges_from_wire,
    internal::{MemberRecord, RegisterRecord},
};

use crate::Notification;

/// Countable entries of one conversation, ascending: (seq, author).
pub type Countable = Vec<(u64, String)>;

/// What storage says of one present member.
#[derive(Clone, Debug, Default)]
pub struct Member {
    pub record: MemberRecord,
    /// Their own state of the conversation, if they have one yet.
    pub register: Option<RegisterRecord>,
}

impl Member {
    /// Their register knows of the join that makes them a member now. Joins are told after they are
    /// confirmed, so that for a while it may not.
    pub fn told(&self) -> bool {
        self.register.as_ref().is_some_and(|register| register.membership_seq >= self.record.joined_seq)
    }
}

/// What push needs of an entry; `None` for those that notify nobody.
pub fn countable(seq: u64, envelope: &Envelope) -> Option<(u64, String)> {
    envelope.countable().then(|| (seq, (&envelope.author).into()))
}

/// One notification a user at most: of the newest entry by somebody else that they may see, have
/// neither received nor read, and did not mute. Who was not told of joining sees what the list of
/// members says, and has what an earlier membership left them.
pub fn notifications(
    tenant: &str,
    conversation: &str,
    entries: &Countable,
    members: &BTreeMap<String, Member>,
) -> Vec<Notification> {
    let notify = |(user, member): (&String, &Member)| {
        let told = member.told();
        let register = member.register.clone().unwrap_or_default();
        if register.muted || (told && register.removed) {
            return None;
        }
        let visible = ranges_from_wire(if told { &register.visible } else { &member.record.visible });
        let marks = [&register.delivered, &register.read];
        let received = marks.into_iter().flatten().map(|mark| mark.seq).max().unwrap_or(0);
        // Who joins has read up to there.
        let received = if told { received } else { received.max(member.record.joined_seq) };
        let unseen = |(seq, author): &&(u64, String)| author != user && *seq > received && visible.contains(*seq);
        let (seq, _) = entries.iter().rev().find(unseen)?;
        Some(Notification {
            tenant: tenant.to_owned(),
            user: user.clone(),
            conversation: conversation.to_owned(),
            seq: *seq,
        })
    };
    members.iter().filter_map(notify).collect()
}

#[cfg(test)]
mod tests {
    use posthorn_proto::{client::Range, internal::MarkAt};

    use super::*;

    fn mark(seq: u64) -> Option<MarkAt> {
        Some(MarkAt { seq, ..MarkAt::default() })
    }

    fn told(entries: &Countable, members: &[(&str, Member)]) -> Vec<(String, u64)> {
        let members = members.iter().map(|(user, member)| ((*user).to_owned(), member.clone())).collect();
        notifications("t", "c", entries, &members).into_iter().map(|n| (n.user, n.seq)).collect()
    }

    #[test]
    fn only_who_has_not_received_it_and_did_not_mute_is_notified_once_of_the_newest() {
        let register = |delivered: u64| RegisterRecord {
            visible: vec![Range { from: 1, to: 0 }],
            delivered: mark(delivered),
            ..RegisterRecord::default()
        };
        let member = |register| Member { register: Some(register), ..Member::default() };
        let muted = RegisterRecord { muted: true, ..register(0) };
        let removed = RegisterRecord { removed: true, ..register(0) };
        let late = RegisterRecord { visible: vec![Range { from: 9, to: 0 }], ..register(0) };
        let read = RegisterRecord { read: mark(4), ..register(0) };
        let members = [
            ("author", member(register(0))),
            ("away", member(register(1))),
            ("caught-up", member(register(4))),
            ("late", member(late)),
            ("muted", member(muted)),
            ("reader", member(read)),
            ("removed", member(removed)),
        ];
        let entries = vec![(2, "away".to_owned()), (3, "author".to_owned()), (4, "author".to_owned())];
        assert_eq!(told(&entries, &members), [("author".to_owned(), 2), ("away".to_owned(), 4)]);
    }

    #[test]
    fn who_was_not_told_of_joining_is_decided_by_the_list_of_members() {
        let record = |joined_seq, from| MemberRecord {
            present: true,
            joined_seq,
            visible: vec![Range { from, to: 0 }],
            ..MemberRecord::default()
        };
        let before = RegisterRecord {
            visible: vec![Range { from: 1, to: 2 }],
            removed: true,
            membership_seq: 2,
            ..RegisterRecord::default()
        };
        let muted = RegisterRecord { muted: true, ..before.clone() };
        let members = [
            ("back", Member { record: record(3, 3), register: Some(before) }),
            ("back-muted", Member { record: record(3, 3), register: Some(muted) }),
            ("new", Member { record: record(3, 1), register: None }),
            ("newer", Member { record: record(6, 1), register: None }),
        ];
        assert!(members.iter().all(|(_, member)| !member.told()));
        let entries = vec![(3, "x".to_owned()), (5, "x".to_owned())];
        assert_eq!(told(&entries, &members), [("back".to_owned(), 5), ("new".to_owned(), 5)]);
    }
}
